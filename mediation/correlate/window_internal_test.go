package correlate

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// A tracker that is kept and made anew, wherever, judges what comes as one that lived
// on: what came twice is known, and so the numbers behind it stay.
func TestTrackerKeepsItsWindow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		began := time.Unix(1_700_000_000, int64(rng.Uint32()))
		type pdu struct {
			seq uint32
			at  time.Time
		}
		var all []pdu
		for n := rng.Uint32N(1 << 31); len(all) < 600; n++ {
			all = append(all, pdu{n, began.Add(time.Duration(len(all)) * 20 * time.Millisecond)})
			for rng.IntN(4) == 0 { // one of the last comes again
				all = append(all, all[len(all)-1-rng.IntN(min(len(all), 100))])
			}
		}
		one, other := tracker{last: -1}, tracker{last: -1}
		for i, p := range all {
			if rng.IntN(10) == 0 {
				stored := other.window()
				if len(stored) > 8192 {
					t.Fatalf("the window takes %d octets", len(stored))
				}
				other = newTracker(other.last, stored)
			}
			if got, want := other.see(p.seq, p.at, i), one.see(p.seq, p.at, i); got != want {
				t.Fatalf("seed %d, PDU %d: verdict %d, want %d", seed, i, got, want)
			}
		}
	}
}

func TestWindowThatIsDamaged(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{{0x80}, {1}, {1, 0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		if tr := newTracker(7, b); tr.seen != nil || tr.last != 7 {
			t.Errorf("%x: %+v", b, tr)
		}
	}
}

// What the bus stored within the grace after a call's end is waited for: behind a slow
// hand-out, and while the bus is away.
func TestReadingPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const grace = 2 * time.Second
		var r reading
		began := time.Now()
		passed := func(want bool, what string) {
			t.Helper()
			if got := r.passed(began, grace, time.Now()); got != want {
				t.Errorf("%s: passed %t", what, got)
			}
		}
		r.begin(time.Now())
		time.Sleep(grace + time.Second)
		passed(false, "nothing came yet")
		r.busy()
		r.handed(began.Add(time.Second), time.Now())
		passed(false, "one second of two")
		r.busy()
		time.Sleep(time.Hour)
		passed(false, "a message is being handed out")
		r.handed(began.Add(grace), time.Now())
		passed(true, "all that was stored in time")
		r = reading{}
		r.begin(time.Now())
		r.busy()
		r.handed(began, time.Now())
		time.Sleep(grace)
		passed(true, "nothing more came")
		r.begin(time.Now())
		time.Sleep(grace)
		passed(false, "the bus is away")
		time.Sleep(awayGrace)
		passed(true, "the bus holds nothing")
	})
}

// Where another mediation took numbers of a session, ours are given anew, and what was
// pushed under the old ones is reported.
func TestRebaseNumbersAnew(t *testing.T) {
	t.Parallel()
	p := evidence.Progress{NextIRI: 5, NextCC: 10}
	s := (&Correlator{cfg: Config{Now: time.Now, SegmentBytes: 1}}).newSession(&p)
	of := func(n int) *batch {
		return &batch{kind: segment.KindCC, records: make([]segment.Record, n), shares: []share{{records: n, pushed: []deliver.Pushed{{Records: n}}}}}
	}
	s.cc.waiting, s.cc.open, s.cc.next = []*batch{of(2)}, of(3), 15
	before := p
	p.NextCC, p.OctetsCC = 14, 1000
	s.rebase(&before)
	if s.cc.next != 19 || s.cc.octets != 1000 || s.iri.next != 5 {
		t.Errorf("next %d after %d octets, IRI %d", s.cc.next, s.cc.octets, s.iri.next)
	}
	for _, b := range []*batch{s.cc.waiting[0], s.cc.open} {
		if all := b.stretches(); len(all) != 1 || !all[0].lost || !b.clashed || b.sentAt != 10 {
			t.Errorf("%+v, clashed %t from %d", all, b.clashed, b.sentAt)
		}
	}
}

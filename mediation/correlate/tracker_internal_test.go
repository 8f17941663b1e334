package correlate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// arrival is one PDU as it reaches mediation.
type arrival struct {
	seq uint32
	at  time.Time
}

// traffic draws what becomes of n numbers of one count: lost, doubled, or crossed
// with the next one.
func traffic(t *rapid.T, n int, clock *time.Time) (all []arrival, lost int) {
	held := (*arrival)(nil)
	last := -1
	for seq := range n {
		*clock = clock.Add(time.Millisecond)
		a := arrival{uint32(seq), *clock}
		what := rapid.SampledFrom([]string{"pass", "pass", "pass", "lose", "double", "cross"}).Draw(t, "fate")
		switch {
		case what == "lose":
			continue
		case what == "cross" && held == nil:
			held = &a
			continue
		}
		last = seq
		all = append(all, a)
		if what == "double" {
			all = append(all, a)
		}
		if held != nil {
			all, held = append(all, *held), nil
		}
	}
	if held != nil {
		last = max(last, int(held.seq))
		all = append(all, *held)
	}
	arrived := map[uint32]bool{}
	for _, a := range all {
		arrived[a.seq] = true
	}
	return all, last + 1 - len(arrived)
}

// Whatever is lost, doubled or crossed: each PDU that arrived is taken once, and
// the gaps count exactly those that did not.
func TestTrackerCountsWhatIsMissing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock := time.Unix(1_700_000_000, 0)
		all, lost := traffic(t, rapid.IntRange(0, 200).Draw(t, "n"), &clock)
		tr := tracker{last: -1}
		taken, missing := map[uint32]int{}, 0
		tell := func() {
			for _, h := range tr.tell() {
				missing += int(h.n)
			}
			missing -= tr.found
			tr.found = 0
		}
		for _, a := range all {
			if v := tr.see(a.seq, a.at, 0); v == anew {
				t.Fatalf("number %d counts anew", a.seq)
			} else if v != duplicate {
				taken[a.seq]++
			}
			if rapid.IntRange(0, 9).Draw(t, "seal") == 0 {
				tell()
			}
		}
		tell()
		for seq, n := range taken {
			if n != 1 {
				t.Errorf("number %d taken %d times", seq, n)
			}
		}
		for _, a := range all {
			if taken[a.seq] == 0 {
				t.Errorf("number %d not taken", a.seq)
			}
		}
		if missing != lost {
			t.Errorf("%d missing, want %d", missing, lost)
		}
	})
}

// A gateway that begins to count again loses nothing by it.
func TestTrackerTakesEveryCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock := time.Unix(1_700_000_000, 0)
		tr := tracker{last: -1}
		taken, want := map[time.Time]int{}, map[time.Time]bool{}
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			all, _ := traffic(t, rapid.IntRange(1, 60).Draw(t, "n"), &clock)
			for _, a := range all {
				want[a.at] = true
				if tr.see(a.seq, a.at, 0) != duplicate {
					taken[a.at]++
				}
			}
		}
		if len(taken) != len(want) {
			t.Errorf("%d taken, want %d", len(taken), len(want))
		}
		for _, n := range taken {
			if n != 1 {
				t.Errorf("one was taken %d times", n)
			}
		}
	})
}

func TestTrackerWraps(t *testing.T) {
	t.Parallel()
	tr := tracker{last: 1<<32 - 3}
	for i, seq := range []uint32{1<<32 - 2, 0, 1<<32 - 1, 1} {
		want := fresh
		if seq == 1<<32-1 {
			want = late
		}
		if got := tr.see(seq, time.Unix(int64(i), 1), i); got != want {
			t.Errorf("number %d is %d, want %d", seq, got, want)
		}
	}
	if tr.tell() != nil {
		t.Error("a hole is left")
	}
}

func TestHolesAreBounded(t *testing.T) {
	t.Parallel()
	tr := tracker{last: -1}
	for i := range uint32(10_000) {
		tr.see(2*i, time.Unix(int64(i), 0), 0)
		if i%100 == 0 {
			tr.tell()
		}
	}
	tr.tell()
	tr.see(1<<20, time.Unix(1, 0), 0)
	if n := len(tr.holes); n > maxHoles {
		t.Errorf("%d holes are remembered", n)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	type event struct {
		stage  sipevent.Stage
		method string
		status int
	}
	begin, trying, ok := event{sipevent.Begin, "INVITE", 0}, event{sipevent.Continue, "INVITE", 100}, event{sipevent.Continue, "INVITE", 200}
	for name, row := range map[string]struct {
		events   []event
		want     []string
		cause    string
		answered bool
	}{
		"answered": {
			[]event{begin, trying, ok, {sipevent.Continue, "BYE", 0}, {sipevent.End, "BYE", 200}},
			[]string{"begin", "continue", "continue", "continue", "end"},
			"bye", true,
		},
		"credentials asked": {
			[]event{begin, {sipevent.Continue, "INVITE", 407}, {sipevent.Continue, "ACK", 0}, begin, ok},
			[]string{"begin", "continue", "continue", "continue", "continue"},
			"", true,
		},
		"busy": {
			[]event{begin, {sipevent.End, "INVITE", 486}, {sipevent.Continue, "ACK", 0}},
			[]string{"begin", "end", "report"},
			"failed_486", false,
		},
		"cancelled": {
			[]event{begin, {sipevent.Continue, "CANCEL", 0}, {sipevent.Continue, "CANCEL", 200}, {sipevent.End, "INVITE", 487}, {sipevent.Continue, "ACK", 0}},
			[]string{"begin", "continue", "continue", "end", "report"},
			"cancelled", false,
		},
		"second trunk": {
			[]event{begin, {sipevent.End, "INVITE", 503}, {sipevent.Continue, "ACK", 0}, begin, ok, {sipevent.End, "BYE", 200}, {sipevent.End, "BYE", 200}},
			[]string{"begin", "end", "report", "continue", "continue", "end", "report"},
			"bye", true,
		},
		"tapped in the middle": {
			[]event{{sipevent.Continue, "INFO", 0}, {sipevent.End, "BYE", 200}}, []string{"continue", "end"}, "bye", false,
		},
		"registration": {
			[]event{{sipevent.Report, "REGISTER", 0}, {sipevent.Report, "REGISTER", 200}}, []string{"report", "report"}, "", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f facts
			var got []string
			for i, e := range row.events {
				p := x2x3.PDU{Direction: x2x3.ToTarget, Event: sipevent.AppendEvent(nil, sipevent.Event{Stage: e.stage, Method: e.method, Status: e.status})}
				got = append(got, f.iri(&p, time.Unix(int64(i), 0)).IRI.Type)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			if f.endCause != row.cause || f.answeredAt.IsZero() == row.answered || f.endedAt.IsZero() != (row.cause == "") {
				t.Errorf("facts %+v", f)
			}
		})
	}
}

// A message of a network element that is not ours says itself what it is.
func TestForeignElement(t *testing.T) {
	t.Parallel()
	var f facts
	r := f.iri(&x2x3.PDU{Payload: []byte("INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n")}, time.Unix(1, 0)).IRI
	if r.Type != "begin" || r.Method != "INVITE" {
		t.Errorf("record %+v", r)
	}
	if r := f.iri(&x2x3.PDU{Payload: []byte("?")}, time.Unix(2, 0)).IRI; r.Type != "continue" || r.Method != "OTHER" || string(r.SIP) != "?" {
		t.Errorf("record %+v", r)
	}
}

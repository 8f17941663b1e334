package correlate

import (
	"slices"
	"time"
)

// verdict is what a sequence number of the tap says about a PDU.
type verdict uint8

const (
	fresh     verdict = iota + 1 // the next one, or one after a hole
	late                         // fills a hole: two of the relay's threads crossed
	duplicate                    // was seen
	anew                         // the tap began to count again: a new process or a new Task
)

const (
	window   = 256 // PDUs whose time is remembered, to know a duplicate
	maxHoles = 256 // that a late PDU may still fill
	half     = 1 << 31
)

// hole is numbers that did not come.
type hole struct {
	from, n uint32
	after   uint32    // number of the last PDU before
	at      time.Time // of the first PDU after
	index   int       // of the record before which it stands in its batch
	unknown bool      // nobody knows how many: the tap counts anew
	told    bool      // stands in a batch that is on its way to the store
	past    bool      // of an earlier count: nothing fills it any more
}

// stamp remembers one PDU; nano 0 is none.
type stamp struct {
	seq  uint32
	nano int64
}

// tracker follows the numbers that the tap gives to the PDUs of one kind of one
// call (TS 103 221-2 clause 5.3.9).
type tracker struct {
	last  int64 // highest number since the tap last began to count; -1 = none
	holes []hole
	found int            // PDUs that came after their hole was told
	seen  *[window]stamp // by number; nil before the first
}

// see judges one number. index is where its record will stand in the batch.
func (t *tracker) see(seq uint32, at time.Time, index int) verdict {
	if t.seen == nil {
		t.seen = new([window]stamp)
	}
	this, slot := stamp{seq, at.UnixNano()}, &t.seen[seq%window]
	if *slot == this {
		return duplicate
	}
	*slot = this
	return t.judge(seq, at, index)
}

func (t *tracker) judge(seq uint32, at time.Time, index int) verdict {
	next := uint32(t.last + 1) //nolint:gosec // numbers wrap
	switch ahead := seq - next; {
	case t.last < 0 || ahead < half:
		if ahead > 0 {
			after := uint32(max(t.last, 0)) //nolint:gosec // as above
			t.add(hole{from: next, n: ahead, after: after, at: at, index: index})
		}
		t.last = int64(seq)
		return fresh
	case t.fill(seq):
		return late
	}
	for i := range t.holes {
		t.holes[i].past = true
	}
	t.add(hole{after: uint32(t.last), at: at, index: index, unknown: true, past: true}) //nolint:gosec // as above
	t.last = int64(seq)
	return anew
}

func (t *tracker) add(h hole) {
	t.holes = append(t.holes, h)
	if extra := len(t.holes) - maxHoles; extra > 0 {
		// Those of a batch that is not sealed must stay: they are not told yet.
		t.holes = slices.DeleteFunc(t.holes, func(h hole) bool {
			gone := extra > 0 && h.told
			if gone {
				extra--
			}
			return gone
		})
	}
}

// fill takes a number out of the hole that it lies in.
func (t *tracker) fill(seq uint32) bool {
	for i, h := range t.holes {
		at := seq - h.from
		if h.past || at >= h.n {
			continue
		}
		if h.told {
			t.found++
		}
		rest := h
		rest.from, rest.n = seq+1, h.n-at-1
		t.holes[i].n = at
		if rest.n > 0 {
			t.holes = slices.Insert(t.holes, i+1, rest)
		}
		if at == 0 {
			t.holes = slices.Delete(t.holes, i, i+1)
		}
		return true
	}
	return false
}

// tell returns the holes that no sealed batch tells of, and marks them told.
func (t *tracker) tell() []hole {
	var untold []hole
	for i := range t.holes {
		if !t.holes[i].told {
			t.holes[i].told = true
			untold = append(untold, t.holes[i])
		}
	}
	return untold
}

package tee

import (
	"testing"

	"pgregory.net/rapid"
)

// A ring is a queue of as many places as it has slots, whatever the order of
// writing and reading.
func TestRingIsABoundedQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(rapid.IntRange(0, 9).Draw(t, "slots"))
		var model []uint32
		var written uint32
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				s, pos := r.claim()
				if (s == nil) != (len(model) == len(r.slots)) {
					t.Fatalf("claim gave a slot: %v, with %d of %d taken", s != nil, len(model), len(r.slots))
				}
				if s != nil {
					s.lost = written
					s.publish(pos)
					model = append(model, written)
					written++
				}
			},
			"read": func(t *rapid.T) {
				s := r.next()
				if (s == nil) != (len(model) == 0) {
					t.Fatalf("next gave a slot: %v, with %d taken", s != nil, len(model))
				}
				if s != nil {
					if s.lost != model[0] {
						t.Fatalf("got %d, want %d", s.lost, model[0])
					}
					model = model[1:]
					r.release(s)
				}
			},
		})
	})
}

// A writer that was stopped between claim and publish holds back those after it,
// and loses nothing.
func TestRingWaitsForAClaimedSlot(t *testing.T) {
	t.Parallel()
	r := newRing(4)
	first, at := r.claim()
	second, next := r.claim()
	second.publish(next)
	if r.next() != nil {
		t.Error("the second slot was read before the first")
	}
	first.publish(at)
	if s := r.next(); s != first {
		t.Error("the first slot is not the first")
	}
	r.release(first)
	if s := r.next(); s != second {
		t.Error("the second slot is not the second")
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	var c counter
	// The third copy read the losses before the second did: numbers still rise.
	for i, step := range []struct{ lost, want uint32 }{{0, 0}, {5, 6}, {4, 7}, {5, 8}, {6, 10}} {
		if got := c.next(step.lost); got != step.want {
			t.Errorf("copy %d: number %d, want %d", i, got, step.want)
		}
	}
}

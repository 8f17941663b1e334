package correlate

import (
	"sync"
	"time"
)

// awayGrace is how long nothing comes after a desk began to read before that means that
// there is nothing: until then the bus may be away.
const awayGrace = 10 * time.Second

// reading is how far a desk is with what its bus holds. Waiting for a time by the clock
// alone would close a session over what stands in a queue behind a slow database, or on
// a bus that is away.
type reading struct {
	mu      sync.Mutex // guards the fields below, briefly
	reached time.Time  // when the bus stored the last message that was handed out whole
	idle    time.Time  // since when nothing more came; zero = a message is being handed out
	fresh   bool       // nothing came since reading began, or began again
}

// begin is told each time before reading begins.
func (r *reading) begin(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle, r.fresh = now, true
}

func (r *reading) busy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle, r.fresh = time.Time{}, false
}

func (r *reading) handed(stored, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = now
	if stored.After(r.reached) {
		r.reached = stored
	}
}

// passed reports whether all that the bus stored within grace after stored is handed
// out.
func (r *reading) passed(stored time.Time, grace time.Duration, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reached.Sub(stored) >= grace {
		return true
	}
	if r.fresh {
		grace = max(grace, awayGrace)
	}
	return !r.idle.IsZero() && now.Sub(r.idle) >= grace
}

package sipproxy

import (
	"sync/atomic"
	"time"
)

// health is what is known of a place from its answers. Every shard reads and writes
// it; figures may be a message old.
type health struct {
	silent atomic.Bool  // it does not answer pings
	missed atomic.Int32 // pings in a row
	fails  atomic.Int32 // requests in a row that it did not serve
	until  atomic.Int64 // not to be tried before then, in Unix nanoseconds
}

const (
	failsToRest  = 3
	restTime     = 30 * time.Second
	longestRetry = 5 * time.Minute // of a Retry-After that is heeded
)

// usable reports whether requests should go there at all while others can take them.
func (h *health) usable(now time.Time) bool {
	return !h.silent.Load() && now.UnixNano() >= h.until.Load()
}

// failed counts a timeout or transport error.
func (h *health) failed(now time.Time) {
	if h.fails.Add(1) >= failsToRest {
		h.until.Store(now.Add(restTime).UnixNano())
	}
}

// busy takes a 503: the place asks to be left alone (RFC 3261 clause 21.5.4).
func (h *health) busy(now time.Time, retryAfter time.Duration) {
	if retryAfter > 0 {
		h.until.Store(now.Add(min(retryAfter, longestRetry)).UnixNano())
		return
	}
	h.failed(now)
}

// served takes any other response.
func (h *health) served() {
	h.fails.Store(0)
	h.until.Store(0)
}

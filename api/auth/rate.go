package auth

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ligate/ligate/api/problem"
)

// How often one address may try to sign in.
const (
	rateEvery    = 2 * time.Second // one attempt comes back after
	rateBurst    = 30
	maxAddresses = 10_000
)

// RateLimit bounds the requests of each address.
type RateLimit struct {
	refusals *Refusals
	now      func() time.Time

	mu        sync.Mutex // guards addresses, for a map access
	addresses map[string]*rate.Limiter
}

// NewRateLimit makes a limit; now nil is time.Now.
func NewRateLimit(refusals *Refusals, now func() time.Time) *RateLimit {
	if now == nil {
		now = time.Now
	}
	return &RateLimit{refusals: refusals, now: now, addresses: map[string]*rate.Limiter{}}
}

// Limit answers 429 to an address that is too fast.
func (l *RateLimit) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source := Source(r)
		if !l.allow(source) {
			l.refusals.Refuse(r.Context(), Refused{Why: TooFast, Source: source})
			w.Header().Set("Retry-After", "2")
			refuse(w, problem.New(http.StatusTooManyRequests, problem.TooMany, "too many attempts from your address: wait a little"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (l *RateLimit) allow(source string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, known := l.addresses[source]
	if !known {
		if len(l.addresses) >= maxAddresses {
			l.forget(now)
		}
		limiter = rate.NewLimiter(rate.Every(rateEvery), rateBurst)
		l.addresses[source] = limiter
	}
	return limiter.AllowN(now, 1)
}

// forget drops the addresses that have all their attempts back; a limiter made anew
// is the same. If none has, all start anew: the map stays bounded.
func (l *RateLimit) forget(now time.Time) {
	for source, limiter := range l.addresses {
		if limiter.TokensAt(now) >= rateBurst {
			delete(l.addresses, source)
		}
	}
	if len(l.addresses) >= maxAddresses {
		clear(l.addresses)
	}
}

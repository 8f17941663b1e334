package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/audit"
)

// log keeps entries, or fails.
type log struct {
	mu      sync.Mutex // guards entries
	entries []audit.Entry
	err     error
}

func (l *log) Record(_ context.Context, e audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.entries = append(l.entries, e)
	}
	return l.err
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newRefusals(t *testing.T, l *log, c *clock) (*auth.Refusals, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	r, err := auth.NewRefusals(auth.RefusalsConfig{Log: l, OwnLog: slog.New(slog.DiscardHandler), Metrics: reg, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return r, reg
}

func counted(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	n := 0.0
	for _, m := range families[0].Metric {
		n += m.Counter.GetValue()
	}
	return int(n)
}

// A stranger's refusals are one entry a minute for each address and reason; those of
// somebody known are one each. All are counted, also when the log fails.
func TestRefusalsOfStrangersAreGathered(t *testing.T) {
	t.Parallel()
	l, c := &log{}, &clock{at: time.Unix(1000, 0)}
	r, reg := newRefusals(t, l, c)
	refuse := func(f auth.Refused) { r.Refuse(t.Context(), f) }
	for range 5 {
		refuse(auth.Refused{Why: auth.NoProof, Source: "192.0.2.1"})
	}
	refuse(auth.Refused{Why: auth.NoProof, Source: "192.0.2.2"})
	refuse(auth.Refused{Why: auth.BadLink, Source: "192.0.2.1"})
	for range 3 {
		refuse(auth.Refused{Why: auth.BadRole, Who: "p-1", Role: "drafter", Source: "192.0.2.1"})
	}
	c.at = c.at.Add(time.Minute)
	refuse(auth.Refused{Why: auth.NoProof, Source: "192.0.2.1"})
	var got []string
	for _, e := range l.entries {
		got = append(got, fmt.Sprint(e.Actor, " ", e.Source, " ", e.Detail["rule"], " ", e.Detail["before"]))
	}
	want := []string{
		"unknown 192.0.2.1 no-proof ", "unknown 192.0.2.2 no-proof ", "unknown 192.0.2.1 enrolment ",
		"p-1 192.0.2.1 role ", "p-1 192.0.2.1 role ", "p-1 192.0.2.1 role ", "unknown 192.0.2.1 no-proof 4",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("entries\n%q, want\n%q", got, want)
	}
	l.err = errors.New("disk full")
	refuse(auth.Refused{Why: auth.BadRole, Who: "p-1"})
	if n := counted(t, reg); n != 12 {
		t.Errorf("%d counted, want 12", n)
	}
}

// However many strangers there are, what is kept of them is bounded.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	l, c := &log{}, &clock{at: time.Unix(1000, 0)}
	r, _ := newRefusals(t, l, c)
	for i := range 25_000 {
		r.Refuse(t.Context(), auth.Refused{Why: auth.NoProof, Source: fmt.Sprint(i)})
	}
	if len(l.entries) != 25_000 {
		t.Errorf("%d entries", len(l.entries))
	}
	r.Refuse(t.Context(), auth.Refused{Why: auth.NoProof, Source: "24999"})
	if len(l.entries) != 25_000 {
		t.Error("the newest stranger was forgotten")
	}
}

func TestRateLimitComesBack(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1000, 0)}
	r, _ := newRefusals(t, &log{}, c)
	door := auth.NewRateLimit(r, c.now).Limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	try := func(source string) int {
		req := httptest.NewRequest(http.MethodPost, "/auth/v1/x", nil)
		req.RemoteAddr = source + ":1"
		w := httptest.NewRecorder()
		door.ServeHTTP(w, req)
		return w.Code
	}
	for i := range 30 {
		if got := try("192.0.2.1"); got != http.StatusOK {
			t.Fatalf("attempt %d: %d", i, got)
		}
	}
	if got := try("192.0.2.1"); got != http.StatusTooManyRequests {
		t.Errorf("the 31st: %d", got)
	}
	if got := try("192.0.2.2"); got != http.StatusOK {
		t.Errorf("another address: %d", got)
	}
	c.at = c.at.Add(2 * time.Second)
	if first, second := try("192.0.2.1"), try("192.0.2.1"); first != http.StatusOK || second != http.StatusTooManyRequests {
		t.Errorf("two seconds later: %d, %d", first, second)
	}
}

package hi1

import (
	"testing"
	"time"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Every state has a status: a new state of warrants cannot be forgotten here.
func TestEveryStateHasAStatus(t *testing.T) {
	t.Parallel()
	states := 0
	for s := range warrant.State(255) {
		if s.String() == "" {
			continue
		}
		states++
		if got, ok := taskStatus(pgstore.HI1Standing{State: pgstore.HI1Drafted, Warrant: s}); !ok || got == "" {
			t.Errorf("%s has no status", s)
		}
	}
	if states < 9 {
		t.Errorf("%d states", states)
	}
	for _, s := range []pgstore.HI1State{pgstore.HI1Received, pgstore.HI1Drafted, pgstore.HI1Rejected, pgstore.HI1Withdrawn} {
		if got, ok := taskStatus(pgstore.HI1Standing{State: s}); !ok || got == "" {
			t.Errorf("%s has no status", s)
		}
	}
	if _, ok := taskStatus(pgstore.HI1Standing{State: "other"}); ok {
		t.Error("an unknown state has a status")
	}
}

// What was purged tells how it ended.
func TestPurgedKeepsItsEnd(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for stopped, want := range map[time.Time]status{end: expired, end.Add(-time.Second): cancelled} {
		if got, _ := taskStatus(pgstore.HI1Standing{State: pgstore.HI1Drafted, Warrant: warrant.Purged, Stopped: stopped, Until: end}); got != want {
			t.Errorf("%s: %s, want %s", stopped, got, want)
		}
	}
}

// What several orders share stands as the one that stands best.
func TestSharedPapersStandAsTheBestOrder(t *testing.T) {
	t.Parallel()
	of := func(states ...warrant.State) (all []pgstore.HI1Standing) {
		for _, s := range states {
			all = append(all, pgstore.HI1Standing{State: pgstore.HI1Drafted, Warrant: s})
		}
		return all
	}
	rejectedOrder := pgstore.HI1Standing{State: pgstore.HI1Rejected, Reason: "no"}
	for name, tt := range map[string]struct {
		orders []pgstore.HI1Standing
		want   status
	}{
		"none":              {nil, awaitingApproval},
		"active, expired":   {of(warrant.Expired, warrant.Active), approved},
		"draft, suspended":  {of(warrant.Draft, warrant.Suspended), suspended},
		"expired, revoked":  {of(warrant.Revoked, warrant.Expired), expired},
		"rejected":          {[]pgstore.HI1Standing{rejectedOrder}, rejected},
		"rejected, waiting": {append(of(warrant.Submitted), rejectedOrder), awaitingApproval},
	} {
		got, reason, ok := overall(tt.orders)
		if !ok || got != tt.want || (reason != nil) != (tt.want == rejected) {
			t.Errorf("%s: %s %v", name, got, reason)
		}
	}
}

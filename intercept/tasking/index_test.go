package tasking_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
)

func target(t testing.TB, s string) li.Identity {
	t.Helper()
	id, err := li.NumberPlan{CountryCode: "49", NationalPrefix: "0"}.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func iri(t testing.TB, until time.Time, numbers ...string) li.IRITask {
	task := li.IRITask{XID: li.NewXID(), Until: until}
	for _, n := range numbers {
		task.Targets = append(task.Targets, target(t, n))
	}
	return task
}

func newIndex(t testing.TB, cfg tasking.Config) *tasking.Index {
	t.Helper()
	x, err := tasking.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTaskLife(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	task := iri(t, time.Now().Add(time.Hour), "+4930123456", "sip:a@example.com")
	if err := x.Activate(li.ContentTask{IRITask: task}); err != nil {
		t.Fatal(err)
	}
	if err := x.Activate(task); !errors.Is(err, tasking.ErrExists) {
		t.Errorf("second activation: %v, want ErrExists", err)
	}
	taps := x.Match(target(t, "030 123456"))
	if len(taps) != 1 || !taps[0].Live() || taps[0].Media() == nil || len(x.Match(target(t, "sip:a@EXAMPLE.com"))) != 1 {
		t.Fatalf("got %d taps, want one live content tap under both identities", len(taps))
	}
	if got := x.Match(target(t, "+4930123457")); got != nil {
		t.Error("a neighbour's number matched")
	}
	if err := x.Deactivate(task.XID); err != nil {
		t.Fatal(err)
	}
	if taps[0].Live() || taps[0].Media().Live() || len(x.Match(target(t, "+4930123456"))) != 0 || len(x.Tasks()) != 0 {
		t.Error("the tap outlived its deactivation")
	}
	if err := x.Deactivate(task.XID); !errors.Is(err, tasking.ErrUnknown) {
		t.Errorf("second deactivation: %v, want ErrUnknown", err)
	}
}

func TestIRITaskGrantsNoMedia(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	if err := x.Activate(iri(t, time.Now().Add(time.Hour), "+4930123456")); err != nil {
		t.Fatal(err)
	}
	if g := x.Match(target(t, "+4930123456"))[0].Media(); g != nil {
		t.Error("a task of signalling only grants media")
	}
}

func TestActivateRefuses(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	if err := x.Activate(iri(t, time.Now().Add(-time.Second), "+4930123456")); !errors.Is(err, tasking.ErrPast) {
		t.Errorf("past end: %v", err)
	}
	if err := x.Activate(iri(t, time.Now().Add(time.Hour))); !errors.Is(err, tasking.ErrTargets) {
		t.Errorf("no target: %v", err)
	}
	if err := x.Activate(nilTask()); !errors.Is(err, tasking.ErrTargets) && !errors.Is(err, tasking.ErrKind) {
		t.Errorf("zero task: %v", err)
	}
}

func nilTask() li.Task { return li.IRITask{} }

func TestTaskEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan li.XID, 2)
		x := newIndex(t, tasking.Config{OnEnd: func(xid li.XID) { ended <- xid }})
		task := iri(t, time.Now().Add(time.Hour), "+4930123456")
		if err := x.Activate(task); err != nil {
			t.Fatal(err)
		}
		tap := x.Match(target(t, "+4930123456"))[0]
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		time.Sleep(time.Hour - time.Millisecond)
		synctest.Wait()
		if !tap.Live() || len(ended) != 0 {
			t.Error("ended early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if tap.Live() || len(x.Tasks()) != 0 || len(ended) != 1 || <-ended != task.XID {
			t.Errorf("not ended: %d tasks, %d reports", len(x.Tasks()), len(ended))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Setting the wall clock back or forth can only shorten a tap.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wall, mono time.Duration // how far each clock runs
		live       bool
	}{
		"both before the end":           {59 * time.Minute, 59 * time.Minute, true},
		"wall set back, monotonic ends": {-24 * time.Hour, time.Hour, false},
		"wall set forth":                {2 * time.Hour, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			var wall, mono time.Duration
			x := newIndex(t, tasking.Config{
				Wall:    func() time.Time { return start.Add(wall) },
				Elapsed: func() time.Duration { return mono },
			})
			if err := x.Activate(iri(t, start.Add(time.Hour), "+4930123456")); err != nil {
				t.Fatal(err)
			}
			tap := x.Match(target(t, "+4930123456"))[0]
			wall, mono = tt.wall, tt.mono
			if got := tap.Live(); got != tt.live {
				t.Errorf("live = %v, want %v", got, tt.live)
			}
			wall, mono = 0, 0
			if got := tap.Live(); got != tt.live {
				t.Errorf("after the clock went back: live = %v, want %v", got, tt.live)
			}
		})
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	x := newIndex(t, tasking.Config{})
	if err := x.Activate(iri(t, time.Now().Add(time.Hour), "+4930123456")); err != nil {
		t.Fatal(err)
	}
	id := target(t, "+4930123456")
	if n := testing.AllocsPerRun(100, func() {
		for _, tap := range x.Match(id) {
			_ = tap.Live()
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

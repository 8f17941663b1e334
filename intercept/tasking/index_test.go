package tasking_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

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
	withNobody := iri(t, time.Now().Add(time.Hour), "+4930123456")
	withNobody.Targets = append(withNobody.Targets, li.Identity{})
	if err := x.Activate(withNobody); !errors.Is(err, tasking.ErrTargets) {
		t.Errorf("zero target: %v", err)
	}
	var none *li.IRITask
	for name, task := range map[string]li.Task{
		"nil": nil, "nil pointer": none, "pointer": &withNobody, "another type": struct{ li.ContentTask }{},
	} {
		if err := x.Activate(task); !errors.Is(err, tasking.ErrKind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(x.Tasks()) != 0 {
		t.Error("a refused task is active")
	}
}

// A Task that names a party twice copies a call once, and what its sender does with
// the slice afterwards changes nothing.
func TestTargetsAreOurOwn(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	task := iri(t, time.Now().Add(time.Hour), "+4930123456", "030 123456", "sip:a@example.com")
	if err := x.Activate(task); err != nil {
		t.Fatal(err)
	}
	task.Targets[0] = target(t, "+4930999999")
	if n := len(x.Match(target(t, "+4930123456"))); n != 1 {
		t.Errorf("%d taps, want 1", n)
	}
	if got := x.Tasks()[0].Signalling().Targets; len(got) != 2 || got[0] != target(t, "+4930123456") {
		t.Error("the active task changed from outside")
	}
	if err := x.Deactivate(task.XID); err != nil {
		t.Fatal(err)
	}
	if x.Match(target(t, "+4930123456")) != nil || x.Match(target(t, "sip:a@example.com")) != nil {
		t.Error("a deactivated tap is still found")
	}
}

func TestTwoTasksOnOneTarget(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	first, second := iri(t, time.Now().Add(time.Hour), "+4930123456"), iri(t, time.Now().Add(time.Hour), "+4930123456")
	for _, task := range []li.Task{first, li.ContentTask{IRITask: second}} {
		if err := x.Activate(task); err != nil {
			t.Fatal(err)
		}
	}
	seen := x.Match(target(t, "+4930123456"))
	if err := x.Deactivate(first.XID); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0].XID() != first.XID || seen[0].Live() || !seen[1].Live() {
		t.Error("a reader's slice changed under him")
	}
	if now := x.Match(target(t, "+4930123456")); len(now) != 1 || now[0].XID() != second.XID {
		t.Errorf("%d taps, want the second only", len(now))
	}
}

func TestChangedTellsOfEachChange(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	for i, change := range []func() error{
		func() error { return x.Activate(task) },
		func() error { return x.Deactivate(task.XID) },
	} {
		changed := x.Changed()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
		default:
			t.Errorf("change %d told nobody", i)
		}
	}
}

// Readers and writers at once: a tap that was deactivated before a reader looked
// is never live for him. The race detector does the rest.
func TestReadersAmongWriters(t *testing.T) {
	t.Parallel()
	x := newIndex(t, tasking.Config{})
	id := target(t, "+4930123456")
	var gone sync.Map
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, tap := range x.Match(id) {
					if _, dead := gone.Load(tap.XID()); dead && tap.Live() {
						t.Error("a deactivated tap is live")
						return
					}
				}
			}
		})
	}
	for range 500 {
		task := iri(t, time.Now().Add(time.Hour), "+4930123456", "+4930123457")
		if err := x.Activate(task); err != nil {
			t.Error(err)
		}
		if err := x.Deactivate(task.XID); err != nil {
			t.Error(err)
		}
		gone.Store(task.XID, true)
	}
	close(stop)
	readers.Wait()
	if x.Match(id) != nil || len(x.Tasks()) != 0 {
		t.Error("taps are left")
	}
}

func TestGaugeCountsLiveTasks(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	now := time.Now()
	x := newIndex(t, tasking.Config{LIReg: reg, Wall: func() time.Time { return now }})
	for i := range 3 {
		if err := x.Activate(iri(t, now.Add(time.Duration(i+1)*time.Minute), "+4930123456")); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	want := "# HELP ligate_tasking_tasks Tasks that are active on this gateway.\n# TYPE ligate_tasking_tasks gauge\nligate_tasking_tasks 2\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if _, err := tasking.New(tasking.Config{LIReg: reg}); err == nil {
		t.Error("a second index on one registry was accepted")
	}
}

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

// What a change costs must not grow with the number of Tasks: after a restart the
// ADMF gives them all back one by one.
func BenchmarkActivateDeactivate(b *testing.B) {
	for _, active := range []int{100, 10000} {
		b.Run(strconv.Itoa(active), func(b *testing.B) {
			x := newIndex(b, tasking.Config{})
			for i := range active {
				if err := x.Activate(iri(b, time.Now().Add(time.Hour), fmt.Sprintf("+4930%07d", i))); err != nil {
					b.Fatal(err)
				}
			}
			task := iri(b, time.Now().Add(time.Hour), "+4940123456")
			b.ReportAllocs()
			for b.Loop() {
				if err := errors.Join(x.Activate(task), x.Deactivate(task.XID)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	x := newIndex(b, tasking.Config{})
	for i := range 1000 {
		if err := x.Activate(iri(b, time.Now().Add(time.Hour), fmt.Sprintf("+4930%07d", i))); err != nil {
			b.Fatal(err)
		}
	}
	id := target(b, "+4940123456")
	b.ReportAllocs()
	for b.Loop() {
		if x.Match(id) != nil {
			b.Fatal("matched")
		}
	}
}

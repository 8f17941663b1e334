package tasking_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// flaky fails so many times before it takes a report.
type flaky struct {
	failures int
	err      error
	asked    int
	got      []x1.Body
}

func (f *flaky) Report(_ context.Context, issue x1.Body) error {
	f.asked++
	if f.asked <= f.failures {
		return f.err
	}
	f.got = append(f.got, issue)
	return nil
}

// The end of a Task is reported, again if the ADMF is away, but not for ever.
func TestReports(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, tt := range map[string]struct {
		to    flaky
		asked int
		got   int
	}{
		"at once":        {flaky{}, 1, 1},
		"after failures": {flaky{failures: 3, err: away}, 4, 1},
		"given up":       {flaky{failures: 1000, err: away}, 10, 0},
		"refused":        {flaky{failures: 1000, err: &x1.Error{Code: x1.CodeUnexpectedNE}}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reports, err := tasking.NewReports(tasking.ReportsConfig{To: &tt.to})
				if err != nil {
					t.Fatal(err)
				}
				x := newIndex(t, tasking.Config{OnEnd: reports.Ended})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 2)
				go func() { done <- x.Run(ctx) }()
				go func() { done <- reports.Run(ctx) }()
				task := iri(t, time.Now().Add(time.Minute), "+4930123456")
				if err := x.Activate(task); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute) // of the bubble's clock
				synctest.Wait()
				cancel()
				if err := errors.Join(<-done, <-done); err != nil {
					t.Error(err)
				}
				want := x1.ReportTaskIssue{XID: task.XID, Report: x1.ImplicitDeactivation}
				if tt.to.asked != tt.asked || len(tt.to.got) != tt.got || tt.got == 1 && tt.to.got[0] != x1.Body(want) {
					t.Errorf("asked %d times, took %d, want %d and %d", tt.to.asked, len(tt.to.got), tt.asked, tt.got)
				}
			})
		})
	}
}

// Ends that nobody takes never hold up the index.
func TestReportsNeverBlock(t *testing.T) {
	t.Parallel()
	reports, err := tasking.NewReports(tasking.ReportsConfig{To: &flaky{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		reports.Ended(li.NewXID())
	}
}

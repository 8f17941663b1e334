package tasking

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// ErrReportsConfig says that Reports lacks what it needs.
var ErrReportsConfig = errors.New("tasking: reports: want To")

// reporter is the way to the ADMF, an *x1.Reporter.
type reporter interface {
	Report(ctx context.Context, issue x1.Body) error
}

// ReportsConfig is what Reports needs.
type ReportsConfig struct {
	To        reporter      // required
	RetryWait time.Duration // between attempts; default 1 s
}

const (
	maxReports       = 1024 // reports that wait to be told
	reportAttempts   = 10
	defaultRetryWait = time.Second
)

// Reports tells the ADMF of Tasks that ended at their own end (ImplicitDeactivation,
// TS 103 221-1 clause 6.5.2) and of the gateway itself (clause 6.5.4). A report is a courtesy: the ADMF compares what runs
// every second anyway, so one that cannot be delivered is given up.
type Reports struct {
	cfg   ReportsConfig
	queue chan x1.Body
}

// NewReports makes Reports. Hand its Ended to Config.OnEnd.
func NewReports(cfg ReportsConfig) (*Reports, error) {
	if cfg.To == nil {
		return nil, ErrReportsConfig
	}
	if cfg.RetryWait == 0 {
		cfg.RetryWait = defaultRetryWait
	}
	return &Reports{cfg: cfg, queue: make(chan x1.Body, maxReports)}, nil
}

// Ended queues a report. It never blocks.
func (r *Reports) Ended(xid li.XID) {
	r.Tell(x1.ReportTaskIssue{XID: xid, Report: x1.ImplicitDeactivation})
}

// Tell queues any report. It never blocks.
func (r *Reports) Tell(issue x1.Body) {
	select {
	case r.queue <- issue:
	default: // the ADMF has been away long and will compare
	}
}

// Run reports until ctx ends, which is no error.
func (r *Reports) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case issue := <-r.queue:
			r.tell(ctx, issue)
		}
	}
}

func (r *Reports) tell(ctx context.Context, issue x1.Body) {
	for range reportAttempts {
		err := r.cfg.To.Report(ctx, issue)
		var refusal *x1.Error
		if err == nil || errors.As(err, &refusal) {
			return
		}
		timer := time.NewTimer(r.cfg.RetryWait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

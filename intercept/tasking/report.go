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
	Report(ctx context.Context, issue x1.ReportTaskIssue) error
}

// ReportsConfig is what Reports needs.
type ReportsConfig struct {
	To        reporter      // required
	RetryWait time.Duration // between attempts; default 1 s
}

const (
	maxReports       = 1024 // ends that wait to be told
	reportAttempts   = 10
	defaultRetryWait = time.Second
)

// Reports tells the ADMF of Tasks that ended at their own end (ImplicitDeactivation,
// TS 103 221-1 clause 6.5.2). A report is a courtesy: the ADMF compares what runs
// every second anyway, so one that cannot be delivered is given up.
type Reports struct {
	cfg   ReportsConfig
	ended chan li.XID
}

// NewReports makes Reports. Hand its Ended to Config.OnEnd.
func NewReports(cfg ReportsConfig) (*Reports, error) {
	if cfg.To == nil {
		return nil, ErrReportsConfig
	}
	if cfg.RetryWait == 0 {
		cfg.RetryWait = defaultRetryWait
	}
	return &Reports{cfg: cfg, ended: make(chan li.XID, maxReports)}, nil
}

// Ended queues a report. It never blocks.
func (r *Reports) Ended(xid li.XID) {
	select {
	case r.ended <- xid:
	default: // the ADMF has been away long and will compare
	}
}

// Run reports until ctx ends, which is no error.
func (r *Reports) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case xid := <-r.ended:
			r.tell(ctx, xid)
		}
	}
}

func (r *Reports) tell(ctx context.Context, xid li.XID) {
	for range reportAttempts {
		err := r.cfg.To.Report(ctx, x1.ReportTaskIssue{XID: xid, Report: x1.ImplicitDeactivation})
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

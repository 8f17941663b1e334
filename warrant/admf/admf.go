package admf

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/li"
)

// Config is what an ADMF needs.
type Config struct {
	Store    store        // required
	Gateways []Gateway    // may be empty
	Log      *slog.Logger // required; sees gateways only

	Wake           <-chan struct{} // something changed in the store; nil = none
	ReconcileEvery time.Duration   // the plan is renewed at least so often; default 10 s
	ProbeEvery     time.Duration   // a gateway is compared at least so often; default 1 s
	AlarmAfter     time.Duration   // how long a gateway may be silent before the alarm; default 5 s

	OpsReg prometheus.Registerer // gateway reachability; nil = none
	LIReg  prometheus.Registerer // figures that depend on warrants; nil = none
}

// Gateway is one network element.
type Gateway struct {
	ID     string // its neIdentifier
	Client client // required, an *x1.Client
}

// store is the warrant store. It is called by several goroutines.
type store interface {
	// Due activates what has begun and expires what has ended by now.
	Due(ctx context.Context, now time.Time) error
	// WantedTasks returns what may be tapped at now.
	WantedTasks(ctx context.Context, now time.Time) ([]li.Task, error)
	// NextDeadline returns when Due has work next; zero = not known.
	NextDeadline(ctx context.Context, now time.Time) (time.Time, error)
	// ConfirmTask records that a Task is on or off at a gateway since at. An XID that
	// was never a warrant's is warrant.ErrNotFound.
	ConfirmTask(ctx context.Context, xid li.XID, gateway string, on bool, at time.Time) error
	// OpenAlarm records an alarm, with its audit entry; one that is open stays so.
	OpenAlarm(ctx context.Context, kind, object string) error
	// CloseAlarm records that it is over; one that is not open is no error.
	CloseAlarm(ctx context.Context, kind, object string) error
}

// client is a gateway's X1 server as x1.Client shows it.
type client interface {
	Tasks(ctx context.Context) ([]li.Task, error)
	Activate(ctx context.Context, task li.Task) error
	Deactivate(ctx context.Context, xid li.XID) error
}

const (
	defaultReconcileEvery = 10 * time.Second
	defaultProbeEvery     = time.Second
	defaultAlarmAfter     = 5 * time.Second
	storeTimeout          = 5 * time.Second // bound of one call of the store
)

// ADMF pushes and reconciles until its Run ends. Its methods are safe for
// concurrent use.
type ADMF struct {
	cfg     Config
	metrics metrics
	nudge   chan struct{} // holds at most one
	plan    atomic.Pointer[plan]
	workers []*worker
}

// plan is what is wanted. It is immutable.
type plan struct{ tasks map[li.XID]li.Task }

// New makes an ADMF. It asks nobody anything.
func New(cfg Config) (*ADMF, error) {
	if cfg.Store == nil || cfg.Log == nil {
		return nil, ErrConfig
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.ReconcileEvery, defaultReconcileEvery)
	def(&cfg.ProbeEvery, defaultProbeEvery)
	def(&cfg.AlarmAfter, defaultAlarmAfter)
	a := &ADMF{cfg: cfg, nudge: make(chan struct{}, 1)}
	seen := map[string]bool{}
	for _, g := range cfg.Gateways {
		if g.ID == "" || g.Client == nil || seen[g.ID] {
			return nil, ErrConfig
		}
		seen[g.ID] = true
		a.workers = append(a.workers, newWorker(a, g))
	}
	m, err := newMetrics(cfg)
	if err != nil {
		return nil, err
	}
	a.metrics = m
	for _, w := range a.workers {
		m.up.WithLabelValues(w.id).Set(0)
	}
	return a, nil
}

// Run works until ctx ends, which is no error. Taps stay as they are when it
// returns: each ends by its own clock.
func (a *ADMF) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { a.planLoop(ctx); return nil })
	for _, w := range a.workers {
		g.Go(func() error { w.loop(ctx); return nil })
	}
	return g.Wait()
}

// Nudge makes the ADMF look at the store now. It never blocks.
func (a *ADMF) Nudge() {
	select {
	case a.nudge <- struct{}{}:
	default: // one is waiting already and will see the same store
	}
}

// Status is what is known of a gateway. It says nothing of Tasks.
type Status struct {
	ID    string
	Up    bool      // answered the last time
	Since time.Time // since when Up is as it is; zero before the first attempt
}

// Gateways returns the status of each gateway in the order of Config.
func (a *ADMF) Gateways() []Status {
	all := make([]Status, 0, len(a.workers))
	for _, w := range a.workers {
		s := Status{ID: w.id}
		if known := w.status.Load(); known != nil {
			s = *known
		}
		all = append(all, s)
	}
	return all
}

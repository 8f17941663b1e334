package admf

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant"
)

// Config is what an ADMF needs.
type Config struct {
	Store    store        // required
	Gateways []Gateway    // may be empty
	Log      *slog.Logger // required; sees gateways only

	Wake           <-chan struct{} // something changed in the store; nil = none
	ReconcileEvery time.Duration   // the plan is renewed at least so often; default 10 s
	ProbeEvery     time.Duration   // a gateway is compared at least so often; default 1 s
	ProveEvery     time.Duration   // all warrants are held against the audit log at least so often; default 1 min
	AlarmAfter     time.Duration   // how long a gateway may be silent before the alarm; default 5 s
	MaxSkew        time.Duration   // how far a gateway's clock may be off before the alarm; default 2 s
	HashKey        []byte          // keys the hashes of targets in frozen taps; default random, so that only this process's compare

	OpsReg prometheus.Registerer // gateway reachability; nil = none
	LIReg  prometheus.Registerer // figures that depend on warrants; nil = none
}

// Gateway is one network element.
type Gateway struct {
	ID     string // its neIdentifier
	Client client // required, an *x1.Client

	// Foreign says that the element is not ours: its Tasks have no end of their own, so the
	// ADMF ends them, and it must be told where to deliver.
	Foreign      bool
	Destinations []x1.Destination // of a foreign element

	Keepalive time.Duration // a Keepalive is sent so often; 0 = none
}

// store is the warrant store. It is called by several goroutines.
type store interface {
	// Due activates what has begun and expires what has ended by now.
	Due(ctx context.Context, now time.Time) error
	// WantedTasks returns what may be tapped at now.
	WantedTasks(ctx context.Context, now time.Time) ([]li.Task, error)
	// Unproven returns those of the Tasks that the audit log does not bear out.
	Unproven(ctx context.Context, xids []li.XID) ([]li.XID, error)
	// NextDeadline returns when Due has work next; zero = not known.
	NextDeadline(ctx context.Context, now time.Time) (time.Time, error)
	// ConfirmTask records that a Task is on or off at a gateway since at. An XID that
	// was never a warrant's is warrant.ErrNotFound.
	ConfirmTask(ctx context.Context, xid li.XID, gateway string, on bool, at time.Time) error
	// FreezeTap keeps a tap without an order as it was found, with its audit entry; one
	// that is frozen and not removed stays as it is.
	FreezeTap(ctx context.Context, o warrant.Orphan) error
	// TapRemoved records that a frozen tap is gone; one that is not frozen is no error.
	TapRemoved(ctx context.Context, gateway string, xid li.XID, at time.Time) error
	// OpenAlarm records an alarm, with its audit entry; one that is open stays so.
	OpenAlarm(ctx context.Context, kind, object string) error
	// CloseAlarm records that it is over; one that is not open is no error.
	CloseAlarm(ctx context.Context, kind, object string) error
}

// client is a network element's X1 server as x1.Client shows it.
type client interface {
	All(ctx context.Context) (x1.AllDetails, time.Time, error)
	Activate(ctx context.Context, a x1.ActivateTask) error
	ActivateAll(ctx context.Context, orders []x1.ActivateTask) ([]error, error)
	Modify(ctx context.Context, m x1.ModifyTask) error
	Deactivate(ctx context.Context, xid li.XID) error
	CreateDestination(ctx context.Context, d x1.Destination) error
	RemoveDestination(ctx context.Context, did x1.DID) error
	Keepalive(ctx context.Context) error
	Ping(ctx context.Context) error
}

const (
	defaultReconcileEvery = 10 * time.Second
	defaultProbeEvery     = time.Second
	defaultProveEvery     = time.Minute
	defaultAlarmAfter     = 5 * time.Second
	defaultMaxSkew        = 2 * time.Second
	storeTimeout          = 5 * time.Second // bound of one call of the store
)

// ADMF pushes and reconciles until its Run ends. Its methods are safe for
// concurrent use.
type ADMF struct {
	cfg     Config
	metrics metrics
	nudge   chan struct{} // holds at most one
	demand  chan demand   // plans that somebody waits for
	plan    atomic.Pointer[plan]
	workers []*worker
	prover  prover
}

// plan is what is wanted. It is immutable.
type plan struct {
	tasks map[li.XID]li.Task
	wrong map[li.XID]bool // in the tables, and not borne out by the audit log: never pushed
}

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
	def(&cfg.ProveEvery, defaultProveEvery)
	def(&cfg.AlarmAfter, defaultAlarmAfter)
	def(&cfg.MaxSkew, defaultMaxSkew)
	if len(cfg.HashKey) == 0 {
		cfg.HashKey = make([]byte, 32)
		_, _ = rand.Read(cfg.HashKey) // never fails
	}
	a := &ADMF{cfg: cfg, nudge: make(chan struct{}, 1), demand: make(chan demand), prover: newProver(cfg)}
	seen := map[string]bool{}
	for _, g := range cfg.Gateways {
		if g.ID == "" || g.Client == nil || seen[g.ID] || !g.Foreign && len(g.Destinations) > 0 {
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

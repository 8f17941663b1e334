package correlate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

// Config is what a Correlator needs; fields without a default are required.
type Config struct {
	Bus    consumer
	Tasks  taskSource
	Store  evidenceStore
	Alarms alarms
	Log    *slog.Logger
	Outlet *deliver.Outlet       // pushes records to LEMFs; nil = they are stored only
	LIReg  prometheus.Registerer // LI figures; nil = none

	IRIEvery     time.Duration    // how long signalling is collected; default 500 ms
	CCEvery      time.Duration    // how long content is collected; default 4 s
	SegmentBytes int              // payload octets that seal a segment early; default 4 MiB
	EndGrace     time.Duration    // what still comes after a call's end; default 2 s
	IdleAfter    time.Duration    // a session of which nothing is heard is closed; default 12 h
	MaxHeldBytes int64            // bus octets held in memory, over all partitions; default 256 MiB
	Workers      int              // of each partition; default 4
	Now          func() time.Time // default time.Now
}

// consumer hands out the messages of a partition, each until it is acknowledged.
type consumer interface {
	ConsumeWhile(ctx context.Context, partition int, owns func(context.Context) error, handle func(bus.Message)) error
}

// taskSource knows the Tasks; an unknown one is warrant.ErrNotFound.
type taskSource interface {
	TaskInfo(ctx context.Context, xid li.XID) (warrant.TaskInfo, error)
}

// alarms shows that a person must look, and that it is over.
type alarms interface {
	OpenAlarm(ctx context.Context, kind, object string) error
	CloseAlarm(ctx context.Context, kind, object string) error
}

// evidenceStore is evidence.Store, or one between it and us that fails.
type evidenceStore interface {
	OpenSessions(ctx context.Context, wanted func(xid li.XID, correlation uint64) bool) ([]*evidence.Progress, error)
	Session(ctx context.Context, task warrant.TaskInfo, correlation uint64, at time.Time) (*evidence.Progress, error)
	Reload(ctx context.Context, p *evidence.Progress) (*evidence.Progress, error)
	Put(ctx context.Context, p *evidence.Progress, ciphertext []byte) (evidence.Blob, error)
	Commit(ctx context.Context, p *evidence.Progress, next evidence.Progress, sealed evidence.Sealed) error
	Close(ctx context.Context, p *evidence.Progress, next evidence.Progress, entails []evidence.Entailed) error
	Refuse(ctx context.Context, xid li.XID, cause string) error
}

const (
	defaultIRIEvery     = 500 * time.Millisecond
	defaultCCEvery      = 4 * time.Second
	defaultSegmentBytes = 4 << 20
	maxSegmentBytes     = 16 << 20
	defaultEndGrace     = 2 * time.Second
	defaultIdleAfter    = 12 * time.Hour
	defaultMaxHeld      = 256 << 20
	minMaxHeld          = 4 << 20
	defaultWorkers      = 4
	queueLength         = 64
	attemptTimeout      = 15 * time.Second
	minRetry            = 50 * time.Millisecond
	maxRetry            = 5 * time.Second
	logEvery            = 10 * time.Second
)

// Correlator is mediation's reader of a bus.
type Correlator struct {
	cfg     Config
	metrics *metrics
	tasks   *taskCache
	refusal *refusal
	room    *semaphore.Weighted // octets of messages that may be held

	mu     sync.Mutex           // guards logged, briefly
	logged map[string]time.Time // when trouble was last logged, by step
}

// New validates the configuration; Run does the work.
func New(cfg Config) (*Correlator, error) {
	if cfg.Bus == nil || cfg.Tasks == nil || cfg.Store == nil || cfg.Alarms == nil || cfg.Log == nil {
		return nil, errors.New("correlate: Bus, Tasks, Store, Alarms and Log are required")
	}
	orDefault(&cfg.IRIEvery, defaultIRIEvery)
	orDefault(&cfg.CCEvery, defaultCCEvery)
	orDefault(&cfg.EndGrace, defaultEndGrace)
	orDefault(&cfg.IdleAfter, defaultIdleAfter)
	orDefault(&cfg.SegmentBytes, defaultSegmentBytes)
	orDefault(&cfg.MaxHeldBytes, defaultMaxHeld)
	orDefault(&cfg.Workers, defaultWorkers)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.IRIEvery < 0 || cfg.CCEvery < 0 || cfg.EndGrace < 0 || cfg.IdleAfter < 0 || cfg.Workers < 0 ||
		cfg.SegmentBytes < 0 || cfg.SegmentBytes > maxSegmentBytes || cfg.MaxHeldBytes < minMaxHeld {
		return nil, errors.New("correlate: a time or size is out of bounds")
	}
	m, err := newMetrics(cfg.LIReg)
	if err != nil {
		return nil, err
	}
	return &Correlator{
		cfg: cfg, metrics: m, logged: map[string]time.Time{}, tasks: newTaskCache(cfg.Tasks, cfg.Now), room: semaphore.NewWeighted(cfg.MaxHeldBytes),
		refusal: &refusal{store: cfg.Store, alarms: cfg.Alarms, log: cfg.Log, metrics: m, now: cfg.Now, last: map[refusalKey]time.Time{}},
	}, nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Run mediates all partitions until ctx ends: for who knows that nobody shares them.
func (c *Correlator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for partition := range bus.Partitions {
		g.Go(func() error { return c.RunPartition(ctx, partition, alone) })
	}
	return g.Wait()
}

func alone(context.Context) error { return nil }

// RunPartition mediates one partition until ctx ends, which is no error; what it
// holds then comes again from the bus. owns is asked before anything is read from the
// bus; its error ends the run. ErrTaken says that somebody else mediates the partition
// too. Who still owns it begins again.
func (c *Correlator) RunPartition(ctx context.Context, partition int, owns func(context.Context) error) error {
	open, err := c.openSessions(ctx, partition)
	if err != nil || ctx.Err() != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	g, run := errgroup.WithContext(ctx)
	desk := newDesk(c, end)
	defer desk.leave()
	for _, p := range open {
		id := call{p.XID, p.Correlation}
		desk.worker(id).adopt(id, p)
	}
	for _, w := range desk.workers {
		g.Go(func() error { w.run(run); return nil })
	}
	g.Go(func() error {
		begins := func(ctx context.Context) error {
			desk.reading.begin(c.cfg.Now())
			return owns(ctx)
		}
		return c.cfg.Bus.ConsumeWhile(run, partition, begins, func(m bus.Message) { desk.receive(run, m) })
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrTaken) {
		return cause
	}
	return nil
}

// openSessions waits for the database: mediation may start before it.
func (c *Correlator) openSessions(ctx context.Context, partition int) ([]*evidence.Progress, error) {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		open, err := c.cfg.Store.OpenSessions(attempt, func(xid li.XID, correlation uint64) bool { return bus.Partition(xid, correlation) == partition })
		cancel()
		if err == nil {
			return open, nil
		}
		c.trouble(ctx, "list_sessions", err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, nil
		case <-timer.C:
		}
	}
}

// trouble counts a failed attempt that will be made again. Many sessions have the
// same trouble: a step is logged every ten seconds at most.
func (c *Correlator) trouble(ctx context.Context, step string, err error) {
	if ctx.Err() != nil {
		return
	}
	c.metrics.retries.Inc()
	now := c.cfg.Now()
	c.mu.Lock()
	recent := now.Sub(c.logged[step]) < logEvery
	if !recent {
		c.logged[step] = now
	}
	c.mu.Unlock()
	if recent {
		return
	}
	c.cfg.Log.WarnContext(ctx, "mediation waits and tries again", slog.String("step", step), slog.Any("err", err))
}

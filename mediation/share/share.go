package share

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/warrant/pgstore"
)

// Config is what a Sharer needs; fields without a default are required.
type Config struct {
	Store  *pgstore.Store
	Work   string // names the work, the same in all processes that share it
	Parts  int    // what it is divided into
	Run    work
	Log    *slog.Logger
	OpsReg prometheus.Registerer // figures of operations; nil = none
}

// work is done on one part until ctx ends. owns asks the database whether the part is
// still ours: a process that was paused may believe it for a moment too long.
type work func(ctx context.Context, part int, owns func(context.Context) error) error

// Sharer works on its share of the parts.
type Sharer struct {
	cfg  Config
	held prometheus.Gauge
}

// again is how long a part, or the joining, rests after trouble.
const again = time.Second

// New validates the configuration; Run does the work.
func New(cfg Config) (*Sharer, error) {
	if cfg.Store == nil || cfg.Work == "" || cfg.Parts < 1 || cfg.Run == nil || cfg.Log == nil {
		return nil, errors.New("share: Store, Work, Parts, Run and Log are required")
	}
	s := &Sharer{cfg: cfg, held: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ligate_share_parts", Help: "Partitions that this process works on.",
	})}
	if cfg.OpsReg != nil {
		if err := cfg.OpsReg.Register(s.held); err != nil {
			return nil, fmt.Errorf("share: register metrics: %w", err)
		}
	}
	return s, nil
}

// Run works until ctx ends, which is no error. When the database is away nothing runs.
func (s *Sharer) Run(ctx context.Context) error {
	for told := false; ; {
		joined, err := s.join(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if joined || !told {
			told = true
			s.cfg.Log.WarnContext(ctx, "mediation has no share of the work; joining again", slog.Any("err", err))
		}
		if !pause(ctx, again) {
			return nil
		}
	}
}

// join works on a share for as long as the session lasts. joined says that there was
// one.
func (s *Sharer) join(ctx context.Context) (joined bool, err error) {
	claims, err := s.cfg.Store.Claim(ctx, s.cfg.Work)
	if err != nil {
		return false, err
	}
	defer claims.Close()
	hands := &hands{cfg: &s.cfg, claims: claims, runs: map[int]*run{}, ended: make(chan int, s.cfg.Parts), held: s.held}
	defer hands.drop()
	ticker := time.NewTicker(pgstore.ClaimEvery)
	defer ticker.Stop()
	for {
		if err := hands.look(ctx); err != nil {
			return true, err
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-ticker.C:
		case part := <-hands.ended:
			if err := hands.leave(ctx, part); err != nil {
				return true, err
			}
		}
	}
}

// hands are the parts that run under one session. They belong to join's goroutine.
type hands struct {
	cfg    *Config
	claims *pgstore.Claims
	runs   map[int]*run
	ended  chan int // parts whose run has ended after it was stopped
	held   prometheus.Gauge
}

// run is one part's goroutine.
type run struct {
	stop    context.CancelFunc
	done    chan struct{}
	leaving bool
}

// look compares what is with what should be.
func (h *hands) look(ctx context.Context) error {
	standing, err := h.claims.Look(ctx)
	if err != nil {
		return err
	}
	var mine []int
	for part, r := range h.runs {
		if !r.leaving {
			mine = append(mine, part)
		}
	}
	leave, take := decide(standing, h.cfg.Parts, mine)
	for _, part := range leave {
		h.runs[part].leaving = true
		h.runs[part].stop()
	}
	for _, part := range take {
		taken, err := h.claims.Take(ctx, part)
		if err != nil {
			return err
		}
		if taken {
			h.start(ctx, part)
		}
	}
	h.held.Set(float64(len(h.runs)))
	return nil
}

// start works on a part until it is stopped. Work that ends before is begun again.
func (h *hands) start(ctx context.Context, part int) {
	ctx, stop := context.WithCancel(ctx)
	owns := func(ctx context.Context) error { return h.cfg.Store.Claimed(ctx, h.claims, part) }
	r := &run{stop: stop, done: make(chan struct{})}
	h.runs[part] = r
	go func() {
		defer close(r.done)
		for {
			err := h.cfg.Run(ctx, part, owns)
			if ctx.Err() == nil {
				h.cfg.Log.WarnContext(ctx, "a partition's work ended; beginning again", slog.Any("err", err))
			}
			if !pause(ctx, again) {
				break
			}
		}
		h.ended <- part
	}()
}

// leave gives a part free whose run has ended.
func (h *hands) leave(ctx context.Context, part int) error {
	delete(h.runs, part)
	h.held.Set(float64(len(h.runs)))
	return h.claims.Leave(ctx, part)
}

// drop ends all runs.
func (h *hands) drop() {
	for _, r := range h.runs {
		r.stop()
	}
	for _, r := range h.runs {
		<-r.done
	}
	h.held.Set(0)
}

// pause waits and reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/ops"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/evidence"
)

// node is one running process: its roles and what they share.
type node struct {
	cfg   *config
	roles []role
	log   *slog.Logger
	ops   *prometheus.Registry // the same with none and with many taps
	li    *prometheus.Registry // figures that depend on warrants
	ready atomic.Bool

	stopping atomic.Bool   // told to stop; running calls may still end
	up       chan struct{} // closed once every role serves
	welcome  io.Writer     // who starts us reads the bootstrap link there; nil = nobody does

	db      *database     // nil without mediation and admin
	bus     *bus.Bus      // nil without gateway and, where there is no cluster, mediation
	cluster *bus.Bus      // nil without bus.cluster
	copied  chan struct{} // closed once the tee has ended
	runs    []part

	drain   func(context.Context) int // lets running calls end; nil without gateway
	store   *evidence.Store           // opened once
	outlet  *deliver.Outlet           // nil without mediation
	closers []func() error            // called when nothing runs any more
}

// part is something that runs until the node stops. Parts are stopped in reverse
// groups: first what produces, last what stores.
type part struct {
	name  string
	run   func(context.Context) error
	ready <-chan struct{} // nil = at once
	late  bool            // outlives the parts that are not late
}

func newNode(cfg *config, roles []role, log *slog.Logger) *node {
	n := &node{cfg: cfg, roles: roles, log: log, ops: prometheus.NewRegistry(), li: prometheus.NewRegistry(), up: make(chan struct{}), copied: make(chan struct{})}
	n.ops.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return n
}

func (n *node) has(r role) bool { return slices.Contains(n.roles, r) }

func (n *node) add(p part) { n.runs = append(n.runs, p) }

// Run builds every role, serves until ctx ends and stops in order. A part that
// fails stops the others.
func (n *node) Run(ctx context.Context) (err error) {
	if n.has(roleMediation) || n.has(roleAdmin) {
		if n.db, err = awaitDatabase(ctx, n.cfg, n.log); err != nil {
			if ctx.Err() != nil && unreachable(err) {
				return nil // told to stop while it waited
			}
			return err
		}
		defer func() { err = errors.Join(err, n.db.stop()) }()
	}
	defer func() {
		for _, c := range n.closers {
			err = errors.Join(err, c())
		}
	}()
	if n.has(roleAdmin) {
		if err := n.db.warrants.OpenKeys(ctx); err != nil {
			return fmt.Errorf("open the targets' key: %w", err)
		}
	}
	if err := n.build(); err != nil {
		return err
	}
	if err := n.bootstrap(ctx); err != nil {
		return err
	}
	return n.serve(ctx)
}

// build makes the parts of all roles; nothing runs yet.
func (n *node) build() error {
	steps := []struct {
		wanted bool
		build  func() error
	}{
		{n.has(roleGateway) || n.has(roleMediation) && !n.clustered(), n.buildBus},
		{n.clustered() && (n.has(roleGateway) || n.has(roleMediation)), n.buildCluster},
		{n.has(roleGateway), n.buildGateway},
		{n.has(roleGateway) && n.cfg.Gateway.Export.exports(), n.buildExport},
		{n.has(roleMediation), n.buildMediation},
		{n.has(roleAdmin), n.buildAdmin},
		{true, n.buildOps},
	}
	for _, s := range steps {
		if !s.wanted {
			continue
		}
		if err := s.build(); err != nil {
			return err
		}
	}
	return nil
}

// lingering returns a context that outlives ctx until the running calls have ended,
// or have had their time.
func (n *node) lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer cancel()
		n.stopping.Store(true)
		if n.drain == nil || !n.ready.Load() {
			return
		}
		limit, done := context.WithTimeout(longer, time.Duration(*n.cfg.Gateway.Drain))
		defer done()
		n.log.InfoContext(longer, "no new calls; running ones may end")
		n.log.InfoContext(longer, "stopping", slog.Int("calls_left", n.drain(limit)))
	})
	return longer, func() { stop(); cancel() }
}

func (n *node) serve(ctx context.Context) error {
	ctx, cancel := n.lingering(ctx)
	defer cancel()
	late, stopLate := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopLate(nil)
	lateGroup, lateCtx := errgroup.WithContext(late)
	early, earlyCtx := errgroup.WithContext(ctx)
	if n.db != nil && n.db.died != nil {
		early.Go(func() error {
			select {
			case err := <-n.db.died:
				return fmt.Errorf("private Postgres: %w", err)
			case <-earlyCtx.Done():
				return nil
			}
		})
	}
	for _, p := range n.runs {
		if p.late {
			lateGroup.Go(func() error { return p.named(p.run(lateCtx)) })
		}
	}
	early.Go(func() error {
		select {
		case <-lateCtx.Done(): // what stores has failed
			return context.Cause(lateCtx)
		case <-earlyCtx.Done():
			return nil
		}
	})
	for _, p := range n.runs {
		if !p.late {
			early.Go(func() error { return p.named(p.run(earlyCtx)) })
		}
	}
	go n.announce(earlyCtx)
	err := early.Wait()
	stopLate(nil)
	lateErr := lateGroup.Wait()
	if errors.Is(err, lateErr) {
		return err
	}
	return errors.Join(err, lateErr)
}

// announce says once that every part serves.
func (n *node) announce(ctx context.Context) {
	for _, p := range n.runs {
		if p.ready == nil {
			continue
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			return
		}
	}
	n.ready.Store(true)
	n.log.InfoContext(ctx, "ligate serves", slog.Any("roles", n.roles))
	close(n.up)
}

func (p part) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// Why a node is not ready.
var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping: no new calls")
)

// buildOps makes the listeners of operations and LI staff.
func (n *node) buildOps() error {
	cfg := ops.Config{
		Listen: n.cfg.Metrics.Listen, Ops: n.ops, Log: n.log,
		Ready: func() error {
			switch {
			case n.stopping.Load():
				return errStopping
			case !n.ready.Load():
				return errStarting
			}
			return nil
		},
	}
	if n.cfg.LIMetrics.Listen != "" && len(n.cfg.LIMetrics.Certificates) > 0 {
		own, err := n.cfg.secrets().liMetrics(n.cfg.Admin.Names)
		if err != nil {
			return err
		}
		cfg.LI = ops.LIConfig{Listen: n.cfg.LIMetrics.Listen, TLS: pki.Server(own, n.cfg.LIMetrics.Certificates...), Gather: n.li}
	}
	srv, err := ops.New(cfg)
	if err != nil {
		return err
	}
	n.add(part{name: "metrics", run: srv.Run})
	return nil
}

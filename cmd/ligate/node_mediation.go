package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

// consumer is a bus that mediation reads, of this process or of a gateway elsewhere.
type consumer interface {
	Consume(ctx context.Context, partition int, handle func(bus.Message)) error
	Ready() <-chan struct{}
}

// buildMediation makes the MDF: one correlator a bus.
func (n *node) buildMediation() error {
	if err := n.buildOutlet(); err != nil {
		return err
	}
	if n.has(roleGateway) {
		if err := n.addCorrelator("own", n.bus); err != nil {
			return err
		}
	}
	for _, s := range n.cfg.Mediation.Sources {
		own, err := n.cfg.secrets().mdf()
		if err != nil {
			return err
		}
		remote, err := bus.Dial(bus.RemoteConfig{Addr: s.Addr, TLS: pki.Client(own, s.Certificate), Log: logging.Foreign(n.log, "nats")})
		if err != nil {
			return err
		}
		n.add(part{name: "bus " + s.Addr, run: remote.Run, late: true})
		if err := n.addCorrelator(s.Addr, remote); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) addCorrelator(source string, from consumer) error {
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	correlator, err := correlate.New(correlate.Config{
		Bus: from, Tasks: n.db.warrants, Store: store, Alarms: n.db.warrants, Log: n.log, Outlet: n.outlet,
		LIReg: prometheus.WrapRegistererWith(prometheus.Labels{"source": source}, n.li), CCEvery: time.Duration(n.cfg.Mediation.SegmentEvery),
	})
	if err != nil {
		return err
	}
	n.add(part{name: "mediation of " + source, run: func(ctx context.Context) error {
		for _, ready := range []<-chan struct{}{from.Ready(), n.outlet.Ready()} {
			select {
			case <-ready:
			case <-ctx.Done():
				return nil
			}
		}
		return correlator.Run(ctx)
	}})
	return nil
}

// openEvidence opens the folder of sealed segments once.
func (n *node) openEvidence() (*evidence.Store, error) {
	if n.store != nil {
		return n.store, nil
	}
	dir := n.cfg.Mediation.Store
	if dir == "" {
		dir = filepath.Join(n.cfg.DataDir, "evidence")
	}
	folder, err := evidence.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, folder.Close)
	n.store, err = evidence.New(evidence.Config{Pool: n.db.pool, Audit: n.db.log, Bucket: folder.Bucket, Flush: folder.Flush})
	return n.store, err
}

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
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/share"
)

// consumer is a bus that mediation reads, of this process or of a gateway elsewhere.
type consumer interface {
	ConsumeWhile(ctx context.Context, partition int, owns func(context.Context) error, handle func(bus.Message)) error
	Ready() <-chan struct{}
}

// buildMediation makes the MDF: one correlator a bus. Every process that reads the same
// bus must call it by the same name.
func (n *node) buildMediation() error {
	if err := n.buildOutlet(); err != nil {
		return err
	}
	if n.cluster != nil {
		if err := n.addCorrelator("cluster", "cluster", n.cluster); err != nil {
			return err
		}
	} else if n.has(roleGateway) || n.collects() {
		name, err := n.busName()
		if err != nil {
			return err
		}
		if err := n.addCorrelator("own", name, n.bus); err != nil {
			return err
		}
	}
	if n.collects() {
		if err := n.buildCollector(); err != nil {
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
		if err := n.addCorrelator(s.Addr, gatewayBus+s.Certificate, remote); err != nil {
			return err
		}
	}
	return nil
}

const gatewayBus = "gateway "

// busName names our own bus as mediations elsewhere do, where there can be any. One
// that has no gateway and holds what others deliver is known by its folder's key.
func (n *node) busName() (string, error) {
	if n.has(roleGateway) && n.cfg.Bus.Listen == "" {
		return gatewayBus + n.cfg.Gateway.ID, nil
	}
	own, err := n.cfg.secrets().busServer()
	if err != nil {
		return "", err
	}
	return gatewayBus + pki.Fingerprint(own.Certificate[0]), nil
}

// addCorrelator adds this process's share of the mediation of one bus: also alone, so
// that a second process that is started by mistake reads nothing twice.
func (n *node) addCorrelator(source, name string, from consumer) error {
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
	sharer, err := share.New(share.Config{
		Store: n.db.warrants, Work: "mediation of " + name, Parts: bus.Partitions, Run: correlator.RunPartition, Log: n.log,
		OpsReg: prometheus.WrapRegistererWith(prometheus.Labels{"source": source}, n.ops),
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
		return sharer.Run(ctx)
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
	signer, err := n.cfg.secrets().evidence()
	if err != nil {
		return nil, err
	}
	key, err := n.cfg.secrets().auditVerifier()
	if err != nil {
		return nil, err
	}
	n.store, err = evidence.New(evidence.Config{
		Pool: n.db.pool, Audit: n.db.log, Bucket: folder.Bucket, Flush: folder.Flush, Signer: &signer,
		About: attest.Operator{ID: n.cfg.Operator.ID, Element: n.cfg.Operator.Element, Log: key, Version: version},
	})
	return n.store, err
}

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/export"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/collect"
)

// collects reports whether network elements that are not ours deliver here.
func (n *node) collects() bool { return n.cfg.Mediation.X2X3.Listen != "" }

// buildCollector makes the listener for network elements that are not ours. What they
// send goes to the bus that this mediation reads; while that is away they are not read.
func (n *node) buildCollector() error {
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	own, err := n.cfg.x2x3Certificate()
	if err != nil {
		return err
	}
	to := n.bus
	if n.cluster != nil {
		to = n.cluster
	}
	x := n.cfg.Mediation.X2X3
	cfg := collect.Config{
		Bus: to, Tasks: n.db.warrants, Refusals: store, Alarms: n.db.warrants, Log: n.log, LIReg: n.li, Certificate: own,
		Listen: []collect.Listen{{Addr: x.Listen, X2: true, X3: x.ListenX3 == ""}},
		Skew:   time.Duration(*x.Skew), Backlog: time.Duration(*x.Backlog), Silence: time.Duration(*x.Silence),
	}
	if cfg.Silence == 0 {
		cfg.Silence = -1
	}
	if x.ListenX3 != "" {
		cfg.Listen = append(cfg.Listen, collect.Listen{Addr: x.ListenX3, X3: true})
	}
	for _, e := range n.cfg.Mediation.Elements {
		cfg.Elements = append(cfg.Elements, collect.Element{ID: e.ID, Certificate: e.Certificate, X2: e.X2, X3: e.X3, Private: e.Private})
	}
	collector, err := collect.New(cfg)
	if err != nil {
		return err
	}
	n.add(part{name: "x2x3", run: collector.Run, ready: collector.Ready()})
	return nil
}

// x2x3Certificate is what we show to network elements that are not ours.
func (c *config) x2x3Certificate() (tls.Certificate, error) {
	if p := c.Mediation.X2X3.TLS; p.Certificate != "" {
		return p.load("X2/X3")
	}
	return c.secrets().x2x3(c.Admin.Names)
}

// buildExport makes the way to somebody else's mediation, which then is the one reader
// of our bus.
func (n *node) buildExport() error {
	own, err := n.cfg.exportCertificate()
	if err != nil {
		return err
	}
	e := n.cfg.Gateway.Export
	secured := pki.Client(own, e.Certificate)
	secured.MinVersion = tls.VersionTLS12 // TS 103 221-2 clause 6.2 allows it, and older MDFs have no other
	exporter, err := export.New(export.Config{
		Bus: n.bus, X2: e.X2, X3: e.X3, TLS: secured, Log: n.log, OpsReg: n.ops, LIReg: n.li, Private: e.Private,
	})
	if err != nil {
		return err
	}
	n.add(part{name: "export", run: func(ctx context.Context) error { return afterBus(ctx, n.bus, exporter.Run) }})
	return nil
}

// exportCertificate is what we show to somebody else's mediation.
func (c *config) exportCertificate() (tls.Certificate, error) {
	if p := c.Gateway.Export.TLS; p.Certificate != "" {
		return p.load("export")
	}
	return c.secrets().export(c.Gateway.ID)
}

// load reads the two files.
func (p pairConfig) load(use string) (tls.Certificate, error) {
	pair, err := pki.Load(p.Certificate, p.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", use, err)
	}
	return pair, nil
}

// afterBus runs what needs the bus once it is there.
func afterBus(ctx context.Context, b *bus.Bus, run func(context.Context) error) error {
	select {
	case <-b.Ready():
		return run(ctx)
	case <-ctx.Done():
		return nil
	}
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/pki"
)

// buildBus makes the bus that carries PDUs from gateway to mediation.
func (n *node) buildBus() error {
	key, err := n.cfg.secrets().busKey()
	if err != nil {
		return err
	}
	cfg := bus.Config{
		Dir: filepath.Join(n.cfg.DataDir, "bus"), Key: key, Log: logging.Foreign(n.log, "nats"),
		MaxBytes: n.cfg.Bus.MaxBytes, SpoolBytes: n.cfg.Bus.SpoolBytes, SyncAlways: n.cfg.Bus.SyncAlways, Listen: n.cfg.Bus.Listen,
	}
	if !n.has(roleGateway) {
		cfg.Listen = "" // it holds what waits for LEMFs only
	}
	if cfg.Listen != "" {
		own, err := n.cfg.secrets().busServer()
		if err != nil {
			return err
		}
		cfg.TLS = pki.Server(own, n.cfg.Bus.MediationCertificate)
	}
	if n.bus, err = bus.New(cfg); err != nil {
		return err
	}
	n.add(part{name: "bus", run: n.bus.Run, ready: n.bus.Ready(), late: true})
	return nil
}

// clustered says that mediation reads servers elsewhere.
func (n *node) clustered() bool { return len(n.cfg.Bus.Cluster.URLs) > 0 }

// buildCluster makes the connection to the servers elsewhere. A gateway keeps its own
// bus, as a spool: what it holds moves on to the cluster. Neither role waits for the
// cluster to be there.
func (n *node) buildCluster() error {
	key, err := n.cfg.secrets().busKey()
	if err != nil {
		return err
	}
	c := n.cfg.Bus.Cluster
	cfg := bus.Config{
		Key: key, Log: n.log, MaxBytes: n.cfg.Bus.MaxBytes, Cluster: &bus.Cluster{URLs: c.URLs, Replicas: c.Replicas},
	}
	if cfg.Cluster.TLS, err = c.tls(); err != nil {
		return err
	}
	if n.cluster, err = bus.New(cfg); err != nil {
		return err
	}
	n.add(part{name: "cluster", run: n.cluster.Run, late: true})
	if !n.has(roleGateway) {
		return nil
	}
	forwarder, err := bus.NewForwarder(bus.ForwarderConfig{From: n.bus, To: n.cluster, LIReg: n.li})
	if err != nil {
		return err
	}
	n.add(part{name: "forwarder", run: func(ctx context.Context) error { return n.forward(ctx, forwarder) }})
	return nil
}

const (
	forwardTime = 5 * time.Second // what the tee published last may take; the rest goes after the next start
	forwardLook = 20 * time.Millisecond
)

// forward outlives ctx until the copies that the tee published at its end are in the
// cluster.
func (n *node) forward(ctx context.Context, f *bus.Forwarder) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- f.Run(work) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		<-n.copied
	}
	limit, cancel := context.WithTimeout(work, forwardTime)
	defer cancel()
	tick := time.NewTicker(forwardLook)
	defer tick.Stop()
	for limit.Err() == nil {
		if left, _, err := n.bus.Backlog(limit); err != nil || left == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-limit.Done():
		}
	}
	stop()
	return <-ended
}

// tls shows our certificate and believes the servers' authorities; nil without.
func (c clusterConfig) tls() (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil
	}
	own, err := pki.Load(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("bus cluster: %w", err)
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("bus cluster: authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("bus cluster: %s holds no PEM certificate", c.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{own}}, nil
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

// consumer is a bus that mediation reads, of this process or of a gateway elsewhere.
type consumer interface {
	Consume(ctx context.Context, handle func(bus.Message)) error
	Ready() <-chan struct{}
}

// buildMediation makes the MDF: one correlator a bus.
func (n *node) buildMediation() error {
	if n.bus != nil {
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
		Bus: from, Tasks: n.db.warrants, Store: store, Alarms: n.db.warrants, Log: n.log,
		LIReg: prometheus.WrapRegistererWith(prometheus.Labels{"source": source}, n.li), CCEvery: time.Duration(n.cfg.Mediation.SegmentEvery),
	})
	if err != nil {
		return err
	}
	n.add(part{name: "mediation of " + source, run: func(ctx context.Context) error {
		select {
		case <-from.Ready():
			return correlator.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	}})
	return nil
}

// openEvidence opens the store of sealed segments once: a folder, or a bucket by
// its URL.
func (n *node) openEvidence() (*evidence.Store, error) {
	if n.store != nil {
		return n.store, nil
	}
	cfg := evidence.Config{Pool: n.db.pool, Audit: n.db.log}
	where := n.cfg.Mediation.Store
	if where == "" {
		where = filepath.Join(n.cfg.DataDir, "evidence")
	}
	if strings.Contains(where, "://") {
		bucket, err := blob.OpenBucket(context.Background(), where)
		if err != nil {
			return nil, fmt.Errorf("open evidence bucket: %w", err)
		}
		cfg.Bucket = bucket
	} else {
		folder, err := evidence.OpenFolder(where)
		if err != nil {
			return nil, err
		}
		cfg.Bucket, cfg.Flush = folder.Bucket, folder.Flush
	}
	store, err := evidence.New(cfg)
	if err != nil {
		return nil, err
	}
	n.store = store
	n.closers = append(n.closers, cfg.Bucket.Close)
	return store, nil
}

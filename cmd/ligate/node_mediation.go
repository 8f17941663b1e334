package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

// buildMediation makes the MDF.
func (n *node) buildMediation() error {
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	correlator, err := correlate.New(correlate.Config{
		Bus: n.bus, Tasks: n.db.warrants, Store: store, Alarms: n.db.warrants, Log: n.log, LIReg: n.li,
		CCEvery: time.Duration(n.cfg.Mediation.SegmentEvery),
	})
	if err != nil {
		return err
	}
	n.add(part{name: "mediation", run: func(ctx context.Context) error {
		select {
		case <-n.bus.Ready():
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

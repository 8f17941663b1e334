package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/bench"
)

type benchAuditCmd struct {
	benchFlags

	Writers int   `default:"64" help:"How many record at once."`
	Verify  int64 `default:"0" help:"Also export a log of about so many entries and verify it offline."`
}

// Run measures appending to the audit log with a checkpoint each second, and offline
// verification.
func (c *benchAuditCmd) Run(ctx context.Context, s streams) error {
	if c.Writers < 1 || c.Verify < 0 {
		return usagef("--writers: want at least 1; --verify: not less than 0")
	}
	report := bench.NewReport("audit")
	return c.show(s, report, c.measure(ctx, report))
}

func (c *benchAuditCmd) measure(ctx context.Context, report *bench.Report) (err error) {
	w, err := newBenchWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, writers := range []int{1, c.Writers} {
		rate, checkpoints, err := w.records(ctx, writers, c.length())
		if err != nil {
			return err
		}
		report.Add(fmt.Sprintf("records_%d_writers", writers), rate, "entries/s")
		report.Add(fmt.Sprintf("checkpoints_%d_writers", writers), float64(checkpoints), "checkpoints")
	}
	if c.Verify == 0 {
		return nil
	}
	return w.verified(ctx, report, c.Verify)
}

func benchEntry(n int64) audit.Entry {
	return audit.Entry{
		Actor: "8c0e4f5e-0f53-4f0e-9a3c-6f3f6f0f3c1a", Role: "approver", Action: "segment.fetch", Warrant: benchLIID, Object: fmt.Sprintf("cin %d cc 1", n),
		Result: "done", Source: "192.0.2.7", Detail: map[string]string{"certificate": strings.Repeat("a", 64)},
	}
}

// records has writers record, each entry committed before the next of that writer,
// with a checkpoint each second.
func (w *benchWorld) records(ctx context.Context, writers int, d time.Duration) (perSecond float64, checkpoints int, err error) {
	var made atomic.Int64
	begin := time.Now()
	end := begin.Add(d)
	group, ctx := errgroup.WithContext(ctx)
	for range writers {
		group.Go(func() error {
			for time.Now().Before(end) {
				if _, err := w.db.log.Record(ctx, w.db.pool, benchEntry(made.Add(1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for time.Now().Before(end) {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if _, err := w.db.log.Checkpoint(ctx, w.db.pool); err != nil {
				return err
			}
			checkpoints++
		}
		return nil
	})
	err = group.Wait()
	return float64(made.Load()) / time.Since(begin).Seconds(), checkpoints, err
}

const benchAtOnce = 2000 // entries in one transaction

// verified fills the log to n entries, exports it to a file and verifies that.
func (w *benchWorld) verified(ctx context.Context, report *bench.Report, n int64) error {
	have, err := w.db.log.Size(ctx, w.db.pool)
	if err != nil {
		return err
	}
	begin := time.Now()
	added := max(n-have, 0)
	for done := int64(0); done < added; done += benchAtOnce {
		if err := w.appendMany(ctx, min(benchAtOnce, added-done)); err != nil {
			return err
		}
	}
	if added > 0 {
		report.Add("append_all", float64(added)/time.Since(begin).Seconds(), "entries/s")
	}
	path := filepath.Join(w.dir, "export.jsonl")
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make export: %w", err)
	}
	begin = time.Now()
	if err := errors.Join(w.db.log.Export(ctx, w.db.pool, f), f.Close()); err != nil {
		return err
	}
	report.Add("export", time.Since(begin).Seconds(), "s")
	key, err := os.ReadFile(filepath.Join(w.dir, "data", "secrets", "audit.pub"))
	if err != nil {
		return fmt.Errorf("read audit key: %w", err)
	}
	return verifyFile(report, path, string(bytes.TrimSpace(key)))
}

func (w *benchWorld) appendMany(ctx context.Context, n int64) error {
	tx, err := w.db.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = benchEntry(int64(i))
	}
	if _, err := w.db.log.AppendAll(ctx, tx, entries); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func verifyFile(report *bench.Report, path, key string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	defer f.Close()
	begin := time.Now()
	r, err := audit.Verify(f, key)
	if err != nil {
		return err
	}
	if !r.OK() {
		return errors.New("the benchmark's log does not verify")
	}
	report.Add("verify", time.Since(begin).Seconds(), "s")
	report.Add("verified", float64(r.Entries), "entries")
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

// benchWorld is what mediation stands on: a private Postgres, a folder of
// segments, and one approved warrant over content.
type benchWorld struct {
	dir    string
	log    *slog.Logger
	db     *database
	folder *evidence.Folder
	store  *evidence.Store
	info   warrant.TaskInfo
	people []warrant.Person // drafter, approver, auditor, two system administrators
}

const benchLIID = "BENCH"

// newBenchWorld makes it in a temporary folder; close removes it.
func newBenchWorld(ctx context.Context) (*benchWorld, error) {
	dir, err := benchDir()
	if err != nil {
		return nil, err
	}
	w := &benchWorld{dir: dir, log: slog.New(slog.DiscardHandler)}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *benchWorld) open(ctx context.Context) (err error) {
	cfg := &config{DataDir: filepath.Join(w.dir, "data"), Operator: operatorConfig{ID: benchLIID}}
	if err := os.Mkdir(cfg.DataDir, 0o711); err != nil { //nolint:gosec // Postgres's user passes through
		return fmt.Errorf("make folder: %w", err)
	}
	db, err := openDatabase(ctx, cfg, w.log)
	if err != nil {
		return err
	}
	w.db = db
	if err := db.warrants.OpenKeys(ctx); err != nil {
		return err
	}
	if w.folder, err = evidence.OpenFolder(filepath.Join(w.dir, "evidence")); err != nil {
		return err
	}
	w.store, err = evidence.New(evidence.Config{Pool: db.pool, Audit: db.log, Bucket: w.folder.Bucket, Flush: w.folder.Flush})
	if err != nil {
		return err
	}
	w.info, err = w.order(ctx)
	return err
}

func (w *benchWorld) close() error {
	var errs []error
	if w.folder != nil {
		errs = append(errs, w.folder.Close())
	}
	if w.db != nil {
		errs = append(errs, w.db.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// order has a warrant drafted, approved and activated.
func (w *benchWorld) order(ctx context.Context) (info warrant.TaskInfo, err error) {
	keys, err := agency.Keygen(filepath.Join(w.dir, "keys"), "bench", false)
	if err != nil {
		return info, err
	}
	certificate := func(digit string) string { return strings.Repeat(digit, 64) } // nobody connects
	people, err := w.db.warrants.EnrolFirst(ctx, []warrant.Person{
		{Name: "Drafter", Role: warrant.Drafter, Cert: certificate("1")},
		{Name: "Approver", Role: warrant.Approver, Cert: certificate("2")},
		{Name: "Auditor", Role: warrant.Auditor, Cert: certificate("3")},
		{Name: "Root 1", Role: warrant.Sysadmin, Cert: certificate("4")},
		{Name: "Root 2", Role: warrant.Sysadmin, Cert: certificate("5")},
	})
	if err != nil {
		return info, err
	}
	w.people = people
	by := func(i int) warrant.Actor { return warrant.Actor{Person: people[i], Source: "127.0.0.1"} }
	to, err := w.db.warrants.AddAgency(ctx, by(3), warrant.Agency{
		Name: "Bench", Country: "DE", Recipients: []string{keys.Recipient}, People: []warrant.AgencyUser{{Name: "Bench", Cert: certificate("a")}},
	})
	if err != nil {
		return info, err
	}
	if err := w.db.warrants.ConfirmAgency(ctx, by(4), to.ID); err != nil {
		return info, err
	}
	return w.approve(ctx, by(0), by(1), to.ID)
}

func (w *benchWorld) approve(ctx context.Context, drafter, approver warrant.Actor, to warrant.AgencyID) (info warrant.TaskInfo, err error) {
	target, err := li.NumberPlan{}.ParseTarget("+4930555001")
	if err != nil {
		return info, err
	}
	now, warrants := time.Now().UTC().Truncate(time.Second), w.db.warrants
	order, err := warrants.CreateDraft(ctx, drafter, warrant.Order{
		LIID: benchLIID, Authority: "Court", Reference: "1", LegalBasis: "bench", AgencyID: to,
		Targets: []li.Identity{target}, Scope: warrant.IRIAndCC, From: now.Add(-time.Hour), Until: now.Add(time.Hour),
	}, "")
	if err != nil {
		return info, err
	}
	if order, err = warrants.Submit(ctx, drafter, order.ID, order.Version); err != nil {
		return info, err
	}
	if _, err = warrants.Approve(ctx, approver, order.ID, order.Version, warrant.Retyped{Targets: order.Targets, Until: order.Until}); err != nil {
		return info, err
	}
	if err := warrants.Due(ctx, time.Now()); err != nil {
		return info, err
	}
	tasks, err := warrants.WantedTasks(ctx, time.Now())
	if err != nil {
		return info, err
	}
	if len(tasks) != 1 {
		return info, errors.New("bench: the warrant makes no task")
	}
	content, ok := tasks[0].(li.ContentTask)
	if !ok {
		return info, errors.New("bench: the warrant's task is not over content")
	}
	return warrants.TaskInfo(ctx, content.XID)
}

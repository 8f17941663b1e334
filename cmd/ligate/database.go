package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/devpg"
	"github.com/ligate/ligate/migrations"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/document"
	"github.com/ligate/ligate/warrant/pgstore"
)

// database is the records of a deployment: the configured Postgres or a private
// one.
type database struct {
	pool     *pgxpool.Pool
	log      *audit.Log
	warrants *pgstore.Store
	stop     func() error
	owner    string       // how to reach the private server as its owner; empty for a configured one
	died     <-chan error // the private server ended by itself; nil for a configured one
}

// errSchema asks for a migration that only the operator may start.
var errSchema = errors.New("the database schema is not up to date: run ligate migrate up first")

// openDatabase starts the private Postgres if no other is configured, and opens
// what stands on it. The caller calls stop when nothing uses it any more.
func openDatabase(ctx context.Context, cfg *config, log *slog.Logger) (db *database, err error) {
	db = &database{stop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.stop())
		}
	}()
	url := cfg.Database.URL
	if url == "" {
		if url, err = db.startPrivate(ctx, cfg, log); err != nil {
			return db, err
		}
	} else if err := checkSchema(ctx, url); err != nil {
		return db, err
	}
	if db.pool, err = pgxpool.New(ctx, url); err != nil {
		return db, errors.New("open database: check database.url")
	}
	stopServer := db.stop
	db.stop = func() error { db.pool.Close(); return stopServer() }
	signer, err := cfg.secrets().auditKey(cfg.Operator.ID)
	if err != nil {
		return db, err
	}
	if db.log, err = audit.New(audit.Config{Origin: signer.Name(), Signer: signer}); err != nil {
		return db, err
	}
	db.warrants, err = openWarrants(cfg, db)
	return db, err
}

// openWarrants opens the warrants on a database that stands.
func openWarrants(cfg *config, db *database) (*pgstore.Store, error) {
	store := pgstore.Config{Pool: db.pool, Audit: db.log, Operator: cfg.Operator.ID, Limits: warrant.Limits{
		CountryCode: cfg.NumberPlan.CountryCode, NeedsOrder: cfg.Admin.Documents.Required,
	}, Master: cfg.masterKey().find}
	law, err := cfg.Admin.profile()
	if err != nil {
		return nil, err
	}
	if law != nil {
		store.Limits, store.Profile = law.Limits(store.Limits), law
	}
	if keepers := cfg.Admin.Documents.Recipients; len(keepers) > 0 {
		sealer, err := document.New(keepers)
		if err != nil {
			return nil, err
		}
		store.Seal = sealer.Seal
	}
	return pgstore.New(store)
}

const databaseRetry = time.Second // between attempts to reach a configured Postgres

// awaitDatabase is openDatabase for a node, which may start before its Postgres does
// or while that recovers. It gives up when ctx ends, and at what waiting does not mend.
func awaitDatabase(ctx context.Context, cfg *config, log *slog.Logger) (*database, error) {
	for said := false; ; said = true {
		db, err := openDatabase(ctx, cfg, log)
		if err == nil || cfg.Database.URL == "" || !unreachable(err) {
			return db, err
		}
		if !said {
			log.WarnContext(ctx, "the database cannot be reached; waiting for it")
		}
		timer := time.NewTimer(databaseRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}

// unreachable tells a Postgres that is away, starting or stopping from one that
// refuses.
func unreachable(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return strings.HasPrefix(refused.Code, "57P") || strings.HasPrefix(refused.Code, "08") // operator intervention, connection exception
	}
	var dial *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &dial) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

// startPrivate runs a Postgres of our own, migrates it as its owner and returns how
// to reach it as the application.
func (db *database) startPrivate(ctx context.Context, cfg *config, log *slog.Logger) (string, error) {
	pg, err := devpg.New(devpg.Config{Dir: filepath.Join(cfg.DataDir, "postgres"), Log: log})
	if err != nil {
		return "", err
	}
	// The server outlives ctx: what runs on it must be able to finish.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- pg.Run(run) }()
	select {
	case <-pg.Ready():
	case err := <-done:
		cancel()
		return "", fmt.Errorf("private Postgres: %w", err)
	}
	died := make(chan error, 1)
	ended := make(chan struct{})
	var result error
	go func() {
		result = <-done
		if run.Err() == nil {
			died <- result
		}
		close(ended)
	}()
	db.died = died
	db.stop = func() error { cancel(); <-ended; return result }
	if err := migrations.Up(ctx, pg.URL()); err != nil {
		return "", err
	}
	db.owner = pg.URL()
	return pg.AppURL(), nil
}

func checkSchema(ctx context.Context, url string) error {
	all, err := migrations.Status(ctx, url)
	if err != nil {
		return err
	}
	for _, m := range all {
		if !m.Applied {
			return errSchema
		}
	}
	return nil
}

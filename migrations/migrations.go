// Package migrations holds the numbered SQL of the database and applies it.
// Migrations go forward only: expand, deploy, contract.
//
// Invariants:
//   - A file is applied once, in order, in a transaction; several processes that
//     migrate at once wait for each other.
//   - After Up the role ligate_app, where there is one, may do what
//     privileges/app.sql says and no more.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that goose uses
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

//go:embed privileges/app.sql
var privileges string

// lockAttempts are the seconds that one process waits for another's migration.
const lockAttempts = 300

// Files returns the SQL files.
func Files() fs.FS { return files }

// Up brings the database at url to the newest schema. Several processes may call
// it at once: they wait for each other.
func Up(ctx context.Context, url string) error {
	return with(ctx, url, func(p *goose.Provider, db *sql.DB) error {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		if _, err := db.ExecContext(ctx, privileges); err != nil {
			return fmt.Errorf("migrate: grant privileges: %w", err)
		}
		return nil
	})
}

// Migration is one file and whether it was applied.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// Status lists all migrations in order.
func Status(ctx context.Context, url string) ([]Migration, error) {
	var all []Migration
	err := with(ctx, url, func(p *goose.Provider, _ *sql.DB) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			all = append(all, Migration{Version: s.Source.Version, Name: s.Source.Path, Applied: s.State == goose.StateApplied})
		}
		if err != nil {
			return fmt.Errorf("migration status: %w", err)
		}
		return nil
	})
	return all, err
}

func with(ctx context.Context, url string, do func(*goose.Provider, *sql.DB) error) (err error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return errors.New("migrate: open database: check database.url")
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockAttempts))
	if err != nil {
		return fmt.Errorf("migrate: make lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate: read migrations: %w", err)
	}
	return do(provider, db)
}

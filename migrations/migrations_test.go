package migrations_test

import (
	"errors"
	"io/fs"
	"regexp"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/migrations"
)

func TestUpAppliesAllOnceAlsoAtOnce(t *testing.T) {
	t.Parallel()
	server := pgtest.Get(t)
	server.URL(t) // the role ligate_app is there from here on
	url := server.Empty(t)
	before, err := migrations.Status(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range before {
		if m.Applied {
			t.Errorf("%s is applied to an empty database", m.Name)
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := migrations.Up(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := migrations.Up(t.Context(), url); err != nil { // nothing left to do
		t.Error(err)
	}
	after, err := migrations.Status(t.Context(), url)
	if err != nil || len(after) == 0 || len(after) != len(before) {
		t.Fatalf("%d migrations, %v", len(after), err)
	}
	for i, m := range after {
		if !m.Applied || i > 0 && m.Version <= after[i-1].Version {
			t.Errorf("migration %d: %+v", i+1, m)
		}
	}
}

func TestFilesAreNamedByRule(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^\d{5}_[a-z]+(_[a-z0-9]+)+\.sql$`)
	files, err := fs.ReadDir(migrations.Files(), ".")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if !name.MatchString(f.Name()) {
			t.Errorf("%s: want NNNNN_verb_thing.sql", f.Name())
		}
	}
}

func TestBadURLIsNotQuoted(t *testing.T) {
	t.Parallel()
	err := migrations.Up(t.Context(), "postgres://user:secret@[bad")
	if err == nil {
		t.Fatal("a bad URL was accepted")
	}
	if got := err.Error(); regexp.MustCompile("secret").MatchString(got) {
		t.Errorf("the error quotes the URL: %s", got)
	}
}

// The application's role reaches rows only, and of the audit log and the list of
// migrations not even all of those.
func TestApplicationRole(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	app := pgtest.AsApp(t, pool)
	for _, sql := range []string{
		"update audit_entry set record = null, salt = null",
		"delete from audit_entry",
		"truncate audit_entry",
		"alter table audit_entry disable trigger all",
		"update audit_hash set hash = hash",
		"delete from audit_checkpoint",
		"delete from goose_db_version",
		"insert into goose_db_version (version_id, is_applied) values (99, true)",
		"drop table audit_entry",
		"create table mine (n int)",
		"set session_replication_role = replica",
	} {
		_, err := app.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" { // insufficient_privilege
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := pool.Query(t.Context(), `select relname::text from pg_class
		where relkind = 'r' and relnamespace = 'public'::regnamespace and not has_table_privilege('ligate_app', oid, 'select')`)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(closed) > 0 {
		t.Errorf("the application cannot read %v, %v", closed, err)
	}
}

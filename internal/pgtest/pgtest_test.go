package pgtest_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/internal/pgtest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards names
	names := map[string]bool{}
	t.Run("group", func(t *testing.T) {
		for range 3 {
			t.Run("test", func(t *testing.T) {
				t.Parallel()
				pool := pgtest.New(t)
				var name string
				var entries int
				err := pool.QueryRow(t.Context(), "select current_database(), (select count(*) from audit_entry)").Scan(&name, &entries)
				if err != nil || entries != 0 {
					t.Errorf("%d entries, %v", entries, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if names[name] {
					t.Error("two tests got one database")
				}
				names[name] = true
			})
		}
	})
	if len(names) != 3 {
		t.Errorf("%d databases, want 3", len(names))
	}
}

func TestAsAppIsTheApplicationsRole(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	app := pgtest.AsApp(t, pool)
	var database, user, sameDatabase string
	if err := app.QueryRow(t.Context(), "select current_database(), session_user").Scan(&database, &user); err != nil {
		t.Fatal(err)
	}
	if err := pool.QueryRow(t.Context(), "select current_database()").Scan(&sameDatabase); err != nil {
		t.Fatal(err)
	}
	if database != sameDatabase || user != "ligate_app" {
		t.Errorf("%s on %s, want ligate_app on %s", user, database, sameDatabase)
	}
	_, err := app.Exec(t.Context(), "create table mine (n int)")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "42501" { // insufficient_privilege
		t.Errorf("made a table: %v", err)
	}
}

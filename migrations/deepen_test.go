package migrations_test

import (
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/migrations"
)

// old is what a database of the release before held: a purged warrant and a running
// one. Its triggers are off while it is written.
const old = `
set session_replication_role = replica;
insert into person values ('ann', 'Ann', 'drafter', repeat('1', 64), 'x', 'y', now()), ('bob', 'Bob', 'approver', repeat('2', 64), 'x', 'y', now()),
  ('carl', 'Carl', 'approver', repeat('3', 64), 'x', 'y', now());
insert into agency values ('a', 'Police', 'DE', '{age1x}', 'ann', 'bob', now());
insert into warrant (id, version, state, previous_state, liid, authority, reference, legal_basis, agency_id, targets, scope, valid_from, valid_until, notes,
  drafter, approver, stopped_at, purge_by, created_at, updated_at)
select id, 2, state, state, id, 'Court', '1', '100a', 'a', '{+4930555001}', 'iri', now() - interval '2 day', now() + interval '1 day', '', 'ann', 'bob', stopped, purge, now(), now()
from (values ('purged', 'purged', now(), 'bob'), ('running', 'active', null, null)) v (id, state, stopped, purge);
insert into warrant_version values ('purged', 1, '{"state": "draft"}', 'ann', now()), ('purged', 2, '{"state": "purged"}', 'carl', now()),
  ('running', 1, '{"state": "draft"}', 'ann', now()), ('running', 2, '{"state": "active"}', 'ligate', now());
set session_replication_role = origin;`

// The warrants of the release before survive: who purged is read from the versions, and
// what runs goes on.
func TestDeepenKeepsOldWarrants(t *testing.T) {
	t.Parallel()
	server := pgtest.Get(t)
	server.URL(t) // the role ligate_app is there from here on
	url := server.Empty(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 8); err != nil { // targets are sealed later
		t.Fatal(err)
	}
	var by string
	if err := conn.QueryRow(t.Context(), "select purged_by from warrant where id = 'purged'").Scan(&by); err != nil || by != "carl" {
		t.Errorf("purged by %q, %v", by, err)
	}
	// The statements of the release before, which knows none of the new columns.
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, stmt := range []string{
		"update warrant set state = 'revoked', version = 3, stopped_at = now(), updated_at = now() where id = 'running'",
		"insert into warrant_version (warrant_id, version, body, by, at) values ('running', 3, '{}', 'ann', now())",
		"update warrant set version = 4, purge_by = 'ann' where id = 'running'",
		"insert into warrant_version (warrant_id, version, body, by, at) values ('running', 4, '{}', 'ann', now())",
	} {
		if _, err := tx.Exec(t.Context(), stmt); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

package pgstore_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver that goose uses
	"github.com/pressly/goose/v3"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/migrations"
	"github.com/ligate/ligate/warrant/pgstore"
)

// inClear is what the build before left: a warrant of two versions, a protected number, a
// certification and an incident that was closed.
const inClear = `
set session_replication_role = replica;
insert into person (id, name, role, cert, added_by, confirmed_by, created_at) values ('ann', 'Ann', 'drafter', repeat('1', 64), 'x', 'y', now());
insert into agency values ('a', 'Police', 'DE', '{age1x}', 'ann', 'bob', now());
insert into warrant (id, version, state, previous_state, liid, authority, reference, legal_basis, agency_id, targets, scope, valid_from, valid_until, notes, drafter, created_at, updated_at)
values ('w', 2, 'submitted', 'draft', 'L-1', 'Court', '1', '100a', 'a', '{+4930555001,sip:a@example.com}', 'iri', now(), now() + interval '1 day', '', 'ann', now(), now());
insert into warrant_version (warrant_id, version, body, by, at) values
  ('w', 1, '{"state": "draft", "targets": ["+4930555001"]}', 'ann', now()),
  ('w', 2, '{"state": "submitted", "targets": ["+4930555001", "sip:a@example.com"]}', 'ann', now());
insert into protected_number (id, identity, kind, added_by, added_at) values ('p', '+4930555077', 'press', 'ann', now());
insert into certification (id, warrant_id, form, made_by, source, made_at) values ('c', 'w', '{"authority": "with", "numbers": ["+4930555001"], "officer": "O"}', 'ann', '', now());
insert into incident (id, found_at, found_how, what, warrants, intrusion, unauthorised, opened_by, source, opened_at) values ('i', now(), 'seen', 'x', '{L-1}', 'yes', '{+4930555078}', 'ann', '', now());
insert into incident_act (incident_id, number, kind, text, at, intrusion, unauthorised, root_cause, prevention, "by", source, made_at)
values ('i', 1, 'close', '', now(), 'yes', '{+4930555078,+4930555079}', 'haste', 'rest', 'ann', '', now());
set session_replication_role = origin;`

// oldDatabase is one of the build before, migrated.
func oldDatabase(t *testing.T) *pgxpool.Pool {
	t.Helper()
	held := pgtest.Get(t)
	held.URL(t) // the role ligate_app is there from here on
	url := held.Empty(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 11); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), inClear); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// What the build before wrote in clear is refused at the start, sealed by a command
// without loss, and then gone from rows and files.
func TestClearRowsAreSealed(t *testing.T) {
	t.Parallel()
	o := emptyOffice(t)
	o.pool = oldDatabase(t)
	o.with(t, func(*pgstore.Config) {})
	if err := o.OpenKeys(t.Context()); !errors.Is(err, pgstore.ErrClear) {
		t.Fatalf("started with clear rows: %v", err)
	}
	if !o.inFiles(t, "4930555001") {
		t.Fatal("the search of files finds nothing: it proves nothing")
	}
	old, err := o.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead}) // may still see old rows
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(t.Context(), "select from agency"); err != nil {
		t.Fatal(err)
	}
	done, err := o.Rotate(t.Context(), pgstore.Rotation{})
	if err != nil || done.Rows != 7 || done.Clear != 7 {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := o.OpenKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	people, err := o.People(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.ann.Person = people[0]
	if got := strings.Join(o.targetsNow(t, "w"), " "); got != "4930555001 sip:a@example.com" {
		t.Errorf("targets %s", got)
	}
	if all, err := o.ProtectedNumbers(t.Context(), o.ann); err != nil || len(all) != 1 || all[0].Identity != target(t, "+4930555077") {
		t.Errorf("%d protected, %v", len(all), err)
	}
	o.recordsName(t)
	var versions, clear int
	err = o.pool.QueryRow(t.Context(), "select count(*) filter (where cardinality(targets_hash) = version), count(*) filter (where body ? 'targets') from warrant_version").Scan(&versions, &clear)
	if err != nil || versions != 2 || clear != 0 {
		t.Errorf("%d versions are sealed, %d in clear, %v", versions, clear, err)
	}
	for table, rows := range columns(t, o.pool) {
		if all := strings.Join(rows, "\n"); strings.Contains(all, "4930555") || strings.Contains(all, "a@example.com") {
			t.Errorf("table %s names a target", table)
		}
	}
	if done, err = o.Rotate(t.Context(), pgstore.Rotation{}); err != nil || done.Rows != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
	if o.inFiles(t, "4930555001") || o.inFiles(t, "4930555077") || o.inFiles(t, "4930555079") {
		t.Error("the tables' files still name a target")
	}
	if err := old.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}

// recordsName: the records of inClear say what they said.
func (o *office) recordsName(t *testing.T) {
	t.Helper()
	c, err := o.Certification(t.Context(), o.ann, "c")
	if err != nil || strings.Join(c.Form.Numbers, " ") != "+4930555001" {
		t.Errorf("certification of %v, %v", c.Form.Numbers, err)
	}
	i, err := o.Incident(t.Context(), o.ann, "i")
	if err != nil || len(i.Acts) != 1 {
		t.Fatalf("%d acts, %v", len(i.Acts), err)
	}
	if got := strings.Join(append(i.Unauthorised, i.Acts[0].Unauthorised...), " "); got != "+4930555078 +4930555078 +4930555079" {
		t.Errorf("incident of %s", got)
	}
}

// inFiles reports whether a file of the sealed tables holds the text.
func (o *office) inFiles(t *testing.T, text string) (found bool) {
	t.Helper()
	if _, err := o.pool.Exec(t.Context(), "checkpoint"); err != nil {
		t.Fatal(err)
	}
	err := o.pool.QueryRow(t.Context(), `select bool_or(position($1::bytea in pg_read_binary_file(pg_relation_filepath(r))) > 0)
		from unnest(array['warrant', 'warrant_version', 'protected_number', 'certification', 'incident', 'incident_act']::regclass[]) r`, []byte(text)).Scan(&found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

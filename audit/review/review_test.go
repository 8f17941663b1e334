package review_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/review"
	"github.com/ligate/ligate/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// office is a database with people, a log of four entries, and the store as the
// application's role reaches it.
type office struct {
	t           *testing.T
	owner, pool *pgxpool.Pool
	log         *audit.Log
	store       *review.Store
}

const peopleSQL = `set local session_replication_role = replica;
	insert into person (id, name, role, cert, added_by, confirmed_by, created_at)
	select id, 'Name of ' || id, role, repeat(n::text, 64), 'root1', 'root2', now()
	from (values ('dan', 'drafter', 1), ('bob', 'approver', 2), ('pat', 'approver', 3), ('aud', 'auditor', 4), ('eve', 'auditor', 5), ('gone', 'approver', 6)) as p (id, role, n);
	update person set disabled_at = now(), disabled_by = 'root1' where id = 'gone'`

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, owner: server.Pool(t)}
	o.pool = pgtest.AsApp(t, o.owner)
	err := pgx.BeginFunc(t.Context(), o.owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), peopleSQL, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := audit.NewKey("o")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	if o.log, err = audit.New(audit.Config{Origin: "o", Signer: signer}); err != nil {
		t.Fatal(err)
	}
	if o.store, err = review.New(review.Config{Pool: o.pool, Log: o.log}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := o.log.Record(t.Context(), o.pool, audit.Entry{Actor: "dan", Role: "drafter", Action: "warrant.read", Result: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func who(id, role string) review.Who { return review.Who{ID: id, Role: role, Source: "192.0.2.1"} }

// The application's role erases what two people asked for, once, and nothing else.
func TestApplicationErasesByTwoOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	r, err := o.store.AskErase(ctx, who("dan", "drafter"), []int64{1, 2}, "retention")
	if err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{
		"by hand":            "update audit_entry set record = null, salt = null, actor = '', action = '', warrant = '' where index = 1",
		"before the second":  "select audit_erase('" + r.ID + "')",
		"without a request":  "select audit_erase('nothing')",
		"delete the request": "delete from audit_request",
	} {
		if _, err := o.pool.Exec(ctx, sql); err == nil {
			t.Errorf("%s: it was done", name)
		}
	}
	if _, err := o.store.Confirm(ctx, who("bob", "approver"), review.Erase, r.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.pool.Exec(ctx, "select audit_erase($1)", r.ID); constraint(err) != "audit_erase_by_two" {
		t.Errorf("a second time: %v", err)
	}
	for index, want := range []bool{true, false, false, true} {
		got, err := o.log.Entry(ctx, o.pool, int64(index))
		if err != nil || (got.Entry != nil) != want {
			t.Errorf("entry %d: %+v, %v; readable should be %v", index, got.Entry, err, want)
		}
	}
	// Not all of them are there: nothing is done, and the request can be asked anew.
	r, err = o.store.AskErase(ctx, who("dan", "drafter"), []int64{0, 1}, "retention")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.store.Confirm(ctx, who("bob", "approver"), review.Erase, r.ID); !errors.Is(err, audit.ErrErase) {
		t.Errorf("a record that is gone: %v, want ErrErase", err)
	}
	if got, err := o.log.Entry(ctx, o.pool, 0); err != nil || got.Entry == nil {
		t.Errorf("a refused erasure took entry 0: %v", err)
	}
}

func constraint(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return ""
	}
	return refused.ConstraintName
}

// Each rule of a request, tried straight in the database by the application's role.
func TestDatabaseHoldsRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	const insert = "insert into audit_request (id, kind, pseudonym, entries, reason, asked_by, asked_at) values "
	for _, sql := range []string{insert + "('u', 'unmask', 'dan', '{}', 'r', 'aud', now())", insert + "('e', 'erase', '', '{3}', 'r', 'pat', now())"} {
		if _, err := o.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]string{
		insert + "('u', 'unmask', 'dan', '{}', 'r', 'aud', now())":  "audit_request_pk",
		insert + "('x', 'other', 'dan', '{}', 'r', 'bob', now())":   "audit_request_kind_known",
		insert + "('x', 'unmask', '', '{}', 'r', 'aud', now())":     "audit_request_unmasks_one",
		insert + "('x', 'unmask', 'dan', '{1}', 'r', 'aud', now())": "audit_request_unmasks_one",
		insert + "('x', 'erase', '', '{}', 'r', 'dan', now())":      "audit_request_erases_some",
		insert + "('x', 'erase', 'dan', '{1}', 'r', 'dan', now())":  "audit_request_erases_some",
		insert + "('x', 'erase', '', '{1}', '', 'dan', now())":      "audit_request_reason_given",
		insert + "('x', 'erase', '', '{1}', 'r', 'nobody', now())":  "audit_request_asked_by_role",
		insert + "('x', 'erase', '', '{1}', 'r', 'aud', now())":     "audit_request_asked_by_role",
		insert + "('x', 'unmask', 'dan', '{}', 'r', 'bob', now())":  "audit_request_asked_by_role",
		"insert into audit_request select 'x', kind, pseudonym, entries, reason, asked_by, asked_at, 'eve', now(), now(), null from audit_request where id = 'u'": "audit_request_asked_by_role",
		"update audit_request set confirmed_by = 'aud', confirmed_at = now(), until = now() where id = 'u'":                                                       "audit_request_confirmed_by_another",
		"update audit_request set confirmed_by = 'dan', confirmed_at = now(), until = now() where id = 'u'":                                                       "audit_request_confirmed_by_role",
		"update audit_request set confirmed_by = 'gone', confirmed_at = now(), until = now() where id = 'u'":                                                      "audit_request_confirmed_by_role",
		"update audit_request set confirmed_by = 'nobody', confirmed_at = now(), until = now() where id = 'u'":                                                    "audit_request_confirmed_by_role",
		"update audit_request set confirmed_by = 'aud', confirmed_at = now() where id = 'e'":                                                                      "audit_request_confirmed_by_role",
		"update audit_request set confirmed_by = 'pat', confirmed_at = now() where id = 'e'":                                                                      "audit_request_confirmed_by_another",
		"update audit_request set confirmed_by = 'bob', until = now() where id = 'u'":                                                                             "audit_request_confirmed_whole",
		"update audit_request set confirmed_by = 'bob', confirmed_at = now() where id = 'u'":                                                                      "audit_request_until_when_confirmed",
		"update audit_request set confirmed_by = 'bob', confirmed_at = now(), until = now() where id = 'e'":                                                       "audit_request_until_when_confirmed",
		"update audit_request set confirmed_by = 'bob', confirmed_at = now(), until = now() + interval '25 hours' where id = 'u'":                                 "audit_request_until_a_day",
		"update audit_request set done_at = now() where id = 'e'":                                                                                                 "audit_request_done_when_confirmed",
		"update audit_request set entries = '{1,2,3}' where id = 'e'":                                                                                             "audit_request_immutable",
		"update audit_request set asked_by = 'eve' where id = 'u'":                                                                                                "audit_request_immutable",
	} {
		if _, err := o.pool.Exec(ctx, sql); constraint(err) != want {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
	if _, err := o.owner.Exec(ctx, "delete from audit_request"); constraint(err) != "audit_append_only" {
		t.Errorf("the owner deletes requests: %v", err)
	}
	for _, sql := range []string{"update audit_cosignature set line = ''", "delete from audit_cosignature"} {
		if _, err := o.pool.Exec(ctx, sql); err == nil {
			t.Errorf("%s: it was done", sql)
		}
	}
}

// Reports on a log with known entries.
func TestOutsideHours(t *testing.T) {
	t.Parallel()
	h := review.Hours{From: 7, Until: 19}
	for text, want := range map[string]bool{
		"2026-11-23T07:00:00Z": false, "2026-11-23T06:59:59Z": true, "2026-11-23T18:59:59Z": false, "2026-11-23T19:00:00Z": true,
		"2026-11-21T12:00:00Z": true, "2026-11-22T12:00:00Z": true,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || h.Outside(at) != want {
			t.Errorf("%s: outside %v, want %v (%v)", text, !want, want, err)
		}
	}
}

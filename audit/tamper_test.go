package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
)

const peopleSQL = `set local session_replication_role = replica; insert into person (id, name, role, cert, added_by, confirmed_by, created_at) values
	('person-8', 'Eight', 'drafter', repeat('8', 64), 'root1', 'root2', now()), ('person-9', 'Nine', 'approver', repeat('9', 64), 'root1', 'root2', now()) on conflict do nothing; set local session_replication_role = origin`

// erase has person-8 ask and person-9 confirm.
func erase(t *testing.T, l *audit.Log, pool *pgxpool.Pool, indexes ...int64) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		id := request(t, tx, indexes...)
		if id == "" {
			return audit.ErrErase
		}
		by := audit.Entry{Actor: "person-9", Role: "approver", Reason: "retention ended"}
		_, err := l.Erase(t.Context(), tx, by, audit.Erasure{Request: id, AskedBy: "person-8", Entries: indexes})
		return err
	})
}

// request is one that person-8 made and person-9 confirmed; empty if the database takes
// none of that shape.
func request(t *testing.T, tx pgx.Tx, indexes ...int64) (id string) {
	t.Helper()
	if len(indexes) == 0 {
		return ""
	}
	id = fmt.Sprint("request ", indexes)
	if _, err := tx.Exec(t.Context(), peopleSQL, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	_, err := tx.Exec(t.Context(), "insert into audit_request (id, kind, entries, reason, asked_by, asked_at) values ($1, 'erase', $2, 'x', 'person-8', now())", id, indexes)
	if err == nil {
		_, err = tx.Exec(t.Context(), "update audit_request set confirmed_by = 'person-9', confirmed_at = now() where id = $1", id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The database refuses to rewrite history, its owner's too.
func TestDatabaseRefusesRewriting(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 4)
	if err := erase(t, l, pool, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	for sql, constraint := range map[string]string{
		"update audit_entry set actor = 'nobody' where index = 1":                                                           "audit_append_only",
		"update audit_entry set record = null, actor = '', action = '', warrant = '' where index = 1":                       "audit_append_only",
		"update audit_entry set record = null, salt = null where index = 1":                                                 "audit_append_only",
		"update audit_entry set record = null, salt = null, action = 'x', actor = '', warrant = '' where index = 1":         "audit_append_only",
		"update audit_entry set record = null, salt = null, action = '', actor = '', warrant = '', index = 9 where index=1": "audit_append_only",
		"update audit_entry set record = null, salt = null, action = '', actor = '', warrant = '', time = now()":            "audit_append_only",
		"update audit_entry set record = null, salt = null, action = '', actor = '', warrant = '', commitment = sha256('')": "audit_append_only",
		"update audit_entry set record = null, salt = null, action = '', actor = '', warrant = '' where index = 4":          "audit_append_only",
		"update audit_entry set record = 'x', salt = 'x' where index = 0":                                                   "audit_append_only",
		"delete from audit_entry where index = 3":                                                                           "audit_append_only",
		"truncate audit_entry":                           "audit_append_only",
		"update audit_hash set hash = hash where id = 0": "audit_append_only",
		"delete from audit_hash":                         "audit_append_only",
		"truncate audit_hash":                            "audit_append_only",
		"delete from audit_checkpoint":                   "audit_append_only",
		"update audit_checkpoint set size = 1":           "audit_append_only",
		"truncate audit_checkpoint":                      "audit_append_only",
		"insert into audit_entry select -1, time, actor, action, warrant, record, salt, commitment from audit_entry limit 1":        "audit_entry_index_is_position",
		"insert into audit_entry select 9, time, actor, action, warrant, record, salt, 'x' from audit_entry limit 1":                "audit_entry_commitment_is_sha256",
		"insert into audit_entry select 9, time, actor, action, warrant, record, null, commitment from audit_entry where index = 1": "audit_entry_record_and_salt_together",
		"insert into audit_hash values (99, 'x')": "audit_hash_is_sha256",
	} {
		_, err := pool.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.ConstraintName != constraint {
			t.Errorf("%s: got %v, want %s", sql, err, constraint)
		}
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	l, verifierKey := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 6)
	before, err := l.Checkpoint(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := erase(t, l, pool, 4, 1, 2, 2); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifierKey, before)
	if err != nil || !r.OK() || r.Erased != 3 || r.Entries != 7 {
		t.Errorf("report %+v, %v", r, err)
	}
	gone, err := l.Entry(t.Context(), pool, 2)
	if err != nil || gone.Entry != nil || gone.Salt != nil || len(gone.Commitment) != 32 {
		t.Errorf("erased entry: %+v, %v", gone, err)
	}
	said, err := l.Entry(t.Context(), pool, 6)
	if err != nil || said.Entry.Action != audit.ActionErase || said.Entry.Detail["entries"] != "1-2,4" || said.Entry.Detail["asked_by"] != "person-8" || said.Entry.Actor != "person-9" {
		t.Errorf("entry of the erasure: %+v, %v", said.Entry, err)
	}
	for name, indexes := range map[string][]int64{"nothing": nil, "again": {2}, "an erasure": {6}, "not there": {3, 99}} {
		if err := erase(t, l, pool, indexes...); !errors.Is(err, audit.ErrErase) {
			t.Errorf("%s: got %v, want ErrErase", name, err)
		}
	}
	if kept, err := l.Entry(t.Context(), pool, 3); err != nil || kept.Entry == nil {
		t.Errorf("a refused erasure took entry 3: %v", err)
	}
	if n, err := l.Size(t.Context(), pool); err != nil || n != 7 {
		t.Errorf("size %d, %v; refused erasures leave nothing", n, err)
	}
}

// Whoever rules the database can switch the triggers off. The export shows it.
func TestVerifyFindsTamperingInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ sql, want string }{
		"altered record": {
			"update audit_entry set record = overlay(record placing '2'::bytea from 41 for 1) where index = 2", // person-1 to person-2
			"entry 2: the record is not the one that was logged",
		},
		"altered salt":       {"update audit_entry set salt = sha256('x') where index = 4", "entry 4: the record is not the one that was logged"},
		"record of no shape": {"update audit_entry set record = 'x' where index = 0", "entry 0: the record is not the one that was logged"},
		"altered commitment": {"update audit_entry set commitment = sha256('x') where index = 1", "entry 1: the record is not the one that was logged"},
		"record taken silently": {
			"update audit_entry set record = null, salt = null where index = 3",
			"entry 3: the record is gone and no erasure is on the log",
		},
		"missing entry": {"delete from audit_entry where index = 2", "entry 2: missing"},
		"swapped entries": {
			`update audit_entry set index = 99 where index = 1; update audit_entry set index = 1 where index = 2;
			 update audit_entry set index = 2 where index = 99`,
			"checkpoint of size 3: of entries 0 to 2 not all are those that were signed",
		},
		"end cut off":         {"delete from audit_entry where index = 5", "checkpoint of size 6: the log has only 5 entries"},
		"end with its hashes": {"delete from audit_entry where index >= 4; delete from audit_hash where id >= 7", "checkpoint of size 6: the log has only 4 entries"},
		"altered hash":        {"update audit_hash set hash = sha256('x') where id = 6; delete from audit_checkpoint where size = 6", "checkpoint of size 6: of entries 3 to 5 not all"},
		"missing hash":        {"delete from audit_hash where id = 6; delete from audit_checkpoint where size = 6", "entries 3 to 5: no checkpoint signs them"},
		"forged checkpoint":   {"update audit_checkpoint set note = 'x' where size = 3", "checkpoint 1: malformed or not signed by the log's key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, verifier := newLog(t)
			pool := server.Pool(t)
			signedTwice(t, l, pool)
			tamper(t, pool, tt.sql)
			r, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifier)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(r.Faults, "\n"), tt.want) {
				t.Errorf("faults %q, want one with %q", r.Faults, tt.want)
			}
		})
	}
}

// signedTwice fills a log with six entries and checkpoints of sizes 3 and 6.
func signedTwice(t *testing.T, l *audit.Log, pool *pgxpool.Pool) {
	t.Helper()
	for range 2 {
		fill(t, l, pool, 3)
		if _, err := l.Checkpoint(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
}

// tamper runs sql with all triggers off, as a superuser can.
func tamper(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "set local session_replication_role = replica; "+sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A log that lost its end is neither continued nor signed: either would make a second
// tree of a size that was signed before.
func TestDamagedLogIsNotContinued(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"entry gone":           "delete from audit_entry where index = 5",
		"hash gone":            "delete from audit_hash where id = 9",
		"entry and hashes":     "delete from audit_entry where index = 5; delete from audit_hash where id >= 8",
		"all but checkpoints":  "truncate audit_entry; truncate audit_hash",
		"hash within the tree": "delete from audit_hash where id = 6; delete from audit_checkpoint where size = 6",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := newLog(t)
			pool := server.Pool(t)
			signedTwice(t, l, pool)
			tamper(t, pool, sql)
			if _, err := l.Checkpoint(t.Context(), pool); !errors.Is(err, audit.ErrDamaged) {
				t.Errorf("checkpoint: got %v, want ErrDamaged", err)
			}
			if name == "hash within the tree" {
				return // appending needs that hash only later
			}
			if _, err := l.Record(t.Context(), pool, entry(6)); !errors.Is(err, audit.ErrDamaged) {
				t.Errorf("append: got %v, want ErrDamaged", err)
			}
		})
	}
}

func TestVerifyFindsEachChange(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	signedTwice(t, l, pool)
	good := strings.SplitAfter(strings.TrimSuffix(export(t, l, pool), "\n"), "\n")
	good[len(good)-1] += "\n"
	_, foreign := newLog(t)
	if r, err := audit.Verify(strings.NewReader(strings.Join(good, "")), verifier); err != nil || !r.OK() || r.Checkpoints != 2 {
		t.Fatalf("good export: %+v, %v", r, err)
	}
	tests := map[string]struct {
		change func([]string) []string
		key    string
		want   string
	}{
		"altered record": {func(l []string) []string {
			l[3] = strings.Replace(l[3], "person-1", "person-2", 1)
			return l
		}, verifier, "entry 2: the record is not the one"},
		"missing entry":     {func(l []string) []string { return append(l[:2], l[3:]...) }, verifier, "entry 1: missing"},
		"swapped entries":   {func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, verifier, "entry 0: doubled or out of order"},
		"end cut off":       {func(l []string) []string { return append(l[:6], l[7:]...) }, verifier, "checkpoint of size 6: the log has only 5 entries"},
		"checkpoint gone":   {func(l []string) []string { return l[:8] }, verifier, "entries 3 to 5: no checkpoint"},
		"another log's key": {func(l []string) []string { return l }, foreign, "not signed by the log's key"},
		"forged checkpoint": {func(l []string) []string {
			l[8] = strings.Replace(l[8], `\n6\n`, `\n5\n`, 1)
			return l
		}, verifier, "checkpoint 2: malformed or not signed"},
		"two missing":   {func(l []string) []string { return append(l[:2], l[4:]...) }, verifier, "entries 1 to 2: missing"},
		"doubled entry": {func(l []string) []string { return slices.Insert(l, 2, l[1]) }, verifier, "entry 0: doubled or out of order"},
		"record taken":  {func(l []string) []string { l[2] = erased(t, l[2]); return l }, verifier, "entry 1: the record is gone and no erasure"},
		"doubled key": {func(l []string) []string {
			l[1] = strings.Replace(l[1], `"actor":`, `"actor":"somebody else","actor":`, 1)
			return l
		}, verifier, "line 2: not in the form"},
		"more on a line": {func(l []string) []string { l[1] = strings.TrimSuffix(l[1], "\n") + " {}\n"; return l }, verifier, "line 2: not in the form"},
		"other origin":   {func(l []string) []string { l[0] = strings.Replace(l[0], "op-1", "op-2", 1); return l }, verifier, "header: the log's origin"},
		"erased salt only": {func(l []string) []string {
			var m map[string]map[string]any
			if err := json.Unmarshal([]byte(l[1]), &m); err != nil {
				t.Error(err)
			}
			m["record"]["salt"] = nil
			b, _ := json.Marshal(m)
			l[1] = string(b) + "\n"
			return l
		}, verifier, "entry 0: the record is not the one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := tt.change(append([]string(nil), good...))
			r, err := audit.Verify(strings.NewReader(strings.Join(lines, "")), tt.key)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(r.Faults, "\n"), tt.want) {
				t.Errorf("faults %q, want one with %q", r.Faults, tt.want)
			}
		})
	}
	two := strings.TrimSuffix(strings.TrimSpace(good[1]), "}") + "," + strings.TrimPrefix(good[7], "{")
	for _, bad := range []string{"", "{}\n", "x\n", good[1], good[0] + good[0], good[0] + good[7] + good[1], good[0] + two} {
		if _, err := audit.Verify(strings.NewReader(bad), verifier); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

// erased takes the record of a line of an export away.
func erased(t *testing.T, line string) string {
	t.Helper()
	var l struct {
		Record audit.Record `json:"record"`
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		t.Fatal(err)
	}
	l.Record.Entry, l.Record.Salt = nil, nil
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// Cut back to an older checkpoint an export looks whole; the checkpoint that the
// auditor kept shows it. A second log under the same key shows the same way.
func TestVerifyAgainstKeptCheckpoint(t *testing.T) {
	t.Parallel()
	secret, verifier, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(audit.Config{Origin: origin, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	pool, fork := server.Pool(t), server.Pool(t)
	signedTwice(t, l, pool)
	signedTwice(t, l, fork)
	kept, err := l.Checkpoint(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, pool, 2)
	lines := strings.SplitAfter(export(t, l, pool), "\n")
	cut := strings.Join(slices.Concat(lines[:4], lines[9:10]), "")
	for name, tt := range map[string]struct {
		export, want string
		known        []byte
	}{
		"whole":            {export(t, l, pool), "", kept},
		"cut, not known":   {cut, "", nil},
		"cut":              {cut, "kept checkpoint of size 6: the log has only 3 entries", kept},
		"another log":      {export(t, l, fork), "kept checkpoint of size 6: of entries 0 to 5 not all", kept},
		"forged kept note": {cut, "kept checkpoint 1: malformed", []byte("x")},
	} {
		var known [][]byte
		if tt.known != nil {
			known = [][]byte{tt.known}
		}
		r, err := audit.Verify(strings.NewReader(tt.export), verifier, known...)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(r.Faults, "\n"); r.OK() != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: faults %q, want one with %q", name, got, tt.want)
		}
	}
}

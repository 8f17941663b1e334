package witness_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
)

// attack is what whoever rules the database, and in the last rows the log's key too,
// does to a log of six entries of which a witness signed all.
type attack struct {
	name    string
	do      func(*operator)
	export  bool // the export alone shows it
	witness bool // the witness shows it: it refuses, or the log has nothing to show it
}

const (
	backup = `create schema backup; create table backup.e as select * from audit_entry; create table backup.h as select * from audit_hash;
		create table backup.c as select * from audit_checkpoint; create table backup.s as select * from audit_cosignature`
	restore = `truncate audit_entry; truncate audit_hash; truncate audit_checkpoint; truncate audit_cosignature;
		insert into audit_entry select * from backup.e; insert into audit_hash select * from backup.h;
		insert into audit_checkpoint select * from backup.c; insert into audit_cosignature select * from backup.s`
	forget = "truncate audit_entry; truncate audit_hash; truncate audit_checkpoint; truncate audit_cosignature"
	unsign = "; truncate audit_checkpoint; truncate audit_cosignature"
)

func attacks() []attack {
	sql := func(text string) func(*operator) { return func(o *operator) { o.tamper(text) } }
	return []attack{
		{"rewrite a record", sql("update audit_entry set record = overlay(record placing '2'::bytea from 41 for 1) where index = 2"), true, false},
		{"rewrite a record and its searchable columns", sql("update audit_entry set actor = 'person-2', record = overlay(record placing '2'::bytea from 41 for 1) where index = 2"), true, false},
		{"rewrite a commitment", sql("update audit_entry set commitment = sha256('x') where index = 2"), true, false},
		{"rewrite a tree hash, drop the checkpoints", sql("update audit_hash set hash = sha256('x') where id = 6" + unsign), true, true},
		{"delete an entry", sql("delete from audit_entry where index = 2"), true, false},
		{"delete the newest entry", sql("delete from audit_entry where index = 5"), true, true},
		{"delete the newest entries, their hashes, the checkpoints", sql("delete from audit_entry where index >= 4; delete from audit_hash where id >= 7" + unsign), false, true},
		{"insert an entry at the end", sql("insert into audit_entry select 6, time, actor, action, warrant, record, salt, commitment from audit_entry where index = 0"), true, true},
		{"insert an entry in the middle", sql(`update audit_entry set index = index + 100 where index >= 3; update audit_entry set index = index - 99 where index >= 100;
			insert into audit_entry select 3, time, actor, action, warrant, record, salt, commitment from audit_entry where index = 0`), true, true},
		{"reorder two entries", sql(`update audit_entry set index = 99 where index = 1; update audit_entry set index = 1 where index = 2;
			update audit_entry set index = 2 where index = 99`), true, false},
		{"take a record away without two people", sql("update audit_entry set record = null, salt = null, actor = '', action = '', warrant = '' where index = 3"), true, false},
		{"restore an older backup", sql(restore), false, true},
		{"restore an older backup, go on to the same size", func(o *operator) { o.tamper(restore); o.add("x", "y") }, false, true},
		{"restore an older backup, go on further", func(o *operator) { o.tamper(restore); o.add("v", "w", "x", "y", "z") }, false, true},
		{"compute the whole history anew, signed with the log's key", func(o *operator) {
			o.tamper(forget)
			o.add("a", "b", "other", "d", "e", "f")
		}, false, true},
		{"compute it anew without one entry", func(o *operator) { o.tamper(forget); o.add("a", "b", "d", "e", "f", "g", "h") }, false, true},
	}
}

// Straight in Postgres, with all triggers off: the export, or the witness, or a kept
// checkpoint finds each. The table is in the test's log.
func TestTampering(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(out, "attack\texport alone\twith the kept checkpoint\twitness")
	for _, a := range append([]attack{{"nothing", func(*operator) {}, false, false}}, attacks()...) {
		o := newOperator(t)
		b := newBox(t, o.key)
		o.add("a", "b", "c", "d")
		o.sign(b)
		o.tamper(backup)
		o.add("e", "f")
		kept := o.sign(b)
		a.do(o)
		alone, held, seen := o.verify(), o.verify(kept), o.seen(b)
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", a.name, alone, held, seen)
		if (alone != "") != a.export || (seen != "") != a.witness {
			t.Errorf("%s: export %q, witness %q; want found %v and %v", a.name, alone, seen, a.export, a.witness)
		}
		if found := held != ""; found != (a.name != "nothing") {
			t.Errorf("%s: with the kept checkpoint %q", a.name, held)
		}
	}
	_ = out.Flush()
	t.Log("\n" + table.String())
}

func (o *operator) tamper(sql string) {
	o.t.Helper()
	err := pgx.BeginFunc(o.t.Context(), o.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(o.t.Context(), "set local session_replication_role = replica; "+sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// sign has the log signed and cosigned, and returns the checkpoint.
func (o *operator) sign(b *box) []byte {
	o.t.Helper()
	checkpoint, err := o.log.Checkpoint(o.t.Context(), o.pool)
	if err == nil && o.offer(b, checkpoint) != nil {
		o.t.Fatal("the witness refused an honest log")
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return checkpoint
}

// verify is what audit verify says of an export of now; empty = whole.
func (o *operator) verify(kept ...[]byte) string {
	o.t.Helper()
	var out strings.Builder
	if err := o.log.Export(o.t.Context(), o.pool, &out); err != nil {
		return err.Error()
	}
	r, err := audit.Verify(strings.NewReader(out.String()), o.vkey, kept...)
	switch {
	case err != nil:
		return err.Error()
	case r.OK():
		return ""
	}
	return r.Faults[0]
}

// seen is what shows outside: the log cannot sign, or the witness does not.
func (o *operator) seen(b *box) string {
	o.t.Helper()
	checkpoint, err := o.log.Checkpoint(o.t.Context(), o.pool)
	if err != nil {
		return "nothing to show it: " + err.Error()
	}
	if err := o.offer(b, checkpoint); err != nil {
		return err.Error()
	}
	return ""
}

// offer asks the witness as the pusher does: from what it knows.
func (o *operator) offer(b *box, checkpoint []byte) error {
	o.t.Helper()
	v, err := audit.NewWitnessVerifier(b.key.Verifier())
	if err != nil {
		o.t.Fatal(err)
	}
	size, _, err := audit.OpenCheckpoint(checkpoint, o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	remote := witness.Remote{URL: b.url, Verifier: v, HTTP: &http.Client{Timeout: 5 * time.Second}}
	_, err = remote.AddCheckpoint(o.t.Context(), 0, nil, checkpoint)
	var known *witness.ConflictError
	if !errors.As(err, &known) || known.Size > size {
		return err
	}
	proof, err := o.log.ConsistencyProof(o.t.Context(), o.pool, known.Size, size)
	if err != nil {
		return err
	}
	_, err = remote.AddCheckpoint(o.t.Context(), known.Size, proof, checkpoint)
	return err
}

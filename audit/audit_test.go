package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

const origin = "op-1.example/ligate"

func newLog(t testing.TB) (l *audit.Log, verifier string) {
	t.Helper()
	secret, verifier, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	l, err = audit.New(audit.Config{Origin: origin, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return l, verifier
}

func entry(n int) audit.Entry {
	return audit.Entry{
		Actor: "person-1", Role: "drafter", Action: "warrant.draft", Warrant: "LIID-1", Result: "done",
		Detail: map[string]string{"n": fmt.Sprint(n), "version": "1"},
	}
}

func fill(t testing.TB, l *audit.Log, pool *pgxpool.Pool, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Record(t.Context(), pool, entry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func export(t *testing.T, l *audit.Log, pool *pgxpool.Pool) string {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Commit(t.Context()) }()
	var out bytes.Buffer
	if err := l.Export(t.Context(), tx, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEntryAndActShareATransaction(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 3)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i, err := l.Append(t.Context(), tx, entry(3)); err != nil || i != 3 {
		t.Fatalf("append: %d, %v", i, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i, err := l.Record(t.Context(), pool, entry(4)); err != nil || i != 3 {
		t.Errorf("after a rollback the next index is %d, %v; want 3", i, err)
	}
}

func TestConcurrentWritersKeepOneOrder(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				if _, err := l.Record(t.Context(), pool, entry(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	report, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifier)
	if err != nil || !report.OK() || report.Entries != 80 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	l, verifierKey := newLog(t)
	pool := server.Pool(t)
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, pool, 5)
	oldSize, oldRoot := openCheckpoint(t, l, pool, verifier)
	fill(t, l, pool, 8)
	size, root := openCheckpoint(t, l, pool, verifier)
	if oldSize != 5 || size != 13 {
		t.Fatalf("sizes %d, %d", oldSize, size)
	}
	tree, err := l.ConsistencyProof(t.Context(), pool, oldSize, size)
	if err != nil || tlog.CheckTree(tree, size, root, oldSize, oldRoot) != nil {
		t.Errorf("consistency: %v", err)
	}
	for i := range size {
		r, err := l.Entry(t.Context(), pool, i)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := l.InclusionProof(t.Context(), pool, i, size)
		if err != nil || tlog.CheckRecord(proof, size, root, i, tlog.RecordHash(r.Commitment)) != nil {
			t.Errorf("inclusion of %d: %v", i, err)
		}
	}
	if _, err := l.InclusionProof(t.Context(), pool, 13, 13); !errors.Is(err, audit.ErrRange) {
		t.Errorf("proof past the end: %v", err)
	}
}

func openCheckpoint(t *testing.T, l *audit.Log, pool *pgxpool.Pool, v note.Verifier) (int64, tlog.Hash) {
	t.Helper()
	signed, err := l.Checkpoint(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	size, root, err := audit.OpenCheckpoint(signed, v)
	if err != nil {
		t.Fatal(err)
	}
	return size, root
}

func TestFilterAndPages(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 5)
	other := entry(9)
	other.Actor, other.Warrant = "person-2", "LIID-2"
	if _, err := l.Record(t.Context(), pool, other); err != nil {
		t.Fatal(err)
	}
	got, next, err := l.Entries(t.Context(), pool, audit.Filter{Actor: "person-1", Limit: 3})
	if err != nil || len(got) != 3 || next == "" {
		t.Fatalf("%d entries, next %q, %v", len(got), next, err)
	}
	got, next, err = l.Entries(t.Context(), pool, audit.Filter{Actor: "person-1", Limit: 3, After: next})
	if err != nil || len(got) != 2 || next != "" || got[1].Entry.Detail["n"] != "4" {
		t.Errorf("%d entries, next %q, %v", len(got), next, err)
	}
	if got, _, err = l.Entries(t.Context(), pool, audit.Filter{Warrant: "LIID-2"}); err != nil || len(got) != 1 || got[0].Index != 5 {
		t.Errorf("by warrant: %+v, %v", got, err)
	}
	if _, _, err = l.Entries(t.Context(), pool, audit.Filter{After: "x"}); !errors.Is(err, audit.ErrFilter) {
		t.Errorf("bad cursor: %v", err)
	}
}

func TestAppendRefusesBadEntries(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	pool := server.Pool(t)
	for name, change := range map[string]func(*audit.Entry){
		"no actor":  func(e *audit.Entry) { e.Actor = "" },
		"no action": func(e *audit.Entry) { e.Action = "" },
		"no result": func(e *audit.Entry) { e.Result = "" },
		"long text": func(e *audit.Entry) { e.Reason = strings.Repeat("x", 5000) },
	} {
		e := entry(0)
		change(&e)
		if _, err := l.Record(t.Context(), pool, e); !errors.Is(err, audit.ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The database refuses to rewrite history; only erasing a record passes, and
// every proof survives that.
func TestDatabaseRefusesRewriting(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 4)
	if _, err := l.Checkpoint(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"update audit_entry set actor = 'nobody' where index = 1",
		"update audit_entry set record = null where index = 1",
		"update audit_entry set record = null, salt = null, action = 'x' where index = 1",
		"delete from audit_entry where index = 3",
		"truncate audit_entry",
		"update audit_hash set hash = hash where id = 0",
		"delete from audit_hash",
		"truncate audit_hash",
		"delete from audit_checkpoint",
		"update audit_checkpoint set size = 1",
		"truncate audit_checkpoint",
	} {
		_, err := pool.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.ConstraintName != "audit_append_only" && refused.ConstraintName != "audit_entry_record_and_salt_together" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := pool.Exec(t.Context(), "update audit_entry set record = null, salt = null where index = 1"); err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifier)
	if err != nil || !report.OK() || report.Erased != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestVerifyFindsEachChange(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 3)
	if _, err := l.Checkpoint(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	fill(t, l, pool, 3)
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
		"missing entry":     {func(l []string) []string { return append(l[:2], l[3:]...) }, verifier, "entry 1: entry 2 stands here"},
		"swapped entries":   {func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, verifier, "entry 0: entry 1 stands here"},
		"end cut off":       {func(l []string) []string { return append(l[:6], l[7:]...) }, verifier, "checkpoint of size 6: entries 5 to 5 are missing"},
		"checkpoint gone":   {func(l []string) []string { return l[:8] }, verifier, "entries 3 to 5: no checkpoint"},
		"another log's key": {func(l []string) []string { return l }, foreign, "not signed by the log's key"},
		"forged checkpoint": {func(l []string) []string {
			l[8] = strings.Replace(l[8], `\n6\n`, `\n5\n`, 1)
			return l
		}, verifier, "checkpoint 2: malformed or not signed"},
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
	for _, bad := range []string{"", "{}\n", "x\n", good[1]} {
		if _, err := audit.Verify(strings.NewReader(bad), verifier); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	l, _ := newLog(b)
	pool := server.Pool(b)
	if _, err := l.Record(b.Context(), pool, entry(0)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := l.Record(b.Context(), pool, entry(0)); err != nil {
			b.Fatal(err)
		}
	}
}

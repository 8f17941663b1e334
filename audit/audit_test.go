package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

// addAll appends n entries in one transaction.
func addAll(t testing.TB, l *audit.Log, pool *pgxpool.Pool, n int) {
	t.Helper()
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = entry(i)
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := l.AppendAll(t.Context(), tx, entries)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func export(t *testing.T, l *audit.Log, pool *pgxpool.Pool) string {
	t.Helper()
	var out bytes.Buffer
	if err := l.Export(t.Context(), pool, &out); err != nil {
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
		"not UTF-8": func(e *audit.Entry) { e.Object = "\xff" },
		"NUL":       func(e *audit.Entry) { e.Source = "a\x00b" },
		"bad key":   func(e *audit.Entry) { e.Detail = map[string]string{"\xff": "v"} },
		"too early": func(e *audit.Entry) { e.Time = time.Unix(-1, 0) },
		"too late":  func(e *audit.Entry) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"too many":  func(e *audit.Entry) { e.Detail = details(33, 1) },
	} {
		e := entry(0)
		change(&e)
		if _, err := l.Record(t.Context(), pool, e); !errors.Is(err, audit.ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// details returns n details, each value of size times a character that JSON escapes.
func details(n, size int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("%s%d", strings.Repeat("<", size-1), i)] = strings.Repeat("<", size)
	}
	return m
}

func TestLargestEntryCanBeExported(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	long := strings.Repeat("<", 4096)
	e := audit.Entry{
		Actor: long[:2000], Role: long, Action: long[:2000], Warrant: long[:2000], Object: long,
		Reason: long, Result: long, Source: long, Detail: details(32, 4094), // indexes bound three of the texts
	}
	if _, err := l.Record(t.Context(), pool, e); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifier); err != nil || !r.OK() {
		t.Errorf("report %+v, %v", r, err)
	}
}

// A checkpoint of entries that are rolled back would sign a tree that never was.
func TestNoCheckpointOfUncommittedEntries(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	pool := server.Pool(t)
	fill(t, l, pool, 2)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := tx.Begin(t.Context()) // a savepoint is no way round
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), inner, entry(2)); err != nil {
		t.Fatal(err)
	}
	if err := inner.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(t.Context(), tx); !errors.Is(err, audit.ErrUncommitted) {
		t.Errorf("got %v, want ErrUncommitted", err)
	}
	if _, err := l.Checkpoint(t.Context(), pool); err != nil {
		t.Errorf("beside the transaction: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Size(t.Context(), pool); err != nil || n != 3 {
		t.Errorf("size %d, %v", n, err)
	}
}

// What an export reads may grow meanwhile; the export is whole all the same.
func TestExportBesideWriters(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	pool := server.Pool(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range 30 {
				if _, err := l.Record(t.Context(), pool, entry(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var last int64
	for range 8 {
		r, err := audit.Verify(strings.NewReader(export(t, l, pool)), verifier)
		if err != nil || !r.OK() || r.Entries < last {
			t.Errorf("report %+v, %v", r, err)
		}
		last = r.Entries
	}
	wg.Wait()
}

// All but erasing is what the application's role may do.
func TestApplicationRoleSuffices(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	app := pgtest.AsApp(t, server.Pool(t))
	fill(t, l, app, 3)
	if r, err := audit.Verify(strings.NewReader(export(t, l, app)), verifier); err != nil || !r.OK() || r.Entries != 3 {
		t.Errorf("report %+v, %v", r, err)
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

package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

var server *pgtest.Server

func everything(li.XID, uint64) bool { return true }

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

type archive struct {
	*evidence.Store
	pool *pgxpool.Pool
	log  *audit.Log
	dir  string
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	secret, _, err := audit.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	// The store does its work with what a deployment's role may do.
	a := &archive{pool: server.Pool(t), dir: t.TempDir()}
	if a.log, err = audit.New(audit.Config{Origin: "test", Signer: signer}); err != nil {
		t.Fatal(err)
	}
	folder, err := evidence.OpenFolder(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	a.Store, err = evidence.New(evidence.Config{Pool: pgtest.AsApp(t, a.pool), Audit: a.log, Bucket: folder.Bucket, Flush: folder.Flush})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func at() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

func task(liid li.LIID) warrant.TaskInfo {
	return warrant.TaskInfo{XID: li.NewXID(), LIID: liid, AgencyID: "agency-1", From: at(), Until: at().Add(time.Hour)}
}

func (a *archive) session(t *testing.T, info warrant.TaskInfo, correlation uint64) *evidence.Progress {
	t.Helper()
	p, err := a.Session(t.Context(), info, correlation, at())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// commit adds a segment with two IRI records.
func (a *archive) commit(t *testing.T, p *evidence.Progress, position uint64) error {
	t.Helper()
	ciphertext := []byte("sealed octets " + string(rune('a'+p.Segments)))
	b, err := a.Put(t.Context(), p, ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	next := *p
	next.NextIRI, next.TapSeqX2, next.LastAt = p.NextIRI+2, p.TapSeqX2+2, at()
	return a.Commit(t.Context(), p, next, evidence.Sealed{
		Kind: segment.KindIRI, FirstSeq: p.NextIRI, LastSeq: p.NextIRI + 1, FirstTime: at(), LastTime: at(),
		Plaintext: sha256.Sum256([]byte("plain")), Blob: b, Through: []evidence.Position{{Bus: "b", Kind: segment.KindIRI, Seq: position}},
	})
}

func (a *archive) end(t *testing.T, p *evidence.Progress) {
	t.Helper()
	next := *p
	next.EndedAt, next.EndCause = at().Add(time.Minute), "bye"
	if err := a.Close(t.Context(), p, next, nil); err != nil {
		t.Fatal(err)
	}
}

// actions lists what the audit log says was done.
func (a *archive) actions(t *testing.T) []string {
	t.Helper()
	records, _, err := a.log.Entries(t.Context(), a.pool, audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range records {
		all = append(all, r.Entry.Action+" "+r.Entry.Result)
	}
	return all
}

func TestWholeSession(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	info := task("LIID-1")
	p := a.session(t, info, 7)
	if again := a.session(t, info, 7); again.ID != p.ID || p.CIN != 1 {
		t.Errorf("the same call is CIN %d and %d", p.CIN, again.CIN)
	}
	if other := a.session(t, info, 8); other.CIN != 2 {
		t.Errorf("the next call has CIN %d, want 2", other.CIN)
	}
	if other := a.session(t, task("LIID-2"), 7); other.CIN != 1 {
		t.Errorf("another LIID's first call has CIN %d, want 1", other.CIN)
	}
	for position := range uint64(3) {
		if err := a.commit(t, p, position+1); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := a.SessionByCIN(t.Context(), "LIID-1", 1); err != nil || d.EndedAt != nil || d.IRIRecords != 6 {
		t.Errorf("%+v, %v", d, err)
	}
	if open, err := a.OpenSessions(t.Context(), everything); err != nil || len(open) != 3 || open[0].Position("b", segment.KindIRI) != 3 || open[0].Position("b", segment.KindCC) != 0 {
		t.Errorf("%d open, %v", len(open), err)
	}
	a.end(t, p)
	if err := a.commit(t, p, 4); err != nil { // what comes late is added still
		t.Fatal(err)
	}
	if open, err := a.OpenSessions(t.Context(), everything); err != nil || len(open) != 2 {
		t.Errorf("%d open, %v", len(open), err)
	}
	d, err := a.SessionByCIN(t.Context(), "LIID-1", 1)
	if err != nil || d.EndedAt == nil || d.EndCause != "bye" || d.Segments != 4 || d.ChainHead != hex.EncodeToString(p.ChainHead[:]) {
		t.Errorf("%+v, %v", d, err)
	}
	a.checkChain(t, "LIID-1", 1, 4)
	want := []string{"session.open done", "session.open done", "session.open done", "session.chain done", "session.close done"}
	if got := a.actions(t); !slices.Equal(got, want) {
		t.Errorf("audit log %v, want %v", got, want)
	}
}

// checkChain recomputes a session's chain from what the store gives out.
func (a *archive) checkChain(t *testing.T, liid li.LIID, cin li.CIN, segments int) {
	t.Helper()
	head, after, n := segment.ChainStart(liid, cin), "", 0
	for {
		docs, next, err := a.Segments(t.Context(), liid, cin, segment.KindIRI, evidence.Page{Limit: 3, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			n++
			doc, r, err := a.OpenSegment(t.Context(), liid, cin, segment.KindIRI, d.Number)
			if err != nil {
				t.Fatal(err)
			}
			octets, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			ct := sha256.Sum256(octets)
			head = segment.ChainNext(head, d.Number, ct, sha256.Sum256([]byte("plain")))
			if doc.Number != uint32(n) || doc.SHA256 != hex.EncodeToString(ct[:]) || doc.Chain != hex.EncodeToString(head[:]) || doc.Bytes != int64(len(octets)) {
				t.Errorf("segment %d: %+v", n, doc)
			}
		}
		if after = next; after == "" {
			break
		}
	}
	if n != segments {
		t.Errorf("%d segments, want %d", n, segments)
	}
}

// Whoever writes from an old state is refused: also one who does not know that his
// own earlier attempt succeeded.
func TestCommitTwice(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	info := task("LIID-1")
	p := a.session(t, info, 7)
	stale := *p
	if err := a.commit(t, p, 5); err != nil {
		t.Fatal(err)
	}
	if err := a.commit(t, &stale, 5); !errors.Is(err, evidence.ErrConflict) {
		t.Errorf("an old state: %v", err)
	}
	fresh, err := a.Reload(t.Context(), &stale)
	if err != nil || fresh.Segments != 1 || fresh.Position("b", segment.KindIRI) != 5 || fresh.ChainHead != p.ChainHead {
		t.Errorf("reloaded %+v, %v", fresh, err)
	}
	if err := a.commit(t, fresh, 5); !errors.Is(err, evidence.ErrConflict) {
		t.Errorf("the same position: %v", err)
	}
	if err := a.commit(t, fresh, 6); err != nil {
		t.Error(err)
	}
}

func TestSessionsOpenedAtOnceHaveConsecutiveCINs(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	info := task("LIID-1")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := a.Session(t.Context(), info, uint64(i/2), at()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	docs, _, err := a.Sessions(t.Context(), "LIID-1", evidence.Page{})
	if err != nil || len(docs) != 10 {
		t.Fatalf("%d sessions, %v", len(docs), err)
	}
	for i, d := range docs {
		if d.CIN != li.CIN(i+1) {
			t.Errorf("session %d has CIN %d", i, d.CIN)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	info := task("LIID-1")
	for i := range uint64(5) {
		a.session(t, info, i)
	}
	docs, next, err := a.Sessions(t.Context(), "LIID-1", evidence.Page{Limit: 3})
	if err != nil || len(docs) != 3 || next == "" {
		t.Fatalf("%d, %q, %v", len(docs), next, err)
	}
	if docs, next, err = a.Sessions(t.Context(), "LIID-1", evidence.Page{Limit: 3, After: next}); err != nil || len(docs) != 2 || next != "" {
		t.Errorf("%d, %q, %v", len(docs), next, err)
	}
	for _, p := range []evidence.Page{{Limit: -1}, {Limit: 501}, {After: "x"}, {After: "-1"}} {
		if _, _, err := a.Sessions(t.Context(), "LIID-1", p); !errors.Is(err, evidence.ErrPage) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := a.SessionByCIN(t.Context(), "LIID-9", 1); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("no such session: %v", err)
	}
	if _, _, err := a.OpenSegment(t.Context(), "LIID-1", 1, segment.KindIRI, 1); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("no such segment: %v", err)
	}
}

func TestAck(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	p := a.session(t, task("LIID-1"), 7)
	if err := a.commit(t, p, 1); err != nil {
		t.Fatal(err)
	}
	ack := evidence.Ack{LIID: "LIID-1", CIN: 1, ChainHead: hex.EncodeToString(p.ChainHead[:]), Person: "Ina", Agency: "agency-1", Cert: "aa"}
	for range 2 { // a receipt given twice is one
		if _, err := a.Ack(t.Context(), ack); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := a.SessionByCIN(t.Context(), "LIID-1", 1); err != nil || d.Acked == nil || d.Acked.ChainHead != ack.ChainHead || d.Acked.Person != "Ina" {
		t.Errorf("%+v, %v", d.Acked, err)
	}
	if err := a.commit(t, p, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Ack(t.Context(), ack); !errors.Is(err, evidence.ErrStale) {
		t.Errorf("an old chain head: %v", err)
	}
	ack.CIN = 9
	if _, err := a.Ack(t.Context(), ack); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("no such session: %v", err)
	}
}

func TestPurgeLeavesHashesOnly(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	p, other := a.session(t, task("LIID-1"), 7), a.session(t, task("LIID-2"), 7)
	for position := range uint64(3) {
		if err := errors.Join(a.commit(t, p, position+1), a.commit(t, other, position+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Put(t.Context(), p, []byte("sealed octets of a crash")); err != nil {
		t.Fatal(err)
	}
	before := a.actions(t)
	for range 2 {
		if err := a.Purge(t.Context(), "LIID-1"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := a.actions(t)[len(before):], []string{"evidence.purge begun", "evidence.purge done"}; !slices.Equal(got, want) {
		t.Errorf("audit log %v, want %v", got, want)
	}
	if n := a.files(t); n != 3 {
		t.Errorf("%d blobs are left, want the other LIID's 3", n)
	}
	if _, _, err := a.OpenSegment(t.Context(), "LIID-1", 1, segment.KindIRI, 1); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("a purged segment: %v", err)
	}
	if docs, _, err := a.Segments(t.Context(), "LIID-1", 1, segment.KindIRI, evidence.Page{}); err != nil || len(docs) != 3 {
		t.Errorf("%d rows are left, %v, want 3", len(docs), err)
	}
}

// files counts blobs and looks for anything beside the ciphertexts.
func (a *archive) files(t *testing.T) (n int) {
	t.Helper()
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		octets, err := os.ReadFile(path)
		if !bytes.HasPrefix(octets, []byte("sealed octets")) {
			t.Errorf("%s is no ciphertext", filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRefusedPDUsAreOnRecord(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	if err := a.Refuse(t.Context(), li.NewXID(), "outside_dates"); err != nil {
		t.Fatal(err)
	}
	if got := a.actions(t); !slices.Equal(got, []string{"pdu.refused refused"}) {
		t.Errorf("audit log %v", got)
	}
}

// Each statement tries to break what the schema promises.
func TestSchemaHolds(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	p := a.session(t, task("LIID-1"), 7)
	if err := a.commit(t, p, 5); err != nil {
		t.Fatal(err)
	}
	a.end(t, p)
	_, err := a.Ack(t.Context(), evidence.Ack{LIID: "LIID-1", CIN: 1, ChainHead: hex.EncodeToString(p.ChainHead[:]), Person: "Ina", Agency: "a", Cert: "aa"})
	if err != nil {
		t.Fatal(err)
	}
	const gapRow, statementRow = "insert into segment_gap select id, %s from session", "insert into session_statement select id, %s from session"
	for _, sql := range []string{fmt.Sprintf(gapRow, "1, 0, 'cc', 1, 1, now(), 'x'"), fmt.Sprintf(statementRow, "1, 'm', 's', 0, now()")} {
		if _, err := a.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const segmentRow = `insert into segment select session_id, %s, kind, first_seq, last_seq, first_time, last_time, bytes, sha256, plain_sha256, chain, 'k', created_at from segment`
	for _, row := range []struct{ constraint, sql string }{
		{"session_immutable", "update session set liid = 'LIID-2'"},
		{"session_immutable", "update session set xid = gen_random_uuid()"},
		{"session_immutable", "update session set cin = 2"},
		{"session_immutable", "update session set closed_at = null, ended_at = null"},
		{"session_only_grows", "update session set next_iri = 0"},
		{"session_only_grows", "update session set segments = 0"},
		{"session_only_grows", "update session set segments = 3"},
		{"session_only_grows", "update session set chain_head = sha256('x')"},
		{"session_only_grows", "update session set segments = 2"},
		{"session_counters_positive", "update session set missing = -1"},
		{"session_never_changes", "delete from session"},
		{"segment_never_changes", "update segment set sha256 = sha256('x')"},
		{"segment_never_changes", "delete from segment"},
		{"segment_consecutive", fmt.Sprintf(segmentRow, "3")},
		{"segment_consecutive", fmt.Sprintf(segmentRow, "1")},
		{"session_position_forward", "update session_position set position = 5"},
		{"session_position_forward", "update session_position set position = 4"},
		{"session_position_never_changes", "delete from session_position"},
		{"receipt_never_changes", "update receipt set person = 'x'"},
		{"receipt_never_changes", "delete from receipt"},
		{"segment_gap_never_changes", "update segment_gap set missing = 0"},
		{"segment_gap_never_changes", "delete from segment_gap"},
		{"segment_gap_segment", fmt.Sprintf(gapRow, "9, 0, 'cc', 1, 1, now(), 'x'")},
		{"segment_gap_pk", fmt.Sprintf(gapRow, "1, 0, 'cc', 1, 1, now(), 'x'")},
		{"segment_gap_kind_known", fmt.Sprintf(gapRow, "1, 1, 'x', 1, 1, now(), 'x'")},
		{"segment_gap_counts", fmt.Sprintf(gapRow, "1, 1, 'cc', -1, 1, now(), 'x'")},
		{"session_statement_never_changes", "update session_statement set manifest = 'x'"},
		{"session_statement_never_changes", "delete from session_statement"},
		{"session_statement_pk", fmt.Sprintf(statementRow, "1, 'm', 's', 0, now()")},
		{"session_statement_not_empty", fmt.Sprintf(statementRow, "2, '', 's', 0, now()")},
		{"session_statement_logged", fmt.Sprintf(statementRow, "2, 'm', 's', -1, now()")},
	} {
		_, err := a.pool.Exec(t.Context(), row.sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.ConstraintName != row.constraint {
			t.Errorf("%s: %v, want %s", row.sql, err, row.constraint)
		}
	}
}

package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
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
	if err := a.Close(t.Context(), p, next); err != nil {
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
	if d, err := a.Store.Session1(t, "LIID-1", 1); err != nil || d.EndedAt != nil {
		t.Errorf("%+v, %v", d, err)
	}
	a.end(t, p)
	if err := a.commit(t, p, 4); err != nil { // what comes late is added still
		t.Fatal(err)
	}
}

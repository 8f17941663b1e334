package witness_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
)

const origin = "op-1.example/ligate"

// tree is a log in memory, with its key.
type tree struct {
	t      *testing.T
	signer note.Signer
	key    note.Verifier
	hashes hashes
	size   int64
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ids))
	for i, id := range ids {
		out[i] = h[id]
	}
	return out, nil
}

func newTree(t *testing.T) *tree {
	t.Helper()
	secret, vkey, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{t: t, signer: signer, key: key}
}

func (l *tree) grow(texts ...string) {
	l.t.Helper()
	for _, text := range texts {
		more, err := tlog.StoredHashes(l.size, []byte(text), l.hashes)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
		l.size++
	}
}

func (l *tree) fork() *tree {
	f := *l
	f.hashes = append(hashes(nil), l.hashes...)
	return &f
}

func (l *tree) checkpoint(size int64) []byte {
	l.t.Helper()
	root, err := tlog.TreeHash(size, l.hashes)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// body is a request of C2SP tlog-witness, written here by hand.
func (l *tree) body(older, newer int64) string {
	l.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", older)
	if older > 0 && older < newer {
		proof, err := tlog.ProveTree(newer, older, l.hashes)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, h := range proof {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h[:]))
		}
	}
	return b.String() + "\n" + string(l.checkpoint(newer))
}

type box struct {
	t    *testing.T
	dir  string
	key  *audit.Cosigner
	logs []note.Verifier
	now  time.Time
	url  string
	stop func()
}

func newBox(t *testing.T, logs ...note.Verifier) *box {
	t.Helper()
	secret, _, err := audit.NewCosignerKey("witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.NewCosigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, dir: t.TempDir(), key: key, logs: logs, now: time.Unix(1_800_000_000, 0)}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *box) start() {
	b.t.Helper()
	w, err := witness.Open(witness.Config{Dir: b.dir, Cosigner: b.key, Origins: b.logs, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now }})
	if err != nil {
		b.t.Fatal(err)
	}
	srv := httptest.NewServer(w)
	b.url = srv.URL
	b.stop = func() { srv.Close(); _ = w.Close() }
}

func (b *box) post(body string) (status int, kind, answer string) {
	b.t.Helper()
	resp, err := http.Post(b.url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

// The statuses of C2SP tlog-witness, one row a rule, in order on one witness.
func TestAddCheckpoint(t *testing.T) {
	t.Parallel()
	l, stranger := newTree(t), newTree(t)
	l.grow("a", "b", "c")
	other := l.fork()
	l.grow("d", "e", "f", "g")
	other.grow("x", "y", "z", "w", "v")
	stranger.grow("a")
	b := newBox(t, l.key)
	proofOf := func(s string) string { return s[:strings.Index(s, "\n\n")] }
	for _, tt := range []struct {
		name, body string
		status     int
		answer     string
	}{
		{"first", l.body(0, 3), 200, ""},
		{"again", l.body(3, 3), 200, ""},
		{"stale", l.body(0, 3), 409, "3\n"},
		{"too old", l.body(2, 5), 409, "3\n"},
		{"ahead of itself", strings.Replace(l.body(3, 3), "old 3", "old 4", 1), 400, ""},
		{"no proof", "old 3\n\n" + string(l.checkpoint(5)), 422, ""},
		{"proof of another step", proofOf(l.body(3, 6)) + "\n\n" + string(l.checkpoint(5)), 422, ""},
		{"proof where none is due", proofOf(l.body(3, 5)) + "\n\n" + string(l.checkpoint(3)), 422, ""},
		{"another history", other.body(3, 8), 200, ""},
		{"the first history", l.body(3, 7), 409, "8\n"},
		{"the first history, its size", "old 8\n\n" + string(l.checkpoint(7)), 400, ""},
		{"unknown key", stranger.body(0, 1), 403, ""},
		{"unknown origin", strings.Replace(l.body(3, 5), origin, "op-2.example/ligate", 1), 404, ""},
		{"no hash", "old 3\nabc\n\n" + string(l.checkpoint(5)), 400, ""},
		{"zeros", strings.Replace(l.body(3, 5), "old 3", "old 03", 1), 400, ""},
		{"nothing", "", 400, ""},
		{"64 hashes", "old 8\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64) + "\n" + string(other.checkpoint(8)), 400, ""},
		{"much", strings.Repeat("x", 70<<10), 400, ""},
	} {
		status, kind, answer := b.post(tt.body)
		if status != tt.status || tt.answer != "" && (answer != tt.answer || kind != "text/x.tlog.size") {
			t.Errorf("%s: %d %s %q, want %d %q", tt.name, status, kind, answer, tt.status, tt.answer)
		}
	}
}

// What our witness signs, the independent library of transparency-dev reads, and the
// other way round.
func TestCosignatureInterop(t *testing.T) {
	t.Parallel()
	l := newTree(t)
	l.grow("a", "b")
	b := newBox(t, l.key)
	status, _, line := b.post(l.body(0, 2))
	if status != 200 {
		t.Fatal(status)
	}
	theirs, err := fnote.NewVerifierForCosignatureV1(b.key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(append(l.checkpoint(2), line...), note.VerifierList(theirs, l.key))
	if err != nil || len(n.Sigs) != 2 {
		t.Fatalf("their verifier: %v", err)
	}
	if at, err := fnote.CoSigV1Timestamp(n.Sigs[1]); err != nil || !at.Equal(b.now) {
		t.Errorf("time %v, %v; want %v", at, err, b.now)
	}
	skey, vkey, err := note.GenerateKey(nil, "w2")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = fnote.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	ours, err := audit.NewWitnessVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n.Sigs, n.UnverifiedSigs = nil, nil
	signed, err := note.Sign(n, l.signer, signer)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := audit.CosignedAt(signed, ours); err != nil || time.Since(at) > time.Minute {
		t.Errorf("our verifier: %v, %v", at, err)
	}
	if _, err := audit.CosignedAt(bytes.Replace(signed, []byte("\n2\n"), []byte("\n3\n"), 1), ours); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("altered: %v, want ErrCheckpoint", err)
	}
	if _, err := audit.CosignedAt(l.checkpoint(2), ours); !errors.Is(err, audit.ErrNotCosigned) {
		t.Errorf("without: %v, want ErrNotCosigned", err)
	}
}

func TestWitnessKeys(t *testing.T) {
	t.Parallel()
	secret, vkey, err := audit.NewCosignerKey("w")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", vkey, strings.Replace(secret, "+w+", "+v+", 1), secret[:len(secret)-4]} {
		if _, err := audit.NewCosigner(bad); !errors.Is(err, audit.ErrWitnessKey) {
			t.Errorf("secret of %d octets: %v", len(bad), err)
		}
	}
	for _, bad := range []string{"", secret, strings.Replace(vkey, "w+", "v+", 1), vkey + "AAAA"} {
		if _, err := audit.NewWitnessVerifier(bad); !errors.Is(err, audit.ErrWitnessKey) {
			t.Errorf("verifier of %d octets: %v", len(bad), err)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb"} {
		if _, _, err := audit.NewCosignerKey(name); !errors.Is(err, audit.ErrWitnessKey) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// A witness that starts again knows what it signed; one that cannot write does not
// sign; two never share a folder; a fork is kept as proof.
func TestWitnessRemembers(t *testing.T) {
	t.Parallel()
	l := newTree(t)
	l.grow("a", "b", "c")
	other := l.fork()
	l.grow("d")
	other.grow("x")
	b := newBox(t, l.key)
	if status, _, _ := b.post(l.body(0, 4)); status != 200 {
		t.Fatal(status)
	}
	if _, err := witness.Open(witness.Config{Dir: b.dir, Cosigner: b.key, Origins: b.logs, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, witness.ErrInUse) {
		t.Errorf("second witness: %v, want ErrInUse", err)
	}
	b.stop()
	b.start()
	if status, _, answer := b.post(l.body(0, 3)); status != 409 || answer != "4\n" {
		t.Errorf("after a restart: %d %q", status, answer)
	}
	if status, _, _ := b.post(other.body(4, 4)); status != 409 {
		t.Errorf("another tree of the signed size: %d, want 409", status)
	}
	kept, err := filepath.Glob(filepath.Join(b.dir, "*.fork"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("forks kept: %v, %v", kept, err)
	}
	if proof, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(proof, other.checkpoint(4)) {
		t.Errorf("the kept fork is not the checkpoint that was shown: %v", err)
	}
	l.grow("e")
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := b.post(l.body(4, 5)); status != 500 {
		t.Errorf("folder gone: %d, want 500 and no cosignature", status)
	}
}

func TestDamagedState(t *testing.T) {
	t.Parallel()
	l := newTree(t)
	l.grow("a")
	b := newBox(t, l.key)
	if status, _, _ := b.post(l.body(0, 1)); status != 200 {
		t.Fatal(status)
	}
	b.stop()
	kept, err := filepath.Glob(filepath.Join(b.dir, "*.checkpoint"))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.Open(witness.Config{Dir: b.dir, Cosigner: b.key, Origins: b.logs, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, witness.ErrState) {
		t.Errorf("got %v, want ErrState", err)
	}
	b.stop = func() {}
}

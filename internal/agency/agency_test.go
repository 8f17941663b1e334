package agency_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// operator serves one session of two segments the way the handover API does, and
// can misbehave.
type operator struct {
	url, server string

	mu      sync.Mutex // guards the fields below
	cut     int        // octets after which the next segment's connection breaks; 0 = never
	damage  bool       // the next segment's last octet is wrong
	fetched []string   // path and Range of each request for a segment
	acked   string

	session  segment.SessionDoc
	segments []segment.SegmentDoc
	octets   map[uint32][]byte
	manifest []byte
	stated   int // requests for the statement
}

func newOperator(t *testing.T, recipient, client string) *operator {
	t.Helper()
	o := &operator{octets: map[uint32][]byte{}}
	to, err := segment.ParseRecipients([]string{recipient})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	chain := segment.ChainStart("L-1", 1)
	for n, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		h := segment.Header{LIID: "L-1", CIN: 1, Segment: uint32(n + 1), Kind: kind, Created: now, Salt: segment.NewSalt()}
		records := []segment.Record{{IRI: &segment.IRIRecord{Type: "begin", Time: now, Method: "INVITE", SIP: []byte("INVITE sip:b SIP/2.0\r\n\r\n")}}}
		if kind == segment.KindCC {
			records = []segment.Record{{CC: &segment.CCRecord{Time: now, Direction: 2, Format: 5, Packet: make([]byte, 60_000)}}}
		}
		plain, err := segment.Encode(h, records)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := segment.Seal(to, plain)
		if err != nil {
			t.Fatal(err)
		}
		ct, pt := sha256.Sum256(sealed), sha256.Sum256(plain)
		chain = segment.ChainNext(chain, h.Segment, ct, pt)
		o.octets[h.Segment] = sealed
		o.segments = append(o.segments, segment.SegmentDoc{
			Number: h.Segment, Kind: kind, FirstTime: now, LastTime: now, Bytes: int64(len(sealed)),
			SHA256: hex.EncodeToString(ct[:]), PlainSHA256: hex.EncodeToString(pt[:]), Chain: hex.EncodeToString(chain[:]),
		})
	}
	o.session = segment.SessionDoc{
		LIID: "L-1", CIN: 1, StartedAt: now, EndedAt: &now, Direction: "from_target", Segments: 2, IRIRecords: 1, CCRecords: 1, ChainHead: hex.EncodeToString(chain[:]),
	}
	if o.manifest, err = attest.Encode(attest.Manifest{Session: o.session, Segments: o.segments, Signed: now}); err != nil {
		t.Fatal(err)
	}
	own, err := pki.LoadOrCreate(t.TempDir(), "api", pki.Spec{CommonName: "api", Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(o.handler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.TLS = pki.Server(own, client)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	o.url, o.server = srv.URL, pki.Fingerprint(own.Certificate[0])
	return o
}

func (o *operator) handler() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	items := func(v ...any) map[string]any { return map[string]any{"items": v, "next": ""} }
	const base = "/handover/v1/intercepts"
	mux.HandleFunc("GET "+base, func(w http.ResponseWriter, r *http.Request) {
		// Two pages, to see that both are read.
		if r.URL.Query().Get("cursor") == "" {
			answer(w, map[string]any{"items": []any{}, "next": "1"})
			return
		}
		answer(w, items(map[string]string{"liid": "L-1"}))
	})
	mux.HandleFunc("GET "+base+"/L-1/sessions", func(w http.ResponseWriter, _ *http.Request) { answer(w, items(o.session)) })
	mux.HandleFunc("GET "+base+"/L-1/sessions/1/{kind}", func(w http.ResponseWriter, r *http.Request) {
		of := []any{}
		for _, d := range o.segments {
			if string(d.Kind) == r.PathValue("kind") {
				of = append(of, d)
			}
		}
		answer(w, items(of...))
	})
	mux.HandleFunc("GET "+base+"/L-1/sessions/1/{kind}/{n}", o.segment)
	mux.HandleFunc("GET "+base+"/L-1/sessions/1/bundle", o.statement)
	mux.HandleFunc("POST "+base+"/L-1/sessions/1/ack", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			ChainHead string `json:"chain_head"`
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		o.mu.Lock()
		o.acked = in.ChainHead
		o.mu.Unlock()
		answer(w, map[string]string{})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		answer(w, map[string]string{"detail": "there is no such thing, or it is not yours"})
	})
	return mux
}

func (o *operator) statement(w http.ResponseWriter, _ *http.Request) {
	o.mu.Lock()
	o.stated++
	o.mu.Unlock()
	z := zip.NewWriter(w)
	for name, b := range map[string][]byte{
		attest.FileManifest: o.manifest, attest.FileSignature: []byte("signature"), attest.FileProof: []byte("proof"), attest.FileCustody: []byte("{}\n"),
	} {
		if f, err := z.Create(name); err == nil {
			_, _ = f.Write(b)
		}
	}
	_ = z.Close()
}

func (o *operator) segment(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.PathValue("n"))
	b := append([]byte(nil), o.octets[uint32(n)]...)
	o.mu.Lock()
	o.fetched = append(o.fetched, r.PathValue("n")+" "+r.Header.Get("Range"))
	cut, damage := o.cut, o.damage
	o.cut, o.damage = 0, false
	o.mu.Unlock()
	if damage {
		b[len(b)-1] ^= 1
	}
	from := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b)-1, len(b)))
		w.WriteHeader(http.StatusPartialContent)
	}
	if cut > 0 && cut < len(b) {
		_, _ = w.Write(b[from:cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(b[from:])
}

// setUp makes an agency's keys, its operator and a client.
func setUp(t *testing.T, hybrid bool) (*operator, *agency.Client, string) {
	t.Helper()
	dir := t.TempDir()
	keys, err := agency.Keygen(filepath.Join(dir, "keys"), "Ina", hybrid)
	if err != nil {
		t.Fatal(err)
	}
	o := newOperator(t, keys.Recipient, keys.Fingerprint)
	c, err := agency.New(agency.Config{URL: o.url, Server: o.server, Keys: filepath.Join(dir, "keys"), Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return o, c, dir
}

func TestPullVerifyAck(t *testing.T) {
	t.Parallel()
	for _, hybrid := range []bool{false, true} {
		t.Run(fmt.Sprintf("hybrid=%t", hybrid), func(t *testing.T) {
			t.Parallel()
			o, c, dir := setUp(t, hybrid)
			liids, err := c.LIIDs(t.Context())
			if err != nil || len(liids) != 1 || liids[0] != "L-1" {
				t.Fatalf("LIIDs %v, %v", liids, err)
			}
			sessions, err := c.Pull(t.Context(), "L-1")
			if err != nil || len(sessions) != 1 {
				t.Fatalf("%d sessions, %v", len(sessions), err)
			}
			ids, err := agency.Identities(filepath.Join(dir, "keys"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open.Verify(t.Context(), c.Sealed("L-1", 1), ids); err != nil {
				t.Fatal(err)
			}
			if err := c.Ack(t.Context(), sessions[0]); err != nil || o.acked != o.session.ChainHead {
				t.Errorf("receipt %q, %v", o.acked, err)
			}
			before := len(o.fetched)
			if _, err := c.Pull(t.Context(), "L-1"); err != nil || len(o.fetched) != before {
				t.Errorf("a second pull fetched %v again, %v", o.fetched[before:], err)
			}
			b, err := os.ReadFile(filepath.Join(c.Sealed("L-1", 1), attest.FileManifest))
			if err != nil || !bytes.Equal(b, o.manifest) || o.stated != 1 {
				t.Errorf("the statement was fetched %d times, %v", o.stated, err)
			}
		})
	}
}

// A connection that breaks costs only what was not received yet.
func TestPullResumes(t *testing.T) {
	t.Parallel()
	o, c, _ := setUp(t, false)
	o.segments = o.segments[1:] // the long one first
	o.cut = 20_000
	if _, err := c.Pull(t.Context(), "L-1"); err == nil {
		t.Fatal("a cut connection was no error")
	}
	if _, err := os.Stat(filepath.Join(c.Sealed("L-1", 1), open.SessionFile())); err == nil {
		t.Error("session.json stands though a segment is missing")
	}
	if _, err := c.Pull(t.Context(), "L-1"); err != nil {
		t.Fatal(err)
	}
	last := o.fetched[len(o.fetched)-1]
	if !strings.HasPrefix(last, "2 bytes=") || last == "2 bytes=0-" {
		t.Errorf("the second attempt asked for %q, want the rest only", last)
	}
}

func TestPullRefusesDamage(t *testing.T) {
	t.Parallel()
	o, c, _ := setUp(t, false)
	o.damage = true
	if _, err := c.Pull(t.Context(), "L-1"); !errors.Is(err, agency.ErrDamaged) {
		t.Fatalf("damaged octets: %v", err)
	}
	if _, err := c.Pull(t.Context(), "L-1"); err != nil {
		t.Errorf("the next pull: %v", err)
	}
}

func TestPullOfAnothersIntercept(t *testing.T) {
	t.Parallel()
	_, c, _ := setUp(t, false)
	var status *agency.StatusError
	if _, err := c.Pull(t.Context(), "L-2"); !errors.As(err, &status) || status.Status != http.StatusNotFound || !strings.Contains(status.Detail, "not yours") {
		t.Errorf("got %v", err)
	}
}

func TestServerIsPinned(t *testing.T) {
	t.Parallel()
	o, _, dir := setUp(t, false)
	c, err := agency.New(agency.Config{
		URL: o.url, Server: strings.Repeat("0", 64), Keys: filepath.Join(dir, "keys"), Dir: dir, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LIIDs(t.Context()); !errors.Is(err, pki.ErrNotPinned) {
		t.Errorf("another server: %v", err)
	}
}

func TestKeygenNeverReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := agency.Keygen(dir, "Ina", false); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agency.Keygen(dir, "Ina", false); err == nil {
		t.Error("keys were made over keys")
	}
	after, err := os.ReadFile(filepath.Join(dir, "identity.txt"))
	if err != nil || string(after) != string(before) {
		t.Error("the identity changed")
	}
	for _, name := range []string{"identity.txt", "client.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if ids, err := agency.Identities(dir); err != nil || len(ids) != 1 {
		t.Errorf("%d identities, %v", len(ids), err)
	}
}

// Whatever characters a LIID holds, its folder stays below the agency's.
func TestSessionDirStaysInside(t *testing.T) {
	t.Parallel()
	for _, liid := range []li.LIID{"..", "../../etc", "/", "a/b", ".", "~"} {
		got := agency.SessionDir("/base", "sealed", liid, 1)
		rel, err := filepath.Rel("/base/sealed", got)
		if err != nil || strings.HasPrefix(rel, "..") || strings.Count(rel, "/") != 1 {
			t.Errorf("%q lies at %q", liid, got)
		}
	}
}

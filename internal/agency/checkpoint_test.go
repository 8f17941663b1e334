package agency_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/pki"
)

// chronicle is an operator with an audit log in memory and no sessions.
type chronicle struct {
	t      *testing.T
	signer note.Signer
	key    note.Verifier
	hashes hashes
	size   int64
	dir    string        // of the agency
	header func() string // of the next answers; empty = none
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ids))
	for i, id := range ids {
		out[i] = h[id]
	}
	return out, nil
}

func newChronicle(t *testing.T) *chronicle {
	t.Helper()
	secret, vkey, err := audit.NewKey("op/ligate")
	if err != nil {
		t.Fatal(err)
	}
	c := &chronicle{t: t}
	if c.signer, err = note.NewSigner(secret); err != nil {
		t.Fatal(err)
	}
	if c.key, err = note.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	c.header = func() string { return c.checkpoint(c.size) }
	return c
}

func (c *chronicle) grow(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		more, err := tlog.StoredHashes(c.size, []byte(text), c.hashes)
		if err != nil {
			c.t.Fatal(err)
		}
		c.hashes, c.size = append(c.hashes, more...), c.size+1
	}
}

// rewrite makes another history of n entries.
func (c *chronicle) rewrite(n int) {
	c.hashes, c.size = nil, 0
	for i := range n {
		c.grow("other " + strconv.Itoa(i))
	}
}

func (c *chronicle) checkpoint(size int64) string {
	root, err := tlog.TreeHash(size, c.hashes)
	if err != nil {
		c.t.Error(err)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("op/ligate\n%d\n%s\n", size, base64.StdEncoding.EncodeToString(root[:]))}, c.signer)
	if err != nil {
		c.t.Error(err)
	}
	return base64.StdEncoding.EncodeToString(signed)
}

func (c *chronicle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if text := c.header(); text != "" {
		w.Header().Set("Ligate-Checkpoint", text)
	}
	if r.URL.Path != "/handover/v1/log/consistency" {
		_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{}, "next": ""})
		return
	}
	from, _ := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	to, _ := strconv.ParseInt(r.URL.Query().Get("to"), 10, 64)
	if to > c.size {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	proof, err := tlog.ProveTree(to, from, c.hashes)
	if err != nil {
		c.t.Error(err)
	}
	texts := []string{}
	for _, h := range proof {
		texts = append(texts, base64.StdEncoding.EncodeToString(h[:]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"hashes": texts})
}

// An agency that pulls again notices every history that does not continue the one that
// it was shown; what does, passes.
func TestPullFindsForks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then func(*chronicle)
		want error
	}{
		"nothing new":      {func(*chronicle) {}, nil},
		"grown":            {func(c *chronicle) { c.grow("d", "e") }, nil},
		"an older one":     {func(c *chronicle) { c.grow("d"); c.header = func() string { return c.checkpoint(2) } }, nil},
		"rewritten":        {func(c *chronicle) { c.rewrite(3) }, agency.ErrFork},
		"rewritten longer": {func(c *chronicle) { c.rewrite(9) }, agency.ErrFork},
		"restored":         {func(c *chronicle) { c.rewrite(0); c.grow("a", "b") }, agency.ErrFork},
		"restored, goes on otherwise": {func(c *chronicle) {
			c.rewrite(0)
			c.grow("a", "b", "x", "y")
		}, agency.ErrFork},
		"two at once": {func(c *chronicle) {
			n := 0
			c.header = func() string {
				if n++; n > 1 {
					c.rewrite(3)
				}
				return c.checkpoint(3)
			}
		}, agency.ErrFork},
		"another key":     {func(c *chronicle) { c.signer = newChronicle(t).signer }, agency.ErrCheckpoint},
		"garbage":         {func(c *chronicle) { c.header = func() string { return "x" } }, agency.ErrCheckpoint},
		"no more of them": {func(c *chronicle) { c.header = func() string { return "" } }, agency.ErrNoCheckpoint},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChronicle(t)
			c.grow("a", "b", "c")
			pull := c.puller(c.key)
			if err := pull(); err != nil {
				t.Fatal(err)
			}
			tt.then(c)
			if err := pull(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Without the log's key forks are found all the same; what contradicts is kept.
func TestPullKeepsCheckpoints(t *testing.T) {
	t.Parallel()
	c := newChronicle(t)
	c.grow("a", "b", "c")
	pull := c.puller(nil)
	dir := c.dir
	if err := pull(); err != nil {
		t.Fatal(err)
	}
	c.grow("d")
	if err := pull(); err != nil {
		t.Fatal(err)
	}
	c.rewrite(5)
	if err := pull(); !errors.Is(err, agency.ErrFork) {
		t.Errorf("got %v, want ErrFork", err)
	}
	if err := pull(); !errors.Is(err, agency.ErrFork) {
		t.Errorf("again: %v, want ErrFork", err)
	}
	for name, size := range map[string]string{"3.checkpoint": "3", "4.checkpoint": "4", "checkpoint": "4", "checkpoint.fork": "5"} {
		b, err := os.ReadFile(filepath.Join(dir, "log", name))
		if err != nil || string(b[:len("op/ligate\n"+size+"\n")]) != "op/ligate\n"+size+"\n" {
			t.Errorf("%s: %.20q, %v; want size %s", name, b, err, size)
		}
	}
}

// puller makes what pulls as one agency, each time with a client of its own.
func (c *chronicle) puller(key note.Verifier) func() error {
	t := c.t
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	c.dir = t.TempDir()
	made, err := agency.Keygen(keys, "Ina", false)
	if err != nil {
		t.Fatal(err)
	}
	own, err := pki.LoadOrCreate(t.TempDir(), "api", pki.Spec{CommonName: "api", Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(c)
	srv.TLS = pki.Server(own, made.Fingerprint)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return func() error {
		client, err := agency.New(agency.Config{
			URL: srv.URL, Server: pki.Fingerprint(own.Certificate[0]), Keys: keys, Dir: c.dir, Log: slog.New(slog.DiscardHandler), LogKey: key,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.LIIDs(t.Context()); err != nil {
			return err
		}
		_, err = client.Pull(t.Context(), "L-1")
		return err
	}
}

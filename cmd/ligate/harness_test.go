package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// newStory prepares keys, configuration and people in a folder of the test.
func newStory(t *testing.T) *story {
	t.Helper()
	st := &story{dir: demoDir(t), out: io.Discard, began: time.Now()}
	if err := os.MkdirAll(st.path("operator", "logs"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := st.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// inProcess runs the node in this process until the test ends.
func (st *story) inProcess(t *testing.T) {
	t.Helper()
	stop, err := st.start(t.Context(), context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// child is ligate run as a process of its own.
type child struct {
	*exec.Cmd
	err *bytes.Buffer
}

// spawn starts ligate run and waits until it is ready.
func (st *story) spawn(t *testing.T) child {
	t.Helper()
	return st.spawnRole(t, filepath.Join("operator", "ligate.yaml"), "all", st.world.ports.metrics)
}

// spawnRole starts ligate run with some roles and waits until metrics says that it
// is ready.
func (st *story) spawnRole(t *testing.T, file, roles, metrics string) child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "run", "--config", st.path(file), "--role", roles)
	cmd.Env = append(os.Environ(), asLigate+"=1")
	c := child{cmd, &bytes.Buffer{}}
	cmd.Stderr = c.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Signal(os.Interrupt)
			_ = c.Wait()
		}
	})
	cert, err := pki.Load(st.path("operator", "secrets", "api.crt"), st.path("operator", "secrets", "api.key"))
	if err != nil {
		t.Fatal(err)
	}
	st.api, st.server = "https://"+st.world.ports.api, pki.Fingerprint(cert.Certificate[0])
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + metrics + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return c
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("ligate run is not ready: %v\n%s", err, c.err)
		}
	}
}

// order drafts, submits and approves a warrant over signalling and content and
// waits for its tap.
func (st *story) order(t *testing.T, liid string, targets ...string) {
	t.Helper()
	st.orderScope(t, liid, "iri+cc", targets...)
}

func (st *story) orderScope(t *testing.T, liid, scope string, targets ...string) {
	t.Helper()
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	var typed []string
	for _, target := range targets {
		typed = append(typed, "--target", target)
	}
	must := func(args ...string) string {
		out, err := st.cli(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := must(st.as("ann", append([]string{
		"warrant", "draft", "--liid", liid, "--authority", "Court", "--reference", "1", "--legal-basis", "test",
		"--agency", st.agencyID, "--scope", scope, "--until", until,
	}, typed...)...)...)
	st.warrantID = field(out, "id")
	must(st.as("ann", "warrant", "submit", st.warrantID)...)
	must(st.as("bob", append([]string{"warrant", "approve", st.warrantID, "--until", until}, typed...)...)...)
	if err := st.awaitTap(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

// metric reads one figure of the LI listener, summed over its labels.
func (st *story) metric(t *testing.T, name string) float64 {
	t.Helper()
	return st.metricKind(t, name, "")
}

// metricKind reads the figure of one kind.
func (st *story) metricKind(t *testing.T, name, kind string) float64 {
	t.Helper()
	sum, found := st.metricIfThere(t, name, kind)
	if !found {
		t.Fatalf("no metric %s", name)
	}
	return sum
}

// metricIfThere reads a figure that may not have its labels yet.
func (st *story) metricIfThere(t *testing.T, name, kind string) (sum float64, found bool) {
	t.Helper()
	own, err := pki.Load(st.path("people", "li.crt"), st.path("people", "li.key"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := pki.Load(st.path("operator", "secrets", "li-metrics.crt"), st.path("operator", "secrets", "li-metrics.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Client(own, pki.Fingerprint(server.Certificate[0]))}}
	for line := range strings.Lines(fetch(t, c, "https://"+st.world.ports.liMetrics+"/metrics/li")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		base, labels, _ := strings.Cut(key, "{")
		if base != name || kind != "" && !strings.Contains(labels, `kind="`+kind+`"`) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+v, true
	}
	return sum, found
}

// opsMetric reads one figure of the plain listener.
func (st *story) opsMetric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(fetch(t, http.DefaultClient, "http://"+st.world.ports.metrics+"/metrics")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func fetch(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(b)
}

// pull fetches, verifies and decrypts all sessions of a LIID.
func (st *story) pull(t *testing.T, liid string) map[string][]segment.Record {
	t.Helper()
	keys, dir := st.path("agency", "keys"), st.path("agency")
	for _, args := range [][]string{
		{"agency", "pull", "--api", st.api, "--server", st.server, "--keys", keys, "--dir", dir, "--liid", liid},
		{"agency", "open", "--keys", keys, "--dir", dir},
	} {
		if _, err := st.cli(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := agency.Identities(keys)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]segment.Record{}
	client, err := agency.New(agency.Config{URL: st.api, Server: st.server, Keys: keys, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := client.Pull(t.Context(), li.LIID(liid))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		if _, err := open.Verify(t.Context(), client.Sealed(s.LIID, s.CIN), ids); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint(s.CIN)
		for n := uint32(1); n <= s.Segments; n++ {
			b, err := os.ReadFile(client.Sealed(s.LIID, s.CIN) + "/" + open.SegmentFile(n))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := segment.Open(ids, b)
			if err != nil {
				t.Fatal(err)
			}
			_, records, err := segment.Decode(plain)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], records...)
		}
	}
	return all
}

package alarm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/warrant/alarm"
	"github.com/ligate/ligate/warrant/pgstore"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

func newStore(t *testing.T) *pgstore.Store {
	t.Helper()
	secret, _, err := audit.NewKey("alarm-test")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	log, err := audit.New(audit.Config{Origin: "alarm-test", Signer: signer})
	must(t, err)
	s, err := pgstore.New(pgstore.Config{Pool: server.Pool(t), Audit: log})
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // ended in Cleanup, after which t.Context is over already
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// receiver is a webhook that fails so many times before it takes a notice.
type receiver struct {
	t        *testing.T
	key      []byte
	mu       sync.Mutex // guards the rest
	failures int
	asked    int
	got      []map[string]string
	took     chan struct{}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(req.Header.Get("Ligate-Signature"), "t="), ",")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || req.Header.Get("Ligate-Signature") != alarm.Sign(r.key, time.Unix(seconds, 0), body) {
		r.t.Errorf("signature %q does not fit", req.Header.Get("Ligate-Signature"))
	}
	var n map[string]string
	if err := json.Unmarshal(body, &n); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked++; r.asked <= r.failures {
		http.Redirect(w, req, "/elsewhere", http.StatusTemporaryRedirect)
		return
	}
	r.got = append(r.got, n)
	w.WriteHeader(http.StatusNoContent)
	r.took <- struct{}{}
}

// A notice is told over TLS, signed, again until it is taken, and says nothing of what
// the alarm is about.
func TestHook(t *testing.T) {
	t.Parallel()
	s, key := newStore(t), []byte(strings.Repeat("k", 32))
	r := &receiver{t: t, key: key, failures: 2, took: make(chan struct{}, 8)}
	srv := httptest.NewUnstartedServer(r)
	own, err := pki.LoadOrCreate(t.TempDir(), "hook", pki.Spec{CommonName: "hook", Names: []string{"127.0.0.1"}})
	must(t, err)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	var mu sync.Mutex
	ahead := time.Duration(0) // each look is a minute later, so that back-off is over
	h, err := alarm.NewHook(alarm.HookConfig{
		Store: s, URL: srv.URL, Key: key, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Every: 10 * time.Millisecond,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			ahead += time.Minute
			return time.Now().Add(ahead)
		},
	})
	must(t, err)
	const object = "gw-1 123e4567-e89b-42d3-a456-426614174000"
	must(t, s.OpenAlarm(t.Context(), "clock_skew", object))
	background(t, h.Run)
	wait := func() {
		t.Helper()
		select {
		case <-r.took:
		case <-time.After(20 * time.Second):
			t.Fatal("the notice did not come")
		}
	}
	wait()
	must(t, s.CloseAlarm(t.Context(), "clock_skew", object))
	wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != 2 || r.asked != 4 {
		t.Fatalf("asked %d times, took %d, want 4 and 2", r.asked, len(r.got))
	}
	up, down := r.got[0], r.got[1]
	if up["kind"] != "clock_skew" || up["event"] != "raised" || down["event"] != "closed" || up["alarm"] != down["alarm"] || up["id"] == down["id"] || len(up) != 4 {
		t.Errorf("got %v and %v", up, down)
	}
}

// Without TLS, with a short key or with a password in the URL nothing is sent at all.
func TestHookConfig(t *testing.T) {
	t.Parallel()
	key := make([]byte, 32)
	s := &pgstore.Store{}
	for name, cfg := range map[string]alarm.HookConfig{
		"plain http":      {Store: s, Key: key, URL: "http://192.0.2.1/"},
		"name over http":  {Store: s, Key: key, URL: "http://localhost/"},
		"password in URL": {Store: s, Key: key, URL: "https://u:p@example.com/"},
		"short key":       {Store: s, Key: key[:31], URL: "https://example.com/"},
		"no store":        {Key: key, URL: "https://example.com/"},
	} {
		if _, err := alarm.NewHook(cfg); !errors.Is(err, alarm.ErrConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := alarm.NewHook(alarm.HookConfig{Store: s, Key: key, URL: "http://127.0.0.1:1/"}); err != nil {
		t.Errorf("loopback: %v", err)
	}
}

// Open alarms are counted by kind, and notices that nobody is to be told go.
func TestWatcher(t *testing.T) {
	t.Parallel()
	s, reg := newStore(t), prometheus.NewRegistry()
	for _, kind := range []string{"rogue_tap", "clock_skew", "clock_skew"} {
		must(t, s.OpenAlarm(t.Context(), kind, "gw-1"))
	}
	must(t, s.OpenAlarm(t.Context(), "clock_skew", "gw-2"))
	w, err := alarm.New(alarm.Config{Store: s, Log: slog.New(slog.DiscardHandler), Every: 20 * time.Millisecond, LIReg: reg})
	must(t, err)
	background(t, w.Run)
	deadline := time.Now().Add(20 * time.Second)
	want := `# HELP ligate_alarms_open Alarms that are not closed, by kind.
# TYPE ligate_alarms_open gauge
ligate_alarms_open{kind="clock_skew"} 2
ligate_alarms_open{kind="rogue_tap"} 1
`
	for {
		err := testutil.GatherAndCompare(reg, strings.NewReader(want), "ligate_alarms_open")
		left, errLeft := s.TakeAlarmNotices(t.Context(), time.Now().Add(48*time.Hour), 10)
		must(t, errLeft)
		if err == nil && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d notices left, %v", len(left), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

package ops_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/internal/ops"
	"github.com/ligate/ligate/internal/pki"
)

func TestListenersKeepTheirFiguresApart(t *testing.T) {
	t.Parallel()
	server, staff, stranger := pair(t, "server"), pair(t, "staff"), pair(t, "stranger")
	opsReg, liReg := prometheus.NewRegistry(), prometheus.NewRegistry()
	opsReg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "ligate_test_calls", Help: "calls"}))
	liReg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "ligate_test_tasks", Help: "tasks"}))
	var ready atomic.Bool
	s, err := ops.New(ops.Config{
		Listen: "127.0.0.1:0", Ops: opsReg, Log: slog.New(slog.DiscardHandler),
		Ready: func() error {
			if !ready.Load() {
				return errors.New("starting")
			}
			return nil
		},
		LI: ops.LIConfig{Listen: "127.0.0.1:0", TLS: pki.Server(server, fingerprint(staff)), Gather: liReg},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	plain, li := s.Addrs()

	if got := get(t, http.DefaultClient, "http://"+plain+"/readyz"); got != "503 not ready: starting" {
		t.Errorf("readyz before = %q", got)
	}
	ready.Store(true)
	if got := get(t, http.DefaultClient, "http://"+plain+"/readyz"); got != "200 ready" {
		t.Errorf("readyz = %q", got)
	}
	if got := get(t, http.DefaultClient, "http://"+plain+"/metrics"); !strings.Contains(got, "ligate_test_calls") || strings.Contains(got, "tasks") {
		t.Errorf("metrics = %q", got)
	}
	if got := get(t, http.DefaultClient, "http://"+plain+"/metrics/li"); !strings.HasPrefix(got, "404") {
		t.Errorf("LI metrics on the plain listener = %q", got)
	}
	if got := get(t, client(staff, server), "https://"+li+"/metrics/li"); !strings.Contains(got, "ligate_test_tasks") {
		t.Errorf("LI metrics = %q", got)
	}
	if resp, err := client(stranger, server).Get("https://" + li + "/metrics/li"); err == nil {
		_ = resp.Body.Close()
		t.Error("a stranger's certificate was served")
	}
}

func pair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	p, err := pki.LoadOrCreate(t.TempDir(), name, pki.Spec{CommonName: name, Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fingerprint(p tls.Certificate) string { return pki.Fingerprint(p.Certificate[0]) }

func client(own, server tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Client(own, fingerprint(server))}}
}

func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(resp.Status[:3] + " " + string(b))
}

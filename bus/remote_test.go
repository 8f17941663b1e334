package bus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li/x2x3"
)

// run runs f until the returned function or the test's end.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// A mediation elsewhere consumes over TLS, in order, also across a restart of the
// gateway; a certificate that is not the mediation's gets nothing.
func TestRemote(t *testing.T) {
	t.Parallel()
	server, mediation, thief := pkitest.Certificate(t, "gateway"), pkitest.Certificate(t, "mediation"), pkitest.Certificate(t, "thief")
	log := slog.New(slog.DiscardHandler)
	cfg := bus.Config{Dir: t.TempDir(), Key: key, Log: log, Listen: "127.0.0.1:0", TLS: pki.Server(server, pkitest.Fingerprint(mediation))}
	b, err := bus.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, b.Run)
	<-b.Ready()
	cfg.Listen = b.Addr().String()

	dial := func(own tls.Certificate) *bus.Remote {
		r, err := bus.Dial(bus.RemoteConfig{Addr: cfg.Listen, TLS: pki.Client(own, pkitest.Fingerprint(server)), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		run(t, r.Run)
		return r
	}
	got := make(chan bus.Message, 100)
	consume := func(r *bus.Remote, to chan bus.Message) {
		run(t, func(ctx context.Context) error { return r.Consume(ctx, part, func(m bus.Message) { to <- m }) })
	}
	consume(dial(mediation), got)
	stolen := make(chan bus.Message, 100)
	consume(dial(thief), stolen)

	next := byte(0)
	expect := func(data byte, ack bool) bus.Message {
		t.Helper()
		select {
		case m := <-got:
			if m.Data[0] != data {
				t.Fatalf("message %d, want %d", m.Data[0], data)
			}
			if ack {
				if err := m.Ack(); err != nil {
					t.Error(err)
				}
			}
			return m
		case <-time.After(20 * time.Second):
			t.Fatalf("message %d did not come", data)
			return bus.Message{}
		}
	}
	publish := func() {
		t.Helper()
		if err := b.Publish(t.Context(), x2x3.X3, part, []byte{next}); err != nil {
			t.Fatal(err)
		}
		next++
	}
	for range 3 {
		publish()
	}
	first := expect(0, true)
	expect(1, false)
	expect(2, false)
	stop()
	if b, err = bus.New(cfg); err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	<-b.Ready()
	publish()
	if again := expect(1, true); again.Stream != first.Stream || again.Seq != first.Seq+1 {
		t.Errorf("message at %d, the first was at %d; streams %s, %s", again.Seq, first.Seq, again.Stream, first.Stream)
	}
	expect(2, true)
	expect(3, true)
	if len(stolen) > 0 {
		t.Error("a stranger got messages")
	}
}

func TestListenNeedsMutualTLS(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]*tls.Config{
		"none": nil, "no client certificate": {MinVersion: tls.VersionTLS13}, "old": {ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS10}, //nolint:gosec // is refused
	} {
		if _, err := bus.New(bus.Config{Dir: t.TempDir(), Key: key, Log: log, Listen: "127.0.0.1:0", TLS: cfg}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What a publisher publishes again, since it did not see the answer, stands once.
func TestPublishTwiceStoresOnce(t *testing.T) {
	t.Parallel()
	b, _ := open(t, t.TempDir(), 0)
	for _, data := range []string{"a", "a", "b", "a"} {
		if err := b.Publish(t.Context(), x2x3.X3, part, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := b.Backlog(t.Context()); err != nil || n != 2 {
		t.Errorf("%d messages, %v, want 2", n, err)
	}
	if err := b.Publish(t.Context(), x2x3.Keepalive, part, []byte("c")); !errors.Is(err, bus.ErrKind) {
		t.Errorf("a keep-alive: %v", err)
	}
}

// A bus with another key must not begin with an empty store.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, stop := open(t, dir, 0)
	if err := b.Publish(t.Context(), x2x3.X3, part, []byte("a")); err != nil {
		t.Fatal(err)
	}
	stop()
	other, err := bus.New(bus.Config{Dir: dir, Key: bytes.Repeat([]byte{8}, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := other.Run(ctx); !errors.Is(err, bus.ErrStart) {
		t.Errorf("with another key: %v", err)
	}
	b, _ = open(t, dir, 0)
	if got := take(t, b, 1, all); string(got[0].Data) != "a" {
		t.Error("the message is gone")
	}
}

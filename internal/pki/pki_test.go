package pki_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/pki"
)

func TestLoadOrCreateKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := pki.Spec{CommonName: "x", Names: []string{"localhost", "127.0.0.1"}, URI: "urn:test:a"}
	first, err := pki.LoadOrCreate(dir, "x", spec)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.LoadOrCreate(dir, "x", spec)
	if err != nil || pki.Fingerprint(first.Certificate[0]) != pki.Fingerprint(second.Certificate[0]) {
		t.Errorf("the certificate changed (%v)", err)
	}
	leaf := first.Leaf
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "urn:test:a" || len(leaf.IPAddresses) != 1 || len(leaf.DNSNames) != 1 {
		t.Errorf("names %v %v %v", leaf.URIs, leaf.IPAddresses, leaf.DNSNames)
	}
	info, err := os.Stat(filepath.Join(dir, "x.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v, %v", info.Mode(), err)
	}
	// A lost key is an error, never a new one: others have pinned the certificate.
	if err := os.Remove(filepath.Join(dir, "x.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadOrCreate(dir, "x", spec); err == nil {
		t.Error("a lost key was replaced")
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "s.key")
	a, err := pki.Secret(path, 32)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pki.Secret(path, 32)
	if err != nil || string(a) != string(b) || len(a) != 32 {
		t.Errorf("the secret changed (%v)", err)
	}
	if _, err := pki.Secret(path, 16); err == nil {
		t.Error("a secret of another length was taken")
	}
}

func TestInDate(t *testing.T) {
	t.Parallel()
	p, err := pki.LoadOrCreate(t.TempDir(), "x", pki.Spec{CommonName: "x", Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   time.Duration
		want error
	}{{0, nil}, {-time.Hour, pki.ErrOutOfDate}, {25 * time.Hour, pki.ErrOutOfDate}} {
		if err := pki.InDate(p.Leaf, time.Now().Add(tt.at)); !errors.Is(err, tt.want) {
			t.Errorf("at %v: %v, want %v", tt.at, err, tt.want)
		}
	}
}

// Both ends pin each other; a stranger, or nobody, is refused on either side.
func TestPinnedHandshake(t *testing.T) {
	t.Parallel()
	pair := func(name string) tls.Certificate {
		p, err := pki.LoadOrCreate(t.TempDir(), name, pki.Spec{CommonName: name})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	server, friend, stranger := pair("server"), pair("friend"), pair("stranger")
	old, err := pki.LoadOrCreate(t.TempDir(), "old", pki.Spec{CommonName: "old", Days: -1})
	if err != nil {
		t.Fatal(err)
	}
	nobody := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the server is what is tested
	fp := func(p tls.Certificate) string { return pki.Fingerprint(p.Certificate[0]) }
	for name, tt := range map[string]struct {
		client *tls.Config
		server *tls.Config
		ok     bool
	}{
		"pinned both ways":     {pki.Client(friend, fp(server)), pki.Server(server, fp(friend)), true},
		"any client in date":   {pki.Client(stranger, fp(server)), pki.Server(server), true},
		"stranger as client":   {pki.Client(stranger, fp(server)), pki.Server(server, fp(friend)), false},
		"stranger as server":   {pki.Client(friend, fp(stranger)), pki.Server(server, fp(friend)), false},
		"client without a one": {nobody, pki.Server(server), false},
		"asked, shows nothing": {nobody, pki.ServerAsking(server), true},
		"asked, shows one":     {pki.Client(stranger, fp(server)), pki.ServerAsking(server), true},
		"asked, out of date":   {pki.Client(old, fp(server)), pki.ServerAsking(server), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := handshake(t, tt.client, tt.server); got != tt.ok {
				t.Errorf("handshake %t, want %t", got, tt.ok)
			}
		})
	}
}

// handshake reports whether an octet crossed.
func handshake(t *testing.T, client, server *tls.Config) bool {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(5 * time.Second)
	_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		s := tls.Server(b, server)
		_, err := s.Write([]byte("x"))
		_ = b.Close()
		done <- err
	}()
	c := tls.Client(a, client)
	one := make([]byte, 1)
	_, err := c.Read(one)
	_ = a.Close()
	return err == nil && <-done == nil
}

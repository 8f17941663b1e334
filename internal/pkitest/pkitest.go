// Package pkitest gives tests certificates of their own, made as a deployment's are.
package pkitest

import (
	"crypto/tls"
	"testing"

	"github.com/ligate/ligate/internal/pki"
)

// Certificate makes a key and a self-signed certificate of that common name, for
// servers on 127.0.0.1 and for clients. It is valid by the clock that the caller has: one
// for a bubble of synctest is made in the bubble.
func Certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	c, err := pki.LoadOrCreate(t.TempDir(), name, pki.Spec{CommonName: name, Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Fingerprint is what peers pin the certificate by.
func Fingerprint(c tls.Certificate) string { return pki.Fingerprint(c.Certificate[0]) }

package x1

import (
	"crypto/tls"
	"crypto/x509"
)

// The SAN URIs that bind an X1 identifier to a certificate (clause 8.2.4).
const (
	bindingADMF = "urn:etsi:li:103221-1:cert-binding:ADMF:"
	bindingNE   = "urn:etsi:li:103221-1:cert-binding:NE:"
)

// ADMFBinding is the SAN URI that the certificate of the ADMF with this identifier holds.
func ADMFBinding(id string) string { return bindingADMF + id }

// NEBinding is the SAN URI that the certificate of the NE with this identifier holds.
func NEBinding(id string) string { return bindingNE + id }

// Bound reports whether the peer's certificate of this connection holds the
// binding. Whether the certificate itself is to be trusted is the TLS
// configuration's business.
func Bound(state *tls.ConnectionState, binding string) bool {
	if state == nil || !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return false
	}
	return holds(state.PeerCertificates[0], binding)
}

func holds(cert *x509.Certificate, binding string) bool {
	for _, uri := range cert.URIs {
		if uri.String() == binding {
			return true
		}
	}
	return false
}

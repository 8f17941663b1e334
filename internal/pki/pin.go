package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// Errors of pinning.
var (
	ErrNoCertificate = errors.New("tls: the peer showed no certificate")
	ErrNotPinned     = errors.New("tls: the peer's certificate is not the pinned one")
	ErrOutOfDate     = errors.New("tls: the peer's certificate is not valid now")
)

// Pinned checks a peer's leaf certificate against fingerprints instead of a
// certificate authority. Validity dates still count.
func Pinned(fingerprints ...string) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return ErrNoCertificate
		}
		leaf := state.PeerCertificates[0]
		if err := InDate(leaf, time.Now()); err != nil {
			return err
		}
		if !slices.Contains(fingerprints, Fingerprint(leaf.Raw)) {
			return ErrNotPinned
		}
		return nil
	}
}

// InDate reports whether now lies within the certificate's validity.
func InDate(cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return ErrOutOfDate
	}
	return nil
}

// Client is the TLS configuration of a client that shows own and trusts exactly
// the pinned server.
func Client(own tls.Certificate, serverFingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{own},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection pins the certificate, which is stricter
		VerifyConnection:   Pinned(serverFingerprint),
	}
}

// Server is the TLS configuration of a server that shows own and demands a client
// certificate. With fingerprints only those pass the handshake; without, any
// certificate in date passes and the application decides.
func Server(own tls.Certificate, fingerprints ...string) *tls.Config {
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAnyClientCert,
	}
	if len(fingerprints) > 0 {
		cfg.VerifyConnection = Pinned(fingerprints...)
		return cfg
	}
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return ErrNoCertificate
		}
		return InDate(state.PeerCertificates[0], time.Now())
	}
	return cfg
}

// ServerAsking is Server for browsers too: a client certificate is asked for and may
// be missing. One that is shown must be in date; the application decides about it.
func ServerAsking(own tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			return InDate(state.PeerCertificates[0], time.Now())
		},
	}
}

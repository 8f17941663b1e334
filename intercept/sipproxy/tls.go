package sipproxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// TLS is what the gateway shows on TLS and whom it believes (RFC 3261 clause 26.3).
type TLS struct {
	Certificate tls.Certificate
	CAs         *x509.CertPool // of peers known by TLSName; nil = the system's
}

// Handshakes of strangers cost processor time, so few run at once.
const (
	handshakeTime = 5 * time.Second
	maxHandshakes = 64 // of one listener
)

var errNotThePeer = errors.New("sipproxy: the certificate is not the peer's")

// serverConfig asks for a certificate and leaves it to identify to judge it.
func (t *TLS) serverConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{t.Certificate}, ClientAuth: tls.RequestClientCert}
}

// clientConfig shows our certificate and accepts the peer's only.
func (t *TLS) clientConfig(p *peer, host string) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{t.Certificate}, RootCAs: t.CAs, ServerName: host}
	switch {
	case p.Certificate != "":
		cfg.InsecureSkipVerify = true //nolint:gosec // VerifyConnection pins the certificate, which is stricter
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if !p.shows(s.PeerCertificates) {
				return errNotThePeer
			}
			return nil
		}
	case p.TLSName != "":
		cfg.ServerName = p.TLSName
		cfg.InsecureSkipVerify = true //nolint:gosec // VerifyConnection verifies, also by the URI of the name
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if !t.named(&p.Peer, s.PeerCertificates) {
				return errNotThePeer
			}
			return nil
		}
	case p.Host != "":
		cfg.ServerName = p.Host
	}
	return cfg
}

// certified reports whether the peer is known by its certificate and not by its
// address.
func (p *Peer) certified() bool { return p.Certificate != "" || p.TLSName != "" }

// shows reports whether a leaf is the pinned certificate and in date.
func (p *Peer) shows(chain []*x509.Certificate) bool {
	if len(chain) == 0 {
		return false
	}
	now := time.Now()
	if now.Before(chain[0].NotBefore) || now.After(chain[0].NotAfter) {
		return false
	}
	sum := sha256.Sum256(chain[0].Raw)
	return strings.EqualFold(p.Certificate, hex.EncodeToString(sum[:]))
}

// named reports whether a verified certificate names the peer: as a DNS name, or as
// the SIP URI of its domain (RFC 5922 clause 7.1). A wildcard names nobody (7.2).
func (t *TLS) named(p *Peer, chain []*x509.Certificate) bool {
	if len(chain) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: t.CAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return false
	}
	for _, u := range chain[0].URIs {
		if u.Scheme == "sip" && strings.EqualFold(u.Opaque, p.TLSName) {
			return true
		}
	}
	return slices.ContainsFunc(chain[0].DNSNames, func(n string) bool { return strings.EqualFold(n, p.TLSName) })
}

// byCertificate finds the peer whose certificate a connection showed, nil for none.
func (t *peers) byCertificate(own *TLS, chain []*x509.Certificate) *peer {
	for _, p := range t.all {
		if p.Certificate != "" && p.shows(chain) || p.Certificate == "" && p.TLSName != "" && own.named(&p.Peer, chain) {
			return p
		}
	}
	return nil
}

// shake makes an accepted connection safe and finds out whose it is: by certificate
// first, else by address. Nil is a stranger.
func (l *pool) shake(c *conn, nc net.Conn) (net.Conn, *peer) {
	own := l.proxy.cfg.TLS
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	sec := tls.Server(nc, own.serverConfig())
	if sec.HandshakeContext(ctx) != nil {
		return nil, nil
	}
	p := l.proxy.peers.byCertificate(own, sec.ConnectionState().PeerCertificates)
	if p == nil {
		p = l.proxy.peers.bySource(c.remote)
	}
	return sec, p
}

// connect dials the peer, over TLS where the listener speaks it.
func (l *pool) connect(s *socket, c *conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, dialTime)
	defer cancel()
	if s.net != netTLS && c.peer != nil && c.peer.certified() {
		return nil, errNotThePeer
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: s.local.Addr().AsSlice()}}
	nc, err := d.DialContext(ctx, "tcp", c.remote.String())
	if err != nil || s.net != netTLS {
		return nc, err
	}
	if c.peer == nil {
		_ = nc.Close()
		return nil, errNotThePeer
	}
	sec := tls.Client(nc, l.proxy.cfg.TLS.clientConfig(c.peer, c.remote.Addr().String()))
	if err := sec.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("sipproxy: TLS handshake: %w", err)
	}
	return sec, nil
}

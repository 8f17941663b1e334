package sipproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/internal/pki"
)

// certificates are the gateway's, a trunk's and a stranger's.
type certificates struct{ gateway, trunk, stranger tls.Certificate }

func newCertificates(t *testing.T) (c certificates) {
	t.Helper()
	dir := t.TempDir()
	for _, x := range []struct {
		name string
		into *tls.Certificate
	}{{"gateway", &c.gateway}, {"trunk", &c.trunk}, {"stranger", &c.stranger}} {
		var err error
		if *x.into, err = pki.LoadOrCreate(dir, x.name, pki.Spec{CommonName: x.name, Names: []string{x.name + ".example"}}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func believe(list ...tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AddCert(c.Leaf)
	}
	return pool
}

// tlsWorld is a world with a third listener, on TLS, and a trunk that listens there.
func tlsWorld(t *testing.T, certs certificates, trunk func(*sipproxy.Peer)) (*world, *tlsTrunk) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.2:0", &tls.Config{
		Certificates: []tls.Certificate{certs.trunk}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: believe(certs.gateway),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	far := &tlsTrunk{t: t, ln: ln, addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	w := newWorld(t, 1, func(c *sipproxy.Config) {
		c.TLS = &sipproxy.TLS{Certificate: certs.gateway, CAs: believe(certs.trunk)}
		c.Listen = append(c.Listen, sipproxy.Listen{Net: "tls", Addr: netip.MustParseAddrPort("127.0.0.1:0")})
		c.Peers[1].Net, c.Peers[1].Addr = "tls", far.addr
		trunk(&c.Peers[1])
	})
	return w, far
}

// tlsTrunk is a trunk that is called over TLS.
type tlsTrunk struct {
	t    *testing.T
	ln   net.Listener
	addr netip.AddrPort
}

func (f *tlsTrunk) accept() *tcpAgent {
	f.t.Helper()
	conn, err := f.ln.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return &tcpAgent{t: f.t, conn: conn}
}

func (w *world) tls() netip.AddrPort { return w.addrs[2] }

// dialTLS connects to the proxy from a trunk's address.
func dialTLS(t *testing.T, to netip.AddrPort, show ...tls.Certificate) *tcpAgent {
	t.Helper()
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}},
		Config:    &tls.Config{Certificates: show, InsecureSkipVerify: true},
	}
	conn, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &tcpAgent{t: t, conn: conn}
}

// A core on UDP calls a trunk on TLS, which knows us by our certificate and we it by
// its own; the trunk hangs up over the same connection.
func TestCallFromUDPToMutualTLS(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	for name, known := range map[string]func(*sipproxy.Peer){
		"pinned":  func(p *sipproxy.Peer) { p.Certificate = pki.Fingerprint(certs.trunk.Certificate[0]) },
		"by name": func(p *sipproxy.Peer) { p.TLSName = "trunk.example" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, far := tlsWorld(t, certs, known)
			inv := outgoing("c1")
			w.core.send(w.proxy, w.core.request(inv))
			trunk := far.accept()
			req := trunk.want("INVITE")
			if !strings.HasPrefix(req.Text(req.TopVia.Span), "SIP/2.0/TLS "+w.tls().String()) {
				t.Errorf("Via %s", req.Text(req.TopVia.Span))
			}
			routes := values(req, wire.RecordRoute)
			if len(routes) != 2 || !strings.Contains(routes[0], w.tls().String()+";transport=tls;lr") || !strings.Contains(routes[1], w.proxy.String()+";lr") {
				t.Fatalf("Record-Route %q", routes)
			}
			trunk.send(response(req, 200, "b", far.addr, "", answerSDP))
			ok := w.core.want("SIP/2.0 200")
			w.core.send(w.proxy, w.core.request(within("ACK", inv, ok, 1)))
			trunk.want("ACK")
			back := backwards("BYE", req, "b", 1)
			back.via = "TLS " + far.addr.String()
			trunk.send(w.trunks[0].request(back))
			w.core.reply(w.proxy, w.core.want("BYE"), 200, "", "", "")
			trunk.want("SIP/2.0 200")
		})
	}
}

func values(m *wire.Message, h wire.Header) []string {
	var list []string
	for e := range m.Elements(h) {
		list = append(list, m.Text(e.Span))
	}
	return list
}

// Whoever shows another certificate than the peer's, or none, is a stranger, even from
// the peer's own address; and what does not show the peer's certificate gets no call.
func TestCertificateTellsWhoItIs(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	w, _ := tlsWorld(t, certs, func(p *sipproxy.Peer) { p.TLSName = "trunk.example" })
	for _, show := range [][]tls.Certificate{nil, {certs.stranger}} {
		a := dialTLS(t, w.tls(), show...)
		_ = a.conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := a.conn.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Error("a stranger was served")
		}
	}
	w.trunks[0].send(w.proxy, w.trunks[0].request(incoming("c1"))) // over UDP it is a stranger too
	w.trunks[0].want("SIP/2.0 403")
	a := dialTLS(t, w.tls(), certs.trunk)
	in := incoming("c2")
	in.via = "TLS 127.0.0.2:5061"
	a.send(w.trunks[0].request(in))
	if got := w.core.want("INVITE"); got.CallID != "c2" {
		t.Errorf("got call %s", got.CallID)
	}
	wrong, far := tlsWorld(t, certs, func(p *sipproxy.Peer) { p.Certificate = pki.Fingerprint(certs.stranger.Certificate[0]) })
	go func() {
		if c, err := far.ln.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake()
		}
	}()
	wrong.core.send(wrong.proxy, wrong.core.request(outgoing("c1")))
	wrong.core.want("SIP/2.0 503")
}

// incoming is an INVITE from the PSTN to a subscriber.
func incoming(callID string) line {
	return line{
		method: "INVITE", uri: "sip:" + subscriber + "@example.com", branch: "z9hG4bK-in-" + callID, callID: callID, seq: 1,
		from: "<sip:" + outside + "@example.net>;tag=o", to: "<sip:" + subscriber + "@example.com>", body: offer,
	}
}

// A trunk that says alias on a connection of its own is called over it (RFC 5923).
func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	w, far := tlsWorld(t, certs, func(p *sipproxy.Peer) { p.TLSName = "trunk.example" })
	_ = far.ln.Close() // nobody can dial it
	a := dialTLS(t, w.tls(), certs.trunk)
	in := incoming("c1")
	in.via = "TLS " + far.addr.String() + ";alias"
	a.send(w.trunks[0].request(in))
	w.core.reply(w.proxy, w.core.want("INVITE"), 486, "b", "", "")
	a.want("SIP/2.0 486")
	w.core.send(w.proxy, w.core.request(outgoing("c2")))
	if got := a.want("INVITE"); got.CallID != "c2" {
		t.Errorf("got call %s", got.CallID)
	}
}

// A sips call goes over TLS or not at all.
func TestSIPSNeedsTLS(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	secure, far := tlsWorld(t, certs, func(p *sipproxy.Peer) { p.TLSName = "trunk.example" })
	inv := outgoing("c1")
	inv.uri = "sips:" + outside + "@example.net"
	secure.core.send(secure.proxy, secure.core.request(inv))
	req := far.accept().want("INVITE sips:")
	if got := values(req, wire.RecordRoute); len(got) != 2 || !strings.HasPrefix(got[0], "<sips:") {
		t.Errorf("Record-Route %q", got)
	}
	plain := newWorld(t, 1)
	plain.core.send(plain.proxy, plain.core.request(inv))
	if got := plain.core.want("SIP/2.0 480"); !strings.Contains(string(got.Raw), "Warning: 380 ") {
		t.Errorf("no warning:\n%s", got.Raw)
	}
	plain.trunks[0].wantNothing()
}

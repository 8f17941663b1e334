package sipproxy_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// stream is a peer's TCP connection, read message by message.
type tcpAgent struct {
	t    *testing.T
	conn net.Conn
	buf  []byte
}

func (a *tcpAgent) want(start string) *wire.Message {
	a.t.Helper()
	for {
		n, err := wire.FrameLength(a.buf)
		if err != nil {
			a.t.Fatal(err)
		}
		if n == 0 {
			_ = a.conn.SetReadDeadline(time.Now().Add(patience))
			chunk := make([]byte, 4096)
			got, err := a.conn.Read(chunk)
			if err != nil {
				a.t.Fatalf("waited for %q: %v", start, err)
			}
			a.buf = append(a.buf, chunk[:got]...)
			continue
		}
		m, err := wire.Parse(bytes.Clone(a.buf[:n]))
		if err != nil {
			a.t.Fatal(err)
		}
		a.buf = a.buf[n:]
		if strings.HasPrefix(string(m.Raw), start) {
			return m
		}
		if m.Status != 100 {
			a.t.Fatalf("waited for %q, got\n%s", start, m.Raw)
		}
	}
}

func (a *tcpAgent) send(text string) {
	a.t.Helper()
	if _, err := a.conn.Write([]byte(text)); err != nil {
		a.t.Fatal(err)
	}
}

// A core on TCP calls a trunk on UDP and is called back within the dialog: both
// directions follow the two Record-Routes.
func TestCallFromTCPToUDP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Peers[0].Net = "tcp" })
	conn, err := net.Dial("tcp", w.tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	core := &tcpAgent{t: t, conn: conn}
	inv := outgoing("c1")
	inv.via = "TCP " + w.core.addr.String()
	text := w.core.request(inv)
	core.send("\r\n\r\n" + text[:40])
	core.send(text[40:])
	req := w.trunks[0].want("INVITE")
	var routes []string
	for e := range req.Elements(wire.RecordRoute) {
		routes = append(routes, req.Text(e.Span))
	}
	if len(routes) != 2 || strings.Contains(routes[0], "transport=tcp") || !strings.Contains(routes[1], "transport=tcp") {
		t.Fatalf("record routes %q", routes)
	}
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	if pong := core.takeCRLF(); !pong {
		t.Error("no answer to the keep-alive")
	}
	ok := core.want("SIP/2.0 200")
	ack := within("ACK", inv, ok, 1)
	ack.via = inv.via
	core.send(w.core.request(ack))
	got := w.trunks[0].want("ACK")
	if _, left := got.First(wire.Route); left {
		t.Errorf("own routes are left:\n%s", got.Raw)
	}
	ln, err := net.Listen("tcp", w.core.addr.String()) // the core's own port: the proxy dials it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	w.trunks[0].send(w.proxy, w.trunks[0].request(backwards("BYE", req, "b", 1)))
	back, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = back.Close() })
	called := &tcpAgent{t: t, conn: back}
	bye := called.want("BYE")
	called.send(response(bye, 200, "", netip.AddrPort{}, "", ""))
	w.trunks[0].want("SIP/2.0 200")
	w.wantSessions(0, 1)
}

// takeCRLF takes a pong off the stream.
func (a *tcpAgent) takeCRLF() bool {
	for len(a.buf) < 2 {
		chunk := make([]byte, 4096)
		_ = a.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := a.conn.Read(chunk)
		if err != nil {
			return false
		}
		a.buf = append(a.buf, chunk[:n]...)
	}
	i := bytes.Index(a.buf, []byte("\r\n"))
	if i != 0 {
		// The pong may come between two messages.
		n, err := wire.FrameLength(a.buf)
		if err != nil || n == 0 || len(a.buf) < n+2 || string(a.buf[n:n+2]) != "\r\n" {
			return false
		}
		i = n
	}
	a.buf = append(a.buf[:i:i], a.buf[i+2:]...)
	return true
}

func TestLostFramingIsAnsweredAndClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	conn, err := net.Dial("tcp", w.tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	core := &tcpAgent{t: t, conn: conn}
	core.send(strings.Replace(w.core.request(outgoing("c1")), "Content-Length: ", "Content-Length: -", 1))
	core.want("SIP/2.0 400")
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestUnreachableTCPTrunkFailsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(c *sipproxy.Config) { c.Peers[1].Net = "tcp" }) // nobody listens there
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	w.trunks[1].want("INVITE")
}

func TestStrangersConnectionIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := d.Dial("tcp", w.tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger was served")
	}
}

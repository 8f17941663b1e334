package sipproxy_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// ipv6World is a world whose trunk speaks IPv6 while the core speaks IPv4.
func ipv6World(t *testing.T, opts ...option) (*world, *agent) {
	t.Helper()
	if c, err := net.ListenPacket("udp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6 loopback address")
	} else {
		_ = c.Close()
	}
	far := newAgent(t, "::1")
	opts = append([]option{func(c *sipproxy.Config) {
		c.Listen = append(c.Listen, sipproxy.Listen{Net: "udp", Addr: netip.MustParseAddrPort("[::1]:0")})
		c.Peers[1].Addr = far.addr
	}}, opts...)
	return newWorld(t, 1, opts...), far
}

const answer6 = "v=0\r\no=- 2 2 IN IP6 2001:db8::2\r\ns=-\r\nc=IN IP6 2001:db8::2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"

// A call crosses from IPv4 to IPv6 and is hung up from there: one Record-Route for
// each side, brackets where they belong.
func TestCallFromIPv4ToIPv6(t *testing.T) {
	t.Parallel()
	w, trunk := ipv6World(t)
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := trunk.want("INVITE")
	v6 := w.addrs[2]
	routes := values(req, wire.RecordRoute)
	if len(routes) != 2 || !strings.HasPrefix(routes[0], "<sip:"+v6.String()+";lr") || !strings.HasPrefix(routes[1], "<sip:"+w.proxy.String()+";lr") {
		t.Fatalf("Record-Route %q", routes)
	}
	if got := req.Text(req.TopVia.Span); !strings.HasPrefix(got, "SIP/2.0/UDP "+v6.String()) {
		t.Errorf("Via %s", got)
	}
	trunk.reply(v6, req, 200, "b", "", answer6)
	ok := w.core.want("SIP/2.0 200")
	if body := string(ok.BodyBytes()); !strings.Contains(body, "c=IN IP4 192.0.2.1") || strings.Contains(body, "IP6") {
		t.Errorf("the core got\n%s", body)
	}
	w.core.send(w.proxy, w.core.request(within("ACK", inv, ok, 1)))
	trunk.want("ACK")
	trunk.send(v6, trunk.request(backwards("BYE", req, "b", 1)))
	w.core.reply(w.proxy, w.core.want("BYE"), 200, "", "", "")
	trunk.want("SIP/2.0 200")
}

// Media of such a call has an anchor of each family.
func TestMediaCrossesFamilies(t *testing.T) {
	t.Parallel()
	six := netip.MustParseAddr("::1")
	r, err := media.New(media.Config{
		AccessAddr: netip.MustParseAddr("127.0.0.52"), TrunkAddr: netip.MustParseAddr("127.0.0.53"), TrunkOther: six,
		Ports: media.PortRange{Min: 27000, Max: 27099},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	w, trunk := ipv6World(t, func(c *sipproxy.Config) { c.Relay = realRelay{r} })
	core, far := newAgent(t, "127.0.0.1"), newAgent(t, "::1")
	inv := outgoing("c1")
	inv.body = describe(core)
	w.core.send(w.proxy, w.core.request(inv))
	req := trunk.want("INVITE")
	if !strings.Contains(string(req.BodyBytes()), "c=IN IP6 ::1\r\n") {
		t.Fatalf("the trunk got\n%s", req.BodyBytes())
	}
	trunk.reply(w.addrs[2], req, 200, "b", "", describe(far))
	ok := w.core.want("SIP/2.0 200")
	toTrunk, toCore := audioAddr(t, ok.BodyBytes()), audioAddr(t, req.BodyBytes())
	for i := range byte(3) {
		packet := []byte{0x80, 8, 0, i, 0, 0, 0, 0, 1, 2, 3, 4, 5}
		core.send(toTrunk, string(packet))
		far.wantPacket(packet)
		far.send(toCore, string(packet))
		core.wantPacket(packet)
	}
}

// A request that is too long for a datagram goes over TCP (RFC 3261 clause 18.1.1),
// and the dialog's next ones to where the Contact says.
func TestLargeRequestGoesOverTCP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ln := listenAt(t, w.trunks[0].addr)
	inv := outgoing("c1")
	inv.extra = "X-Long: " + strings.Repeat("x", 1500) + "\r\n"
	w.core.send(w.proxy, w.core.request(inv))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	trunk := &tcpAgent{t: t, conn: conn}
	req := trunk.want("INVITE")
	if got := req.Text(req.TopVia.Span); !strings.HasPrefix(got, "SIP/2.0/TCP "+w.tcp.String()) {
		t.Errorf("Via %s", got)
	}
	trunk.send(response(req, 200, "b", w.trunks[0].addr, "", answerSDP))
	ok := w.core.want("SIP/2.0 200")
	w.core.send(w.proxy, w.core.request(within("BYE", inv, ok, 2)))
	bye := w.trunks[0].want("BYE") // small, so over UDP
	w.trunks[0].reply(w.proxy, bye, 200, "", "", "")
	w.core.want("SIP/2.0 200")
}

// What comes in a datagram without Content-Length gets one where it goes over TCP,
// both ways (RFC 3261 clause 18.3), of the body as it was edited.
func TestLengthIsAddedForStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Peers[1].Net = "tcp" })
	ln := listenAt(t, w.trunks[0].addr)
	text := w.core.request(outgoing("c1"))
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	cut := strings.Index(head, "\r\nContent-Length")
	w.core.send(w.proxy, head[:cut]+"\r\n\r\n"+body)
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	req := (&tcpAgent{t: t, conn: conn}).want("INVITE")
	if got, want := req.Value(wire.ContentLength), fmt.Sprint(len(req.BodyBytes())); got != want || !strings.Contains(string(req.BodyBytes()), "198.51.100.1") {
		t.Errorf("Content-Length %s, the body has %s octets:\n%s", got, want, req.Raw)
	}
}

// A peer that takes no TCP gets it over UDP after all, and the next one at once.
func TestLargeRequestFallsBackToUDP(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]option{"refused": func(*sipproxy.Config) {}, "switched off": func(c *sipproxy.Config) { c.Peers[1].NoTCP = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, opt)
			for i := range 2 {
				inv := outgoing(fmt.Sprint("c", i))
				inv.extra = "X-Long: " + strings.Repeat("x", 1500) + "\r\n"
				w.core.send(w.proxy, w.core.request(inv))
				req := w.trunks[0].want("INVITE")
				if got := req.Text(req.TopVia.Span); !strings.HasPrefix(got, "SIP/2.0/UDP ") {
					t.Errorf("Via %s", got)
				}
				w.trunks[0].reply(w.proxy, req, 486, "b", "", "")
				w.core.want("SIP/2.0 486")
				w.core.send(w.proxy, w.core.request(failureACK(inv, "b")))
				w.trunks[0].want("ACK")
			}
		})
	}
}

func failureACK(inv line, tag string) line {
	ack := inv
	ack.method, ack.body, ack.extra = "ACK", "", ""
	ack.to += ";tag=" + tag
	return ack
}

func listenAt(t *testing.T, addr netip.AddrPort) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Skip("the TCP port beside the agent's UDP port is taken")
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

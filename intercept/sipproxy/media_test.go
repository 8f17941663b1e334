package sipproxy_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/li/x2x3"
)

// realRelay shows intercept/media as the proxy wants it.
type realRelay struct{ *media.Relay }

func (r realRelay) Open(ipv6 sipproxy.Families) (sipproxy.MediaSession, error) {
	return realSession{r.Relay.Open(media.Families(ipv6))}, nil
}

type realSession struct{ *media.Session }

func (s realSession) Stream(i int) (sipproxy.MediaStream, error) {
	st, err := s.Session.Stream(i)
	if err != nil {
		return nil, err
	}
	return realStream{st}, nil
}

func (s realSession) SetTaps(taps []sipproxy.ContentTap) {
	var out []media.Tapping
	for _, t := range taps {
		out = append(out, media.Tapping{Line: t.Line, Grant: t.Grant, Target: media.Side(t.Target)})
	}
	s.Session.SetTaps(out)
}

type realStream struct{ *media.Stream }

func (s realStream) Anchor(side sipproxy.Side) (rtp, rtcp netip.AddrPort) {
	return s.Stream.Anchor(media.Side(side))
}

func (s realStream) SetRemote(side sipproxy.Side, rtp, rtcp netip.AddrPort) {
	s.Stream.SetRemote(media.Side(side), rtp, rtcp)
}

// Media runs both ways through the real relay, and the tee gets both directions.
func TestMediaRunsThroughTheRelay(t *testing.T) {
	t.Parallel()
	anchor := netip.MustParseAddr("127.0.0.50")
	r, err := media.New(media.Config{AccessAddr: anchor, TrunkAddr: netip.MustParseAddr("127.0.0.51"), Ports: media.PortRange{Min: 41000, Max: 41999}})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	<-r.Ready()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Relay = realRelay{r} })
	xid := w.tap(subscriber, true)
	near, far := newAgent(t, "127.0.0.60"), newAgent(t, "127.0.0.61")
	inv := outgoing("c1")
	inv.body = describe(near)
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 183, "b", "", describe(far)) // early media: before the call is answered
	early := w.core.want("SIP/2.0 183")
	fromNear, fromFar := append([]byte{0x80, 8, 0, 1}, "12345678near"...), append([]byte{0x80, 8, 0, 1}, "12345678far_"...)
	near.send(audioAddr(t, early.BodyBytes()), string(fromNear))
	far.wantPacket(fromNear)
	far.send(audioAddr(t, req.BodyBytes()), string(fromFar))
	near.wantPacket(fromFar)
	var got []string
	eventually(t, func() bool {
		got = nil
		for _, p := range w.copies.all() {
			if p.Type == x2x3.X3 && p.XID == xid {
				_, _, payload, err := x2x3.ParseDatagram(p.Payload, p.Format)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(p.Direction == x2x3.FromTarget, bytes.HasSuffix(payload, []byte("near"))))
			}
		}
		return len(got) == 2
	}, func() string { return fmt.Sprintf("copied packets: %q", got) })
	if strings.Join(got, ",") != "true true,false false" {
		t.Errorf("directions: %q", got)
	}
	w.trunks[0].reply(w.proxy, req, 486, "b", "", "")
	w.core.want("SIP/2.0 486")
	eventually(t, func() bool { return r.Sessions() == 0 }, func() string { return "the session is still open" })
}

// describe is a session description that wants audio at an agent's address.
func describe(a *agent) string {
	family := 4
	if a.addr.Addr().Is6() {
		family = 6
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP%[3]d %[1]s\r\ns=-\r\nc=IN IP%[3]d %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 8\r\n",
		a.addr.Addr(), a.addr.Port(), family)
}

// audioAddr is where a description wants its first stream.
func audioAddr(t *testing.T, body []byte) netip.AddrPort {
	t.Helper()
	var ip string
	port := 0
	for l := range strings.Lines(string(body)) {
		_, _ = fmt.Sscanf(l, "c=IN IP4 %s", &ip)
		_, _ = fmt.Sscanf(l, "c=IN IP6 %s", &ip)
		_, _ = fmt.Sscanf(l, "m=audio %d", &port)
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

func (a *agent) wantPacket(want []byte) {
	a.t.Helper()
	_ = a.conn.SetReadDeadline(time.Now().Add(patience))
	n, src, err := a.conn.ReadFrom(a.buf)
	if err != nil || !bytes.Equal(a.buf[:n], want) {
		a.t.Fatalf("got %q, %v; want %q", a.buf[:n], err, want)
	}
	if ip := src.(*net.UDPAddr).IP.String(); !slices.Contains([]string{"127.0.0.50", "127.0.0.51", "127.0.0.52", "::1"}, ip) {
		a.t.Errorf("the packet came from %s, not from the relay", ip)
	}
}

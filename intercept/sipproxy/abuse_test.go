package sipproxy_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// The route of an earlier call on a new INVITE opens no door past the Tasks: who has
// been answered once cannot reach a target unseen.
func TestOldRouteOnANewCallIsMatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, calm)
	const target = "+4989777999"
	w.tap(target, true)
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	ack := within("ACK", inv, w.core.want("SIP/2.0 200"), 1)
	w.core.send(w.proxy, w.core.request(ack))
	w.trunks[0].want("ACK")
	second := outgoing("c1")
	second.uri, second.to = "sip:"+target+"@example.net", "<sip:"+target+"@example.net>"
	second.from = "<sip:" + subscriber + "@example.com>;tag=other"
	second.branch, second.seq = "z9hG4bK-second", 7
	second.extra = ack.extra // Route: our cookie
	w.core.send(w.proxy, w.core.request(second))
	req = w.trunks[0].want("INVITE sip:" + target)
	w.trunks[0].reply(w.proxy, req, 200, "b2", "", answerSDP)
	w.core.want("SIP/2.0 200")
	eventuallyIs(t, "the call to the target is not copied", func() bool { return len(w.copies.all()) > 0 })
}

// A BYE that the far side refuses does not take the relay and the tap out of a call
// that goes on.
func TestRefusedByeKeepsTheAnchor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, calm)
	w.tap(subscriber, true)
	d := w.ring(w.core, w.trunks[0], w.opening(w.core, "c1")).answer()
	r := d.next(true, "BYE")
	r.extra += "Require: nonsense\r\n"
	w.core.send(w.proxy, w.core.request(r))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("BYE"), 420, "", "Unsupported: nonsense\r\n", "")
	w.core.want("SIP/2.0 420")
	re := d.next(true, "INVITE")
	re.body = strings.ReplaceAll(offer, "4000", "4100")
	w.core.send(w.proxy, w.core.request(re))
	got := w.trunks[0].want("INVITE")
	if strings.Contains(string(got.BodyBytes()), "10.1.1.1") {
		t.Error("the re-INVITE goes past the relay")
	}
	w.trunks[0].reply(w.proxy, got, 200, "", "", answerSDP)
	w.core.want("SIP/2.0 200")
	eventuallyIs(t, "content is not tapped any more", func() bool {
		w.relay.mu.Lock()
		defer w.relay.mu.Unlock()
		last := w.relay.sessions[len(w.relay.sessions)-1]
		return !last.closed && len(last.taps) > 0
	})
}

// A peer that is known by its certificate is never called in clear, nor believed
// there, whatever address a party writes into a route.
func TestCertifiedPeerIsNotCalledInClear(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	w, far := tlsWorld(t, certs, func(p *sipproxy.Peer) { p.TLSName = "trunk.example" })
	plain, err := net.Listen("tcp", "127.0.0.2:0") // somebody else on the trunk's address, or on the path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	trunk := far.accept()
	trunk.send(response(trunk.want("INVITE"), 200, "b", far.addr, "", answerSDP))
	ok := w.core.want("SIP/2.0 200")
	opt := within("OPTIONS", inv, ok, 2)
	opt.uri = "sip:x@" + plain.Addr().String() + ";transport=tcp"
	w.core.send(w.proxy, w.core.request(opt))
	trunk.want("OPTIONS") // over the connection that shows the certificate
	_ = plain.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := plain.Accept(); err == nil {
		t.Error("the peer was called in clear")
	}
}

// A request within a call that is over opens nothing that stays when it is refused.
func TestRefusedLateRequestLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Timers.T1 = 10 * time.Millisecond })
	d := w.ring(w.core, w.trunks[0], w.opening(w.core, "c1")).answer()
	w.core.send(w.proxy, w.core.request(d.next(true, "BYE")))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("BYE"), 200, "", "", "")
	w.core.want("SIP/2.0 200")
	eventuallyIs(t, "the call is not forgotten", func() bool { return figure(t, w.ops, "peer_calls", "trunk0") == 0 })
	time.Sleep(time.Second) // 64 T1 and more: nothing is known of the dialog
	re := d.next(false, "INVITE")
	re.body = offer
	w.trunks[0].send(w.proxy, w.trunks[0].request(re))
	w.core.reply(w.proxy, w.core.want("INVITE"), 481, "", "", "")
	w.trunks[0].want("SIP/2.0 481")
	eventuallyIs(t, "ports and calls are held", func() bool {
		open, _ := w.relay.count()
		return open == 0 && figure(t, w.ops, "peer_calls", "trunk0") == 0 && figure(t, w.ops, "peer_calls", "core") == 0
	})
}

// A request other than INVITE goes to one trunk only once that has spoken.
func TestMessageGoesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(c *sipproxy.Config) { c.Timers.Hop = 300 * time.Millisecond })
	m := outgoing("m1")
	m.method, m.body = "MESSAGE", ""
	w.core.send(w.proxy, w.core.request(m))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("MESSAGE"), 100, "", "", "")
	if got := w.trunks[1].read(time.Second); got != nil {
		t.Error("the second trunk got it too")
	}
}

// eventuallyIs waits until something is right.
func eventuallyIs(t *testing.T, wrong string, right func() bool) {
	t.Helper()
	eventually(t, right, func() string { return wrong })
}

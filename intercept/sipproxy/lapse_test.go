package sipproxy_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// answered places a call up to its ACK and returns its INVITE and the way back.
func (w *world) answered(callID string) (inv line, bye func()) {
	w.t.Helper()
	core, trunk := w.core, w.trunks[0]
	inv = outgoing(callID)
	core.send(w.proxy, core.request(inv))
	req := trunk.want("INVITE")
	trunk.reply(w.proxy, req, 200, "b", "", answerSDP)
	ok := core.want("SIP/2.0 200")
	core.send(w.proxy, core.request(within("ACK", inv, ok, 1)))
	trunk.want("ACK")
	return within("INVITE", inv, ok, 2), func() {
		core.send(w.proxy, core.request(within("BYE", inv, ok, 9)))
		trunk.reply(w.proxy, trunk.want("BYE"), 200, "b", "", "")
		core.want("SIP/2.0 200")
	}
}

// A call in which nobody sends media any more is over: its ports are free, it is
// counted, and its IRI says that it ended. Its late BYE still passes.
func TestCallWithoutMediaEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.MediaTimeout = 200 * time.Millisecond })
	w.tap(subscriber, true)
	_, bye := w.answered("c1")
	w.wantSessions(0, 1)
	pdus, got := w.copies.await(t, 4)
	if diff := cmp.Diff([]string{"begin from INVITE 0", "continue to INVITE 200", "continue from ACK 0", "end  NO-MEDIA 0"}, got); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
	if last := pdus[3]; len(last.Payload) != 0 || last.Correlation != pdus[0].Correlation {
		t.Errorf("the end has %d octets of a message and correlation %d", len(last.Payload), last.Correlation)
	}
	if n := figure(t, w.ops, "lapsed_calls_total", "no_media"); n != 1 {
		t.Errorf("%v calls counted", n)
	}
	bye()
}

// A call on hold has no media and lives on until it is idle.
func TestHoldOutlivesTheMediaTimeout(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]string{
		"attribute": strings.Replace(offer, "m=", "a=inactive\r\nm=", 1), "zeros": strings.Replace(offer, "c=IN IP4 10.1.1.1", "c=IN IP4 0.0.0.0", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, func(c *sipproxy.Config) { c.MediaTimeout, c.IdleCall = 200*time.Millisecond, 1500*time.Millisecond })
			re, _ := w.answered("c1")
			re.body = hold
			w.core.send(w.proxy, w.core.request(re))
			w.trunks[0].reply(w.proxy, w.trunks[0].want("INVITE"), 200, "b", "", hold)
			w.core.want("SIP/2.0 200")
			time.Sleep(600 * time.Millisecond) // three times the limit
			w.wantSessions(1, 0)
			w.wantSessions(0, 1)
			if n := figure(t, w.ops, "lapsed_calls_total", "idle"); n != 1 {
				t.Errorf("%v calls counted as idle", n)
			}
		})
	}
}

// Who answers may be another than was dialled: what the core says of him in a ringing
// or an answer counts from then on (RFC 4916, RFC 5876).
func TestConnectedIdentityIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(subscriber, true)
	in := incoming("c1")
	in.uri, in.to = "sip:+4930555999@example.com", "<sip:+4930555999@example.com>"
	w.trunks[0].send(w.proxy, w.trunks[0].request(in))
	req := w.core.want("INVITE")
	w.core.reply(w.proxy, req, 180, "b", "", "")
	w.trunks[0].want("SIP/2.0 180")
	w.core.reply(w.proxy, req, 200, "b", "P-Asserted-Identity: <tel:"+subscriber+">\r\n", answerSDP)
	w.trunks[0].want("SIP/2.0 200")
	_, got := w.copies.await(t, 1)
	if diff := cmp.Diff([]string{"continue from INVITE 200"}, got); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	if taps := w.relay.sessions[0].taps; len(taps) != 1 || taps[0].Target != sipproxy.Access {
		t.Errorf("taps of the media: %+v", taps)
	}
}

// What an untrusted trunk says of who answers counts for nothing.
func TestConnectedIdentityOfUntrustedPeerIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(outside, true)
	w.core.send(w.proxy, w.core.request(func() line {
		l := outgoing("c1")
		l.uri, l.to = "sip:+4989777999@example.net", "<sip:+4989777999@example.net>"
		return l
	}()))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "P-Asserted-Identity: <tel:"+outside+">\r\n", answerSDP)
	w.core.want("SIP/2.0 200")
	time.Sleep(silence)
	if n := len(w.copies.all()); n != 0 {
		t.Errorf("%d copies", n)
	}
}

// Where a target calls from is in its IRI: the network-layer source, the access
// network, the location by reference and by value.
func TestLocationIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(subscriber, false)
	location := "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:a@example.com\"><tuple id=\"t\"/></presence>"
	inv := outgoing("c1")
	inv.extra = "P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=00f0aabbccdd;network-provided\r\nGeolocation: <cid:loc@example.com>\r\n" +
		"Geolocation-Routing: yes\r\nUser-Agent: Phone/1\r\nContent-Type: multipart/mixed;boundary=b1\r\n"
	body := "--b1\r\nContent-Type: application/sdp\r\n\r\n" + offer + "\r\n--b1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <loc@example.com>\r\n\r\n" + location + "\r\n--b1--\r\n"
	inv.body = ""
	text := w.core.request(inv)
	w.core.send(w.proxy, strings.Replace(text, "Content-Length: 0\r\n\r\n", "Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body, 1))
	w.trunks[0].want("INVITE")
	reg := outgoing("r1")
	reg.method, reg.uri, reg.to, reg.body = "REGISTER", "sip:example.com", inv.from, ""
	reg.from = inv.from
	w.core.send(w.proxy, w.core.request(reg))
	pdus, got := w.copies.await(t, 2)
	if got[1] != "report from REGISTER 0" {
		t.Fatalf("copies %q", got)
	}
	sip := string(pdus[0].Payload)
	for _, part := range []string{"P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=00f0aabbccdd;network-provided\r\n", "Geolocation: <cid:loc@example.com>\r\n", location, "User-Agent: Phone/1\r\n"} {
		if !strings.Contains(sip, part) {
			t.Errorf("the copy lacks %q", part)
		}
	}
	for _, p := range pdus {
		if p.Src != w.core.addr {
			t.Errorf("source %v, want %v", p.Src, w.core.addr)
		}
	}
	if !strings.Contains(string(pdus[1].Payload), "Contact: <sip:x@"+w.core.addr.String()+">") {
		t.Error("the registration's contact is not there")
	}
}

package sipproxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// cancelOf is the CANCEL of an INVITE.
func cancelOf(inv line) line {
	inv.method, inv.body, inv.extra = "CANCEL", "", ""
	return inv
}

// ackOf is the hop-by-hop ACK to the failure of an INVITE.
func ackOf(inv line, tag string) line {
	inv.method, inv.body, inv.extra, inv.to = "ACK", "", "", inv.to+";tag="+tag
	return inv
}

// What the callee says to CANCEL ends at the proxy, and so do both sides' CANCEL
// retransmissions and the caller's ACK (RFC 3261 clauses 9.2, 16.10, 17.1.1.3).
func TestCancelIsHopByHop(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 481} {
		t.Run(fmt.Sprint("callee says ", status), func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				inv := w.opening(a, "c1")
				d := w.ring(a, b, inv)
				d.respond(180, "", "")
				for range 2 {
					a.send(w.proxy, a.request(cancelOf(inv)))
					if got := a.want("SIP/2.0 200"); got.Method != "CANCEL" {
						t.Errorf("a 200 to %s", got.Method)
					}
				}
				b.reply(w.proxy, b.want("CANCEL"), status, "b", "", "")
				b.wantNothing()
				a.wantNothing()
				d.respond(487, "", "")
				if got := b.want("ACK"); got.TopVia.Branch != d.invite.TopVia.Branch || got.To.Tag != "b" || len(got.BodyBytes()) != 0 {
					t.Errorf("not the ACK of this INVITE:\n%s", got.Raw)
				}
				a.send(w.proxy, a.request(ackOf(inv, "b")))
				b.wantNothing()
				w.wantSessions(0, 1)
			})
		})
	}
}

func TestCancelAfterTheFailureGoesNoFurther(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		inv := w.opening(a, "c1")
		d := w.ring(a, b, inv)
		d.respond(486, "", "")
		b.want("ACK")
		a.send(w.proxy, a.request(cancelOf(inv)))
		a.want("SIP/2.0 200")
		b.wantNothing()
	})
}

// A re-INVITE that is cancelled leaves the call as it was.
func TestCancelOfReINVITEKeepsTheCall(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		d := w.ring(a, b, w.opening(a, "c1")).answer()
		for _, byA := range []bool{true, false} {
			from, to := d.ends(byA)
			again := d.next(byA, "INVITE")
			again.body = offer
			req := w.pass(from, to, from.request(again))
			w.pass(to, from, response(req, 180, "", to.addr, "", ""))
			cancel := again
			cancel.method, cancel.body = "CANCEL", ""
			from.send(w.proxy, from.request(cancel))
			from.want("SIP/2.0 200")
			to.reply(w.proxy, to.want("CANCEL"), 200, "", "", "")
			w.pass(to, from, response(req, 487, "", to.addr, "", ""))
			to.want("ACK")
			cancel.method = "ACK"
			from.send(w.proxy, from.request(cancel))
			to.wantNothing()
		}
		w.wantSessions(1, 0)
		d.run(true, exchange{"BYE", "", "", "", 200, "", ""})
		w.wantSessions(0, 1)
	})
}

// Both sides hang up at once: each BYE passes and is answered.
func TestCrossingBYEs(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		d := w.ring(a, b, w.opening(a, "c1")).answer()
		one := w.pass(a, b, a.request(d.next(true, "BYE")))
		two := w.pass(b, a, b.request(d.next(false, "BYE")))
		w.pass(b, a, response(one, 200, "", b.addr, "", ""))
		w.pass(a, b, response(two, 481, "", a.addr, "", ""))
		w.wantSessions(0, 1)
	})
}

// Each provisional response starts timer C again (RFC 3261 clause 16.7 step 2).
func TestProvisionalsPutOffTimerC(t *testing.T) {
	t.Parallel()
	const c = 900 * time.Millisecond
	w := newWorld(t, 1, calm, func(cfg *sipproxy.Config) { cfg.Timers.C = c })
	d := w.ring(w.core, w.trunks[0], outgoing("c1"))
	for begin := time.Now(); time.Since(begin) < 2*c; {
		d.respond(180, "", "")
		if m := w.trunks[0].read(c / 4); m != nil {
			t.Fatalf("while it rang, there came\n%s", m.Raw)
		}
	}
	w.trunks[0].want("CANCEL")
}

// A retransmitted provisional response is forwarded each time, a failure once.
func TestRetransmittedResponses(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		d := w.ring(a, b, w.opening(a, "c1"))
		for range 3 {
			d.respond(183, "Require: 100rel\r\nRSeq: 1\r\n", answerSDP)
		}
		d.respond(486, "", "")
		b.want("ACK")
		b.reply(w.proxy, d.invite, 180, "b", "", "") // late
		for range 3 {
			b.reply(w.proxy, d.invite, 486, "b", "", "")
			b.want("ACK")
		}
		a.wantNothing()
	})
}

// Of a request that is no INVITE, the retransmissions are answered with what was
// answered last.
func TestRetransmittedNonINVITE(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		r := w.opening(a, "c1")
		r.method, r.body = "MESSAGE", ""
		req := w.pass(a, b, a.request(r))
		a.send(w.proxy, a.request(r))
		a.wantNothing() // no answer yet, and nobody invents one
		b.wantNothing()
		w.pass(b, a, response(req, 202, "b", b.addr, "", ""))
		a.send(w.proxy, a.request(r))
		a.want("SIP/2.0 202")
		b.reply(w.proxy, req, 202, "b", "", "")
		a.wantNothing()
		b.wantNothing()
	})
}

// A request that comes back changed is a spiral: it passes, and so do the responses
// and the dialog, through both legs (RFC 3261 clauses 6 and 16.3). Here the core
// forwards a call from the PSTN back to the PSTN.
func TestSpiralIsLegal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, calm)
	core, trunk := w.core, w.trunks[0]
	inv := w.opening(trunk, "c1")
	first := w.pass(trunk, core, trunk.request(inv))
	text := core.spiral(strings.Replace(string(first.Raw), "INVITE "+inv.uri, "INVITE sip:+4989777009@example.net", 1), "z9hG4bKcore1", true)
	second := w.pass(core, trunk, text)
	ok := w.pass(trunk, core, response(second, 200, "b", trunk.addr, "", answerSDP))
	d := &dialog{w: w, a: trunk, b: trunk, inv: inv, tag: "b", seq: 1}
	d.resp = w.pass(core, trunk, popVia(string(ok.Raw)))
	for i, method := range []string{"ACK", "BYE"} {
		r := within(method, inv, d.resp, i+1)
		in := w.pass(trunk, core, trunk.request(r))
		routes := strings.Split(in.Value(wire.Route), ", ")
		text := strings.Replace(string(in.Raw), routes[0]+", ", "", 1) // the core takes its own value off
		req := w.pass(core, trunk, core.spiral(text, "z9hG4bKcore2"+method, false))
		if method == "BYE" {
			end := w.pass(trunk, core, response(req, 200, "", trunk.addr, "", ""))
			w.pass(core, trunk, popVia(string(end.Raw)))
		}
	}
	w.wantSessions(0, 2)
}

// spiral is a request as the agent, being a proxy, forwards it.
func (a *agent) spiral(msg, branch string, route bool) string {
	top := "\r\nVia: SIP/2.0/UDP " + a.addr.String() + ";branch=" + branch
	if route {
		top += "\r\nRecord-Route: <sip:" + a.addr.String() + ";lr>"
	}
	return strings.Replace(strings.Replace(msg, "\r\n", top+"\r\n", 1), "Max-Forwards: 69", "Max-Forwards: 68", 1)
}

// popVia is a response as a proxy forwards it: without the topmost Via line.
func popVia(msg string) string {
	at := strings.Index(msg, "Via: ")
	return msg[:at] + msg[at+strings.Index(msg[at:], "\r\n")+2:]
}

// Responses go to the source port where the sender asks for it, else to the port
// that its Via names (RFC 3261 clause 18.2.2, RFC 3581).
func TestResponsePort(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		param  string
		source bool
	}{"rport": {";rport", true}, "none": {"", false}, "rport, with a value": {";rport=9", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, calm)
			named := newAgent(t, "127.0.0.1")
			inv := outgoing("c1")
			inv.via = "UDP " + named.addr.String() + tt.param
			req := w.pass(w.core, w.trunks[0], w.core.request(inv))
			w.trunks[0].reply(w.proxy, req, 486, "b", "", "")
			at, other := named, w.core
			if tt.source {
				at, other = w.core, named
			}
			at.want("SIP/2.0 486")
			other.wantNothing()
		})
	}
}

// OPTIONS is how peers ask whether the proxy lives: whatever is in it, it is not
// forwarded (RFC 3261 clause 11).
func TestOPTIONSToTheProxy(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string][2]string{
		"plain":         {"", ""},
		"no hop left":   {"Max-Forwards: 70", "Max-Forwards: 0"},
		"no hops named": {"Max-Forwards: 70\r\n", ""},
		"through Route": {"X-Odd", "Route: <sip:PROXY;lr>\r\nX-Odd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				r := w.opening(a, "c1")
				r.method, r.uri, r.body = "OPTIONS", "sip:"+w.proxy.String(), ""
				a.send(w.proxy, strings.Replace(a.request(r), edit[0], strings.Replace(edit[1], "PROXY", w.proxy.String(), 1), 1))
				a.want("SIP/2.0 200")
				b.wantNothing()
			})
		})
	}
}

package sipproxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// fast makes the timers short: a transaction lives 640 ms.
func fast(c *sipproxy.Config) {
	c.Timers.T1 = 10 * time.Millisecond
	c.Timers.T2 = 40 * time.Millisecond
}

func TestRetransmissionsAreAbsorbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	core, trunk := w.core, w.trunks[0]
	inv := core.request(outgoing("c1"))
	core.send(w.proxy, inv)
	req := trunk.want("INVITE")
	trunk.reply(w.proxy, req, 180, "b", "", "")
	core.want("SIP/2.0 180")
	core.send(w.proxy, inv)
	core.want("SIP/2.0 180") // the last response again
	trunk.wantNothing()
	trunk.reply(w.proxy, req, 486, "b", "", "")
	core.want("SIP/2.0 486")
	trunk.want("ACK")
	trunk.reply(w.proxy, req, 486, "b", "", "")
	trunk.want("ACK") // acknowledged again, not forwarded again
}

func TestFailureIsRetransmittedUntilItsACK(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Timers.T1 = 30 * time.Millisecond })
	core, trunk := w.core, w.trunks[0]
	inv := outgoing("c1")
	core.send(w.proxy, core.request(inv))
	trunk.reply(w.proxy, trunk.want("INVITE"), 486, "b", "", "")
	trunk.want("ACK")
	for range 2 {
		if got := core.want("SIP/2.0 486"); got.To.Tag != "b" {
			t.Errorf("tag %q", got.To.Tag)
		}
	}
	ack := inv
	ack.method, ack.body, ack.to = "ACK", "", inv.to+";tag=b"
	core.send(w.proxy, core.request(ack))
	drain(core)
	core.wantNothing()
	trunk.wantNothing() // the ACK went hop by hop
}

// drain takes what was on its way.
func drain(a *agent) {
	for a.read(20*time.Millisecond) != nil {
		continue
	}
}

func TestRequestIsRetransmittedAndTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, fast)
	w.tap(subscriber, false)
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	for range 3 {
		w.trunks[0].want("INVITE")
	}
	w.core.want("SIP/2.0 408")
	if _, got := w.copies.await(t, 2); got[1] != "end to INVITE 408" {
		t.Errorf("copied %q", got)
	}
	w.wantSessions(0, 1)
	eventually(t, func() bool { return figure(t, w.ops, "transactions", "") == 0 }, func() string { return "the transaction is kept" })
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	core, trunk := w.core, w.trunks[0]
	inv := outgoing("c1")
	core.send(w.proxy, core.request(inv))
	req := trunk.want("INVITE")
	cancel := inv
	cancel.method, cancel.body, cancel.extra = "CANCEL", "", "Reason: Q.850;cause=16\r\n"
	core.send(w.proxy, core.request(cancel))
	core.want("SIP/2.0 200")
	trunk.wantNothing() // no CANCEL before a provisional response
	trunk.reply(w.proxy, req, 180, "b", "", "")
	core.want("SIP/2.0 180")
	got := trunk.want("CANCEL")
	if got.TopVia.Branch != req.TopVia.Branch || got.Sequence != 1 || !strings.Contains(string(got.Raw), "Reason: Q.850;cause=16\r\n") {
		t.Errorf("CANCEL does not match its INVITE:\n%s", got.Raw)
	}
	trunk.reply(w.proxy, got, 200, "b", "", "")
	trunk.reply(w.proxy, req, 487, "b", "", "")
	core.want("SIP/2.0 487")
	trunk.want("ACK")
	w.wantSessions(0, 1)
}

func TestCancelThatCrossesTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	core, trunk := w.core, w.trunks[0]
	inv := outgoing("c1")
	core.send(w.proxy, core.request(inv))
	req := trunk.want("INVITE")
	trunk.reply(w.proxy, req, 180, "b", "", "")
	core.want("SIP/2.0 180")
	cancel := inv
	cancel.method, cancel.body = "CANCEL", ""
	core.send(w.proxy, core.request(cancel))
	core.want("SIP/2.0 200")
	trunk.want("CANCEL")
	trunk.reply(w.proxy, req, 200, "b", "", answerSDP)
	if got := core.want("SIP/2.0 200"); got.Method != "INVITE" {
		t.Errorf("the answer was lost: got a response to %s", got.Method)
	}
}

func TestCancelOfUnknownCallIsForwardedAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.restart()
	cancel := inv
	cancel.method, cancel.body = "CANCEL", ""
	w.core.send(w.proxy, w.core.request(cancel))
	got := w.trunks[0].want("CANCEL")
	if got.TopVia.Branch != req.TopVia.Branch {
		t.Errorf("branch %s, want the INVITE's %s", got.TopVia.Branch, req.TopVia.Branch)
	}
	w.trunks[0].reply(w.proxy, req, 487, "b", "", "")
	w.core.want("SIP/2.0 487")
}

func TestProvisionalsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const n = 200
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	req := w.trunks[0].want("INVITE")
	const burst = 25 // what an agent's socket surely holds
	for i := range n {
		w.trunks[0].reply(w.proxy, req, 180, "b", fmt.Sprintf("X-Number: %d\r\n", i), "")
		if i == n-1 {
			w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
		}
		for j := i + 1 - burst; i%burst == burst-1 && j <= i; j++ {
			if got := w.core.want("SIP/2.0 180"); !strings.Contains(string(got.Raw), fmt.Sprintf("X-Number: %d\r\n", j)) {
				t.Fatalf("response %d is out of order:\n%s", j, got.Raw)
			}
		}
	}
	w.core.want("SIP/2.0 200")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	w.core.want("SIP/2.0 200") // a retransmitted 2xx goes end to end
}

func TestFailover(t *testing.T) {
	t.Parallel()
	t.Run("after 503", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2)
		w.tap(subscriber, false)
		w.core.send(w.proxy, w.core.request(outgoing("c1")))
		first := w.trunks[0].want("INVITE")
		w.trunks[0].reply(w.proxy, first, 503, "b", "", "")
		w.trunks[0].want("ACK")
		second := w.trunks[1].want("INVITE")
		if second.TopVia.Branch == first.TopVia.Branch {
			t.Error("both attempts have one branch")
		}
		w.trunks[1].reply(w.proxy, second, 486, "c", "", "")
		w.core.want("SIP/2.0 486")
		_, got := w.copies.await(t, 3)
		if got[1] != "continue to INVITE 503" || got[2] != "end to INVITE 486" {
			t.Errorf("copied %q", got)
		}
	})
	t.Run("after silence", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2, fast)
		w.core.send(w.proxy, w.core.request(outgoing("c1")))
		w.trunks[1].want("INVITE")
	})
	t.Run("not after ringing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2)
		w.core.send(w.proxy, w.core.request(outgoing("c1")))
		req := w.trunks[0].want("INVITE")
		w.trunks[0].reply(w.proxy, req, 180, "b", "", "")
		w.core.want("SIP/2.0 180")
		w.trunks[0].reply(w.proxy, req, 503, "b", "", "")
		w.core.want("SIP/2.0 503")
		w.trunks[1].wantNothing()
	})
}

func TestTimerC(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, fast, func(c *sipproxy.Config) { c.Timers.C = 100 * time.Millisecond })
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 180, "b", "", "")
	w.core.want("SIP/2.0 180")
	w.trunks[0].want("CANCEL")
	w.core.want("SIP/2.0 487") // nobody answered the CANCEL either
}

func TestOverloadRefusesNewCallsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Shards, c.MaxTransactions = 1, 1 })
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.core.send(w.proxy, w.core.request(outgoing("c2")))
	w.core.want("SIP/2.0 503")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	ok := w.core.want("SIP/2.0 200")
	w.core.send(w.proxy, w.core.request(within("BYE", inv, ok, 2)))
	w.trunks[0].want("BYE")
}

func TestStrayResponsesAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	forged := fmt.Sprintf("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKlg%048d\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\n"+
		"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n", w.proxy, 0, w.core.addr)
	w.trunks[0].send(w.proxy, forged)
	w.core.wantNothing()
	if n := figure(t, w.ops, "rejected_total", "stray_response"); n != 1 {
		t.Errorf("stray responses = %v", n)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*world, *line)
		from string // raw edit of the request: old=new
		want string
	}{
		"max forwards":  {nil, "Max-Forwards: 70=Max-Forwards: 0", "SIP/2.0 483"},
		"scheme":        {func(_ *world, r *line) { r.uri = "mailto:x" }, "", "SIP/2.0 416"},
		"proxy require": {func(_ *world, r *line) { r.extra = "Proxy-Require: foo, bar\r\n" }, "", "SIP/2.0 420"},
		"foreign route": {func(_ *world, r *line) { r.extra = "Route: <sip:203.0.113.9;lr>\r\n" }, "", "SIP/2.0 403"},
		"malformed":     {nil, "CSeq: 1 INVITE=CSeq: 1 BYE", "SIP/2.0 400"},
		"version":       {nil, "net SIP/2.0=net SIP/3.0", "SIP/2.0 505"},
		"options to us": {func(w *world, r *line) { r.method, r.uri, r.body = "OPTIONS", "sip:"+w.proxy.String(), "" }, "", "SIP/2.0 200"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			r := outgoing("c1")
			if tt.edit != nil {
				tt.edit(w, &r)
			}
			text := w.core.request(r)
			if from, to, ok := strings.Cut(tt.from, "="); ok {
				text = strings.Replace(text, from, to, 1)
			}
			w.core.send(w.proxy, text)
			got := w.core.want(tt.want)
			if name == "proxy require" && !strings.Contains(string(got.Raw), "Unsupported: foo, bar\r\n") {
				t.Errorf("no Unsupported:\n%s", got.Raw)
			}
			w.trunks[0].wantNothing()
		})
	}
}

func TestLoopIsDetected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].send(w.proxy, "INVITE"+strings.Replace(strings.TrimPrefix(string(req.Raw), "INVITE"), "\r\nVia:", "\r\nVia: SIP/2.0/UDP "+w.trunks[0].addr.String()+";branch=z9hG4bKt\r\nVia:", 1))
	w.trunks[0].want("SIP/2.0 482")
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	stranger := newAgent(t, "127.0.0.9")
	const n = 100
	for i := range n {
		stranger.send(w.proxy, stranger.request(outgoing(fmt.Sprint("s", i))))
	}
	answers := 0
	for m := stranger.read(patience); m != nil; m = stranger.read(silence) {
		if m.Status != 403 {
			t.Fatalf("got\n%s", m.Raw)
		}
		answers++
	}
	if answers == 0 || answers > n/2 {
		t.Errorf("%d answers to %d messages", answers, n)
	}
	w.trunks[0].wantNothing()
	if got := figure(t, w.ops, "rejected_total", "unknown_source"); got != n {
		t.Errorf("strangers counted: %v", got)
	}
}

// A cookie is good for its own Call-ID only: taken over to another one it does not
// open the addresses of the peer.
func TestCookieOfAnotherCallIsNoRelay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		callID string
		taken  bool
	}{"its own call": {"c1", true}, "another call": {"c2", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			elsewhere := newAgent(t, "127.0.0.2") // one of the trunk's addresses, another port
			inv := outgoing("c1")
			w.core.send(w.proxy, w.core.request(inv))
			req := w.trunks[0].want("INVITE")
			w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
			bye := within("BYE", inv, w.core.want("SIP/2.0 200"), 2)
			bye.callID, bye.uri = tt.callID, "sip:x@"+elsewhere.addr.String()
			w.core.send(w.proxy, w.core.request(bye))
			if tt.taken {
				elsewhere.want("BYE")
				return
			}
			w.trunks[0].want("BYE") // as any request from a core
			elsewhere.wantNothing()
		})
	}
}

func TestRequestURIOutsideThePeersIsNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	victim := newAgent(t, "127.0.0.9")
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	bye := within("BYE", inv, w.core.want("SIP/2.0 200"), 2)
	bye.uri = "sip:x@" + victim.addr.String()
	w.core.send(w.proxy, w.core.request(bye))
	w.trunks[0].want("BYE")
	victim.wantNothing()
}

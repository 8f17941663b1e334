package sipproxy_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// place sends an INVITE and returns the number of the trunk that got it.
func (w *world) place(inv line) int {
	w.t.Helper()
	w.core.send(w.proxy, w.core.request(inv))
	return w.placed()
}

func (w *world) placed() int {
	w.t.Helper()
	found := -1
	eventually(w.t, func() bool {
		for i, a := range w.trunks {
			if m := a.read(time.Millisecond); m != nil && m.Method == "INVITE" && m.IsRequest() {
				a.reply(w.proxy, m, 486, "b", "", "")
				a.want("ACK")
				found = i
				return true
			}
		}
		return false
	}, func() string { return "no trunk was called" })
	return found
}

// finish takes the failure of a call that place sent.
func (w *world) finish(inv line) {
	w.t.Helper()
	w.core.want("SIP/2.0 486")
	w.core.send(w.proxy, w.core.request(failureACK(inv, "b")))
}

// Trunks of one priority share the calls by weight; the next priority gets none.
func TestWeightsShareTheCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, func(c *sipproxy.Config) {
		c.Peers[1].Priority, c.Peers[2].Priority, c.Peers[3].Priority = 0, 0, 1
		c.Peers[1].Weight, c.Peers[2].Weight = 3, 1
	})
	const calls = 400
	var got [3]int
	for i := range calls {
		inv := outgoing(fmt.Sprint("c", i))
		got[w.place(inv)]++
		w.finish(inv)
	}
	// 300 on average; eight standard deviations are 69.
	if got[0] < 231 || got[0] > 369 || got[2] != 0 {
		t.Errorf("calls per trunk %v, want about 300, 100 and none", got)
	}
}

// A hop that says nothing is given up; what it says late is told to stop, and a late
// answer wins over the hop that is tried meanwhile.
func TestSilentHopIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(c *sipproxy.Config) { c.Timers.Hop = 50 * time.Millisecond })
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	first, second := w.trunks[0].want("INVITE"), w.trunks[1].want("INVITE")
	w.trunks[0].reply(w.proxy, first, 180, "late", "", "")
	for m := w.trunks[0].read(patience); m.Method != "CANCEL"; m = w.trunks[0].read(patience) {
		if m.Method != "INVITE" {
			t.Fatalf("got\n%s", m.Raw)
		}
	}
	w.trunks[1].reply(w.proxy, second, 180, "b", "", "")
	w.core.want("SIP/2.0 180") // of the second only
	w.trunks[0].reply(w.proxy, first, 200, "late", "", answerSDP)
	if got := w.core.want("SIP/2.0 200"); got.To.Tag != "late" {
		t.Errorf("got tag %s", got.To.Tag)
	}
	w.trunks[1].want("CANCEL")
}

// Every status that says "not here" goes on to the next trunk, and a Retry-After is
// heeded.
func TestFailureOfATrunkGoesOn(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504} {
		w := newWorld(t, 2)
		inv := outgoing("c1")
		w.core.send(w.proxy, w.core.request(inv))
		w.trunks[0].reply(w.proxy, w.trunks[0].want("INVITE"), status, "x", "Retry-After: 60 (busy)\r\n", "")
		w.trunks[0].want("ACK")
		w.trunks[1].reply(w.proxy, w.trunks[1].want("INVITE"), 486, "b", "", "")
		w.finish(inv)
		next := outgoing("c2")
		want := 0
		if status == 503 {
			want = 1
		}
		if got := w.place(next); got != want {
			t.Errorf("after %d the next call went to trunk %d, want %d", status, got, want)
		}
		w.finish(next)
	}
}

// A trunk that does not answer OPTIONS gets no call while another is up, and its calls
// again when it answers.
func TestPingsFindOutWhoIsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(c *sipproxy.Config) { c.Peers[1].Ping, c.Timers.Hop = 20*time.Millisecond, 10*time.Millisecond })
	up := func(want float64) {
		t.Helper()
		eventually(t, func() bool { return figure(t, w.ops, "peer_up", "trunk0") == want }, func() string { return fmt.Sprintf("up is not %v", want) })
	}
	up(0)
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	w.trunks[1].reply(w.proxy, w.trunks[1].want("INVITE"), 486, "b", "", "")
	w.finish(inv)
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		pings := 0
		for {
			select {
			case <-stop:
				done <- pings
				return
			default:
			}
			if m := w.trunks[0].read(time.Millisecond); m != nil && m.Method == "OPTIONS" {
				pings++
				w.trunks[0].reply(w.proxy, m, 200, "b", "", "")
			}
		}
	}()
	up(1)
	close(stop)
	if <-done == 0 {
		t.Error("up without a ping")
	}
}

// A peer has no more calls than it may, in either direction; an emergency call is
// never held up, and goes to the trunk for such calls first.
func TestLimitsHoldUpAllButEmergencies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, func(c *sipproxy.Config) {
		c.Emergency = []string{"112"}
		c.Peers[1].MaxCalls, c.Peers[2].MaxCalls = 1, 1
		c.Peers[3].Emergency, c.Peers[3].MaxCalls, c.Peers[3].Priority = true, 1, 9
	})
	trunk := w.trunks
	for i, want := range []int{0, 1, 2} { // each takes one
		w.core.send(w.proxy, w.core.request(outgoing(fmt.Sprint("c", i))))
		trunk[want].reply(w.proxy, trunk[want].want("INVITE"), 180, "b", "", "")
		w.core.want("SIP/2.0 180")
	}
	w.core.send(w.proxy, w.core.request(outgoing("c3")))
	if got := w.core.want("SIP/2.0 503"); !strings.Contains(string(got.Raw), "Retry-After: ") {
		t.Errorf("no Retry-After:\n%s", got.Raw)
	}
	for i, uri := range []string{"sip:112@example.net;user=phone", "urn:service:sos.police", "tel:1-1-2;phone-context=+49"} {
		inv := outgoing(fmt.Sprint("e", i))
		inv.uri = uri
		w.core.send(w.proxy, w.core.request(inv))
		trunk[2].reply(w.proxy, trunk[2].want("INVITE"), 180, "b", "", "")
		w.core.want("SIP/2.0 180")
	}
	if got := figure(t, w.ops, "peer_calls", "trunk2"); got != 4 {
		t.Errorf("%v calls of trunk2, want 4", got)
	}
	if got := figure(t, w.ops, "peer_calls", "core"); got != 6 {
		t.Errorf("%v calls of the core, want 6", got)
	}
}

// A slot is free again when its call is over, whichever way it ended.
func TestLimitCountsWhatIsInProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Peers[0].MaxCalls, c.Peers[1].MaxCalls = 1, 1 })
	free := func() {
		t.Helper()
		eventually(t, func() bool {
			return figure(t, w.ops, "peer_calls", "core") == 0 && figure(t, w.ops, "peer_calls", "trunk0") == 0
		},
			func() string { return "a call that is over counts" })
	}
	for i := range 5 {
		o := w.call(fmt.Sprint("ok", i))
		if o.ok == nil {
			t.Fatal("refused")
		}
		free() // the parties know a moment before the slot is free
		inv := outgoing(fmt.Sprint("busy", i))
		w.place(inv)
		w.finish(inv)
		free()
	}
}

// A peer brings no more new calls a second than it may.
func TestCallRateIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Peers[0].CallRate = 2 })
	refused := 0
	for i := range 6 {
		w.core.send(w.proxy, w.core.request(outgoing(fmt.Sprint("c", i))))
	}
	for range 6 {
		m := w.core.read(silence)
		for m != nil && m.Status == 100 {
			m = w.core.read(silence)
		}
		if m != nil && m.Status == 503 {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("%d of 6 calls at once were refused, want at least 3", refused)
	}
}

// While it drains, the proxy takes no new call but an emergency, tells so when it is
// asked, and running calls go on to their end.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Emergency = []string{"112"} })
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	ok := w.core.want("SIP/2.0 200")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if left := w.drain(short); left != 1 {
		t.Errorf("%d calls left, want 1", left)
	}
	w.core.send(w.proxy, w.core.request(outgoing("c2")))
	w.core.want("SIP/2.0 503")
	ping := outgoing("o1")
	ping.method, ping.uri, ping.body = "OPTIONS", "sip:"+w.proxy.String(), ""
	w.core.send(w.proxy, w.core.request(ping))
	w.core.want("SIP/2.0 503")
	help := outgoing("c3")
	help.uri = "sip:112@example.net"
	w.place(help)
	w.core.want("SIP/2.0 486")
	w.core.send(w.proxy, w.core.request(within("BYE", inv, ok, 2)))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("BYE"), 200, "", "", "")
	w.core.want("SIP/2.0 200")
	if left := w.drain(t.Context()); left != 0 {
		t.Errorf("%d calls left, want none", left)
	}
}

// While the proxy is held nothing begins but emergency calls, and what is within a
// dialog passes.
func TestNothingBeginsWhileHeld(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Emergency, c.Hold = []string{"112"}, hold })
	for i, method := range []string{"INVITE", "REGISTER", "MESSAGE", "OPTIONS"} {
		r := outgoing(fmt.Sprintf("c%d", i))
		r.method = method
		w.core.send(w.proxy, w.core.request(r))
		if got := w.core.want("SIP/2.0 503"); !strings.Contains(string(got.Raw), "Retry-After") {
			t.Errorf("%s: no Retry-After", method)
		}
	}
	help := outgoing("h1")
	help.uri = "sip:112@example.net"
	w.core.send(w.proxy, w.core.request(help))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("INVITE"), 200, "b", "", answerSDP)
	ok := w.core.want("SIP/2.0 200")
	w.core.send(w.proxy, w.core.request(within("BYE", help, ok, 2)))
	w.trunks[0].reply(w.proxy, w.trunks[0].want("BYE"), 200, "", "", "")
	w.core.want("SIP/2.0 200")
	close(hold)
	eventually(t, func() bool {
		ping := outgoing(fmt.Sprint("o", time.Now().UnixNano()))
		ping.method, ping.uri, ping.body = "OPTIONS", "sip:"+w.proxy.String(), ""
		w.core.send(w.proxy, w.core.request(ping))
		return w.core.want("SIP/2.0").Status == 200
	}, func() string { return "the hold does not end" })
	w.core.send(w.proxy, w.core.request(outgoing("c9")))
	w.trunks[0].want("INVITE")
}

// A trunk by name is where DNS says, and follows it. While DNS does not answer the last
// place stands.
func TestPeerByName(t *testing.T) {
	t.Parallel()
	var far *agent
	zone := newZone(t)
	w := newWorld(t, 2, func(c *sipproxy.Config) {
		far = newAgent(t, "127.0.0.9")
		zone.set("_sip._udp.carrier.example. 0 IN SRV 1 1 "+fmt.Sprint(far.addr.Port())+" sbc.carrier.example.", "sbc.carrier.example. 0 IN A 127.0.0.9")
		c.Resolver = zone.addr
		c.Peers[1] = sipproxy.Peer{Name: "carrier", Role: sipproxy.RoleTrunk, Host: "carrier.example"}
		c.Peers[2].Priority = 1
	})
	eventually(t, func() bool { return figure(t, w.ops, "peer_up", "carrier") == 1 }, func() string { return "the name was not resolved" })
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	far.reply(w.proxy, far.want("INVITE"), 486, "b", "", "")
	w.core.want("SIP/2.0 486")
	in := incoming("c2")
	far.send(w.proxy, far.request(in)) // it is known by the address that its name has
	w.core.want("INVITE")
}

// zone is a DNS server with a few records.
type zone struct {
	addr    netip.AddrPort
	records chan []dns.RR // holds one value
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{records: make(chan []dns.RR, 1)}
	z.records <- nil
	a := newAgent(t, "127.0.0.1")
	z.addr = a.addr
	srv := &dns.Server{PacketConn: a.conn, Handler: dns.HandlerFunc(z.serve)}
	go func() { _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = srv.Shutdown() })
	return z
}

func (z *zone) set(records ...string) {
	<-z.records
	var list []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		list = append(list, rr)
	}
	z.records <- list
}

func (z *zone) serve(w dns.ResponseWriter, q *dns.Msg) {
	list := <-z.records
	z.records <- list
	reply := new(dns.Msg).SetReply(q)
	for _, rr := range list {
		if rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	_ = w.WriteMsg(reply)
}

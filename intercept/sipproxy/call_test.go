package sipproxy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

const answerSDP = "v=0\r\no=- 2 2 IN IP4 10.2.2.2\r\ns=-\r\nc=IN IP4 10.2.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"

// outcome is what the two sides saw of a call, in order.
type outcome struct {
	atTrunk, atCore []string
	invite          *wire.Message // as it came to the trunk
	ok              *wire.Message // the 200 as it came to the core
}

// call places a whole call from the core to the trunk.
func (w *world) call(callID string) outcome {
	w.t.Helper()
	var o outcome
	core, trunk := w.core, w.trunks[0]
	inv := outgoing(callID)
	core.send(w.proxy, core.request(inv))
	o.invite = trunk.want("INVITE")
	trunk.reply(w.proxy, o.invite, 180, "b", "", "")
	ringing := core.want("SIP/2.0 180")
	trunk.reply(w.proxy, o.invite, 200, "b", "", answerSDP)
	o.ok = core.want("SIP/2.0 200")
	core.send(w.proxy, core.request(within("ACK", inv, o.ok, 1)))
	ack := trunk.want("ACK")
	core.send(w.proxy, core.request(within("BYE", inv, o.ok, 2)))
	bye := trunk.want("BYE")
	trunk.reply(w.proxy, bye, 200, "b", "", "")
	end := core.want("SIP/2.0 200")
	for _, m := range []*wire.Message{o.invite, ack, bye} {
		o.atTrunk = append(o.atTrunk, string(m.Raw))
	}
	for _, m := range []*wire.Message{ringing, o.ok, end} {
		o.atCore = append(o.atCore, string(m.Raw))
	}
	return o
}

func TestCallIsAnchoredAndOtherwiseUntouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.call("c1")
	sent := w.core.request(outgoing("c1"))
	// What the proxy must change, undone, gives back what was sent.
	got := string(o.invite.Raw)
	lines := strings.SplitAfter(got, "\r\n")
	if !strings.HasPrefix(lines[1], "Via: SIP/2.0/UDP "+w.proxy.String()+";branch=z9hG4bK") || !strings.HasPrefix(lines[2], "Record-Route: <sip:"+w.proxy.String()+";lr;") {
		t.Fatalf("no Via and Record-Route of the proxy on top:\n%s", got)
	}
	back := lines[0] + strings.Join(lines[3:], "")
	back = strings.NewReplacer("Max-Forwards: 69", "Max-Forwards: 70", "IN IP4 198.51.100.1", "IN IP4 10.1.1.1", "m=audio 30000", "m=audio 4000",
		fmt.Sprintf("Content-Length: %d", len(o.invite.BodyBytes())), fmt.Sprintf("Content-Length: %d", len(offer))).Replace(back)
	if diff := cmp.Diff(sent, back); diff != "" {
		t.Errorf("more than that changed (-sent +back):\n%s", diff)
	}
	if body := string(o.ok.BodyBytes()); !strings.Contains(body, "c=IN IP4 192.0.2.1\r\n") || !strings.Contains(body, "m=audio 30000 ") {
		t.Errorf("the answer does not name the relay:\n%s", body)
	}
	w.wantSessions(0, 1)
	r := w.relay.sessions[0].streams[0].remote
	if r[sipproxy.Access] != netip.MustParseAddrPort("10.1.1.1:4000") || r[sipproxy.Trunk] != netip.MustParseAddrPort("10.2.2.2:5000") {
		t.Errorf("the relay was told %v", r)
	}
	eventually(t, func() bool { return figure(t, w.ops, "calls", "") == 0 }, func() string { return "the call is still counted" })
}

func TestTappedCallIsCopied(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		target  string
		content bool
		dirs    [2]string // of what the core sends, and the trunk
	}{
		"caller, content":     {subscriber, true, [2]string{"from", "to"}},
		"called, signalling":  {outside, false, [2]string{"to", "from"}},
		"called, as national": {"089 777001", true, [2]string{"to", "from"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			xid := w.tap(tt.target, tt.content)
			w.call("c1")
			pdus, got := w.copies.await(t, 6)
			c, tr := tt.dirs[0], tt.dirs[1]
			want := []string{
				"begin " + c + " INVITE 0", "continue " + tr + " INVITE 180", "continue " + tr + " INVITE 200", "continue " + c + " ACK 0",
				"continue " + c + " BYE 0", "end " + tr + " BYE 200",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("copies (-want +got):\n%s", diff)
			}
			checkCopies(t, w, pdus, xid)
			taps := w.relay.sessions[0].taps
			if tt.content && (len(taps) != 1 || taps[0].Grant.XID() != xid) || !tt.content && len(taps) != 0 {
				t.Errorf("the relay has %d taps", len(taps))
			}
		})
	}
}

func checkCopies(t *testing.T, w *world, pdus []x2x3.PDU, xid li.XID) {
	t.Helper()
	for i, p := range pdus {
		if p.XID != xid || p.Sequence != uint32(i) || p.Correlation != pdus[0].Correlation || p.Correlation == 0 {
			t.Errorf("copy %d: XID %v, sequence %d, correlation %x", i, p.XID, p.Sequence, p.Correlation)
		}
	}
	if p := pdus[0]; p.Src != w.core.addr || p.Dst != w.proxy || string(p.Payload) != w.core.request(outgoing("c1")) {
		t.Errorf("the INVITE was not copied as it came: %v to %v\n%s", p.Src, p.Dst, p.Payload)
	}
}

func TestTappedAndUntappedCallLookTheSame(t *testing.T) {
	t.Parallel()
	fixed := func(c *sipproxy.Config) { c.Shards = 1 }
	plain, tapped := newWorld(t, 1, fixed), newWorld(t, 1, fixed)
	tapped.tap(subscriber, true)
	tapped.tap(outside, false)
	a, b := plain.call("c1"), tapped.call("c1")
	tapped.copies.await(t, 12)
	plain.wantSessions(0, 1)
	tapped.wantSessions(0, 1)
	if diff := cmp.Diff(plain.neutral(a), tapped.neutral(b)); diff != "" {
		t.Errorf("on the wire (-plain +tapped):\n%s", diff)
	}
	if diff := cmp.Diff(gather(t, plain), gather(t, tapped)); diff != "" {
		t.Errorf("operations figures (-plain +tapped):\n%s", diff)
	}
}

// neutral replaces the ports that differ between two worlds, and the hashes over them.
func (w *world) neutral(o outcome) []string {
	r := strings.NewReplacer(w.proxy.String(), "PROXY", w.core.addr.String(), "CORE", w.trunks[0].addr.String(), "TRUNK")
	var texts []string
	for _, m := range append(o.atTrunk, o.atCore...) {
		text := r.Replace(m)
		for _, mark := range []string{"branch=z9hG4bKlg"} {
			for at := strings.Index(text, mark); at >= 0; at = strings.Index(text, mark) {
				text = text[:at] + "HASH" + text[at+len(mark)+48:]
			}
		}
		for at := strings.Index(text, ";lg="); at >= 0; at = strings.Index(text, ";lg=") {
			text = text[:at] + "HASH" + text[at+len(";lg=")+52:]
		}
		texts = append(texts, text)
	}
	return texts
}

func gather(t *testing.T, w *world) string {
	t.Helper()
	families, err := w.ops.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		fmt.Fprintln(&b, f.GetName(), len(f.GetMetric()))
		for _, m := range f.GetMetric() {
			fmt.Fprintln(&b, m.GetLabel(), m.GetCounter().GetValue(), m.GetGauge().GetValue())
		}
	}
	return b.String()
}

func TestOnNetCallIsNeitherAnchoredNorCopied(t *testing.T) {
	t.Parallel()
	var other *agent
	w := newWorld(t, 1, func(c *sipproxy.Config) {
		other = newAgent(t, "127.0.0.7")
		c.Peers = append(c.Peers, sipproxy.Peer{Name: "core2", Role: sipproxy.RoleCore, Addr: other.addr, Numbers: []string{"+4940"}})
	})
	w.tap(subscriber, true)
	inv := outgoing("c1")
	inv.uri, inv.to = "tel:+49-40-123456", "<sip:+4940123456@example.com>"
	w.core.send(w.proxy, w.core.request(inv))
	got := other.want("INVITE")
	if string(got.BodyBytes()) != offer {
		t.Errorf("the offer changed:\n%s", got.BodyBytes())
	}
	other.reply(w.proxy, got, 486, "b", "", "")
	w.core.want("SIP/2.0 486")
	if n := figure(t, w.li, "on_net_matches_total", ""); n != 1 {
		t.Errorf("on-net matches = %v", n)
	}
	if open, closed := w.relay.count(); open+closed != 0 || len(w.copies.all()) != 0 {
		t.Errorf("%d sessions, %d copies", open+closed, len(w.copies.all()))
	}
}

func TestClaimOfUntrustedPeerGivesNoContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(outside, true)
	inv := line{
		method: "INVITE", uri: "sip:" + subscriber + "@example.com", branch: "z9hG4bK-1", callID: "in", seq: 1,
		from: "<sip:" + outside + "@example.net>;tag=t", to: "<sip:" + subscriber + "@example.com>", body: offer,
		extra: "P-Asserted-Identity: <sip:" + outside + "@example.net>\r\n",
	}
	w.trunks[0].send(w.proxy, w.trunks[0].request(inv))
	w.core.want("INVITE")
	_, got := w.copies.await(t, 1)
	if got[0] != "begin from INVITE 0" {
		t.Errorf("copied %q", got)
	}
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	if len(w.relay.sessions) != 1 || len(w.relay.sessions[0].taps) != 0 {
		t.Errorf("%d sessions, taps opened by a claim", len(w.relay.sessions))
	}
	if n := figure(t, w.li, "untrusted_matches_total", ""); n != 1 {
		t.Errorf("untrusted matches = %v", n)
	}
}

func TestRegistrationOfTargetIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(subscriber, false)
	r := line{
		method: "REGISTER", uri: "sip:" + w.trunks[0].addr.String(), branch: "z9hG4bK-r", callID: "reg", seq: 7,
		from: "<sip:" + subscriber + "@example.com>;tag=a", to: "<sip:" + subscriber + "@example.com>",
	}
	w.core.send(w.proxy, w.core.request(r))
	req := w.trunks[0].want("REGISTER")
	w.trunks[0].reply(w.proxy, req, 200, "r", "", "")
	w.core.want("SIP/2.0 200")
	_, got := w.copies.await(t, 2)
	if diff := cmp.Diff([]string{"report from REGISTER 0", "report to REGISTER 200"}, got); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
}

func TestTextOfTargetIsReportedWithoutItsContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(subscriber, false)
	m := outgoing("text")
	m.method, m.body = "MESSAGE", "secret words"
	w.core.send(w.proxy, w.core.request(m))
	if got := w.trunks[0].want("MESSAGE"); string(got.BodyBytes()) != m.body {
		t.Errorf("the text changed: %q", got.BodyBytes())
	}
	pdus, got := w.copies.await(t, 1)
	if got[0] != "report from MESSAGE 0" || strings.Contains(string(pdus[0].Payload), "secret") {
		t.Errorf("copied %q with %q", got[0], pdus[0].Payload)
	}
}

func TestCallSurvivesRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.tap(subscriber, true)
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	ok := w.core.want("SIP/2.0 200")
	w.core.send(w.proxy, w.core.request(within("ACK", inv, ok, 1)))
	w.trunks[0].want("ACK")
	before, _ := w.copies.await(t, 3)
	w.restart()
	w.trunks[0].send(w.proxy, w.trunks[0].request(backwards("BYE", req, "b", 1)))
	bye := w.core.want("BYE")
	w.core.reply(w.proxy, bye, 200, "", "", "")
	w.trunks[0].want("SIP/2.0 200")
	after, got := w.copies.await(t, 5)
	if diff := cmp.Diff([]string{"continue to BYE 0", "end from BYE 200"}, got[3:]); diff != "" {
		t.Errorf("copies after the restart (-want +got):\n%s", diff)
	}
	if after[3].Correlation != before[0].Correlation {
		t.Error("the restart changed the correlation")
	}
}

func TestEachForkIsCarried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	inv := outgoing("c1")
	core, trunk := w.core, w.trunks[0]
	core.send(w.proxy, core.request(inv))
	req := trunk.want("INVITE")
	for _, tag := range []string{"x", "y", "x"} {
		trunk.reply(w.proxy, req, 183, tag, "", answerSDP)
		if got := core.want("SIP/2.0 183"); got.To.Tag != tag {
			t.Fatalf("got tag %s, want %s", got.To.Tag, tag)
		}
	}
	for _, tag := range []string{"x", "y"} {
		trunk.reply(w.proxy, req, 200, tag, "", strings.ReplaceAll(answerSDP, "10.2.2.2", "10.9.9."+fmt.Sprint(len(tag)+int(tag[0]-'x'))))
	}
	first, second := core.want("SIP/2.0 200"), core.want("SIP/2.0 200")
	if first.To.Tag != "x" || second.To.Tag != "y" {
		t.Fatalf("tags %s %s", first.To.Tag, second.To.Tag)
	}
	core.send(w.proxy, core.request(within("BYE", inv, second, 2)))
	trunk.reply(w.proxy, trunk.want("BYE"), 200, "", "", "")
	core.want("SIP/2.0 200")
	if open, _ := w.relay.count(); open != 1 {
		t.Error("hanging up one fork took the other's media")
	}
	w.relay.mu.Lock()
	if got := w.relay.sessions[0].streams[0].remote[sipproxy.Trunk]; got != netip.MustParseAddrPort("10.9.9.1:5000") {
		t.Errorf("media follows %v, want the first answer's", got)
	}
	w.relay.mu.Unlock()
	core.send(w.proxy, core.request(within("BYE", inv, first, 3)))
	trunk.reply(w.proxy, trunk.want("BYE"), 200, "", "", "")
	core.want("SIP/2.0 200")
	w.wantSessions(0, 1)
}

func TestIdleCallIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.IdleCall = 50 * time.Millisecond })
	inv := outgoing("c1")
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	w.trunks[0].reply(w.proxy, req, 200, "b", "", answerSDP)
	w.core.want("SIP/2.0 200")
	w.wantSessions(0, 1)
}

func TestNoPortsNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.relay.mu.Lock()
	w.relay.full = true
	w.relay.mu.Unlock()
	w.core.send(w.proxy, w.core.request(outgoing("c1")))
	if got := w.core.want("SIP/2.0 503"); !strings.Contains(string(got.Raw), "Retry-After: ") {
		t.Errorf("no Retry-After:\n%s", got.Raw)
	}
	w.trunks[0].wantNothing()
}

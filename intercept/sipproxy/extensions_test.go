package sipproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// bothWays runs a test with the core as the calling side, and with the trunk.
func bothWays(t *testing.T, test func(t *testing.T, w *world, a, b *agent)) {
	t.Helper()
	for _, fromCore := range []bool{true, false} {
		t.Run(map[bool]string{true: "core calls", false: "trunk calls"}[fromCore], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, calm)
			if fromCore {
				test(t, w, w.core, w.trunks[0])
			} else {
				test(t, w, w.trunks[0], w.core)
			}
		})
	}
}

// opening is an INVITE of a, with an offer.
func (w *world) opening(a *agent, callID string) line {
	if a == w.core {
		return outgoing(callID)
	}
	inv := outgoing(callID)
	inv.uri = "sip:" + subscriber + "@example.com"
	inv.from, inv.to = "<sip:"+outside+"@example.net>;tag=a", "<sip:"+subscriber+"@example.com>"
	return inv
}

// withBody puts a body of a type into a message that has none.
func withBody(msg, kind, body string) string {
	if body == "" {
		return msg
	}
	return strings.Replace(msg, "Content-Length: 0\r\n\r\n", fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body), 1)
}

// dialog is a call between two agents, at a test's hands.
type dialog struct {
	w      *world
	a, b   *agent // who called, and who was called
	inv    line
	invite *wire.Message // as b got it
	resp   *wire.Message // what made the dialog, as a got it
	tag    string        // b's
	seq    int
}

// ring sends an INVITE through and leaves it unanswered.
func (w *world) ring(a, b *agent, inv line) *dialog {
	w.t.Helper()
	return &dialog{w: w, a: a, b: b, inv: inv, invite: w.pass(a, b, a.request(inv)), tag: "b", seq: 1}
}

// respond answers the INVITE and holds what a got against it.
func (d *dialog) respond(status int, extra, sdp string) {
	d.w.t.Helper()
	d.resp = d.w.pass(d.b, d.a, response(d.invite, status, d.tag, d.b.addr, extra, sdp))
}

// answer is a whole INVITE transaction.
func (d *dialog) answer() *dialog {
	d.w.t.Helper()
	d.respond(200, "", answerSDP)
	d.w.pass(d.a, d.b, d.a.request(within("ACK", d.inv, d.resp, 1)))
	return d
}

// next makes a request within the dialog, of a or b.
func (d *dialog) next(byA bool, method string) line {
	d.seq++
	if byA {
		return within(method, d.inv, d.resp, d.seq)
	}
	return backwards(method, d.invite, d.tag, d.seq)
}

// ends are the sender and the receiver.
func (d *dialog) ends(byA bool) (from, to *agent) {
	if byA {
		return d.a, d.b
	}
	return d.b, d.a
}

// exchange is one transaction within a dialog.
type exchange struct {
	method, extra, kind, body string
	status                    int
	respExtra, respBody       string
}

// run carries an exchange through, and holds each of its messages against what was
// sent.
func (d *dialog) run(byA bool, x exchange) {
	d.w.t.Helper()
	from, to := d.ends(byA)
	r := d.next(byA, x.method)
	r.extra += x.extra
	req := d.w.pass(from, to, withBody(from.request(r), x.kind, x.body))
	kind := x.kind
	if x.respBody != "" && kind == "" {
		kind = "application/sdp"
	}
	resp := d.w.pass(to, from, withBody(response(req, x.status, "", to.addr, x.respExtra, ""), kind, x.respBody))
	if x.method != "INVITE" {
		return
	}
	ack := r
	ack.method, ack.body, ack.extra = "ACK", "", strings.TrimSuffix(r.extra, x.extra)
	if x.status < 300 {
		ack.branch += "-ack"
		d.w.pass(from, to, from.request(ack))
		return
	}
	if got := to.want("ACK"); got.To.Tag != resp.To.Tag || got.TopVia.Branch != req.TopVia.Branch {
		d.w.t.Errorf("not the ACK of this INVITE:\n%s", got.Raw)
	}
	from.send(d.w.proxy, from.request(ack)) // ends at the proxy
}

const (
	sdpHead   = "v=0\r\no=- 7 %d IN IP4 10.7.7.7\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
	telephone = "m=audio 6000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16,66,70\r\na=ptime:20\r\na=x-odd: kept  as it is \r\n"
)

// inDialog are transactions that either side may begin within a call.
func inDialog() map[string]exchange {
	const sdp = "application/sdp"
	active := fmt.Sprintf(sdpHead, 8, "10.7.7.7")
	answer := fmt.Sprintf(sdpHead, 3, "10.8.8.8") + "m=audio 7000 RTP/AVP 8 101\r\na=fmtp:101 0-15\r\na=rtcp:7009 IN IP4 10.8.8.9\r\n"
	return map[string]exchange{
		"UPDATE with an offer": {"UPDATE", "Allow: UPDATE\r\n", sdp, active + telephone, 200, "", answer},
		"UPDATE glare":         {"UPDATE", "", sdp, active + telephone, 491, "", ""},
		"UPDATE too soon":      {"UPDATE", "", sdp, active + telephone, 500, "Retry-After: 3\r\n", ""},
		"UPDATE as refresh":    {"UPDATE", "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n", "", "", 200, "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n", ""},
		"UPDATE too small":     {"UPDATE", "x: 90 ; refresher=uas\r\n", "", "", 422, "Min-SE: 3600\r\n", ""},
		"INVITE as refresh":    {"INVITE", "Session-Expires:1800\r\n", sdp, active + telephone, 200, "Session-Expires: 1800;refresher=uas\r\n", answer},
		"INVITE too small":     {"INVITE", "Session-Expires: 90\r\n", sdp, active + telephone, 422, "MIN-SE : 3600\r\n", ""},
		"INVITE glare":         {"INVITE", "", sdp, active + telephone, 491, "", ""},
		"hold":                 {"INVITE", "", sdp, active + telephone + "a=sendonly\r\n", 200, "", answer + "a=recvonly\r\n"},
		"hold as of RFC 2543":  {"INVITE", "", sdp, fmt.Sprintf(sdpHead, 9, "0.0.0.0") + telephone, 200, "", strings.Replace(answer, "c=IN IP4 10.8.8.8", "c=IN IP4 0.0.0.0", 1)},
		"resume":               {"INVITE", "", sdp, active + telephone + "a=sendrecv\r\n", 200, "", answer},
		"other codec":          {"INVITE", "", sdp, active + "m=audio 6010 RTP/AVP 9 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n", 200, "", answer},
		"other codec, refused": {"INVITE", "", sdp, active + "m=audio 6010 RTP/AVP 3\r\n", 488, "Warning: 305 x \"incompatible, odd\"\r\n", ""},
		"fax":                  {"INVITE", "", sdp, active + "m=audio 0 RTP/AVP 8\r\nm=image 6020 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n", 200, "", fmt.Sprintf(sdpHead, 4, "10.8.8.8") + "m=audio 0 RTP/AVP 8\r\nm=image 7020 udptl t38\r\n"},
		"fax in the same line": {"INVITE", "", sdp, active + "m=image 6020 udptl t38\r\n", 200, "", fmt.Sprintf(sdpHead, 4, "10.8.8.8") + "m=image 7020 udptl t38\r\n"},
		"fax, refused":         {"INVITE", "", sdp, active + "m=image 6020 udptl t38\r\na=T38MaxBitRate:14400\r\n", 488, "", ""},
		"second stream":        {"INVITE", "", sdp, active + telephone + "m=video 6030 RTP/AVPF 99\r\nc=IN IP4 10.7.7.9\r\na=rtcp:6039\r\n", 200, "", answer + "m=video 0 RTP/AVPF 99\r\n"},
		"encrypted stream":     {"INVITE", "", sdp, active + "m=audio 6040 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32\r\na=fingerprint:sha-256 AB:CD\r\n", 200, "", answer},
		"INFO with DTMF":       {"INFO", "", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200, "", ""},
		"INFO package":         {"INFO", "Info-Package: foo\r\nContent-Disposition: Info-Package\r\n", "application/foo", "c=IN IP4 10.1.1.1\r\nm=audio 1 x y\r\n\x00\x01\xff", 469, "Recv-Info: bar, baz\r\n", ""},
		"REFER":                {"REFER", "Refer-To: <sip:+4989777002@example.net?Replaces=c9%3Bto-tag%3Dx%3Bfrom-tag%3Dy>\r\nReferred-By: <sip:" + subscriber + "@example.com>;cid=\"20398823.2UWQFN309shb3@x\"\r\n", "", "", 202, "", ""},
		"REFER, compact":       {"REFER", "r:<tel:+4989777002>\r\nb:<sip:x@example.com>\r\nRefer-Sub: false\r\n", "", "", 202, "Refer-Sub: false\r\n", ""},
		"NOTIFY of a transfer": {"NOTIFY", "Event: refer;id=2\r\nSubscription-State: active;expires=60\r\n", "message/sipfrag;version=2.0", "SIP/2.0 180 Ringing\r\n", 200, "", ""},
		"SUBSCRIBE":            {"SUBSCRIBE", "o: dialog;call-id=x\r\nExpires: 60\r\n", "", "", 489, "u: presence\r\n", ""},
		"MESSAGE":              {"MESSAGE", "", "text/plain;charset=utf-8", "Grüße\r\n\r\n--\x00", 200, "", ""},
		"OPTIONS":              {"OPTIONS", "Accept: application/sdp\r\n", "", "", 200, "Allow: INVITE, ACK\r\n", answer},
		"unknown method":       {"FROBNICATE", "X: y\r\n", "application/x-frob", "\x00\r\n\r\n\xfe", 501, "", ""},
		"unknown status":       {"INFO", "", "", "", 699, "X: y\r\n", ""},
		"challenge":            {"INVITE", "", sdp, active + telephone, 407, "Proxy-Authenticate: Digest realm=\"a, b\", nonce=\"=\\\"x\", qop=\"auth,auth-int\",algorithm=MD5\r\nProxy-Authenticate: Digest realm=\"c\",nonce=\"d\"\r\n", ""},
	}
}

// Whatever the sides say to each other within a call passes, from either side, in
// calls from either side.
func TestTransactionsWithinACallPass(t *testing.T) {
	t.Parallel()
	for name, x := range inDialog() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				d := w.ring(a, b, w.opening(a, "c1")).answer()
				// Then the call goes on at the same ports.
				onward := exchange{"INVITE", "", "application/sdp", fmt.Sprintf(sdpHead, 10, "10.7.7.7") + telephone, 200, "", answerSDP}
				for _, byA := range []bool{true, false} {
					d.run(byA, x)
					d.run(!byA, onward)
				}
				w.wantSessions(1, 0)
				d.run(false, exchange{"BYE", "Reason: Q.850;cause=16;text=\"x\"\r\n", "", "", 200, "", ""})
				w.wantSessions(0, 1)
			})
		})
	}
}

// An offer in a reliable 183 is answered in PRACK, then UPDATE changes it before
// the call is answered (RFC 3262 clause 5, RFC 3311).
func TestReliableProvisionals(t *testing.T) {
	t.Parallel()
	reliable := "Require: 100rel\r\nRSeq: 988789\r\n"
	for name, late := range map[string]bool{"answer in the 183": false, "offer in the 183, answer in PRACK": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				inv := w.opening(a, "c1")
				inv.extra = "Supported: 100rel , precondition\r\nRequire: 100rel\r\n"
				prack := ""
				if late {
					inv.body, prack = "", offer
				}
				d := w.ring(a, b, inv)
				d.respond(183, reliable, answerSDP)
				d.run(true, exchange{"PRACK", "RAck: 988789 1 INVITE\r\n", "application/sdp", prack, 200, "", ""})
				d.run(true, exchange{"UPDATE", "", "application/sdp", offer, 200, "", answerSDP})
				d.run(false, exchange{"UPDATE", "", "application/sdp", answerSDP, 491, "", ""})
				d.respond(180, "Require: 100rel\r\nRSeq: 988790\r\n", "")
				d.run(true, exchange{"PRACK", "RAck: 988790 1 INVITE\r\n", "", "", 200, "", ""})
				d.run(true, exchange{"PRACK", "RAck: 988790 1 INVITE\r\n", "", "", 481, "", ""})
				d.respond(200, "", "")
				w.pass(a, b, a.request(within("ACK", inv, d.resp, 1)))
				w.wantSessions(1, 0)
			})
		})
	}
}

func TestEarlyMediaIsAnchoredBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		d := w.ring(a, b, w.opening(a, "c1"))
		d.respond(183, "P-Early-Media: sendrecv\r\n", answerSDP)
		d.respond(180, "Alert-Info: <http://example.net/x>\r\n", "")
		d.respond(183, "", strings.ReplaceAll(answerSDP, "10.2.2.2", "10.2.2.3")) // the announcement comes from elsewhere
		d.answer()
		w.wantSessions(1, 0)
	})
}

func TestLateOfferIsAnchored(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		inv := w.opening(a, "c1")
		inv.body = ""
		d := w.ring(a, b, inv)
		d.respond(180, "", "")
		d.respond(200, "", offer)
		ack := within("ACK", inv, d.resp, 1)
		ack.body = answerSDP
		w.pass(a, b, a.request(ack))
		w.pass(a, b, a.request(ack)) // the retransmitted 2xx is acknowledged again
		// A re-INVITE without offer asks for one, from the called side too.
		d.reinviteWithoutOffer(false)
		d.reinviteWithoutOffer(true)
		w.wantSessions(1, 0)
	})
}

func (d *dialog) reinviteWithoutOffer(byA bool) {
	d.w.t.Helper()
	from, to := d.ends(byA)
	r := d.next(byA, "INVITE")
	req := d.w.pass(from, to, from.request(r))
	d.w.pass(to, from, response(req, 200, "", to.addr, "", offer))
	r.method, r.body, r.branch = "ACK", answerSDP, r.branch+"-ack"
	d.w.pass(from, to, from.request(r))
}

// Each early dialog of a forked INVITE has its own reliable responses and PRACKs.
func TestEachForkHasItsPRACK(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		inv := w.opening(a, "c1")
		forks := map[string]*dialog{}
		d := w.ring(a, b, inv)
		for i, tag := range []string{"x", "y"} {
			f := *d
			f.tag, f.seq = tag, 10*i+1
			f.respond(183, fmt.Sprintf("Require: 100rel\r\nRSeq: %d\r\n", 100+i), answerSDP)
			forks[tag] = &f
		}
		for i, tag := range []string{"y", "x"} {
			forks[tag].run(true, exchange{"PRACK", fmt.Sprintf("RAck: %d 1 INVITE\r\n", 101-i), "", "", 200, "", ""})
			forks[tag].run(false, exchange{"UPDATE", "", "application/sdp", answerSDP, 200, "", offer})
		}
		forks["y"].answer()
		forks["x"].answer() // both answer: a hangs up the one it does not want
		forks["x"].run(true, exchange{"BYE", "", "", "", 200, "", ""})
		w.wantSessions(1, 0)
		forks["y"].run(false, exchange{"BYE", "", "", "", 200, "", ""})
		w.wantSessions(0, 1)
	})
}

// A transfer makes a new call, which is a target's or not by its own parties.
func TestTransferredCallIsClassifiedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, calm)
	const transferee = "+4989777002"
	w.tap(transferee, true)
	d := w.ring(w.core, w.trunks[0], outgoing("c1")).answer()
	d.run(false, exchange{"REFER", "Refer-To: <sip:" + transferee + "@example.net>\r\nReferred-By: <sip:" + outside + "@example.net>\r\n", "", "", 202, "", ""})
	d.run(true, exchange{"NOTIFY", "Event: refer\r\nSubscription-State: active\r\n", "message/sipfrag", "SIP/2.0 100 Trying\r\n", 200, "", ""})
	if n := len(w.copies.all()); n != 0 {
		t.Fatalf("%d copies of a call without a target", n)
	}
	inv := outgoing("c2")
	inv.uri, inv.to = "sip:"+transferee+"@example.net", "<sip:"+transferee+"@example.net>"
	inv.extra = "Referred-By: <sip:" + outside + "@example.net>\r\nReplaces: c9 ; to-tag=x;from-tag=y;early-only\r\nRequire: replaces\r\nTarget-Dialog: c1;local-tag=b\r\n"
	w.ring(w.core, w.trunks[0], inv).answer()
	_, got := w.copies.await(t, 3)
	if got[0] != "begin to INVITE 0" {
		t.Errorf("copied %q", got)
	}
	d.run(true, exchange{"NOTIFY", "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n", "message/sipfrag", "SIP/2.0 200 OK\r\n", 200, "", ""})
	d.run(false, exchange{"BYE", "", "", "", 200, "", ""})
	if n := len(w.copies.all()); n != 3 {
		t.Errorf("%d copies, want 3 of the second call", n)
	}
}

// A challenge comes back whole, its ACK goes hop by hop, and the second INVITE with
// credentials is another call leg of one session.
func TestChallengedINVITE(t *testing.T) {
	t.Parallel()
	for status, names := range map[int][2]string{401: {"WWW-Authenticate", "Authorization"}, 407: {"Proxy-Authenticate", "Proxy-Authorization"}} {
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				inv := w.opening(a, "c1")
				d := w.ring(a, b, inv)
				d.respond(status, names[0]+": Digest realm=\"x, y\",\r\n  nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"\", qop=\"auth\", algorithm=SHA-256, stale=FALSE\r\n", "")
				b.want("ACK")
				ack := inv
				ack.method, ack.body, ack.to = "ACK", "", inv.to+";tag=b"
				a.send(w.proxy, a.request(ack))
				w.wantSessions(0, 1)
				second := inv
				second.seq, second.branch = 2, inv.branch+"-2"
				second.extra = names[1] + ": Digest username=\"+4930555001\", realm=\"x, y\", uri=\"" + inv.uri + "\", response=\"6629fae49393a05397450978507c4ef1\", nc=00000001\r\n"
				d = w.ring(a, b, second)
				d.tag = "b2"
				d.respond(200, "Authentication-Info: nextnonce=\"x\"\r\n", answerSDP)
				w.pass(a, b, a.request(within("ACK", second, d.resp, 2)))
				w.wantSessions(1, 1)
			})
		})
	}
}

// A SUBSCRIBE makes a dialog in which both sides go on talking. It is no call: no
// media, nothing copied, nothing counted as a call.
func TestSubscriptionsPass(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, a, b *agent) {
		w.tap(subscriber, true)
		sub := w.opening(a, "s1")
		sub.method, sub.body = "SUBSCRIBE", ""
		sub.extra = "Event: dialog;sla\r\nExpires: 3600\r\nAccept: application/dialog-info+xml,\r\n application/pidf+xml\r\n"
		d := w.ring(a, b, sub)
		notify := exchange{
			"NOTIFY", "Event: dialog\r\nSubscription-State: active;expires=3599\r\n", "application/dialog-info+xml", "<dialog-info xmlns=\"x\"/>\n", 200, "", "",
		}
		d.run(false, notify) // it may overtake the response to SUBSCRIBE (RFC 6665 clause 4.1.2.4)
		d.respond(202, "Expires: 1800\r\n", "")
		d.run(false, notify)
		d.run(true, exchange{"SUBSCRIBE", "Event: dialog;sla\r\nExpires: 0\r\n", "", "", 200, "Expires: 0\r\n", ""})
		d.run(false, exchange{"NOTIFY", "Event: dialog\r\nSubscription-State: terminated;reason=timeout\r\n", "", "", 481, "", ""})
		w.wantSessions(0, 0)
		if calls, copies := figure(t, w.ops, "calls", ""), len(w.copies.all()); calls != 0 || copies != 0 {
			t.Errorf("%v calls, %d copies", calls, copies)
		}
	})
}

// Requests outside dialogs pass, and so do their responses.
func TestRequestsOutsideDialogsPass(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]exchange{
		"MESSAGE":        {"MESSAGE", "Expires: 60\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n", "message/cpim", "From: <im:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nhi\r\n", 202, "", ""},
		"OPTIONS":        {"OPTIONS", "Accept: application/sdp\r\n", "", "", 200, "Allow: INVITE\r\n", offer},
		"PUBLISH":        {"PUBLISH", "SIP-If-Match: dx200xyz\r\nEvent: presence\r\n", "application/pidf+xml", "<presence/>", 412, "SIP-ETag: y\r\n", ""},
		"REGISTER":       {"REGISTER", "Expires: 60\r\nPath: <sip:p.example.com;lr>\r\n", "", "", 423, "Min-Expires: 3600\r\n", ""},
		"REFER":          {"REFER", "Refer-To: <sip:x@example.com;method=INVITE>\r\n", "", "", 603, "", ""},
		"NOTIFY":         {"NOTIFY", "Event: message-summary\r\nSubscription-State: active\r\n", "application/simple-message-summary", "Messages-Waiting: yes\r\n", 200, "", ""},
		"INFO":           {"INFO", "", "application/x", "\x00\xff", 481, "", ""},
		"BYE":            {"BYE", "", "", "", 481, "", ""},
		"unknown method": {"FROB-1.x!%*_+`'~", "", "", "", 405, "Allow: ACK\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				r := w.opening(a, "c1")
				r.method, r.body, r.extra = x.method, "", x.extra
				if x.method == "REGISTER" {
					r.uri = "sip:" + b.addr.String()
				}
				req := w.passAnchored(a, b, withBody(a.request(r), x.kind, x.body), "")
				w.passAnchored(b, a, withBody(response(req, x.status, "b", b.addr, x.respExtra, ""), "application/sdp", x.respBody), "")
				w.wantSessions(0, 0)
			})
		})
	}
}

const isup = "\x01\x00\x49\x00\x00\x03\x02\x00\x07\x04\x10\x00\x33\x63\x21\r\nv=0\r\nc=IN IP4 10.6.6.6\r\nm=audio 6000 RTP/AVP 0\r\n--unique\x00\xff\xfe"

// multipart is an ISUP message, a description and a location, with a preamble.
func multipart(description string) string {
	return "preamble c=IN IP4 10.6.6.6\r\n--unique-1\r\nContent-Type: application/ISUP;version=nxv3;base=etsi121\r\nContent-Transfer-Encoding: binary\r\n\r\n" + isup +
		"\r\n--unique-1 \t\r\nc : application/x-none\r\ncontent-TYPE :application/SDP\r\nContent-Disposition:session;handling=required\r\n\r\n" + description +
		"\r\n--unique-1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <loc@x>\r\n\r\n<presence>\n <gml:pos>48.2 16.3</gml:pos>\n</presence>\r\n--unique-1--\r\nepilogue\r\n"
}

// What an INVITE carries besides passes untouched: headers known and unknown, in any
// shape that the grammar allows, and bodies of any kind.
func TestWhateverAnINVITECarriesPasses(t *testing.T) {
	t.Parallel()
	mixed := func(kind, body string) func(string) string {
		return func(msg string) string { return withBody(msg, kind, body) }
	}
	replace := func(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }
	insert := func(lines string) func(string) string { return replace("X-Odd :", lines+"X-Odd :") }
	for name, tt := range map[string]struct {
		body string
		edit func(string) string
	}{
		"identity (RFC 8224)":   {offer, insert("Identity: eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7InRuIjoiMTIxNTU1NTEyMTIifX0.sig==;info=<https://cert.example.org/p.cer>;alg=ES256;ppt=shaken\r\nDate: Fri, 25 Sep 2015 19:12:25 GMT\r\n")},
		"privacy, asserted":     {offer, insert("Privacy: id;critical\r\nP-Asserted-Identity: \"A, B\" <sip:" + subscriber + "@example.com>, <tel:" + subscriber + ">\r\nP-Preferred-Identity:<sip:x@y>\r\nRemote-Party-ID: <sip:x@y>;party=calling;screen=yes\r\n")},
		"diversion":             {offer, insert("Diversion: <sip:+4930555002@example.com>;reason=no-answer;counter=1, <sip:+4930555003@example.com>;reason=user-busy\r\nCC-Diversion: x\r\n")},
		"history":               {offer, insert("History-Info: <sip:+4930555002@example.com?Reason=SIP%3Bcause%3D302>;index=1,\r\n <sip:x@example.com>;index=1.1;mp=1\r\nHistory-Info:<sip:y@example.com>;index=1.1.1\r\n")},
		"location, charging":    {offer, insert("Geolocation: <cid:loc@x>, <https://lis.example.com/u>\r\nGeolocation-Routing: yes\r\nP-Charging-Vector: icid-value=1234bc9876e;icid-generated-at=192.0.6.8\r\nP-Access-Network-Info: 3GPP-UTRAN-TDD; utran-cell-id-3gpp=234151D0FCE11\r\n")},
		"compact forms":         {offer, replace("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Type:", "c:", "Content-Length:", "l:")},
		"odd case":              {offer, replace("Via:", "vIA:", "From:", "FROM:", "To:", "tO:", "Call-ID:", "CALL-id:", "CSeq:", "cSEQ:", "Max-Forwards:", "MAX-forwards:", "Content-Type:", "content-type:", "Content-Length:", "CONTENT-LENGTH:", "application/sdp", "APPLICATION/sdp")},
		"white space and folds": {offer, replace("From: ", "From\t :\r\n  ", "To: ", "To:", "CSeq: 1 INVITE", "CSeq : \r\n\t0001 \t INVITE  ", "Max-Forwards: 70", "Max-Forwards \t:\r\n 0070 ", "Content-Length: ", "Content-Length\t:\r\n  ", "X-Odd :", "Subject:\r\n a\r\n\tb \r\nX-Empty:\r\nX-Odd :")},
		"no Max-Forwards":       {offer, replace("Max-Forwards: 70\r\n", "")},
		"one hop left":          {offer, replace("Max-Forwards: 70\r\n", "Max-Forwards: 1\r\n")},
		"no Content-Length": {offer, func(msg string) string {
			return strings.Replace(msg, fmt.Sprintf("Content-Length: %d\r\n", len(offer)), "", 1)
		}},
		"many Vias":                 {offer, insert("Via: SIP/2.0/TCP a.example.com:5061;branch=z9hG4bKx;received=192.0.2.7, SIP/2.0/UDP [2001:db8::1]\r\nv:SIP/2.0/TLS b.example.com\r\n")},
		"foreign Record-Route":      {offer, insert("Record-Route: <sip:p1.example.com;lr>,<sip:p2.example.com;lr;x=\"y\">\r\n")},
		"unknown headers":           {offer, insert("X-\x60~'%: \"\r\nX-Twice: 1\r\nx-twice : 2\r\nX-Utf: \xc3\xbc\xff\r\nUnsupported-Thing: ;;,,;=\r\n")},
		"preconditions":             {offer + "a=curr:qos local none\r\na=des:qos mandatory local sendrecv\r\n", insert("Require: precondition,100rel\r\n")},
		"telephone events":          {"v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 10.1.1.1\r\nb=AS:64\r\nt=0 0\r\n" + telephone + "a=maxptime:40\r\n", nil},
		"bare LF in a description":  {strings.ReplaceAll(offer, "\r\n", "\n"), nil},
		"fax, call type":            {"v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 10.1.1.1\r\nt=0 0\r\nm=image 6020 udptl t38\r\na=T38FaxMaxBuffer:72\r\n", nil},
		"multipart":                 {"", mixed("multipart/mixed;boundary=unique-1", multipart(offer))},
		"multipart, quoted":         {"", mixed("multipart/mixed ;\r\n\tboundary=\"unique-1\"; x=y", multipart(offer))},
		"ISUP alone":                {"", mixed("application/ISUP;version=itu-t92+", isup)},
		"a body of no known type":   {"", mixed("application/x-unknown", offer+"\x00")},
		"broken description":        {"", mixed("application/sdp", "this is no description\r\n")},
		"encoded description":       {offer, insert("e: gzip\r\n")},
		"no body at all":            {"", nil},
		"long":                      {offer, insert("X-Long: " + strings.Repeat("0123456789abcdef", 2000) + "\r\n")},
		"alternative is no mixture": {"", mixed("multipart/alternative;boundary=unique-1", multipart(offer))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *world, a, b *agent) {
				inv := w.opening(a, "c1")
				inv.body = tt.body
				msg := a.request(inv)
				if tt.edit != nil {
					if msg = tt.edit(msg); msg == a.request(inv) {
						t.Fatal("nothing was edited")
					}
				}
				w.pass(a, b, msg)
			})
		})
	}
}

package sipproxy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li/x2x3"
)

// securePhone sends and hears SRTP with keys in its description.
type securePhone struct {
	*agent
	srtp *srtp.Context
	key  string
	seq  uint16
}

func (p *securePhone) rekey(seed byte) {
	p.t.Helper()
	secret := bytes.Repeat([]byte{seed}, 30)
	c, err := srtp.CreateContext(secret[:16], secret[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err != nil {
		p.t.Fatal(err)
	}
	p.srtp, p.key = c, base64.StdEncoding.EncodeToString(secret)
}

func (p *securePhone) describe() string {
	text := strings.Replace(describe(p.agent), "RTP/AVP", "RTP/SAVP", 1)
	return text + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + p.key + "|2^31\r\n"
}

// say sends one packet and returns it in clear and as it is on the wire.
func (p *securePhone) say(to netip.AddrPort) (clear, sealed []byte) {
	p.t.Helper()
	p.seq++
	clear, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: p.seq, SSRC: 9}, Payload: fmt.Appendf(nil, "%s packet %d", p.addr, p.seq)}).Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	if sealed, err = p.srtp.EncryptRTP(nil, clear, nil); err != nil {
		p.t.Fatal(err)
	}
	p.send(to, string(sealed))
	return clear, sealed
}

// SRTP with keys in the signalling passes as it is, and the copies are in clear: both
// directions, after new keys, and for a tap that begins in the middle of the call.
func TestEncryptedMediaIsCopiedInClear(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late tap ", late), func(t *testing.T) {
			t.Parallel()
			r, err := media.New(media.Config{
				AccessAddr: netip.MustParseAddr("127.0.0.50"), TrunkAddr: netip.MustParseAddr("127.0.0.51"),
				Ports: media.PortRange{Min: 27200, Max: 27299}, Quiet: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			background(t, r.Run)
			w := newWorld(t, 1, func(c *sipproxy.Config) { c.Relay = realRelay{r} })
			near, far := &securePhone{agent: newAgent(t, "127.0.0.60")}, &securePhone{agent: newAgent(t, "127.0.0.61")}
			near.rekey(1)
			far.rekey(2)
			if !late {
				w.tap(subscriber, true)
			}
			inv := outgoing("c1")
			inv.body = near.describe()
			w.core.send(w.proxy, w.core.request(inv))
			req := w.trunks[0].want("INVITE")
			if !strings.Contains(string(req.BodyBytes()), near.key+"|2^31\r\n") {
				t.Fatal("the keys were changed on their way")
			}
			w.trunks[0].reply(w.proxy, req, 200, "b", "", far.describe())
			ok := w.core.want("SIP/2.0 200")
			toFar, toNear := audioAddr(t, ok.BodyBytes()), audioAddr(t, req.BodyBytes())
			var want [][]byte
			talk := func() {
				t.Helper()
				for range 3 {
					clear, sealed := near.say(toFar)
					far.wantPacket(sealed)
					want = append(want, clear)
					clear, sealed = far.say(toNear)
					near.wantPacket(sealed)
					want = append(want, clear)
				}
			}
			if late {
				talk()
				want = nil
				w.tap(subscriber, true)
				eventually(t, func() bool { // the tap is on once a packet is copied
					_, sealed := near.say(toFar)
					far.wantPacket(sealed)
					return len(w.clearMedia(t)) > 0
				}, func() string { return "the tap did not begin" })
			}
			begun := len(w.clearMedia(t))
			talk()
			re := within("INVITE", inv, ok, 2)
			near.rekey(3)
			far.rekey(4)
			re.body = near.describe()
			w.core.send(w.proxy, w.core.request(re))
			again := w.trunks[0].want("INVITE")
			w.trunks[0].reply(w.proxy, again, 200, "b", "", far.describe())
			w.core.want("SIP/2.0 200")
			talk()
			w.wantMedia(t, begun, want)
		})
	}
}

// clearMedia is what was copied of the media so far.
func (w *world) clearMedia(t *testing.T) []x2x3.PDU {
	t.Helper()
	var list []x2x3.PDU
	for _, p := range w.copies.all() {
		if p.Type == x2x3.X3 {
			list = append(list, p)
		}
	}
	return list
}

// wantMedia waits until the packets, in clear, were copied in order after the first
// ones.
func (w *world) wantMedia(t *testing.T, skip int, want [][]byte) {
	t.Helper()
	find := func(b []byte) int {
		for i, p := range w.clearMedia(t) {
			_, _, payload, err := x2x3.ParseDatagram(p.Payload, p.Format)
			if err == nil && bytes.Equal(payload, b) && p.Decrypted {
				return i
			}
		}
		return -1
	}
	last := -1
	for i, b := range want {
		eventually(t, func() bool { return find(b) >= 0 }, func() string { return fmt.Sprintf("packet %d of %d was not copied in clear", i, len(want)) })
		if at := find(b); at < last {
			t.Errorf("packet %d is copied out of order", i)
		} else {
			last = at
		}
	}
	if n := len(w.clearMedia(t)); n < skip+len(want) {
		t.Errorf("%d copies, want %d more than %d", n, len(want), skip)
	}
}

// What only the parties can open passes and is copied as it is.
func TestMediaUnderOtherKeysIsCopiedAsItIs(t *testing.T) {
	t.Parallel()
	r, err := media.New(media.Config{
		AccessAddr: netip.MustParseAddr("127.0.0.50"), TrunkAddr: netip.MustParseAddr("127.0.0.51"), Ports: media.PortRange{Min: 27300, Max: 27399},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Relay = realRelay{r} })
	w.tap(subscriber, true)
	near, far := &securePhone{agent: newAgent(t, "127.0.0.60")}, &securePhone{agent: newAgent(t, "127.0.0.61")}
	near.rekey(1)
	far.rekey(2)
	inv := outgoing("c1")
	dtls := "a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=zrtp-hash:1.10 fe30\r\n"
	inv.body = strings.Replace(describe(near.agent), "RTP/AVP", "UDP/TLS/RTP/SAVP", 1) + dtls
	w.core.send(w.proxy, w.core.request(inv))
	req := w.trunks[0].want("INVITE")
	if !strings.HasSuffix(string(req.BodyBytes()), dtls) {
		t.Errorf("the description was changed:\n%s", req.BodyBytes())
	}
	w.trunks[0].reply(w.proxy, req, 200, "b", "", strings.Replace(describe(far.agent), "RTP/AVP", "UDP/TLS/RTP/SAVP", 1)+dtls)
	ok := w.core.want("SIP/2.0 200")
	if n := len(values(ok, wire.RecordRoute)); n == 0 {
		t.Error("not routed through us")
	}
	_, sealed := near.say(audioAddr(t, ok.BodyBytes()))
	far.wantPacket(sealed)
	eventually(t, func() bool { return len(w.clearMedia(t)) == 1 }, func() string { return "not copied" })
	p := w.clearMedia(t)[0]
	if _, _, payload, err := x2x3.ParseDatagram(p.Payload, p.Format); err != nil || !bytes.Equal(payload, sealed) || p.Decrypted {
		t.Errorf("copied as %q, decrypted %t, %v", payload, p.Decrypted, err)
	}
}

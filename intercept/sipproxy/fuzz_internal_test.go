package sipproxy

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// FuzzIntake gives a shard whatever a peer may send, one message after the other with
// what the ones before left, and lets its timers run: it must live, and forward nothing
// that does not parse.
func FuzzIntake(f *testing.F) {
	for _, folder := range []string{"messages", "rfc5118"} {
		files, _ := filepath.Glob(filepath.Join("wire", "testdata", folder, "*"))
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil {
				f.Add(b, true)
				f.Add(b, false)
			}
		}
	}
	for _, b := range seedMessages() {
		f.Add([]byte(b), true)
		f.Add([]byte(b), false)
	}
	p, fromCore, fromTrunk := fuzzProxy(f)
	s := newShard(p)
	count := 0
	f.Fuzz(func(t *testing.T, raw []byte, core bool) {
		m, err := wire.Parse(bytes.Clone(raw))
		if err != nil {
			return
		}
		if count++; count%500 == 0 { // what the messages left is enough
			s.closeCalls()
			s.wake.Stop()
			s = newShard(p)
		}
		from := fromTrunk
		if core {
			from = fromCore
		}
		s.now = time.Now()
		s.take(event{at: s.now, flow: from.flow, from: from.peer, msg: m})
		s.catchUp()
		for end := s.now.Add(time.Millisecond); len(s.timers) > 0 && s.now.Before(end); s.catchUp() {
			s.now = time.Now()
			s.fire(s.now)
		}
	})
}

// fuzzProxy is a proxy between two sockets of the test that nobody reads, with a Task
// on a number of the seeds.
func fuzzProxy(f *testing.F) (p *Proxy, core, trunk nextHop) {
	f.Helper()
	index, err := tasking.New(tasking.Config{})
	if err != nil {
		f.Fatal(err)
	}
	id, err := li.NumberPlan{}.ParseTarget("+4930555001")
	if err != nil {
		f.Fatal(err)
	}
	task := li.ContentTask{IRITask: li.IRITask{XID: li.NewXID(), Targets: []li.Identity{id}, Until: time.Now().Add(24 * time.Hour)}}
	if err := index.Activate(task); err != nil {
		f.Fatal(err)
	}
	copier, err := tee.New(tee.Config{Out: nowhere{}, NFID: "gw"})
	if err != nil {
		f.Fatal(err)
	}
	relay, err := media.New(media.Config{AccessAddr: netip.MustParseAddr("127.0.0.1"), TrunkAddr: netip.MustParseAddr("127.0.0.1"), Ports: media.PortRange{Min: 28000, Max: 28199}, Quiet: time.Microsecond})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	go func() { _ = copier.Run(ctx) }()
	go func() { _ = relay.Run(ctx) }()
	at := netip.MustParseAddrPort("127.0.0.1:0")
	far := [2]*socket{}
	for i := range far {
		if far[i], err = openSocket(ctx, Listen{Net: netUDP, Addr: at}); err != nil {
			f.Fatal(err)
		}
		f.Cleanup(far[i].close)
	}
	p, err = New(Config{
		Log: slog.New(slog.DiscardHandler), Secret: make([]byte, secretBytes), Relay: fuzzRelay{relay}, Index: index, Tee: copier,
		Plan: li.NumberPlan{CountryCode: "49", NationalPrefix: "0"}, Listen: []Listen{{Net: netUDP, Addr: at}}, Shards: 1,
		Timers: Timers{T1: time.Microsecond, T2: 4 * time.Microsecond, T4: 5 * time.Microsecond, C: 20 * time.Microsecond, Hop: 4 * time.Microsecond},
		Peers: []Peer{
			{Name: "core", Role: RoleCore, Addr: far[0].local, Trusted: true, Numbers: []string{"+4930"}, Domains: []string{"example.com"}},
			{Name: "trunk", Role: RoleTrunk, Addr: far[1].local},
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	own, err := openSocket(ctx, Listen{Net: netUDP, Addr: at})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(own.close)
	p.sockets = []*socket{own}
	hop := func(i int) nextHop {
		return nextHop{peer: p.peers.all[i], flow: flow{sock: own, remote: far[i].local}}
	}
	return p, hop(0), hop(1)
}

// nowhere is a bus that takes everything.
type nowhere struct{}

func (nowhere) PublishAll(context.Context, x2x3.Type, *bus.Batch) error { return nil }

// fuzzRelay shows the relay as the proxy wants it, without taps.
type fuzzRelay struct{ *media.Relay }

func (r fuzzRelay) Open(ipv6 Families) (MediaSession, error) {
	return fuzzSession{r.Relay.Open(media.Families(ipv6))}, nil
}

type fuzzSession struct{ *media.Session }

func (s fuzzSession) Stream(i int) (MediaStream, error) {
	st, err := s.Session.Stream(i)
	if err != nil {
		return nil, err
	}
	return fuzzStream{st}, nil
}

func (fuzzSession) SetTaps([]ContentTap) {}

type fuzzStream struct{ *media.Stream }

func (s fuzzStream) Anchor(side Side) (rtp, rtcp netip.AddrPort) {
	return s.Stream.Anchor(media.Side(side))
}

func (s fuzzStream) SetRemote(side Side, rtp, rtcp netip.AddrPort) {
	s.Stream.SetRemote(media.Side(side), rtp, rtcp)
}

// seedMessages are a call's messages, with every field that is read.
func seedMessages() []string {
	const head = "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport;alias\r\nMax-Forwards: 70\r\nFrom: <sip:+4930555001@example.com>;tag=a\r\n" +
		"To: <sip:+4989777001@x>\r\nCall-ID: c1\r\nContact: <sip:a@127.0.0.1>\r\n"
	const body = "v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 10.1.1.1\r\nt=0 0\r\na=inactive\r\nm=audio 4000 RTP/SAVP 8\r\na=rtcp:4001\r\n" +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\na=candidate:1 1 UDP 1 10.1.1.1 4000 typ host\r\n"
	const sdp = "Content-Type: application/sdp\r\nContent-Length: 285\r\n\r\n" + body
	return []string{
		"INVITE sip:+4989777001@x SIP/2.0\r\n" + head + "CSeq: 1 INVITE\r\nP-Asserted-Identity: <tel:+4930555001>\r\nDiversion: <sip:b@x>\r\nHistory-Info: <sip:c@x>;index=1\r\n" +
			"Remote-Party-ID: <sip:+4930555001@x>;screen=yes\r\nReferred-By: <sip:d@x>\r\nRoute: <sip:127.0.0.1;lr>\r\n" + sdp,
		"INVITE sip:112@x SIP/2.0\r\n" + head + "CSeq: 1 INVITE\r\n\r\n",
		"INVITE urn:service:sos SIP/2.0\r\n" + head + "CSeq: 1 INVITE\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + body + "\r\n--b--\r\n",
		"ACK sip:+4989777001@x SIP/2.0\r\n" + head + "CSeq: 1 ACK\r\n\r\n", "CANCEL sip:+4989777001@x SIP/2.0\r\n" + head + "CSeq: 1 CANCEL\r\n\r\n",
		"BYE sip:a@127.0.0.1 SIP/2.0\r\n" + head + "CSeq: 2 BYE\r\n\r\n", "REGISTER sip:example.com SIP/2.0\r\n" + head + "CSeq: 1 REGISTER\r\n\r\n",
		"UPDATE sip:a@127.0.0.1 SIP/2.0\r\n" + head + "CSeq: 3 UPDATE\r\nSession-Expires: 90\r\n" + sdp,
		"SIP/2.0 200 OK\r\n" + head + "CSeq: 1 INVITE\r\nSession-Expires: 1800;refresher=uac\r\n" + sdp, "SIP/2.0 503 Busy\r\n" + head + "CSeq: 1 INVITE\r\nRetry-After: 5 (x)\r\n\r\n",
		"OPTIONS sip:127.0.0.1 SIP/2.0\r\n" + head + "CSeq: 1 OPTIONS\r\nProxy-Require: x\r\n\r\n", "MESSAGE sip:+4930555001@x SIP/2.0\r\n" + head + "CSeq: 1 MESSAGE\r\nContent-Length: 2\r\n\r\nhi",
	}
}

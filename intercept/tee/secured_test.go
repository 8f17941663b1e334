package tee_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li/x2x3"
)

// talker encrypts what one side sends to two ports of the relay.
type talker struct {
	t         *testing.T
	srtp      *srtp.Context
	crypto    string
	rtp, rtcp netip.AddrPort
}

func newTalker(t *testing.T, seed byte, port uint16) *talker {
	t.Helper()
	secret := bytes.Repeat([]byte{seed}, 30)
	c, err := srtp.CreateContext(secret[:16], secret[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err != nil {
		t.Fatal(err)
	}
	return &talker{
		t: t, srtp: c, crypto: "1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.StdEncoding.EncodeToString(secret),
		rtp: netip.AddrPortFrom(dst.Addr(), port), rtcp: netip.AddrPortFrom(dst.Addr(), port+1),
	}
}

// voice and report return a packet in clear and encrypted.
func (k *talker) voice(seq uint16) (plain, sealed []byte) {
	k.t.Helper()
	plain, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: seq, SSRC: 7}, Payload: []byte("twenty milliseconds")}).Marshal()
	if err != nil {
		k.t.Fatal(err)
	}
	if sealed, err = k.srtp.EncryptRTP(nil, plain, nil); err != nil {
		k.t.Fatal(err)
	}
	return plain, sealed
}

func (k *talker) report() (plain, sealed []byte) {
	k.t.Helper()
	plain = append([]byte{0x80, 200, 0, 6, 0, 0, 0, 7}, make([]byte, 20)...)
	sealed, err := k.srtp.EncryptRTCP(nil, plain, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return plain, sealed
}

// SRTP of both sides, RTCP on its port and among RTP, and packets that no key opens: all
// come in order, numbered without a gap, what opens in clear, the rest as it came and
// counted.
func TestEncryptedCopies(t *testing.T) {
	t.Parallel()
	w, reg := newWorld(t, 0, 0), prometheus.NewRegistry()
	var err error
	w.tee, err = tee.New(tee.Config{Log: slog.New(slog.DiscardHandler), Out: w.store, NFID: "gw-1", LIReg: reg})
	if err != nil {
		t.Fatal(err)
	}
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 42)
	w.run(t)
	near, far, stranger, renewed := newTalker(t, 1, 5000), newTalker(t, 2, 5010), newTalker(t, 3, 5000), newTalker(t, 4, 5000)
	line.SetKeys(near.rtp, near.rtcp, []string{"1 F8_128_HMAC_SHA1_80 inline:AAAA", near.crypto})
	line.SetKeys(far.rtp, far.rtcp, []string{far.crypto})
	line.SetKeys(netip.AddrPortFrom(dst.Addr(), 5020), netip.AddrPortFrom(dst.Addr(), 5021), nil) // keys agreed elsewhere

	type copied struct {
		payload []byte
		opened  bool
	}
	var want []copied
	send := func(dir x2x3.Direction, to netip.AddrPort, sealed, expect []byte) {
		line.X3(tap.Media(), time.Now(), dir, src, to, sealed)
		want = append(want, copied{expect, !bytes.Equal(sealed, expect)})
	}
	undecrypted := 0
	for seq := range uint16(20) {
		plain, sealed := near.voice(seq)
		send(x2x3.FromTarget, near.rtp, sealed, plain)
		plain, sealed = far.voice(seq) // the same SSRC the other way
		send(x2x3.ToTarget, far.rtp, sealed, plain)
		plain, sealed = near.report()
		send(x2x3.FromTarget, near.rtcp, sealed, plain)
		plain, sealed = far.report()
		send(x2x3.ToTarget, far.rtp, sealed, plain) // RFC 5761
		_, sealed = stranger.voice(seq)
		send(x2x3.FromTarget, near.rtp, sealed, sealed)
		send(x2x3.FromTarget, netip.AddrPortFrom(dst.Addr(), 5020), sealed, sealed)
		undecrypted += 2
		stun := []byte("\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes")
		send(x2x3.FromTarget, near.rtp, stun, stun)   // no SRTP: not counted
		send(x2x3.FromTarget, dst, sealed, sealed)    // no SRTP was described: not counted
		send(x2x3.FromTarget, far.rtcp, plain, plain) // clear where SRTP was described
		undecrypted++
	}
	w.store.await(t, len(want))
	line.SetKeys(near.rtp, near.rtcp, []string{renewed.crypto, near.crypto})
	for seq := range uint16(20) { // both keys at once
		plain, sealed := renewed.voice(100 + seq)
		send(x2x3.FromTarget, near.rtp, sealed, plain)
		plain, sealed = near.voice(20 + seq)
		send(x2x3.FromTarget, near.rtp, sealed, plain)
	}
	for i, p := range w.store.await(t, len(want)) {
		_, _, payload, err := x2x3.ParseDatagram(p.Payload, p.Format)
		if err != nil || p.Sequence != uint32(i) || p.Decrypted != want[i].opened || !bytes.Equal(payload, want[i].payload) {
			t.Fatalf("copy %d: number %d, decrypted %t, %d octets, want %d; %v", i, p.Sequence, p.Decrypted, len(payload), len(want[i].payload), err)
		}
	}
	wantUndecrypted(t, reg, undecrypted)
}

func wantUndecrypted(t *testing.T, reg prometheus.Gatherer, want int) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "ligate_tee_undecrypted_pdus_total" {
			if got := int(f.GetMetric()[0].GetCounter().GetValue()); got != want {
				t.Errorf("%d packets counted, want %d", got, want)
			}
			return
		}
	}
	t.Error("no such metric")
}

// The call's path does the same for SRTP as for RTP: it copies.
func TestEncryptedCopyAllocatesNothing(t *testing.T) {
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line, grant := w.tee.Line(tap, 42), tap.Media()
	k := newTalker(t, 1, 5000)
	line.SetKeys(k.rtp, k.rtcp, []string{k.crypto})
	_, sealed := k.voice(1)
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() { line.X3(grant, now, x2x3.FromTarget, src, k.rtp, sealed) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// Keys are told while packets are copied; -race watches.
func TestKeysAreToldMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 42)
	w.run(t)
	k := newTalker(t, 1, 5000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 500 {
			line.SetKeys(k.rtp, k.rtcp, []string{k.crypto})
		}
	}()
	for seq := range uint16(500) {
		_, sealed := k.voice(seq)
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, k.rtp, sealed)
	}
	<-done
	w.store.await(t, 500)
}

package sdes_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/ligate/ligate/intercept/sdes"
)

// suites are what can be opened, with pion's names, key and salt lengths.
func suites() map[string]srtp.ProtectionProfile {
	return map[string]srtp.ProtectionProfile{
		"AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80,
		"AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32,
		"AES_256_CM_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
		"AES_256_CM_HMAC_SHA1_32": srtp.ProtectionProfileAes256CmHmacSha1_32,
		"AEAD_AES_128_GCM":        srtp.ProtectionProfileAeadAes128Gcm,
		"AEAD_AES_256_GCM":        srtp.ProtectionProfileAeadAes256Gcm,
	}
}

// sender encrypts as a phone does, and has its a=crypto value.
type sender struct {
	t     *testing.T
	srtp  *srtp.Context
	value string
}

func newSender(t *testing.T, suite string, seed byte, params string, opts ...srtp.ContextOption) sender {
	t.Helper()
	profile := suites()[suite]
	keyLen, _ := profile.KeyLen()
	saltLen, _ := profile.SaltLen()
	secret := bytes.Repeat([]byte{seed}, keyLen+saltLen)
	c, err := srtp.CreateContext(secret[:keyLen], secret[keyLen:], profile, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return sender{t, c, "1 " + suite + " inline:" + base64.StdEncoding.EncodeToString(secret) + params}
}

func (s sender) keys() []sdes.Key {
	s.t.Helper()
	keys, err := sdes.Parse(s.value)
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

func opener(t *testing.T, senders ...sender) *sdes.Opener {
	t.Helper()
	o := &sdes.Opener{}
	set(t, o, senders...)
	return o
}

// set gives an opener the keys of senders, the first of them first.
func set(t *testing.T, o *sdes.Opener, senders ...sender) {
	t.Helper()
	var keys []sdes.Key
	for _, s := range senders {
		keys = append(keys, s.keys()...)
	}
	if err := o.Set(keys); err != nil {
		t.Fatal(err)
	}
}

func packet(seq uint16, ssrc uint32) []byte {
	b, err := (&rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: seq, Timestamp: uint32(seq) * 160, SSRC: ssrc},
		Payload: bytes.Repeat([]byte{byte(seq)}, 160),
	}).Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

func report(ssrc byte) []byte {
	return append([]byte{0x80, 200, 0, 6, 0, 0, 0, ssrc}, bytes.Repeat([]byte{7}, 20)...)
}

func (s sender) rtp(b []byte) []byte {
	s.t.Helper()
	out, err := s.srtp.EncryptRTP(nil, b, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s sender) rtcp(b []byte) []byte {
	s.t.Helper()
	out, err := s.srtp.EncryptRTCP(nil, b, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func wantOpen(t *testing.T, o *sdes.Opener, sealed, want []byte) {
	t.Helper()
	before := bytes.Clone(sealed)
	got, ok := o.Open(make([]byte, 0, 2000), sealed)
	if !ok || !bytes.Equal(got, want) {
		t.Fatalf("opened %t: %d octets, want %d", ok, len(got), len(want))
	}
	if !bytes.Equal(sealed, before) {
		t.Fatal("the packet was changed")
	}
}

func TestEachSuiteOpens(t *testing.T) {
	t.Parallel()
	for suite := range suites() {
		for name, c := range map[string]struct {
			params string
			opts   []srtp.ContextOption
		}{
			"plain":       {"", nil},
			"lifetime":    {"|2^20", nil},
			"MKI":         {"|2^20|258:4", []srtp.ContextOption{srtp.MasterKeyIndicator([]byte{0, 0, 1, 2})}},
			"RTP clear":   {" UNENCRYPTED_SRTP", []srtp.ContextOption{srtp.SRTPNoEncryption()}},
			"RTCP clear":  {" UNENCRYPTED_SRTCP WSH=64", []srtp.ContextOption{srtp.SRTCPNoEncryption()}},
			"FEC unheard": {" FEC_ORDER=SRTP_FEC KDR=0", nil},
		} {
			if strings.HasPrefix(suite, "AEAD") && strings.HasSuffix(name, "clear") {
				continue // RFC 7714 clause 14.2 forbids it
			}
			s := newSender(t, suite, 3, c.params, c.opts...)
			o := opener(t, s)
			for seq := range uint16(3) {
				wantOpen(t, o, s.rtp(packet(65534+seq, 1)), packet(65534+seq, 1)) // over the edge
				wantOpen(t, o, s.rtcp(report(byte(seq))), report(byte(seq)))
			}
		}
	}
}

// Keys change in the middle of a stream; packets under the old one arrive late, some
// twice; nothing is lost.
func TestRekeying(t *testing.T) {
	t.Parallel()
	first, second := newSender(t, "AES_CM_128_HMAC_SHA1_80", 1, ""), newSender(t, "AES_CM_128_HMAC_SHA1_32", 2, "")
	o := opener(t, first)
	late := first.rtp(packet(3, 1))
	wantOpen(t, o, first.rtp(packet(1, 1)), packet(1, 1))
	set(t, o, second, first, second) // repeated offers add nothing
	wantOpen(t, o, second.rtp(packet(4, 1)), packet(4, 1))
	wantOpen(t, o, late, packet(3, 1))
	wantOpen(t, o, late, packet(3, 1))
	wantOpen(t, o, second.rtp(packet(5, 2)), packet(5, 2)) // another source
	var newer []sender                                     // offers that are refused do not crowd out what is in use
	for seed := range byte(sdes.MaxKeys) {
		newer = append(newer, newSender(t, "AES_CM_128_HMAC_SHA1_80", 10+seed, ""))
	}
	set(t, o, append(newer, second, first)...)
	wantOpen(t, o, first.rtp(packet(6, 1)), packet(6, 1))
	wantOpen(t, o, newer[0].rtp(packet(1, 3)), packet(1, 3))
	if _, ok := o.Open(nil, newer[sdes.MaxKeys-1].rtp(packet(1, 4))); ok {
		t.Error("more keys are kept than are tried")
	}
}

// A tap that begins late does not know how often the numbers have run over, and finds
// out.
func TestLateTapGuessesRunOvers(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"} {
		s := newSender(t, suite, 1, "")
		s.srtp.SetROC(1, 5)
		o := opener(t, newSender(t, suite, 9, ""), s)
		for seq := range uint16(4) {
			wantOpen(t, o, s.rtp(packet(65533+seq, 1)), packet(65533+seq, 1))
		}
	}
}

// An offer of many lines opens under whichever of them the answer chose.
func TestEachLineOfAnOfferOpens(t *testing.T) {
	t.Parallel()
	var offer []sender
	for suite := range suites() {
		offer = append(offer, newSender(t, suite, byte(len(offer)+1), ""))
	}
	for i, chosen := range offer {
		o := opener(t, offer...)
		wantOpen(t, o, chosen.rtp(packet(1, uint32(i))), packet(1, uint32(i)))
		wantOpen(t, o, chosen.rtcp(report(1)), report(1))
	}
}

// Run-overs that are known outlast packets that nothing opens and offers that repeat
// the key or bring another.
func TestRunOversAreKept(t *testing.T) {
	t.Parallel()
	s, other := newSender(t, "AES_CM_128_HMAC_SHA1_80", 1, ""), newSender(t, "AES_CM_128_HMAC_SHA1_80", 2, "")
	s.srtp.SetROC(1, 7)
	o := opener(t, s)
	for seq := range uint16(4) {
		wantOpen(t, o, s.rtp(packet(65533+seq, 1)), packet(65533+seq, 1))
	}
	// It is 8 now, and 9 after the next time: more than is guessed.
	for _, seq := range []uint16{1, 1 << 14, 2 << 14, 3 << 14, 1} {
		wantOpen(t, o, s.rtp(packet(seq, 1)), packet(seq, 1))
	}
	for seq := range uint16(100) {
		if _, ok := o.Open(nil, other.rtp(packet(seq, 1))); ok {
			t.Fatal("a stranger's packet was opened")
		}
	}
	set(t, o, s, other)
	set(t, o, other, s)
	wantOpen(t, o, s.rtp(packet(2, 1)), packet(2, 1))
	wantOpen(t, o, other.rtp(packet(100, 1)), packet(100, 1))
}

// Packets that come before their key do not use up the guesses that it needs.
func TestKeyAfterItsPackets(t *testing.T) {
	t.Parallel()
	first, second := newSender(t, "AES_CM_128_HMAC_SHA1_80", 1, ""), newSender(t, "AES_CM_128_HMAC_SHA1_80", 2, "")
	second.srtp.SetROC(1, 2)
	o := opener(t, first)
	for seq := range uint16(50) {
		if _, ok := o.Open(nil, second.rtp(packet(seq, 1))); ok {
			t.Fatal("opened without its key")
		}
	}
	set(t, o, second, first)
	wantOpen(t, o, second.rtp(packet(50, 1)), packet(50, 1))
}

// What no key fits is left alone: strangers' keys, STUN, DTLS, rubbish.
func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	s, other := newSender(t, "AES_CM_128_HMAC_SHA1_80", 1, ""), newSender(t, "AES_CM_128_HMAC_SHA1_80", 2, "")
	o := opener(t, s)
	for i := range 100 {
		if _, ok := o.Open(nil, other.rtp(packet(uint16(i), uint32(i)))); ok {
			t.Fatal("a stranger's packet was opened")
		}
	}
	for _, b := range [][]byte{nil, {0x80}, {0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0}, {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, other.rtcp(report(1)), packet(1, 1)} {
		if _, ok := o.Open(nil, b); ok {
			t.Errorf("% x was opened", b[:min(len(b), 8)])
		}
	}
	wantOpen(t, o, s.rtp(packet(1, 777)), packet(1, 777)) // and the right one still is
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := "inline:" + base64.StdEncoding.EncodeToString(make([]byte, 30))
	for value, want := range map[string]error{
		"":                                                            sdes.ErrSyntax,
		"x AES_CM_128_HMAC_SHA1_80 " + good:                           sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80":                                   sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 AAAA":                              sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAA":                       sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 inline:%%%%":                       sdes.ErrSyntax,
		"1 AES_256_CM_HMAC_SHA1_80 " + good:                           sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + "|1:0":                  sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + "|256:1":                sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + "|-1:1":                 sdes.ErrSyntax,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + "|1:129":                sdes.ErrSyntax,
		"1 F8_128_HMAC_SHA1_80 " + good:                               sdes.ErrSuite,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + " UNAUTHENTICATED_SRTP": sdes.ErrSuite,
		"1 AES_CM_128_HMAC_SHA1_80 " + good + " KDR=4":                sdes.ErrSuite,
	} {
		if _, err := sdes.Parse(value); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
	keys, err := sdes.Parse("1 AES_CM_128_HMAC_SHA1_80 " + good + "|1:1;" + good + "|2:1")
	if err != nil || len(keys) != 2 {
		t.Errorf("two keys: %d, %v", len(keys), err)
	}
}

// A key is never printed.
func TestKeyIsHidden(t *testing.T) {
	t.Parallel()
	s := newSender(t, "AES_CM_128_HMAC_SHA1_80", 'K', "")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		text := fmt.Sprintf(verb, s.keys()[0]) + fmt.Sprintf(verb, s.keys())
		for _, leak := range []string{"KK", "4b4b", "75 75"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows the key", verb)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 30))
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + good + "|2^20|1:4")
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + good + "|1:1;inline:" + good + "|2:1 KDR=0 WSH=64")
	f.Add("2 AEAD_AES_256_GCM inline:" + base64.StdEncoding.EncodeToString(make([]byte, 44)))
	f.Fuzz(func(t *testing.T, value string) {
		keys, err := sdes.Parse(value)
		if err != nil && keys != nil {
			t.Fatal("keys with an error")
		}
		o := &sdes.Opener{}
		if err := o.Set(keys); err != nil {
			t.Fatalf("a parsed key cannot be used: %v", err)
		}
		if _, ok := o.Open(nil, []byte(value)); ok {
			t.Fatal("rubbish was opened")
		}
	})
}

// FuzzOpen gives an opener whatever comes on a call's port: nothing but what the sender
// encrypted may open.
func FuzzOpen(f *testing.F) {
	secret := bytes.Repeat([]byte{1}, 30)
	keys, err := sdes.Parse("1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		f.Fatal(err)
	}
	c, err := srtp.CreateContext(secret[:16], secret[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := c.EncryptRTP(nil, packet(1, 1), nil)
	if err != nil {
		f.Fatal(err)
	}
	control, err := c.EncryptRTCP(nil, report(1), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(control)
	f.Add([]byte{0xbf, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		o := &sdes.Opener{}
		if err := o.Set(keys); err != nil {
			t.Fatal(err)
		}
		if _, ok := o.Open(nil, b); ok && !bytes.Equal(b, sealed) && !bytes.Equal(b, control) {
			t.Fatal("what nobody encrypted was opened")
		}
	})
}

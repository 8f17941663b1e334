package etsi_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/mediation/etsi"
)

// key is 0, 1, 2, …
func key(size int) []byte {
	k := make([]byte, size)
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

const sealedHeader = "A13F80070400020205012B81094C4949442D3030303182025345A312A00C80044F502D3181044E452D3182025345" +
	"840107A70B80046553F100810301E240880101"

// The keep-alive of the vectors, as OpenSSL encrypts it (enc -nopad, IV 00000007 four
// times) and with byte counter 1700000000 times 2^32.
func sealed() map[etsi.EncryptionType]string {
	return map[etsi.EncryptionType]string{
		etsi.EncNone:   "305F" + sealedHeader + "A21CA41A8001018112301080086553F10000000000A104A2028300820108",
		etsi.EncAES192: "306D" + sealedHeader + "A22AA4288001038120AEF7CA9102B67C0A39010BCB25F832B5A93BFB7CA1BC999657B760AB68079FF8820108",
		etsi.EncAES256: "306D" + sealedHeader + "A22AA4288001048120D5DDA1FAA5B6B2BB401C57379B15499144EC8DC343E88C602DB83A493CC6AE58820108",
	}
}

func keySize(t etsi.EncryptionType) int {
	return map[etsi.EncryptionType]int{etsi.EncAES192: 24, etsi.EncAES256: 32}[t]
}

func newSealer(tb testing.TB, t etsi.EncryptionType) *etsi.Sealer {
	tb.Helper()
	s, err := etsi.NewSealer(t, key(keySize(t)))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSealedKnownGoodOctets(t *testing.T) {
	t.Parallel()
	plain := octets(t, vectorKeepalive)
	for kind, want := range sealed() {
		s := newSealer(t, kind)
		got, err := s.AppendSealed([]byte("before"), plain, 1_700_000_000<<32)
		if err != nil {
			t.Fatal(err)
		}
		if h := strings.ToUpper(hex.EncodeToString(got[6:])); h != want {
			t.Errorf("type %d\ngot  %s\nwant %s", kind, h, want)
		}
		p, _, err := etsi.Decode(octets(t, want))
		if err != nil {
			t.Fatal(err)
		}
		inner, counter, err := s.Open(&p)
		if err != nil || counter != 1_700_000_000<<32 || !bytes.Equal(inner.Raw, plain) || inner.TRI != etsi.TRIKeepalive {
			t.Errorf("type %d: opened %d octets, counter %d, %v", kind, len(inner.Raw), counter, err)
		}
	}
}

// container is the keep-alive with any octets in its encryptionContainer.
func container(tb testing.TB, kind byte, contents []byte) []byte {
	tb.Helper()
	return tlv(0x30, octets(tb, sealedHeader), tlv(0xA2,
		tlv(0xA4, []byte{0x80, 1, kind}, tlv(0x81, contents), octets(tb, "820108"))))
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	types := []etsi.EncryptionType{etsi.EncNone, etsi.EncAES192, etsi.EncAES256}
	rapid.Check(t, func(t *rapid.T) {
		d := draw{rapidSource{t}}
		stream := d.stream()
		e, err := etsi.NewEncoder(stream)
		if err != nil {
			t.Fatal(err)
		}
		want := d.pdu(stream)
		if want.Raw, err = encode(nil, e, &want); err != nil {
			t.Fatal(err)
		}
		kind, counter := types[d.number("encryption", 0, 2)], d.number("counter", 0, 1<<64-1)
		s, err := etsi.NewSealer(kind, key(keySize(kind)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.AppendSealed(nil, want.Raw, counter)
		if err != nil {
			t.Fatal(err)
		}
		p, n, err := etsi.Decode(b)
		if err != nil || n != len(b) || p.What != etsi.PayloadEncrypted || p.Encrypted.Type != kind {
			t.Fatalf("%d of %d octets, %v", n, len(b), err)
		}
		part := etsi.PayloadTypePart1
		if want.What == etsi.PayloadIRI || want.What == etsi.PayloadCC {
			part = etsi.PayloadTypePart5
		}
		if p.Encrypted.PayloadType != part || !cmp.Equal(p.Stream, want.Stream) || p.Seq != want.Seq {
			t.Fatalf("part %d, header %v", p.Encrypted.PayloadType, p.Stream)
		}
		got, gotCounter, err := s.Open(&p)
		if err != nil || gotCounter != counter {
			t.Fatalf("counter %d, %v; want %d", gotCounter, err, counter)
		}
		if diff := cmp.Diff(want, got, cmpAddr); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSealerRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind etsi.EncryptionType
		key  int
		want error
	}{
		{0, 0, etsi.ErrEnum},
		{2, 24, etsi.ErrEnum},
		{5, 24, etsi.ErrEnum},
		{etsi.EncNone, 1, etsi.ErrKey},
		{etsi.EncAES192, 32, etsi.ErrKey},
		{etsi.EncAES256, 24, etsi.ErrKey},
	} {
		if s, err := etsi.NewSealer(tt.kind, key(tt.key)); s != nil || err != tt.want {
			t.Errorf("type %d, key of %d: %v; want %v", tt.kind, tt.key, err, tt.want)
		}
	}
	aes, none := newSealer(t, etsi.EncAES256), newSealer(t, etsi.EncNone)
	plain := octets(t, vectorIRI)
	for name, in := range map[string][]byte{
		"cut": plain[:20], "followed": append(bytes.Clone(plain), 0), "sealed": octets(t, sealed()[etsi.EncNone]),
	} {
		if b, err := aes.AppendSealed([]byte("x"), in, 0); err == nil || string(b) != "x" {
			t.Errorf("%s: sealed", name)
		}
	}
	open := func(s *etsi.Sealer, in []byte) error {
		p, _, err := etsi.Decode(in)
		if err != nil {
			t.Fatal(err)
		}
		inner, _, err := s.Open(&p)
		if err != nil && inner.Raw != nil {
			t.Error("an error and a PDU")
		}
		return err
	}
	good := octets(t, sealed()[etsi.EncAES256])
	wrong, err := etsi.NewSealer(etsi.EncAES256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	payload := good[len(good)-3-32 : len(good)-3]
	inClear := octets(t, "301080086553F10000000000A104A2028300")
	for name, tt := range map[string]struct {
		s    *etsi.Sealer
		in   []byte
		want error
	}{
		"in clear":         {aes, plain, etsi.ErrPayload},
		"other type":       {none, good, etsi.ErrPayload},
		"other key":        {wrong, good, etsi.ErrKey},
		"other number":     {aes, bytes.Replace(good, []byte{0x84, 1, 7}, []byte{0x84, 1, 6}, 1), etsi.ErrKey},
		"as it was":        {aes, container(t, 4, payload), nil},
		"last block":       {aes, container(t, 4, payload[:16]), etsi.ErrKey},
		"half a block":     {aes, container(t, 4, payload[:24]), etsi.ErrSize},
		"nothing":          {aes, container(t, 4, nil), etsi.ErrSize},
		"zeros":            {none, container(t, 1, append(bytes.Clone(inClear), 0, 0, 0)), nil},
		"one in the zeros": {none, container(t, 1, append(bytes.Clone(inClear), 0, 1, 0)), etsi.ErrKey},
		"too many zeros":   {none, container(t, 1, append(bytes.Clone(inClear), make([]byte, 16)...)), etsi.ErrKey},
		"no counter":       {none, container(t, 1, octets(t, "3006A104A2028300")), etsi.ErrKey},
		"two payloads":     {none, container(t, 1, octets(t, "300B800100A106A20283008300")), etsi.ErrKey},
		"sealed twice":     {none, container(t, 1, octets(t, "3010800100A10BA409800101810130820108")), etsi.ErrPayload},
	} {
		if err := open(tt.s, tt.in); err != tt.want {
			t.Errorf("%s: %v; want %v", name, err, tt.want)
		}
	}
}

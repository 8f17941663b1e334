package x2x3_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

func sample() x2x3.PDU {
	return x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: x2x3.FromTarget,
		XID: li.XID{1, 2, 3, 15: 9}, Correlation: 0x0102030405060708,
		Sequence: 7, HasSequence: true, Time: time.Unix(1_700_000_000, 123_456_000).UTC(), NFID: "gw-1",
		Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("[2001:db8::2]:5061"),
		Event: []byte{1, 0, 0}, Payload: []byte("INVITE"),
	}
}

var cmpAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

// The layout was read off TS 103 221-2 clause 5 field by field.
const sampleHex = "00050001" + "00000073" + "00000006" + "0009" + "0003" +
	"01020300000000000000000000000009" + "0102030405060708" +
	"00040003010000" + "0006000467772d31" + "0008000400000007" + "000900086553f100075bca00" +
	"000a0004c0000201" + "000d001020010db8000000000000000000000002" + "000e000213c4" + "000f000213c5" +
	"494e56495445"

func TestPDULayout(t *testing.T) {
	t.Parallel()
	p := sample()
	got, err := x2x3.AppendPDU(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	if h := hex.EncodeToString(got); h != sampleHex {
		t.Errorf("got  %s\nwant %s", h, sampleHex)
	}
	back, n, err := x2x3.DecodePDU(append(got, 0xff))
	if err != nil || n != len(got) {
		t.Fatalf("decode: %d octets, %v; want %d", n, err, len(got))
	}
	if diff := cmp.Diff(sample(), back, cmpAddr); diff != "" {
		t.Error(diff)
	}
}

// What was decrypted at the tap is marked in X3 and nowhere else.
func TestDecryptedIsMarked(t *testing.T) {
	t.Parallel()
	for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
		p := x2x3.PDU{Type: kind, Format: x2x3.FormatIPv4, Direction: x2x3.FromTarget, Decrypted: true, Payload: []byte{1}}
		b, err := x2x3.AppendPDU(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := x2x3.DecodePDU(b)
		if err != nil || got.Decrypted != (kind == x2x3.X3) || got.Event != nil {
			t.Errorf("type %d: %+v, %v", kind, got, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := hex.DecodeString(sampleHex)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"nothing":                {nil, x2x3.ErrShort},
		"half a header":          {good[:20], x2x3.ErrShort},
		"half a payload":         {good[:len(good)-1], x2x3.ErrShort},
		"major version 5":        {change(0, 5), x2x3.ErrVersion},
		"type 0":                 {change(3, 0), x2x3.ErrType},
		"type 5":                 {change(3, 5), x2x3.ErrType},
		"header shorter than 40": {change(7, 39), x2x3.ErrLength},
		"huge payload":           {change(8, 0xff), x2x3.ErrLength},
		"attribute past the end": {change(43, 0xff), x2x3.ErrAttr},
		"header cuts attribute":  {change(7, 42), x2x3.ErrAttr},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, n, err := x2x3.DecodePDU(tt.in)
			if err != tt.want || n != 0 || p.Payload != nil {
				t.Errorf("got %d octets, %v; want %v", n, err, tt.want)
			}
		})
	}
}

// attribute is one attribute of clause 5.3 on the wire.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// raw is a PDU with these attributes and no payload.
func raw(minor byte, attributes ...[]byte) []byte {
	b := append([]byte{0, minor, 0, 2, 0, 0, 0, 0}, make([]byte, 32)...)
	b[15] = 2
	b = append(b, bytes.Join(attributes, nil)...)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// What other elements write and we do not (clause 5.3.1).
func TestDecodeAttributes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   []byte
		want x2x3.PDU
		err  error
	}{
		"any minor version": {in: raw(6)},
		"unknown is skipped": {
			in:   raw(5, attribute(0, 1, 2), attribute(23, 1, 2), attribute(999, 1), attribute(8, 0, 0, 0, 9)),
			want: x2x3.PDU{Sequence: 9, HasSequence: true},
		},
		"the first of two counts": {
			in:   raw(5, attribute(8, 0, 0, 0, 1), attribute(8, 0, 0, 0, 2), attribute(6, 'a'), attribute(6, 'b')),
			want: x2x3.PDU{Sequence: 1, HasSequence: true, NFID: "a"},
		},
		"the first of two families counts": {
			in:   raw(5, attribute(10, 192, 0, 2, 1), attribute(12, append([]byte{0x20}, make([]byte, 15)...)...), attribute(14, 0, 7)),
			want: x2x3.PDU{Src: netip.MustParseAddrPort("192.0.2.1:7")},
		},
		"IPv4 in IPv6 is IPv4": {
			in:   raw(5, attribute(13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1), attribute(15, 0, 7)),
			want: x2x3.PDU{Dst: netip.MustParseAddrPort("192.0.2.1:7")},
		},
		"a port without address is nothing": {in: raw(5, attribute(14, 0, 7))},
		"sequence of 3 octets":              {in: raw(5, attribute(8, 0, 0, 1)), err: x2x3.ErrAttr},
		"time of 4 octets":                  {in: raw(5, attribute(9, 0, 0, 0, 1)), err: x2x3.ErrAttr},
		"a second has no more nanoseconds":  {in: raw(5, attribute(9, 0, 0, 0, 1, 0x3b, 0x9a, 0xca, 0)), err: x2x3.ErrAttr},
		"IPv4 of 16 octets":                 {in: raw(5, attribute(10, make([]byte, 16)...)), err: x2x3.ErrAttr},
		"IPv6 of 4 octets":                  {in: raw(5, attribute(13, 1, 2, 3, 4)), err: x2x3.ErrAttr},
		"port of 1 octet":                   {in: raw(5, attribute(15, 1)), err: x2x3.ErrAttr},
		"half an attribute":                 {in: raw(5, []byte{0, 8}), err: x2x3.ErrAttr},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, n, err := x2x3.DecodePDU(tt.in)
			if err != tt.err {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			tt.want.Type, tt.want.Direction, tt.want.Payload = x2x3.X3, x2x3.ToTarget, []byte{}
			if diff := cmp.Diff(tt.want, got, cmpAddr); diff != "" || n != len(tt.in) {
				t.Error(n, diff)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*x2x3.PDU)
		want   error
	}{
		"no type":        {func(p *x2x3.PDU) { p.Type = 0 }, x2x3.ErrType},
		"long payload":   {func(p *x2x3.PDU) { p.Payload = make([]byte, 1<<17+1) }, x2x3.ErrLength},
		"long name":      {func(p *x2x3.PDU) { p.NFID = strings.Repeat("g", 257) }, x2x3.ErrLength},
		"long event":     {func(p *x2x3.PDU) { p.Event = make([]byte, 1<<16) }, x2x3.ErrLength},
		"long header":    {func(p *x2x3.PDU) { p.Extra = &x2x3.Extra{SDP: make([]byte, 1<<15), TS33128: make([]byte, 1<<15)} }, x2x3.ErrLength},
		"long domain":    {func(p *x2x3.PDU) { p.Extra = &x2x3.Extra{DID: strings.Repeat("d", 257)} }, x2x3.ErrLength},
		"many targets":   {func(p *x2x3.PDU) { p.Extra = &x2x3.Extra{Other: make([]string, 65)} }, x2x3.ErrLength},
		"RTP in X2":      {func(p *x2x3.PDU) { p.Format = x2x3.FormatRTP }, x2x3.ErrFormat},
		"no format":      {func(p *x2x3.PDU) { p.Format = x2x3.FormatKeepalive }, x2x3.ErrFormat},
		"format 18":      {func(p *x2x3.PDU) { p.Format = 18 }, x2x3.ErrFormat},
		"no direction":   {func(p *x2x3.PDU) { p.Direction = 0 }, x2x3.ErrDirection},
		"direction 6":    {func(p *x2x3.PDU) { p.Direction = 6 }, x2x3.ErrDirection},
		"full keepalive": {func(p *x2x3.PDU) { p.Type = x2x3.Keepalive }, x2x3.ErrKeepalive},
		"time in 1969":   {func(p *x2x3.PDU) { p.Time = time.Unix(-1, 0) }, x2x3.ErrTime},
		"time past 2106": {func(p *x2x3.PDU) { p.Time = time.Unix(1<<32, 0) }, x2x3.ErrTime},
	} {
		p := sample()
		tt.change(&p)
		if got, err := x2x3.AppendPDU([]byte("kept"), &p); err != tt.want || string(got) != "kept" {
			t.Errorf("%s: got %d octets, %v; want the 4 that were there, %v", name, len(got), err, tt.want)
		}
	}
}

func TestKeepalive(t *testing.T) {
	t.Parallel()
	p := x2x3.PDU{Type: x2x3.Keepalive, Sequence: 3, HasSequence: true}
	got, err := x2x3.AppendPDU(nil, &p)
	want := "00050003" + "00000030" + strings.Repeat("00", 32) + "00080004" + "00000003" // clause 6.2.4
	if h := hex.EncodeToString(got); err != nil || h != want {
		t.Errorf("got  %s, %v\nwant %s", h, err, want)
	}
	if h := hex.EncodeToString(x2x3.AppendKeepalive(nil, 3)); h != want {
		t.Errorf("keep-alive %s\nwant       %s", h, want)
	}
	ack := x2x3.AppendKeepaliveAck(nil, 1<<32-1)
	if back, n, err := x2x3.DecodePDU(ack); err != nil || n != 48 || back.Type != x2x3.KeepaliveAck || back.Sequence != 1<<32-1 || back.Validate() != nil {
		t.Errorf("answer %+v, %v", back, err)
	}
}

// The table of clause 5.4.
func TestFormatsOfTypes(t *testing.T) {
	t.Parallel()
	for f, in := range map[x2x3.Format]string{
		x2x3.FormatKeepalive: "k", x2x3.FormatTS1022321: "23", x2x3.FormatTS33128: "23", x2x3.FormatTS33108: "23", x2x3.FormatProprietary: "23",
		x2x3.FormatIPv4: "23", x2x3.FormatIPv6: "23", x2x3.FormatEthernet: "3", x2x3.FormatRTP: "3", x2x3.FormatSIP: "2", x2x3.FormatDHCP: "2",
		x2x3.FormatRADIUS: "2", x2x3.FormatGTPU: "3", x2x3.FormatMSRP: "3", x2x3.FormatEPSIRIContent: "2", x2x3.FormatMIME: "23",
		x2x3.FormatUnstructured: "3", x2x3.FormatPSPDUPayload: "23", 18: "", 0xffff: "",
	} {
		for kind, name := range map[x2x3.Type]string{x2x3.X2: "2", x2x3.X3: "3", x2x3.Keepalive: "k", x2x3.KeepaliveAck: "k", 0: "x", 5: "x"} {
			if got, want := kind.Carries(f), strings.Contains(in, name); got != want {
				t.Errorf("type %d with format %d: %t, want %t", kind, f, got, want)
			}
		}
	}
	for f, want := range map[x2x3.Format]x2x3.Format{x2x3.FormatSIP: 9, x2x3.FormatRTP: 8, x2x3.FormatIPv6: 6, x2x3.FormatMSRP: 13, x2x3.FormatPSPDUPayload: 17} {
		if f != want {
			t.Errorf("format %d, want %d", f, want)
		}
	}
}

// sum is the one's complement sum of RFC 1071, over 16-bit words.
func sum(parts ...[]byte) uint16 {
	b := bytes.Join(parts, nil)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var s uint32
	for ; len(b) > 0; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// A receiver adds up header and pseudo-header and finds all ones (RFC 791, 768,
// 8200 clause 8.1); a UDP checksum that computes to zero is sent as ffff.
func TestChecksums(t *testing.T) {
	t.Parallel()
	from, to := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4001")
	from6, to6 := netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:4001")
	zeros := 0
	for i := range 1 << 16 {
		payload := []byte{byte(i >> 8), byte(i), 0xff}
		b, _, err := x2x3.AppendDatagram(nil, from, to, payload)
		if err != nil {
			t.Fatal(err)
		}
		if s := sum(b[:20]); s != 0xffff {
			t.Fatalf("IPv4 header of %d sums up to %04x", i, s)
		}
		if s := sum(b[12:20], []byte{0, 17}, b[24:26], b[20:]); s != 0xffff {
			t.Fatalf("UDP of %d sums up to %04x", i, s)
		}
		if binary.BigEndian.Uint16(b[26:]) == 0xffff {
			zeros++
		}
		if b[26] == 0 && b[27] == 0 {
			t.Fatalf("%d has no checksum", i)
		}
		b6, _, err := x2x3.AppendDatagram(nil, from6, to6, payload)
		if err != nil {
			t.Fatal(err)
		}
		if s := sum(b6[8:40], []byte{0, 0}, b6[44:46], []byte{0, 0, 0, 17}, b6[40:]); s != 0xffff {
			t.Fatalf("UDP over IPv6 of %d sums up to %04x", i, s)
		}
	}
	if zeros == 0 {
		t.Error("no payload gave the checksum zero: the case was not tried")
	}
}

func TestDatagramRefuses(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1")
	for name, tt := range map[string]struct {
		from, to netip.AddrPort
		size     int
	}{
		"two families":   {v4, v6, 1},
		"no source":      {netip.AddrPort{}, v4, 1},
		"no destination": {v6, netip.AddrPort{}, 1},
		"too large":      {v4, v4, 65508},
	} {
		if b, _, err := x2x3.AppendDatagram([]byte("kept"), tt.from, tt.to, make([]byte, tt.size)); err != x2x3.ErrDatagram || string(b) != "kept" {
			t.Errorf("%s: got %d octets, %v", name, len(b), err)
		}
	}
	if b, _, err := x2x3.AppendDatagram(nil, v4, v4, make([]byte, 65507)); err != nil || len(b) != 65535 {
		t.Fatalf("largest datagram: %d octets, %v", len(b), err)
	}
	good, format, err := x2x3.AppendDatagram(nil, v4, v4, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for name, b := range map[string][]byte{
		"cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "TCP": change(9, 6), "IP options": change(0, 0x46),
		"other UDP length": change(25, 8),
	} {
		if _, _, payload, err := x2x3.ParseDatagram(b, format); err != x2x3.ErrDatagram || payload != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, _, err := x2x3.ParseDatagram(good, x2x3.FormatIPv6); err != x2x3.ErrDatagram {
		t.Errorf("wrong format: got %v", err)
	}
}

func TestDatagramRoundTrip(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"192.0.2.1:4000", "192.0.2.2:4001"}, {"[2001:db8::1]:4000", "[2001:db8::2]:4001"}} {
		from, to := netip.MustParseAddrPort(pair[0]), netip.MustParseAddrPort(pair[1])
		for _, payload := range [][]byte{{}, []byte("odd"), bytes.Repeat([]byte{0xd5}, 172)} {
			b, f, err := x2x3.AppendDatagram(nil, from, to, payload)
			if err != nil {
				t.Fatal(err)
			}
			gotFrom, gotTo, got, err := x2x3.ParseDatagram(b, f)
			if err != nil || gotFrom != from || gotTo != to || !bytes.Equal(got, payload) {
				t.Errorf("got %v %v %x, %v", gotFrom, gotTo, got, err)
			}
		}
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	buf, packet := make([]byte, 0, 4096), make([]byte, 0, 2048)
	from, to := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4001")
	payload := bytes.Repeat([]byte{0xd5}, 172)
	p := sample()
	n := testing.AllocsPerRun(100, func() {
		b, f, _ := x2x3.AppendDatagram(packet, from, to, payload)
		p.Type, p.Format, p.Payload = x2x3.X3, f, b
		_, _ = x2x3.AppendPDU(buf, &p)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	p = sample()
	encoded, err := x2x3.AppendPDU(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	var d x2x3.Decoder
	if n := testing.AllocsPerRun(100, func() { p, _, err = d.Decode(encoded) }); n != 0 || err != nil || p.NFID != "gw-1" {
		t.Errorf("decoding: %v allocations, want 0; %v", n, err)
	}
}

func FuzzDecodePDU(f *testing.F) {
	good, _ := hex.DecodeString(sampleHex)
	f.Add(good)
	f.Add([]byte{0, 5, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := x2x3.DecodePDU(b)
		if err != nil {
			if n != 0 {
				t.Fatal("an error came with octets used")
			}
			return
		}
		again, err := x2x3.AppendPDU(nil, &p)
		if err != p.Validate() {
			t.Fatal(err)
		}
		if err != nil {
			return // not what we know, legal to read
		}
		q, _, err := x2x3.DecodePDU(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, q, cmpAddr); diff != "" {
			t.Fatal(diff)
		}
	})
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func FuzzParseDatagram(f *testing.F) {
	b, _, _ := x2x3.AppendDatagram(nil, netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4001"), []byte("x"))
	f.Add(b, uint16(5))
	f.Fuzz(func(t *testing.T, b []byte, format uint16) {
		from, to, payload, err := x2x3.ParseDatagram(b, x2x3.Format(format))
		if err != nil {
			return
		}
		again, fm, err := x2x3.AppendDatagram(nil, from, to, payload)
		if err != nil {
			return // an address that IP allows and we do not write, such as IPv4 in IPv6
		}
		f2, t2, p2, err := x2x3.ParseDatagram(again, fm)
		if err != nil || f2 != unmapped(from) || t2 != unmapped(to) || !bytes.Equal(p2, payload) {
			t.Fatal("round trip differs")
		}
	})
}

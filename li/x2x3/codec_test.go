package x2x3_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
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
		if len(p.NFID) > 128 || len(p.Event) > 128 {
			return // more than we write, legal to read
		}
		again, err := x2x3.AppendPDU(nil, &p)
		if err != nil {
			t.Fatal(err)
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
		if err != nil || f2.Port() != from.Port() || t2.Port() != to.Port() || !bytes.Equal(p2, payload) {
			t.Fatal("round trip differs")
		}
	})
}

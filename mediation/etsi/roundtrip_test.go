package etsi_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/mediation/etsi"
)

// Whatever is appended is decoded equal, leaves what stood before it alone, and does
// not read what follows it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw{rapidSource{t}}
		s := d.stream()
		e, err := etsi.NewEncoder(s)
		if err != nil {
			t.Fatal(err)
		}
		p := d.pdu(s)
		before, after := d.octets("before", 0, 3), d.octets("after", 0, 3)
		b, err := encode(bytes.Clone(before), e, &p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, before) {
			t.Fatal("what stood before has changed")
		}
		p.Raw = b[len(before):]
		got, n, err := etsi.Decode(append(bytes.Clone(p.Raw), after...))
		if err != nil || n != len(p.Raw) {
			t.Fatalf("%d octets, %v; want %d", n, err, len(p.Raw))
		}
		if diff := cmp.Diff(p, got, cmpAddr); diff != "" {
			t.Fatal(diff)
		}
		for cut := range p.Raw {
			if _, n, err := etsi.Decode(p.Raw[:cut]); err != etsi.ErrShort || n != 0 {
				t.Fatalf("cut at %d: %d octets, %v", cut, n, err)
			}
		}
	})
}

// Any length of contents, in particular where lengths of lengths change.
func TestEveryLength(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, call())
	packet := make([]byte, 70_000)
	for size := 0; size <= len(packet); size++ {
		if size == 1000 {
			size = 65_000
		}
		c := etsi.CC{Time: at(), Packet: packet[:size]}
		b, err := e.AppendCC(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		p, n, err := etsi.Decode(b)
		if err != nil || n != len(b) || len(p.CCs) != 1 || len(p.CCs[0].Packet) != size {
			t.Fatalf("%d octets of content: %d of %d octets, %v", size, n, len(b), err)
		}
	}
	for _, size := range []int{1<<24 - 200, 1 << 24, 1 << 25} {
		_, err := e.AppendCC(nil, &etsi.CC{Time: at(), Packet: make([]byte, size)})
		if err != etsi.ErrLength {
			t.Errorf("%d octets: %v", size, err)
		}
	}
	if b, err := e.AppendCC([]byte{1}, &etsi.CC{Time: at(), Packet: make([]byte, etsi.MaxPDU-20)}); err != etsi.ErrLength || len(b) != 1 {
		t.Errorf("a PDU of more than MaxPDU: %d octets, %v", len(b), err)
	}
}

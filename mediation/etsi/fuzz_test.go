package etsi_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/mediation/etsi"
)

func seeds(f *testing.F) {
	f.Helper()
	for _, v := range []string{vectorIRI, vectorKeepalive, vectorIntegrity} {
		f.Add(octets(f, v))
	}
	for _, v := range sealed() {
		f.Add(octets(f, v))
	}
	golden, err := os.ReadFile("testdata/foreign.golden")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(golden)) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		f.Add(octets(f, text))
	}
	f.Add(foreign(f, goodHeader+"BF8F7F03020105", aCC(f, "A20D"+goodCC)))
	f.Add(foreign(f, goodHeader, anIRI(f, goodSource+goodDest+"820141")))
	randomPDUs(f, 1, 60, func(raw []byte, _ *etsi.PDU) { f.Add(raw) })
}

// An error comes with nothing; what is decoded stays the same when it is decoded
// again, keeps to the schema's bounds, and lies within the input.
func FuzzDecode(f *testing.F) {
	seeds(f)
	none, err := etsi.NewSealer(etsi.EncNone, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		p, n, err := etsi.Decode(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input has changed")
		}
		if err != nil {
			if n != 0 || !cmp.Equal(p, etsi.PDU{}, cmpAddr) {
				t.Fatalf("an error and %d octets, %v", n, p)
			}
			return
		}
		if framed, err := etsi.Frame(b); framed != n || err != nil || !bytes.Equal(p.Raw, b[:n]) {
			t.Fatalf("%d octets, framed %d, %v", n, framed, err)
		}
		again, m, err := etsi.Decode(p.Raw)
		if err != nil || m != n || !cmp.Equal(p, again, cmpAddr) {
			t.Fatalf("not stable: %v", err)
		}
		if len(p.LIID) == 0 || len(p.LIID) > 50 || len(p.Operator) > 16 || len(p.Element) > 16 || len(p.PointID) > 8 {
			t.Fatal("a string out of bounds")
		}
		reencode(t, p)
		inner, counter, err := none.Open(&p)
		if err != nil {
			return
		}
		sealedAgain, err := none.AppendSealed(nil, inner.Raw, counter)
		if err != nil {
			t.Fatalf("opened, not sealed again: %v", err)
		}
		p, _, err = etsi.Decode(sealedAgain)
		if err != nil {
			t.Fatal(err)
		}
		if back, c, err := none.Open(&p); err != nil || c != counter || !bytes.Equal(back.Raw, inner.Raw) {
			t.Fatalf("opened differently: %v", err)
		}
	})
}

// reencode writes what was decoded, if an Encoder can, and reads it back equal.
func reencode(t *testing.T, p etsi.PDU) {
	t.Helper()
	e, err := etsi.NewEncoder(p.Stream)
	if err != nil || p.What == etsi.PayloadIRI && len(p.IRIs) != 1 || p.What == etsi.PayloadCC && len(p.CCs) != 1 ||
		p.What == etsi.PayloadEncrypted || p.What == etsi.PayloadOther {
		return
	}
	b, err := encode(nil, e, &p)
	if err != nil {
		return
	}
	q, n, err := etsi.Decode(b)
	if err != nil || n != len(b) {
		t.Fatalf("what was written is not read: %v", err)
	}
	if q.What != p.What || q.TRI != p.TRI || len(q.IRIs) != len(p.IRIs) || len(q.CCs) != len(p.CCs) {
		t.Fatalf("written as %v", q)
	}
	for i := range p.CCs {
		if !bytes.Equal(p.CCs[i].Packet, q.CCs[i].Packet) || p.CCs[i].Direction != q.CCs[i].Direction {
			t.Fatal("another packet")
		}
	}
	for i := range p.IRIs {
		if !bytes.Equal(p.IRIs[i].SIP, q.IRIs[i].SIP) || p.IRIs[i].IRIOnly != q.IRIs[i].IRIOnly ||
			p.IRIs[i].Src.Unmap() != q.IRIs[i].Src {
			t.Fatal("another message")
		}
	}
}

func FuzzFrame(f *testing.F) {
	seeds(f)
	for _, v := range []string{"", "30", "3080", "3003", "30820100", "3083400001", "308400000001FF"} {
		f.Add(octets(f, v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := etsi.Frame(b)
		switch {
		case err == nil && (n < 2 || n > len(b) || n > etsi.MaxPDU):
			t.Fatalf("%d of %d octets", n, len(b))
		case err == etsi.ErrShort && n != 0 && (n <= len(b) || n > etsi.MaxPDU):
			t.Fatalf("short of %d, has %d", n, len(b))
		case err != nil && err != etsi.ErrShort && n != 0:
			t.Fatalf("an error and %d", n)
		}
		// More octets never change what is known.
		more, moreErr := etsi.Frame(append(bytes.Clone(b), 0))
		if err == nil && (more != n || moreErr != nil) || err != nil && err != etsi.ErrShort && moreErr != err {
			t.Fatalf("%d, %v became %d, %v", n, err, more, moreErr)
		}
	})
}

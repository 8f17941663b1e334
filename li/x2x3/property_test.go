package x2x3_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// anyPDU draws a PDU that AppendPDU takes.
func anyPDU(t *rapid.T) x2x3.PDU {
	p := x2x3.PDU{Type: x2x3.Type(rapid.IntRange(1, 4).Draw(t, "type")), Sequence: rapid.Uint32().Draw(t, "sequence"), HasSequence: true}
	if p.Type >= x2x3.Keepalive {
		p.Payload = []byte{}
		return p
	}
	var formats []x2x3.Format
	for f := range x2x3.Format(20) {
		if p.Type.Carries(f) {
			formats = append(formats, f)
		}
	}
	p.Format = rapid.SampledFrom(formats).Draw(t, "format")
	p.Direction = x2x3.Direction(rapid.IntRange(1, 5).Draw(t, "direction"))
	p.XID = li.XID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "xid"))
	p.Correlation = rapid.Uint64().Draw(t, "correlation")
	if p.HasSequence = rapid.Bool().Draw(t, "numbered"); !p.HasSequence {
		p.Sequence = 0
	}
	if rapid.Bool().Draw(t, "timed") {
		p.Time = time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
	}
	p.NFID = rapid.StringN(0, 40, 256).Draw(t, "nfid")
	p.Src, p.Dst = anyAddr(t, "src"), anyAddr(t, "dst")
	if p.Type == x2x3.X2 {
		p.Event = anyOctets(t, 300, "event")
	} else {
		p.Decrypted = rapid.Bool().Draw(t, "decrypted")
	}
	p.Extra = anyExtra(t, p.Type == x2x3.X3 && !p.Decrypted)
	p.Payload = rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "payload")
	return p
}

func anyAddr(t *rapid.T, label string) netip.AddrPort {
	size := rapid.SampledFrom([]int{0, 4, 16}).Draw(t, label+" size")
	addr, ok := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, label))
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), rapid.Uint16().Draw(t, label+" port"))
}

// anyOctets are nil rather than empty.
func anyOctets(t *rapid.T, most int, label string) []byte {
	if b := rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, label); len(b) > 0 {
		return b
	}
	return nil
}

func anyExtra(t *rapid.T, proprietary bool) *x2x3.Extra {
	if !rapid.Bool().Draw(t, "extra") {
		return nil
	}
	texts := func(label string) []string {
		return rapid.SliceOfN(rapid.StringN(1, 30, -1), 0, 5).Draw(t, label)
	}
	e := &x2x3.Extra{
		TS1022321: anyOctets(t, 50, "1"), TS33128: anyOctets(t, 50, "2"), TS33108: anyOctets(t, 50, "3"),
		DID: rapid.StringN(0, 20, 256).Draw(t, "did"), IPID: rapid.StringN(0, 20, 256).Draw(t, "ipid"), IPProtocol: rapid.Byte().Draw(t, "protocol"),
		Matched: texts("matched"), Other: texts("other"), MIMEType: rapid.String().Draw(t, "mime"), MIMEEncoding: rapid.String().Draw(t, "encoding"),
		SDP: anyOctets(t, 500, "sdp"),
	}
	if proprietary {
		if e.Proprietary = anyOctets(t, 50, "proprietary"); bytes.Equal(e.Proprietary, []byte{1}) {
			e.Proprietary = nil // our own mark
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "additional") {
		x := x2x3.AdditionalXID{XID: li.XID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "other xid")), Correlation: rapid.Uint64().Draw(t, "other correlation")}
		if x.HasSequence = rapid.Bool().Draw(t, "other numbered"); x.HasSequence {
			x.Sequence = rapid.Uint32().Draw(t, "other sequence")
		}
		e.Additional = append(e.Additional, x)
	}
	if cmp.Equal(*e, x2x3.Extra{}, cmpopts.EquateEmpty()) {
		return nil
	}
	return e
}

func diff(want, got x2x3.PDU) string { return cmp.Diff(want, got, cmpAddr, cmpopts.EquateEmpty()) }

// What is written is read again, and nothing of a PDU that is not all there.
func TestEveryPDUComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPDU(t)
		b, err := x2x3.AppendPDU(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		got, n, err := x2x3.DecodePDU(append(b, 0xff))
		if err != nil || n != len(b) {
			t.Fatalf("%d of %d octets, %v", n, len(b), err)
		}
		if d := diff(p, got); d != "" {
			t.Fatal(d)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, n, err := x2x3.DecodePDU(b[:cut]); !errors.Is(err, x2x3.ErrShort) || n != 0 {
			t.Fatalf("%d of %d octets: %v", cut, len(b), err)
		}
	})
}

// pieces hands out a stream in pieces of the given sizes, with a passing fault
// between any two.
type pieces struct {
	from  io.Reader
	sizes []int
	fault bool
}

var errPassing = errors.New("passing")

func (p *pieces) Read(b []byte) (int, error) {
	if p.fault = !p.fault; p.fault {
		return 0, errPassing
	}
	size := 1 << 20
	if len(p.sizes) > 0 {
		size, p.sizes = p.sizes[0], p.sizes[1:]
	}
	return p.from.Read(b[:min(len(b), size)])
}

// A Reader returns what was written, however the stream is cut, and says whether the
// end came in the middle of a PDU.
func TestReaderTakesStreamsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []x2x3.PDU
		var ends []int
		for range rapid.IntRange(0, 8).Draw(t, "PDUs") {
			p := anyPDU(t)
			if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
				if p.Type < x2x3.Keepalive {
					p.Payload = make([]byte, 1<<17)
				}
			}
			b, err := x2x3.AppendPDU(stream, &p)
			if err != nil {
				t.Fatal(err)
			}
			stream, want, ends = b, append(want, p), append(ends, len(b))
		}
		cut := rapid.IntRange(0, len(stream)).Draw(t, "cut")
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		end := io.EOF
		if cut > 0 && (whole == 0 || ends[whole-1] < cut) {
			end = io.ErrUnexpectedEOF
		}
		r := x2x3.NewReader(&pieces{from: bytes.NewReader(stream[:cut]), sizes: rapid.SliceOf(rapid.IntRange(1, 5000)).Draw(t, "sizes")})
		for i := 0; ; i++ {
			ready := r.Ready()
			p, err := r.Next()
			for errors.Is(err, errPassing) {
				if ready {
					t.Fatal("it was ready and read all the same")
				}
				p, err = r.Next()
			}
			if i == whole {
				if err != end {
					t.Fatalf("at the end: %v, want %v", err, end)
				}
				return
			}
			if err != nil {
				t.Fatalf("PDU %d of %d: %v", i, whole, err)
			}
			if d := diff(want[i], p); d != "" {
				t.Fatal(d)
			}
		}
	})
}

// What cannot be right is found at the first octet that shows it, whatever it
// announces.
func TestReaderFindsGarbage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in   []byte
		want error
	}{
		"HTTP":               {[]byte("GET / HTTP/1.1\r\n"), x2x3.ErrVersion},
		"one octet":          {[]byte{5}, x2x3.ErrVersion},
		"type":               {[]byte{0, 5, 0, 9}, x2x3.ErrType},
		"4 GiB of header":    {[]byte{0, 5, 0, 1, 0xff, 0xff, 0xff, 0xff}, x2x3.ErrLength},
		"no header":          {[]byte{0, 5, 0, 1, 0, 0, 0, 39}, x2x3.ErrLength},
		"4 GiB of payload":   {[]byte{0, 5, 0, 1, 0, 0, 0, 40, 0xff, 0xff, 0xff, 0xff}, x2x3.ErrLength},
		"128 KiB and 1":      {[]byte{0, 5, 0, 1, 0, 0, 0, 40, 0, 2, 0, 1}, x2x3.ErrLength},
		"sums that overflow": {[]byte{0, 5, 0, 1, 0, 1, 0, 1, 0xff, 0xff, 0, 0}, x2x3.ErrLength},
	} {
		// The stream goes on for ever behind these octets and must not be read.
		stuck := iotest.ErrReader(errors.New("read on"))
		if _, err := x2x3.NewReader(io.MultiReader(bytes.NewReader(tt.in), stuck)).Next(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := x2x3.NewReader(stalled{}).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a stream without octets: %v", err)
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

// A stream of our own PDUs is read without allocating.
func TestReaderDoesNotAllocate(t *testing.T) {
	p := sample()
	p.Type, p.Format, p.Event, p.Payload = x2x3.X3, x2x3.FormatIPv4, nil, make([]byte, 200)
	b, err := x2x3.AppendPDU(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	r := x2x3.NewReader(&endless{b: b})
	if n := testing.AllocsPerRun(1000, func() { _, err = r.Next() }); n != 0 || err != nil {
		t.Errorf("%v allocations, want 0; %v", n, err)
	}
}

// endless repeats b.
type endless struct {
	b  []byte
	at int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		some := copy(b[n:], e.b[e.at:])
		n, e.at = n+some, (e.at+some)%len(e.b)
	}
	return n, nil
}

// A Reader and DecodePDU agree on any octets.
func FuzzReader(f *testing.F) {
	p := sample()
	good, _ := x2x3.AppendPDU(nil, &p)
	f.Add(append(x2x3.AppendKeepalive(nil, 1), good...), 7)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		r := x2x3.NewReader(&pieces{from: bytes.NewReader(b), sizes: []int{max(1, size), max(1, size/2), 1, 40}})
		for rest := b; ; {
			want, n, wantErr := x2x3.DecodePDU(rest)
			got, err := r.Next()
			for errors.Is(err, errPassing) {
				got, err = r.Next()
			}
			switch {
			case wantErr == nil:
				if err != nil || diff(want, got) != "" {
					t.Fatalf("%v, %s", err, diff(want, got))
				}
			case errors.Is(wantErr, x2x3.ErrShort):
				if len(rest) == 0 && err != io.EOF || len(rest) > 0 && err != io.ErrUnexpectedEOF {
					t.Fatalf("%d octets left: %v", len(rest), err)
				}
				return
			default:
				if err != wantErr {
					t.Fatalf("%v, want %v", err, wantErr)
				}
				return
			}
			rest = rest[n:]
		}
	})
}

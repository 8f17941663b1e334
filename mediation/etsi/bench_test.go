package etsi_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ligate/ligate/mediation/etsi"
)

// voice is 20 ms of G.711 with IP, UDP and RTP headers.
func voice() *etsi.CC {
	return &etsi.CC{
		Seq: 70_000, Time: at(), Qualifier: etsi.QualTimeOfInterception, Direction: etsi.DirToTarget,
		Frame: etsi.FrameIP, StreamID: []byte("0"), Packet: make([]byte, 200),
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	for _, times := range []etsi.TimeFormat{etsi.TimeMicro, etsi.TimeGeneralized} {
		s := call()
		s.Times, s.PointID = times, "gw-1"
		e := newEncoder(t, s)
		buf := make([]byte, 0, 4096)
		cc := voice()
		iri := &etsi.IRI{
			Time: at(), Type: etsi.IRIContinue, SIP: make([]byte, 900),
			Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("192.0.2.1"),
		}
		for name, f := range map[string]func() ([]byte, error){
			"CC":         func() ([]byte, error) { return e.AppendCC(buf, cc) },
			"IRI":        func() ([]byte, error) { return e.AppendIRI(buf, iri) },
			"keep-alive": func() ([]byte, error) { return e.AppendTRI(buf, 1, at(), etsi.TRIKeepalive) },
		} {
			if n := testing.AllocsPerRun(1000, func() {
				if _, err := f(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, time format %d: %v allocations", name, times, n)
			}
		}
	}
}

func BenchmarkAppendCC(b *testing.B) {
	for _, size := range []int{60, 200, 1400} {
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			e := newEncoder(b, call())
			c := voice()
			c.Packet = make([]byte, size)
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				c.Seq++
				out, err := e.AppendCC(buf, c)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(out)))
			}
		})
	}
}

func BenchmarkDecodeCC(b *testing.B) {
	raw, err := newEncoder(b, call()).AppendCC(nil, voice())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := etsi.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendSealed(b *testing.B) {
	raw, err := newEncoder(b, call()).AppendCC(nil, voice())
	if err != nil {
		b.Fatal(err)
	}
	s := newSealer(b, etsi.EncAES256)
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendSealed(buf, raw, 1); err != nil {
			b.Fatal(err)
		}
	}
}

package deliver

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
)

// Runs come from the spool twice, overlap after a crash, and out of order where the
// spool was full for one and not for the next: every number goes out at least once,
// and in order as long as the spool was never full.
func TestMarksLetEveryNumberPassOnce(t *testing.T) {
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: li.LIID("MARKS"), AuthCountry: "DE", Operator: "OP", CIN: 1, HasCIN: true})
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(first, count uint32) (pdus []byte) {
		for n := first; n < first+count; n++ {
			if pdus, err = enc.AppendCC(pdus, &etsi.CC{Seq: n, Time: time.Now(), Frame: etsi.FrameIP, Packet: []byte("p")}); err != nil {
				t.Fatal(err)
			}
		}
		return pdus
	}
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) run {
			first, count := rapid.Uint32Range(0, 300).Draw(t, "first"), rapid.Uint32Range(1, 20).Draw(t, "count")
			return run{session: 1, first: first, count: count, pdus: encoded(first, count)}
		}), 1, 60).Draw(t, "runs")
		m, there := newMarks(), map[uint32]int{}
		for _, r := range runs {
			known := true
			for n := r.first; n < r.first+r.count; n++ {
				known = known && there[n] > 0
			}
			b := m.copy().fresh(r)
			if b2 := m.fresh(r); len(b) != len(b2) {
				t.Fatal("a copy of the marks judges otherwise")
			}
			if known && len(b) > 0 {
				t.Fatalf("run %d+%d goes again whole", r.first, r.count)
			}
			for len(b) > 0 {
				p, n, err := etsi.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				there[p.Seq]++
				b = b[n:]
			}
			for n := r.first; n < r.first+r.count; n++ {
				if there[n] == 0 {
					t.Fatalf("number %d of run %d+%d never went", n, r.first, r.count)
				}
			}
		}
	})
}

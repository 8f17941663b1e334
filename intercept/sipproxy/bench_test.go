package sipproxy_test

import (
	"fmt"
	"testing"
)

// BenchmarkCalls carries whole calls (INVITE, 180, 200, ACK, BYE, 200) between two
// agents of this process, one after the other; the agents' work is in the figure.
func BenchmarkCalls(b *testing.B) {
	for _, tapped := range []bool{false, true} {
		b.Run(fmt.Sprintf("tapped=%v", tapped), func(b *testing.B) {
			w := newWorld(b, 1)
			if tapped {
				w.tap(subscriber, true)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				w.call(fmt.Sprint("bench", n))
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

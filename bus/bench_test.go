package bus_test

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// BenchmarkPublishAll is what one look of the tee costs: 48 kB in one message, and the
// same in a message for each of several partitions.
func BenchmarkPublishAll(b *testing.B) {
	for _, partitions := range []int{1, 4, bus.Partitions} {
		b.Run(strconv.Itoa(partitions), func(b *testing.B) {
			to, _ := open(b, b.TempDir(), 0)
			data, n := make([]byte, 48<<10), uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				var batch bus.Batch
				for p := range partitions {
					size := len(data) / partitions
					batch[p] = data[p*size:][:size]
					binary.BigEndian.PutUint64(batch[p], n)
					n++
				}
				if err := to.PublishAll(b.Context(), x2x3.X3, &batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

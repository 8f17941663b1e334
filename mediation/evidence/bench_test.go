package evidence_test

import (
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/evidence"
)

func TestBenchSeal(t *testing.T) {
	t.Parallel()
	if rate, err := evidence.BenchSeal(100, time.Millisecond); err != nil || rate <= 0 {
		t.Errorf("%v octets a second, %v", rate, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	for b.Loop() {
		rate, err := evidence.BenchSeal(800, 200*time.Millisecond) // 4 s of a call
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate/1e6, "MB/s")
	}
}

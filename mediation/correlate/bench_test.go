package correlate_test

import (
	"testing"

	"filippo.io/age"

	"github.com/ligate/ligate/mediation/correlate"
)

func BenchmarkCorrelate(b *testing.B) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	const packets = 200_000
	for b.Loop() {
		perSecond, err := correlate.Bench(b.Context(), key.Recipient().String(), 50, packets)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(perSecond, "packets/s")
	}
}

func TestBenchMediatesAll(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if perSecond, err := correlate.Bench(t.Context(), key.Recipient().String(), 3, 2000); err != nil || perSecond <= 0 {
		t.Errorf("%v packets a second, %v", perSecond, err)
	}
}

package evidence

import (
	"crypto/sha256"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// BenchSeal encodes, hashes and seals segments of n packets of 200 octets to one
// X25519 recipient for about d, on one core, and returns the packet octets per
// second.
func BenchSeal(n int, d time.Duration) (bytesPerSecond float64, err error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return 0, fmt.Errorf("evidence: bench: %w", err)
	}
	const packetBytes = 200
	records := make([]segment.Record, n)
	for i := range records {
		records[i].CC = &segment.CCRecord{
			Seq: uint32(i), Time: time.Unix(0, int64(i)), Direction: x2x3.FromTarget, Format: x2x3.FormatIPv4, Packet: make([]byte, packetBytes), //nolint:gosec // small
		}
	}
	h := segment.Header{LIID: "BENCH", CIN: 1, Segment: 1, Kind: segment.KindCC, Created: time.Unix(1, 0), Salt: segment.NewSalt()}
	start, sealed := time.Now(), 0
	for time.Since(start) < d || sealed == 0 {
		plaintext, err := segment.Encode(h, records)
		if err != nil {
			return 0, err
		}
		ciphertext, err := segment.Seal([]age.Recipient{key.Recipient()}, plaintext)
		if err != nil {
			return 0, err
		}
		h.Salt[0] ^= sha256.Sum256(plaintext)[0] ^ sha256.Sum256(ciphertext)[0]
		sealed += n * packetBytes
	}
	return float64(sealed) / time.Since(start).Seconds(), nil
}

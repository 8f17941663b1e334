// Package review draws the sample of log entries that a quarterly review holds
// against the orders, so that nobody chooses it and anybody can draw it again.
//
// The seed comes from the log itself: from the first checkpoint that was signed
// after the quarter had ended, which fixes every entry of the quarter before the
// seed is known. The sample is the entries with the smallest keys, where a key is
//
//	SHA-256(seed as 64 lower-case hexadecimal digits, then the entry's ID)
//
// as lower-case hexadecimal; and every entry that must always be checked.
// docs/profiles.md shows the same with sha256sum and sort.
//
// What it cannot show: an operator who writes entries and signs checkpoints can try
// several logs before showing one. A checkpoint that a witness has seen within a
// minute of the quarter's end leaves no room for that.
//
// The functions are pure and safe for concurrent use.
package review

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
)

// Seed is the seed of a quarter's sample: SHA-256 of "ligate review 1", the quarter
// such as 2026-Q3, and the second and third line of the checkpoint (size in decimal,
// root in base64), each followed by a line feed.
func Seed(q Quarter, size int64, root [32]byte) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "ligate review 1\n%s\n%d\n%s\n", q, size, base64.StdEncoding.EncodeToString(root[:])))
}

// Permille is a share in thousandths, rounded up, from 1 to 1000. What is no share
// at all counts as the whole.
func Permille(share float64) int {
	if !(share > 0 && share < 1) {
		return 1000
	}
	return int(math.Ceil(share*1000 - 1e-9))
}

// Count is how many of n entries the share asks for: n times Permille by 1000,
// rounded up.
func Count(n int, share float64) int {
	return int((int64(n)*int64(Permille(share)) + 999) / 1000)
}

// Sample draws Count entries of the population and adds every ID that always holds
// as true, in the order of their keys. An ID that stands in the population twice
// counts once. IDs are numbers on the log, or other text without a line feed.
func Sample(seed [32]byte, population []string, share float64, always map[string]bool) []string {
	chosen := map[string]bool{}
	drawn := byKey(seed, unique(population))
	for _, id := range drawn[:Count(len(drawn), share)] {
		chosen[id] = true
	}
	for id, must := range always {
		if must {
			chosen[id] = true
		}
	}
	all := make([]string, 0, len(chosen))
	for id := range chosen {
		all = append(all, id)
	}
	return byKey(seed, all)
}

func unique(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// byKey returns the IDs in the order of their keys.
func byKey(seed [32]byte, ids []string) []string {
	keys := make(map[string]string, len(ids))
	for _, id := range ids {
		keys[id] = key(seed, id)
	}
	return slices.SortedFunc(slices.Values(ids), func(a, b string) int {
		return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b))
	})
}

func key(seed [32]byte, id string) string {
	sum := sha256.Sum256([]byte(hex.EncodeToString(seed[:]) + id))
	return hex.EncodeToString(sum[:])
}

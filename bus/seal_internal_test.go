package bus

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// What was sealed opens in its place, with its key, whole, and in no other way.
func TestSeal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), keyBytes, keyBytes).Draw(t, "key")
		s, err := newSealer(key)
		if err != nil {
			t.Fatal(err)
		}
		plain := rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "plain")
		at := rapid.String().Draw(t, "place")
		sealed := s.seal(at, plain)
		if len(plain) > 8 && bytes.Contains(sealed, plain) {
			t.Error("in clear")
		}
		for name, open := range map[string]func(s *sealer, at string, sealed []byte) (*sealer, string, []byte){
			"another place": func(s *sealer, at string, sealed []byte) (*sealer, string, []byte) { return s, at + "x", sealed },
			"shorter": func(s *sealer, at string, sealed []byte) (*sealer, string, []byte) {
				return s, at, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "length")]
			},
			"changed": func(s *sealer, at string, sealed []byte) (*sealer, string, []byte) {
				sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "index")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				return s, at, sealed
			},
			"another key": func(_ *sealer, at string, sealed []byte) (*sealer, string, []byte) {
				other, _ := newSealer(bytes.Repeat([]byte{key[0] + 1}, keyBytes))
				return other, at, sealed
			},
		} {
			other, place, octets := open(s, at, bytes.Clone(sealed))
			if _, err := other.unseal(place, octets); !errors.Is(err, ErrSealed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, err := s.unseal(at, bytes.Clone(sealed)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("opened %x, %v, want %x", got, err, plain)
		}
	})
}

// A server of our own encrypts its files by itself.
func TestSealChangesNothingWithoutCluster(t *testing.T) {
	t.Parallel()
	b, plain := &Bus{}, []byte("pdus")
	if got := b.seal("here", plain); !bytes.Equal(got, plain) {
		t.Errorf("sealed %q", got)
	}
	if got, err := b.unseal("here", plain); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened %q, %v", got, err)
	}
}

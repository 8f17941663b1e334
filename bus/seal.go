package bus

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealer makes what leaves the process for a cluster unreadable there: how that one
// encrypts its files is not ours to know. A nil sealer changes nothing.
//
//	 0         1               25
//	+---------+---------------+--------------------------------+
//	| version | nonce         | XChaCha20-Poly1305 of the PDUs |
//	+---------+---------------+--------------------------------+
type sealer struct {
	aead  cipher.AEAD
	check string // tells one key from another, and nothing else
}

const (
	sealVersion = 1
	sealHeader  = 1 + chacha20poly1305.NonceSizeX
	sealLabel   = "ligate-bus-seal/1"
	checkLabel  = "ligate-bus-key-check/1"
)

func newSealer(key []byte) (*sealer, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, sealLabel, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("bus: derive key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(derived)
	if err != nil {
		return nil, fmt.Errorf("bus: derive key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(checkLabel))
	return &sealer{aead: aead, check: hex.EncodeToString(mac.Sum(nil)[:8])}, nil
}

// seal returns plain, sealed to its place: what is moved elsewhere does not open.
func (s *sealer) seal(place string, plain []byte) []byte {
	if s == nil {
		return plain
	}
	out := make([]byte, sealHeader, sealHeader+len(plain)+s.aead.Overhead())
	out[0] = sealVersion
	_, _ = rand.Read(out[1:]) // never fails
	return s.aead.Seal(out, out[1:], plain, []byte(place))
}

// unseal opens what seal made for this place. It works in place: sealed is the
// caller's no more.
func (s *sealer) unseal(place string, sealed []byte) ([]byte, error) {
	if s == nil {
		return sealed, nil
	}
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	box := sealed[sealHeader:]
	plain, err := s.aead.Open(box[:0], sealed[1:sealHeader], box, []byte(place))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// seal returns a payload as it goes onto this bus; place is what it must not be moved
// from, its subject at least. It returns plain itself where the server is ours.
func (b *Bus) seal(place string, plain []byte) []byte { return b.sealer.seal(place, plain) }

// unseal opens a payload of this bus. It may overwrite sealed.
func (b *Bus) unseal(place string, sealed []byte) ([]byte, error) {
	return b.sealer.unseal(place, sealed)
}

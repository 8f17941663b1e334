package pgstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
)

// seal keeps HI1 objects so that the database alone names no target: AES-256-GCM,
// bound to agency and object, and a keyed hash that tells equal contents.
type seal struct {
	aead cipher.AEAD
	mac  []byte
}

const keyBytes = 32

func newSeal(key []byte) (seal, error) {
	if len(key) != keyBytes {
		return seal{}, errors.New("pgstore: the HI1 key wants 32 octets")
	}
	contents, err := hkdf.Key(sha256.New, key, nil, "ligate hi1 contents", keyBytes)
	if err != nil {
		return seal{}, fmt.Errorf("derive key: %w", err)
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "ligate hi1 mac", keyBytes)
	if err != nil {
		return seal{}, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(contents)
	if err != nil {
		return seal{}, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return seal{aead: aead, mac: mac}, err
}

// close seals an object and gives the keyed hash of what it says.
func (s seal) close(agency warrant.AgencyID, o hi1.Object) (sealed, mac []byte, err error) {
	plain, err := hi1.EncodeObject(o)
	if err != nil {
		return nil, nil, fmt.Errorf("encode object: %w", err)
	}
	h := hmac.New(sha256.New, s.mac)
	h.Write(plain)
	return s.aead.Seal(nil, nil, plain, objectContext(agency, o.Base().ID)), h.Sum(nil), nil
}

func (s seal) open(agency warrant.AgencyID, id hi1.UUID, sealed []byte) (hi1.Object, error) {
	plain, err := s.aead.Open(nil, nil, sealed, objectContext(agency, id))
	if err != nil {
		return nil, errors.New("a sealed HI1 object does not open: the key in use is another one, or the row was changed")
	}
	return hi1.DecodeObject(plain)
}

func objectContext(agency warrant.AgencyID, id hi1.UUID) []byte {
	return []byte(string(agency) + "/" + string(id))
}

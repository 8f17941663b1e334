package sealing

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Key seals and hashes.
type Key struct {
	id         string // 8 random octets in hexadecimal
	data, hash []byte // the two secrets
	aead       cipher.AEAD
	targets    []byte // keys of the two hashes
	orders     []byte
}

// NewKey makes a Key of fresh random secrets.
func NewKey() (*Key, error) { return openKey(randomID(), random(secretBytes), random(secretBytes)) }

// Renew makes a Key that seals under a fresh secret and hashes as k does.
func (k *Key) Renew() (*Key, error) { return openKey(randomID(), random(secretBytes), k.hash) }

func randomID() string { return hex.EncodeToString(random(idBytes)) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func openKey(id string, data, hash []byte) (*Key, error) {
	k := &Key{id: id, data: data, hash: hash}
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != idBytes {
		return nil, ErrKey
	}
	var err error
	if k.aead, err = newAEAD(data, "ligate targets"); err != nil {
		return nil, err
	}
	if k.targets, err = derive(hash, "ligate target hash"); err != nil {
		return nil, err
	}
	k.orders, err = derive(hash, "ligate order hash")
	return k, err
}

// ID names the key and tells nothing of it.
func (k *Key) ID() string { return k.id }

// Place says where a sealed value stands; it opens nowhere else.
type Place struct{ Table, Row, Column string }

// context is what a sealed value is bound to: each part behind its length.
func (p Place) context(key string) []byte {
	var b []byte
	for _, part := range []string{"ligate 1", p.Table, p.Row, p.Column, key} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // names of rows
		b = append(b, part...)
	}
	return b
}

// Seal returns, for that place,
//
//	key id (8 octets) | nonce (12) | ciphertext | tag (16)
func (k *Key) Seal(at Place, plain []byte) []byte {
	id, _ := hex.DecodeString(k.id) // openKey saw to it
	return k.aead.Seal(id, nil, plain, at.context(k.id))
}

// Open returns what Seal was given: ErrKey under another Key, else ErrSealed.
func (k *Key) Open(at Place, sealed []byte) ([]byte, error) {
	if len(sealed) < idBytes {
		return nil, ErrSealed
	}
	if hex.EncodeToString(sealed[:idBytes]) != k.id {
		return nil, ErrKey
	}
	plain, err := k.aead.Open(nil, nil, sealed[idBytes:], at.context(k.id))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Hash is the keyed hash of a target as it is written: 32 octets, equal for equal
// targets.
func (k *Key) Hash(target string) []byte { return keyed(k.targets, []byte(target)) }

// HashOrder is the keyed hash of a whole order.
func (k *Key) HashOrder(order []byte) []byte { return keyed(k.orders, order) }

func keyed(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil)
}

package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MasterBytes is the length of a master key.
const MasterBytes = 32

const (
	secretBytes = 32
	idBytes     = 8
)

// Master wraps Keys.
type Master struct {
	id   string
	aead cipher.AEAD
}

// NewMaster makes a Master of exactly MasterBytes secret octets.
func NewMaster(key []byte) (*Master, error) {
	if len(key) != MasterBytes {
		return nil, ErrMasterLength
	}
	id, err := derive(key, "ligate master id")
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key, "ligate master wrap")
	if err != nil {
		return nil, err
	}
	return &Master{id: hex.EncodeToString(id[:idBytes]), aead: aead}, nil
}

// ID names the master key and tells nothing of it.
func (m *Master) ID() string { return m.id }

// Only finds master keys where m is the only one: it is the one of no name, too.
func (m *Master) Only(id string) (*Master, error) {
	if id != "" && id != m.id {
		return nil, ErrMaster
	}
	return m, nil
}

// Wrap seals a Key so that only this master key opens it.
func (m *Master) Wrap(k *Key) []byte {
	return m.aead.Seal(nil, nil, append(append([]byte{}, k.data...), k.hash...), wrapContext(m.id, k.id))
}

// Unwrap opens the Key of that identifier, or returns ErrMaster.
func (m *Master) Unwrap(id string, wrapped []byte) (*Key, error) {
	plain, err := m.aead.Open(nil, nil, wrapped, wrapContext(m.id, id))
	if err != nil || len(plain) != 2*secretBytes {
		return nil, ErrMaster
	}
	return openKey(id, plain[:secretBytes], plain[secretBytes:])
}

func wrapContext(master, key string) []byte { return Place{"sealing_key", key, master}.context("") }

func newAEAD(secret []byte, purpose string) (cipher.AEAD, error) {
	key, err := derive(secret, purpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return aead, nil
}

func derive(secret []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, secretBytes)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

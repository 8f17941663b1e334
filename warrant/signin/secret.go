package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// What a secret is for stands before it, so that one that leaks is recognised.
const (
	SessionPrefix = "lgs_"
	MachinePrefix = "lgm_"
	LinkPrefix    = "lge_"
)

const secretBytes = 32

// NewSecret makes a 256-bit secret: its text for who is to hold it, its hash for us.
func NewSecret(prefix string) (text string, hash []byte) {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	text = prefix + base64.RawURLEncoding.EncodeToString(b)
	return text, Hash(text)
}

// Hash is what is kept of a secret. A secret has 256 random bits, so that no slow
// hash is needed.
func Hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// IsMachine tells a machine's token from a person's session.
func IsMachine(text string) bool { return strings.HasPrefix(text, MachinePrefix) }

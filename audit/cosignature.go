package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// A cosignature/v1 of a C2SP tlog-cosignature is a signature of a note:
//
//	key id (4) | seconds since 1970 (8) | Ed25519 signature (64)
//
// over "cosignature/v1\ntime SECONDS\n" and the note's text.
const (
	algCosignature    = 4 // signature type of C2SP signed-note
	cosignaturePrefix = "cosignature/v1\ntime "
	timeBytes         = 8
	secretPrefix      = "PRIVATE+KEY+"
)

// Cosigner is a witness's key. It is safe for concurrent use.
type Cosigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

// NewCosignerKey makes a witness's key: the secret for the witness, the verifier key
// for operators and auditors.
func NewCosignerKey(name string) (secret, verifier string, err error) {
	if !validName(name) {
		return "", "", ErrWitnessKey
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("audit: make key: %w", err)
	}
	return secretPrefix + formatKey(name, pub, priv.Seed()), formatKey(name, pub, pub), nil
}

// formatKey writes NAME+KEYID+base64(type|key); the key id is always of the public key.
func formatKey(name string, pub ed25519.PublicKey, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, pub), base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, key...)))
}

func keyID(name string, pub ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), pub...))
	return binary.BigEndian.Uint32(sum[:])
}

func validName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '+' || r == 0x7f || r == 0x85 || r == 0xa0 })
}

// NewCosigner reads the secret that NewCosignerKey made.
func NewCosigner(secret string) (*Cosigner, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	name, id, seed, err := parseKey(text)
	if !ok || err != nil {
		return nil, ErrWitnessKey
	}
	key := ed25519.NewKeyFromSeed(seed)
	if keyID(name, key.Public().(ed25519.PublicKey)) != id {
		return nil, ErrWitnessKey
	}
	return &Cosigner{name: name, hash: id, key: key}, nil
}

func parseKey(s string) (name string, id uint32, key []byte, err error) {
	parts := strings.SplitN(s, "+", 3)
	if len(parts) != 3 || !validName(parts[0]) {
		return "", 0, nil, ErrWitnessKey
	}
	sum, err := hex.DecodeString(parts[1])
	key, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil || len(sum) != 4 || len(key) != 1+ed25519.PublicKeySize || key[0] != algCosignature {
		return "", 0, nil, ErrWitnessKey
	}
	return parts[0], binary.BigEndian.Uint32(sum), key[1:], nil
}

// Name is the witness's name.
func (c *Cosigner) Name() string { return c.name }

// Verifier is the key that others check this witness's cosignatures with.
func (c *Cosigner) Verifier() string {
	pub := c.key.Public().(ed25519.PublicKey)
	return formatKey(c.name, pub, pub)
}

// Cosign returns the signature line for a signed checkpoint, as of the second of at.
// It does not look at what it signs: that is the witness's task.
func (c *Cosigner) Cosign(checkpoint []byte, at time.Time) ([]byte, error) {
	text, ok := noteText(checkpoint)
	if !ok || at.Unix() < 0 {
		return nil, ErrCheckpoint
	}
	b := binary.BigEndian.AppendUint32(nil, c.hash)
	b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	b = append(b, ed25519.Sign(c.key, cosigned(at.Unix(), []byte(text)))...)
	return fmt.Appendf(nil, "— %s %s\n", c.name, base64.StdEncoding.EncodeToString(b)), nil
}

// noteText is what a note's signatures are over.
func noteText(signed []byte) (string, bool) {
	i := strings.LastIndex(string(signed), "\n\n")
	if i < 0 {
		return "", false
	}
	return string(signed[:i+1]), true
}

func cosigned(seconds int64, text []byte) []byte {
	return append([]byte(cosignaturePrefix+strconv.FormatInt(seconds, 10)+"\n"), text...)
}

// cosignatureVerifier implements note.Verifier for cosignature/v1.
type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// NewWitnessVerifier reads a witness's verifier key.
func NewWitnessVerifier(vkey string) (note.Verifier, error) {
	name, id, pub, err := parseKey(vkey)
	if err != nil || keyID(name, pub) != id {
		return nil, ErrWitnessKey
	}
	return cosignatureVerifier{name: name, hash: id, key: pub}, nil
}

func (v cosignatureVerifier) Name() string { return v.name }

func (v cosignatureVerifier) KeyHash() uint32 { return v.hash }

func (v cosignatureVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != timeBytes+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	return seconds < 1<<62 && ed25519.Verify(v.key, cosigned(int64(seconds), msg), sig[timeBytes:])
}

// CosignedAt checks a witness's cosignature of a checkpoint and says of when it is.
// ErrNotCosigned says that there is none by it; ErrCheckpoint that there is one, and
// that it is of something else.
func CosignedAt(checkpoint []byte, witness note.Verifier) (time.Time, error) {
	n, err := note.Open(checkpoint, note.VerifierList(witness))
	if _, ok := err.(*note.UnverifiedNoteError); ok { //nolint:errorlint // note returns it as it is
		return time.Time{}, ErrNotCosigned
	}
	if err != nil {
		return time.Time{}, ErrCheckpoint
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(raw) < 4+timeBytes {
		return time.Time{}, ErrCheckpoint
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC(), nil
}

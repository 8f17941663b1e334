// Package password holds passwords (argon2id, RFC 9106) and the time-based codes
// beside them (TOTP, RFC 6238). It serves people who cannot approve.
//
// Invariants:
//   - A wrong password costs as much time as a right one, and so does an account that
//     is none: Verify with an empty hash.
//   - At most two hashes are computed at once, so that sign-ins cannot exhaust memory.
//   - A TOTP secret is kept sealed (XChaCha20-Poly1305), bound to its person.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Errors of passwords. They never quote one.
var (
	ErrWeak = errors.New("password: want 12 to 200 characters, not your name, not one character repeated")
	errHash = errors.New("password: the stored hash is not readable")
)

// argon2id, second recommended option of RFC 9106 section 4.
const (
	passes    = 3
	memoryKiB = 64 << 10
	lanes     = 4
	hashBytes = 32
	saltBytes = 16

	minRunes = 12
	maxRunes = 200
	atOnce   = 2
)

// Hasher computes and compares hashes. It is safe for concurrent use.
type Hasher struct {
	slots chan struct{} // one each computation
	decoy string        // a hash of nothing that anybody knows
}

// NewHasher makes one.
func NewHasher() *Hasher {
	h := &Hasher{slots: make(chan struct{}, atOnce)}
	secret := make([]byte, hashBytes)
	_, _ = rand.Read(secret) // never fails
	h.decoy = format(newSalt(), secret)
	return h
}

// Check refuses passwords that are no secret.
func Check(password, name string) error {
	n := utf8.RuneCountInString(password)
	first, _ := utf8.DecodeRuneInString(password)
	switch {
	case !utf8.ValidString(password), n < minRunes, n > maxRunes,
		strings.Trim(password, string(first)) == "",
		strings.EqualFold(strings.TrimSpace(password), strings.TrimSpace(name)):
		return ErrWeak
	}
	return nil
}

// Hash computes the hash of a new password in PHC form.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := newSalt()
	sum, err := h.sum(ctx, password, salt)
	if err != nil {
		return "", err
	}
	return format(salt, sum), nil
}

func newSalt() []byte {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return salt
}

func format(salt, sum []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, lanes, enc.EncodeToString(salt), enc.EncodeToString(sum))
}

func (h *Hasher) sum(ctx context.Context, password string, salt []byte) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, passes, memoryKiB, lanes, hashBytes), nil
}

// Verify reports whether password belongs to the hash. With an empty hash the answer
// is no, after as much work.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.decoy
	}
	salt, want, err := parse(hash)
	if err != nil {
		return false, err
	}
	got, err := h.sum(ctx, password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// parse reads what format writes. Other parameters come with a migration of hashes,
// not by accident.
func parse(hash string) (salt, sum []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || strings.Join(parts[1:4], "$") != fmt.Sprintf("argon2id$v=%d$m=%d,t=%d,p=%d", argon2.Version, memoryKiB, passes, lanes) {
		return nil, nil, errHash
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(salt) != saltBytes {
		return nil, nil, errHash
	}
	if sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(sum) != hashBytes {
		return nil, nil, errHash
	}
	return salt, sum, nil
}

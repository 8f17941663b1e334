package password

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what authenticator apps speak: RFC 6238, where SHA-1 is HMAC's
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// TOTP as all authenticator apps speak it: 30 s, six digits, HMAC-SHA-1.
const (
	step        = 30 * time.Second
	digits      = 6
	modulus     = 1_000_000
	secretBytes = 20
	skew        = 1 // steps before and after that count too
)

// NewSecret makes a TOTP secret.
func NewSecret() []byte {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// URI is what an authenticator app reads, usually as a QR code.
func URI(secret []byte, name string) string {
	v := url.Values{"secret": {base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)}, "issuer": {"ligate"}}
	return "otpauth://totp/" + url.PathEscape("ligate:"+name) + "?" + v.Encode()
}

// Code is the code of a step (RFC 4226 section 5.3).
func Code(secret []byte, n int64) string {
	mac := hmac.New(sha1.New, secret)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // never fails
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%0*d", digits, (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%modulus)
}

// StepAt is the step of a time.
func StepAt(now time.Time) int64 { return now.Unix() / int64(step/time.Second) }

// Match finds the step whose code this is, around now. The caller uses the step up,
// so that no code counts twice.
func Match(secret []byte, code string, now time.Time) (n int64, ok bool) {
	for d := int64(-skew); d <= skew; d++ {
		if at := StepAt(now) + d; subtle.ConstantTimeCompare([]byte(Code(secret, at)), []byte(code)) == 1 {
			n, ok = at, true
		}
	}
	return n, ok
}

var errSealed = errors.New("password: the sealed TOTP secret does not open")

// Seal encrypts a TOTP secret of a person for the store; key has 32 octets.
func Seal(key, secret []byte, person string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("seal TOTP secret: %w", err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, secret, []byte(person)), nil
}

// Open decrypts what Seal wrote for the person.
func Open(key, sealed []byte, person string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil || len(sealed) < aead.NonceSize() {
		return nil, errSealed
	}
	secret, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(person))
	if err != nil {
		return nil, errSealed
	}
	return secret, nil
}

package approval

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// Errors of verification. Each says what does not hold.
var (
	ErrClientData = errors.New("approval: the signed client data is no assertion")
	ErrChallenge  = errors.New("approval: another text was signed")
	ErrOrigin     = errors.New("approval: it was signed at another origin or for another relying party")
	ErrPresence   = errors.New("approval: the authenticator did not verify its user")
	ErrKey        = errors.New("approval: the public key is not readable")
	ErrSignature  = errors.New("approval: the signature does not hold")
	ErrOrder      = errors.New("approval: another order was signed")
)

// Authenticator data (WebAuthn section 6.1): 32 octets hash of the RP ID, one octet
// of flags, four octets counter.
const (
	minAuthData  = 37
	flagPresent  = 1 << 0
	flagVerified = 1 << 2
)

// Verify holds a record against itself: its passkey signed exactly this warrant,
// version, person, order hash and nonce, with its user verified. Whose the public key
// is, the audit log and table passkey say.
func Verify(a signin.Approval) error {
	var client struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}
	if err := json.Unmarshal(a.ClientData, &client); err != nil || client.Type != "webauthn.get" {
		return ErrClientData
	}
	if client.Challenge != base64.RawURLEncoding.EncodeToString(Challenge(a)) {
		return ErrChallenge
	}
	rp := sha256.Sum256([]byte(a.RPID))
	if len(a.AuthenticatorData) < minAuthData {
		return ErrClientData
	}
	if client.Origin != a.Origin || client.CrossOrigin || !slices.Equal(a.AuthenticatorData[:len(rp)], rp[:]) {
		return ErrOrigin
	}
	if flags := a.AuthenticatorData[len(rp)]; flags&flagPresent == 0 || flags&flagVerified == 0 {
		return ErrPresence
	}
	key, err := webauthncose.ParsePublicKey(a.PublicKey)
	if err != nil {
		return ErrKey
	}
	sum := sha256.Sum256(a.ClientData)
	if ok, err := webauthncose.VerifySignature(key, slices.Concat(a.AuthenticatorData, sum[:]), a.Signature); err != nil || !ok {
		return ErrSignature
	}
	return nil
}

// VerifyOrder is Verify, and that o is the order whose hash was signed.
func VerifyOrder(a signin.Approval, key []byte, o warrant.Order) error {
	if err := Verify(a); err != nil {
		return err
	}
	if !hmac.Equal(a.OrderHash, OrderHash(key, o)) {
		return ErrOrder
	}
	return nil
}

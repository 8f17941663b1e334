// Package authtest holds the other side of signing in, for tests: an authenticator
// and browser in software, a TOTP app, and an identity provider.
package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Authenticator is a passkey and the browser in front of it. It signs ES256 and
// attests nothing. Its fields may be changed to make it lie.
type Authenticator struct {
	Origin     string // that the browser says
	RPID       string // that the browser asks for; empty = as the options say
	Counter    uint32 // of the last signature
	NoCounting bool   // Counter stays as it is
	Unverified bool   // the user was not verified
	BackedUp   bool   // a key that is copied to other devices

	id     []byte
	handle []byte
	key    *ecdsa.PrivateKey
}

// NewAuthenticator makes a key.
func NewAuthenticator(t testing.TB, origin string) *Authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authenticator{Origin: origin, id: make([]byte, 32), key: key}
	_, _ = rand.Read(a.id) // never fails
	return a
}

// Copy is the same key in another authenticator.
func (a *Authenticator) Copy() *Authenticator {
	b := *a
	return &b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *Authenticator) clientData(t testing.TB, kind, challenge string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Flags of authenticator data, WebAuthn section 6.1.
const (
	flagUP = 1 << 0
	flagUV = 1 << 2
	flagBE = 1 << 3
	flagBS = 1 << 4
	flagAT = 1 << 6
)

func (a *Authenticator) authData(rpID string, extra byte) []byte {
	if a.RPID != "" {
		rpID = a.RPID
	}
	sum := sha256.Sum256([]byte(rpID))
	flags := byte(flagUP|flagUV) | extra
	if a.Unverified {
		flags &^= flagUV
	}
	if a.BackedUp {
		flags |= flagBE | flagBS
	}
	if !a.NoCounting {
		a.Counter++
	}
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.Counter)
}

// Create answers the options of a registration, as navigator.credentials.create.
func (a *Authenticator) Create(t testing.TB, options []byte) json.RawMessage {
	t.Helper()
	var o struct {
		Challenge string `json:"challenge"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	decode(t, options, &o)
	var err error
	if a.handle, err = base64.RawURLEncoding.DecodeString(o.User.ID); err != nil {
		t.Fatal(err)
	}
	point, err := a.key.PublicKey.Bytes() // 4 | x | y
	if err != nil {
		t.Fatal(err)
	}
	cose := encode(t, map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:65]})
	data := append(a.authData(o.RP.ID, flagAT), make([]byte, 16)...) // AAGUID zero
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(append(data, a.id...), cose...)
	return a.credential(t, map[string]any{
		"clientDataJSON":    b64(a.clientData(t, "webauthn.create", o.Challenge)),
		"attestationObject": b64(encode(t, map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})),
		"transports":        []string{"internal"},
	})
}

// Get answers the options of a sign-in or signature, as navigator.credentials.get.
func (a *Authenticator) Get(t testing.TB, options []byte) json.RawMessage {
	t.Helper()
	var o struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
	}
	decode(t, options, &o)
	client, data := a.clientData(t, "webauthn.get", o.Challenge), a.authData(o.RPID, 0)
	clientHash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), clientHash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return a.credential(t, map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(a.handle),
	})
}

func (a *Authenticator) credential(t testing.TB, response map[string]any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// encode writes canonical CBOR (CTAP2).
func encode(t testing.TB, v any) []byte {
	t.Helper()
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

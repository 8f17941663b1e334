// Package approval lets an approver's passkey sign the hash of exactly one version of
// a warrant, and lets anybody check that signature later, without ligate's database.
//
// What is signed is the WebAuthn challenge, SHA-256 over this text:
//
//	ligate-approval/1
//	warrant ID
//	version N
//	person ID
//	order HEX     HMAC-SHA-256 of the order, see Describe
//	nonce HEX     32 random octets
//
// The order's hash is keyed, because a bare one would let who has a dump of the
// database guess the target: numbers are few. The auditor gets the key together with
// the order.
//
// Invariants:
//   - A signature covers each field of the order; a field that Describe does not know
//     fails a test.
//   - Verify needs the record only; VerifyOrder also the order and the key.
package approval

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// Describe is the one encoding of an order: name and value of each field, each as its
// length (uint32, big-endian) and its octets. Targets are in ascending order; times
// are RFC 3339 in UTC.
func Describe(o warrant.Order) []byte {
	b := []byte("ligate-order/1\n")
	for _, f := range []struct{ name, value string }{
		{"liid", string(o.LIID)},
		{"authority", o.Authority},
		{"reference", o.Reference},
		{"legal_basis", o.LegalBasis},
		{"agency", string(o.AgencyID)},
		{"scope", o.Scope.String()},
		{"from", o.From.UTC().Format(time.RFC3339Nano)},
		{"until", o.Until.UTC().Format(time.RFC3339Nano)},
		{"notes", o.Notes},
		{"predecessor", string(o.Predecessor)},
		{"provisional", strconv.FormatBool(o.Provisional)},
		{"original_due", due(o.OriginalDue)},
	} {
		b = appendText(appendText(b, f.name), f.value)
	}
	for _, t := range targets(o) {
		b = appendText(appendText(b, "target"), t)
	}
	return b
}

func due(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func targets(o warrant.Order) []string {
	var all []string
	for _, t := range o.Targets {
		text := t.Reveal()
		if t.Kind() == li.E164 {
			text = "+" + text
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// OrderHash is the keyed hash of an order.
func OrderHash(key []byte, o warrant.Order) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(Describe(o)) // never fails
	return mac.Sum(nil)
}

// Challenge is what the passkey signs for a.
func Challenge(a signin.Approval) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "ligate-approval/1\nwarrant %s\nversion %d\nperson %s\norder %s\nnonce %s\n",
		a.WarrantID, a.Version, a.PersonID, hex.EncodeToString(a.OrderHash), hex.EncodeToString(a.Nonce))
	sum := sha256.Sum256(b.Bytes())
	return sum[:]
}

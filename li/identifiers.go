package li

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// LIID is the lawful interception identifier that operator and agency agreed for
// one warrant (TS 102 232-1 clause 5.2.2). It identifies a case, never a target.
type LIID string

// maxLIIDBytes is the upper bound of LawfulInterceptionIdentifier.
const maxLIIDBytes = 25

// ParseLIID accepts 1 to 25 visible ASCII characters (TS 103 280, LIID).
func ParseLIID(s string) (LIID, error) {
	if len(s) == 0 || len(s) > maxLIIDBytes {
		return "", ErrLIID
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return "", ErrLIID
		}
	}
	return LIID(s), nil
}

// CIN is the communication identity number: one call of one LIID
// (TS 102 232-1 clause 5.2.4). Zero is not a CIN of ours.
type CIN uint32

// XID names a Task on the X interfaces (TS 103 221-1 clause 5.1.2): a random UUID
// that says nothing about the warrant behind it.
type XID [16]byte

// NewXID makes a random version-4 UUID.
func NewXID() XID {
	var x XID
	_, _ = rand.Read(x[:]) // crypto/rand.Read never fails
	x[6] = x[6]&0x0f | 0x40
	x[8] = x[8]&0x3f | 0x80
	return x
}

// ParseXID reads the canonical lower-case form.
func ParseXID(s string) (XID, error) {
	var x XID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return x, ErrXID
	}
	packed := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	for i := range len(packed) {
		if packed[i] >= 'A' && packed[i] <= 'F' {
			return x, ErrXID
		}
	}
	if _, err := hex.Decode(x[:], []byte(packed)); err != nil {
		return XID{}, ErrXID
	}
	return x, nil
}

func (x XID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", x[0:4], x[4:6], x[6:8], x[8:10], x[10:16])
}

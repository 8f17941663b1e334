package sdes

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/pion/srtp/v3"
)

// Errors of Parse. They quote nothing.
var (
	ErrSyntax = errors.New("sdes: not a crypto attribute")
	ErrSuite  = errors.New("sdes: a crypto suite or parameter that cannot be opened")
)

// Key is one master key with its salt.
type Key struct {
	profile   srtp.ProtectionProfile
	key, salt []byte
	mki       []byte // empty = packets carry none
	plainRTP  bool   // UNENCRYPTED_SRTP
	plainRTCP bool   // UNENCRYPTED_SRTCP
}

// String hides the key.
func (Key) String() string { return "sdes.Key" }

// GoString hides the key.
func (Key) GoString() string { return "sdes.Key" }

// Format hides the key from every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("sdes.Key")) }

func (k Key) equal(o Key) bool {
	return k.profile == o.profile && bytes.Equal(k.key, o.key) && bytes.Equal(k.salt, o.salt) && bytes.Equal(k.mki, o.mki) &&
		k.plainRTP == o.plainRTP && k.plainRTCP == o.plainRTCP
}

// profileOf knows the suites of RFC 4568 clause 6.2, RFC 6188 and RFC 7714 that can be
// opened.
func profileOf(suite string) (srtp.ProtectionProfile, bool) {
	switch strings.ToUpper(suite) {
	case "AES_CM_128_HMAC_SHA1_80":
		return srtp.ProtectionProfileAes128CmHmacSha1_80, true
	case "AES_CM_128_HMAC_SHA1_32":
		return srtp.ProtectionProfileAes128CmHmacSha1_32, true
	case "AES_256_CM_HMAC_SHA1_80":
		return srtp.ProtectionProfileAes256CmHmacSha1_80, true
	case "AES_256_CM_HMAC_SHA1_32":
		return srtp.ProtectionProfileAes256CmHmacSha1_32, true
	case "AEAD_AES_128_GCM":
		return srtp.ProtectionProfileAeadAes128Gcm, true
	case "AEAD_AES_256_GCM":
		return srtp.ProtectionProfileAeadAes256Gcm, true
	}
	return 0, false
}

// Parse reads what follows "a=crypto:" (RFC 4568 clause 9.1). One value may hold
// several keys, each with its master key identifier.
func Parse(value string) ([]Key, error) {
	fields := strings.Fields(value)
	if len(fields) < 3 {
		return nil, ErrSyntax
	}
	if n, err := strconv.ParseUint(fields[0], 10, 32); err != nil || n > 999999999 {
		return nil, ErrSyntax
	}
	base := Key{}
	var ok bool
	if base.profile, ok = profileOf(fields[1]); !ok {
		return nil, ErrSuite
	}
	for _, p := range fields[3:] {
		if err := base.session(p); err != nil {
			return nil, err
		}
	}
	var keys []Key
	for param := range strings.SplitSeq(fields[2], ";") {
		k := base
		if err := k.inline(param); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// session reads one session parameter (clause 6.3). Those that do not change how a
// packet is opened are passed over.
func (k *Key) session(param string) error {
	name, value, _ := strings.Cut(param, "=")
	switch strings.ToUpper(name) {
	case "UNENCRYPTED_SRTP":
		k.plainRTP = true
	case "UNENCRYPTED_SRTCP":
		k.plainRTCP = true
	case "KDR":
		if value != "0" {
			return ErrSuite
		}
	case "UNAUTHENTICATED_SRTP":
		return ErrSuite // nothing would tell a right key from a wrong one
	}
	return nil
}

// inline reads "inline:" key and salt, lifetime, MKI (clause 6.1).
func (k *Key) inline(param string) error {
	text, ok := strings.CutPrefix(param, "inline:")
	if !ok {
		return ErrSyntax
	}
	parts := strings.Split(text, "|")
	secret, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil {
		return ErrSyntax
	}
	keyLen, err := k.profile.KeyLen()
	if err != nil {
		return ErrSuite
	}
	saltLen, err := k.profile.SaltLen()
	if err != nil {
		return ErrSuite
	}
	if len(secret) != keyLen+saltLen {
		return ErrSyntax
	}
	k.key, k.salt = secret[:keyLen:keyLen], secret[keyLen:]
	for _, p := range parts[1:] {
		if id, size, found := strings.Cut(p, ":"); found {
			if k.mki, err = mkiOf(id, size); err != nil {
				return err
			}
		} // else a lifetime: who encrypts keeps it
	}
	return nil
}

const maxMKIBytes = 128

// mkiOf writes a master key identifier as packets carry it: a number of so many
// octets.
func mkiOf(id, size string) ([]byte, error) {
	n, ok := new(big.Int).SetString(id, 10)
	length, err := strconv.Atoi(size)
	if !ok || err != nil || length < 1 || length > maxMKIBytes || n.Sign() < 0 || n.BitLen() > 8*length {
		return nil, ErrSyntax
	}
	return n.FillBytes(make([]byte, length)), nil
}

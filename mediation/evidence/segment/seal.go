package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/ligate/ligate/li"
)

// Hash is a SHA-256.
type Hash = [sha256.Size]byte

const chainMagic = "ligate-chain/1\n"

// ErrKey says that none of the identities opens a segment.
var ErrKey = errors.New("segment: sealed to other keys than these")

// ChainStart is the chain before the first segment of a call.
func ChainStart(liid li.LIID, cin li.CIN) Hash {
	b := append(append([]byte(chainMagic), liid...), 0)
	return sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(cin)))
}

// ChainNext is the chain after segment n.
func ChainNext(prev Hash, n uint32, ciphertext, plaintext Hash) Hash {
	b := append([]byte(chainMagic), prev[:]...)
	b = binary.BigEndian.AppendUint32(b, n)
	return sha256.Sum256(append(append(b, ciphertext[:]...), plaintext[:]...))
}

// ParseRecipients reads the age recipients of an agency (age1…, age1pq1…).
func ParseRecipients(texts []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, text := range texts {
		some, err := age.ParseRecipients(bytes.NewReader([]byte(text)))
		if err != nil {
			return nil, errors.New("segment: not an age recipient: want age1…")
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return nil, errors.New("segment: an agency needs at least one age recipient")
	}
	return all, nil
}

// Seal encrypts a plaintext so that each recipient alone can open it.
func Seal(to []age.Recipient, plaintext []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(plaintext) + 1024)
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, fmt.Errorf("segment: seal: %w", err)
	}
	if _, err := w.Write(plaintext); err != nil {
		return nil, fmt.Errorf("segment: seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("segment: seal: %w", err)
	}
	return out.Bytes(), nil
}

// Open decrypts what Seal made.
func Open(with []age.Identity, ciphertext []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(ciphertext), with...)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return nil, ErrKey
		}
		return nil, errors.New("segment: the sealed octets are damaged")
	}
	plaintext, err := io.ReadAll(io.LimitReader(r, maxPlaintext+1))
	if err != nil || len(plaintext) > maxPlaintext {
		return nil, errors.New("segment: the sealed octets are damaged")
	}
	return plaintext, nil
}

// Package document seals the papers of warrants, so that the operator's database
// tells nothing of them: only who holds a key of a recipient reads them.
//
// Invariant: what Seal returns begins with age's header line and holds nothing of the
// paper in clear.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// Errors of this package.
var (
	ErrRecipient = errors.New("document: not an age recipient: want age1…")
)

// Sealer seals to fixed recipients. It is safe for concurrent use.
type Sealer struct{ to []age.Recipient }

// New reads the recipients, of which there must be one at least.
func New(recipients []string) (*Sealer, error) {
	s := &Sealer{}
	for _, text := range recipients {
		some, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, ErrRecipient // age's error quotes what it read
		}
		s.to = append(s.to, some...)
	}
	if len(s.to) == 0 {
		return nil, ErrRecipient
	}
	return s, nil
}

// Seal encrypts a paper so that each recipient alone can open it.
func (s *Sealer) Seal(paper []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(paper) + 4096)
	w, err := age.Encrypt(&out, s.to...)
	if err != nil {
		return nil, fmt.Errorf("document: seal: %w", err)
	}
	if _, err := w.Write(paper); err != nil {
		return nil, fmt.Errorf("document: seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("document: seal: %w", err)
	}
	return out.Bytes(), nil
}

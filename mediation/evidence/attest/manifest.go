package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Format stands in every operator manifest.
const Format = "ligate-operator-manifest/1"

// Names of the files of a statement.
const (
	FileManifest  = "operator-manifest.json"
	FileSignature = "operator.p7s"
	FileProof     = "audit.tlog-proof"
	FileCustody   = "custody.jsonl"
)

// MaxManifest bounds an operator manifest, in octets.
const MaxManifest = 256 << 20

// Errors of statements.
var (
	ErrManifest  = errors.New("attest: not an operator manifest of " + Format)
	ErrChain     = errors.New("attest: the manifest's chain of segments does not hold")
	ErrSignature = errors.New("attest: the signature does not fit what it is said to sign")
	ErrCustody   = errors.New("attest: the custody trail or its proof does not hold")
)

// Operator is who makes statements.
type Operator struct {
	ID      string `json:"id"`
	Element string `json:"element"` // of the mediation
	Log     string `json:"log"`     // verifier key of the audit log (signed note)
	Version string `json:"version"` // of the software
}

// Gap is what is missing, and the segment whose gap record says so.
type Gap struct {
	Segment uint32 `json:"segment"`
	segment.Gap
}

// Manifest is what the operator says of a session.
type Manifest struct {
	Format   string               `json:"format"`
	Operator Operator             `json:"operator"`
	Session  segment.SessionDoc   `json:"session"` // acked is null
	Signed   time.Time            `json:"signed"`
	Segments []segment.SegmentDoc `json:"segments"` // all, in order; without URLs
	Gaps     []Gap                `json:"gaps"`
	Clock    Clock                `json:"clock"`
}

// Clock is the state of the clock of the mediation's machine when the manifest was
// signed, as its kernel says. Each record's time is that of the element that copied
// it.
type Clock struct {
	Known        bool  `json:"known"`
	Synchronised bool  `json:"synchronised"`
	MaxErrorUS   int64 `json:"max_error_us"`
	EstimatedUS  int64 `json:"estimated_error_us"`
}

// Encode writes a manifest after checking it.
func Encode(m Manifest) ([]byte, error) {
	m.Format = Format
	if m.Gaps == nil {
		m.Gaps = []Gap{}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil || len(b) >= MaxManifest {
		return nil, ErrManifest
	}
	return append(b, '\n'), nil
}

// Decode reads what Encode writes, and nothing else.
func Decode(b []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if len(b) > MaxManifest || d.Decode(&m) != nil || m.Format != Format {
		return Manifest{}, ErrManifest
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	if again, err := Encode(m); err != nil || !bytes.Equal(again, b) {
		return Manifest{}, ErrManifest
	}
	return m, nil
}

// check holds the chain.
func (m Manifest) check() error {
	s := m.Session
	if _, err := li.ParseLIID(string(s.LIID)); err != nil || s.CIN == 0 || s.EndedAt == nil || int(s.Segments) != len(m.Segments) {
		return ErrManifest
	}
	chain := segment.ChainStart(s.LIID, s.CIN)
	for i, d := range m.Segments {
		sum, err := hash(d.SHA256)
		plain, err2 := hash(d.PlainSHA256)
		if err != nil || err2 != nil || int(d.Number) != i+1 {
			return ErrManifest
		}
		if chain = segment.ChainNext(chain, d.Number, sum, plain); hex.EncodeToString(chain[:]) != d.Chain {
			return ErrChain
		}
	}
	if hex.EncodeToString(chain[:]) != s.ChainHead {
		return ErrChain
	}
	return nil
}

func hash(s string) (h segment.Hash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != s {
		return h, ErrManifest
	}
	return segment.Hash(b), nil
}

// SHA256 is the lower-case hexadecimal hash of octets.
func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

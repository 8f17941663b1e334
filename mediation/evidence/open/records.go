package open

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"filippo.io/age"

	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Records is a session after every check.
type Records struct{ c *content }

// Load verifies and decrypts a pulled session. Faults of one segment are
// *SegmentError.
func Load(ctx context.Context, source string, identities []age.Identity) (*Records, error) {
	if source == "" || len(identities) == 0 {
		return nil, ErrConfig
	}
	c, err := load(ctx, source, identities)
	if err != nil {
		return nil, err
	}
	return &Records{c}, nil
}

// FromPlaintexts holds segments' plaintexts against the list and the chain of what
// was said of the session. A nil plaintext is a segment that is left out, as all of
// its kind must be.
func FromPlaintexts(doc segment.Pulled, plaintexts [][]byte) (*Records, error) {
	if len(plaintexts) != len(doc.Segments) || int(doc.Session.Segments) != len(doc.Segments) {
		return nil, ErrCount
	}
	c := &content{doc: doc, plain: plaintexts}
	chain := segment.ChainStart(doc.Session.LIID, doc.Session.CIN)
	for i, s := range doc.Segments {
		if s.Number != uint32(i)+1 {
			return nil, &SegmentError{uint32(i) + 1, ErrNumber}
		}
		want, err := parseHashes(s.SHA256, s.PlainSHA256, s.Chain)
		if err != nil {
			return nil, &SegmentError{s.Number, err}
		}
		if chain = segment.ChainNext(chain, s.Number, want[0], want[1]); chain != want[2] {
			return nil, &SegmentError{s.Number, ErrChain}
		}
		if plaintexts[i] == nil {
			continue
		}
		if sha256.Sum256(plaintexts[i]) != want[1] {
			return nil, &SegmentError{s.Number, ErrPlaintext}
		}
		if err := c.add(s, plaintexts[i]); err != nil {
			return nil, &SegmentError{s.Number, err}
		}
	}
	if hex.EncodeToString(chain[:]) != doc.Session.ChainHead {
		return nil, ErrHead
	}
	return &Records{c}, nil
}

// Session is what the operator said of it.
func (r *Records) Session() segment.Pulled { return r.c.doc }

// IRI are the signalling records by number.
func (r *Records) IRI() []segment.IRIRecord { return r.c.iri }

// CC are the media packets by number.
func (r *Records) CC() []segment.CCRecord { return r.c.cc }

// Plaintexts are those of the segments, nil where one is left out.
func (r *Records) Plaintexts() [][]byte { return r.c.plain }

// Without returns the session without the segments of a kind.
func (r *Records) Without(kind segment.Kind) (*Records, error) {
	plain := slices.Clone(r.c.plain)
	for i, s := range r.c.doc.Segments {
		if s.Kind == kind {
			plain[i] = nil
		}
	}
	return FromPlaintexts(r.c.doc, plain)
}

// Write makes iri.jsonl, call.pcapng and call.wav in an existing empty folder and
// returns the manifest, which it does not write.
func (r *Records) Write(dir, version string) (Manifest, error) {
	return write(&staging{dir: dir}, r.c, version)
}

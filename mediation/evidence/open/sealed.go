package open

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	sessionFile      = "session.json"
	maxSessionBytes  = 256 << 20
	maxSealedBytes   = 80 << 20
	sealedFileFormat = "%06d.age"
)

// SegmentFile is the name of a sealed segment in a session's folder.
func SegmentFile(number uint32) string { return fmt.Sprintf(sealedFileFormat, number) }

// SessionFile is the name of the document beside them.
func SessionFile() string { return sessionFile }

// content is a session after every check.
type content struct {
	doc    segment.Pulled
	iri    []segment.IRIRecord // by number
	cc     []segment.CCRecord  // by number
	gaps   []segment.Gap       // as they stand in the segments
	inGaps int64               // records that the gaps say are missing
	plain  [][]byte            // of each segment; nil = left out
}

// readSession loads session.json and checks what can be checked without content.
func readSession(dir string) (segment.Pulled, error) {
	b, err := readAtMost(filepath.Join(dir, sessionFile), maxSessionBytes)
	if err != nil {
		return segment.Pulled{}, ErrSession
	}
	var doc segment.Pulled
	d := json.NewDecoder(bytes.NewReader(b))
	if d.Decode(&doc) != nil || d.InputOffset() == 0 {
		return segment.Pulled{}, ErrSession
	}
	if _, err := li.ParseLIID(string(doc.Session.LIID)); err != nil || doc.Session.CIN == 0 {
		return segment.Pulled{}, ErrSession
	}
	if int(doc.Session.Segments) != len(doc.Segments) {
		return segment.Pulled{}, ErrCount
	}
	return doc, nil
}

// load verifies, decrypts and decodes all segments of a session.
func load(ctx context.Context, dir string, keys []age.Identity) (*content, error) {
	doc, err := readSession(dir)
	if err != nil {
		return nil, err
	}
	c := &content{doc: doc}
	chain := segment.ChainStart(doc.Session.LIID, doc.Session.CIN)
	for i, s := range doc.Segments {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if s.Number != uint32(i)+1 {
			return nil, &SegmentError{uint32(i) + 1, ErrNumber}
		}
		plaintext, next, err := unseal(dir, s, chain, keys)
		if err != nil {
			return nil, &SegmentError{s.Number, err}
		}
		if err := c.add(s, plaintext); err != nil {
			return nil, &SegmentError{s.Number, err}
		}
		c.plain, chain = append(c.plain, plaintext), next
	}
	if hex.EncodeToString(chain[:]) != doc.Session.ChainHead {
		return nil, ErrHead
	}
	return c, nil
}

// unseal checks one segment's file from the outside in and returns its plaintext
// and the chain after it.
func unseal(dir string, s segment.SegmentDoc, prev segment.Hash, keys []age.Identity) ([]byte, segment.Hash, error) {
	want, err := parseHashes(s.SHA256, s.PlainSHA256, s.Chain)
	if err != nil {
		return nil, segment.Hash{}, err
	}
	sealed, err := readAtMost(filepath.Join(dir, SegmentFile(s.Number)), maxSealedBytes)
	if err != nil {
		return nil, segment.Hash{}, ErrAbsent
	}
	if int64(len(sealed)) != s.Bytes {
		return nil, segment.Hash{}, ErrSize
	}
	if sha256.Sum256(sealed) != want[0] {
		return nil, segment.Hash{}, ErrCiphertext
	}
	next := segment.ChainNext(prev, s.Number, want[0], want[1])
	if next != want[2] {
		return nil, segment.Hash{}, ErrChain
	}
	plaintext, err := segment.Open(keys, sealed)
	if errors.Is(err, segment.ErrKey) {
		return nil, segment.Hash{}, ErrKey
	}
	if err != nil {
		return nil, segment.Hash{}, ErrDamaged
	}
	if sha256.Sum256(plaintext) != want[1] {
		return nil, segment.Hash{}, ErrPlaintext
	}
	return plaintext, next, nil
}

// add decodes a plaintext and holds it against the list and against what came
// before: records of a kind are numbered from 0 without holes.
func (c *content) add(s segment.SegmentDoc, plaintext []byte) error {
	h, records, err := segment.Decode(plaintext)
	if err != nil {
		return ErrContent
	}
	if h.LIID != c.doc.Session.LIID || h.CIN != c.doc.Session.CIN || h.Segment != s.Number || h.Kind != s.Kind ||
		h.FirstSeq != s.FirstSeq || h.LastSeq != s.LastSeq {
		return ErrHeader
	}
	seqs := make([]uint32, 0, len(records))
	next := uint32(len(c.iri))
	if h.Kind == segment.KindCC {
		next = uint32(len(c.cc))
	}
	for _, r := range records {
		switch {
		case r.IRI != nil:
			seqs, c.iri = append(seqs, r.IRI.Seq), append(c.iri, *r.IRI)
		case r.CC != nil:
			seqs, c.cc = append(seqs, r.CC.Seq), append(c.cc, *r.CC)
		case r.Gap != nil:
			c.gaps = append(c.gaps, *r.Gap)
			c.inGaps += int64(r.Gap.Missing)
		}
	}
	for i, seq := range seqs {
		if seq != next+uint32(i) {
			return ErrRecords
		}
	}
	if len(seqs) > 0 && (seqs[0] != h.FirstSeq || seqs[len(seqs)-1] != h.LastSeq) {
		return ErrRecords
	}
	return nil
}

func parseHashes(texts ...string) ([]segment.Hash, error) {
	hashes := make([]segment.Hash, len(texts))
	for i, s := range texts {
		if len(s) != 2*sha256.Size {
			return nil, ErrHash
		}
		if _, err := hex.Decode(hashes[i][:], []byte(s)); err != nil || hex.EncodeToString(hashes[i][:]) != s {
			return nil, ErrHash
		}
	}
	return hashes, nil
}

// readAtMost reads a regular file of no more than limit octets.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, ErrSize
	}
	return b, nil
}

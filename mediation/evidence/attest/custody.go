package attest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
)

// DetailManifest is the detail of the audit entry that holds a manifest's SHA-256.
const DetailManifest = "manifest"

// Statement is what the operator says of a session, and how it is proved.
type Statement struct {
	Manifest   []byte // operator-manifest.json
	Signature  []byte // operator.p7s: CMS over Manifest
	Index      int64  // of the audit entry that holds the manifest's hash
	Custody    []audit.Inclusion
	Checkpoint []byte
}

// Concerns reports whether an entry is about a session.
func Concerns(r audit.Record, liid li.LIID, cin li.CIN) bool {
	object := fmt.Sprintf("cin %d", cin)
	return r.Entry != nil && r.Entry.Warrant == string(liid) && (r.Entry.Object == object || strings.HasPrefix(r.Entry.Object, object+" "))
}

// File is one file of a statement.
type File struct {
	Name   string
	Octets []byte
}

// Reader reads its octets.
func (f File) Reader() *bytes.Reader { return bytes.NewReader(f.Octets) }

// Files returns the statement's files in order.
func (s Statement) Files() ([]File, error) {
	at := slices.IndexFunc(s.Custody, func(i audit.Inclusion) bool { return i.Record.Index == s.Index })
	if at < 0 {
		return nil, ErrCustody
	}
	var custody bytes.Buffer
	e := json.NewEncoder(&custody)
	e.SetEscapeHTML(false)
	for _, i := range s.Custody {
		if err := e.Encode(i); err != nil {
			return nil, fmt.Errorf("attest: write custody: %w", err)
		}
	}
	return []File{
		{FileManifest, s.Manifest},
		{FileSignature, s.Signature},
		{FileProof, audit.AppendTlogProof(nil, s.Index, s.Custody[at].Proof, s.Checkpoint)},
		{FileCustody, custody.Bytes()},
	}, nil
}

// Proved is a custody trail that holds.
type Proved struct {
	Accesses []audit.Entry // in the order of the log
	TreeSize int64
}

// VerifyCustody holds a trail and a proof against the log's verifier key and the
// manifest: each entry is in the tree that the checkpoint signs, and the one that the
// proof is about holds the manifest's hash.
func VerifyCustody(manifest, proof, custody []byte, verifierKey string) (Proved, error) {
	m, err := Decode(manifest)
	if err != nil {
		return Proved{}, err
	}
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Proved{}, ErrCustody
	}
	index, hashes, checkpoint, err := audit.ParseTlogProof(proof)
	if err != nil {
		return Proved{}, err
	}
	size, root, err := audit.OpenCheckpoint(checkpoint, verifier)
	if err != nil {
		return Proved{}, err
	}
	p, named, last := Proved{TreeSize: size}, false, int64(-1)
	for line := range bytes.Lines(custody) {
		var i audit.Inclusion
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if d.Decode(&i) != nil || i.Record.Index <= last || !i.Holds(size, root) || !Concerns(i.Record, m.Session.LIID, m.Session.CIN) {
			return Proved{}, ErrCustody
		}
		if i.Record.Index == index {
			named = slices.Equal(i.Proof, hashes) && i.Record.Entry.Detail[DetailManifest] == SHA256(manifest)
		}
		last = i.Record.Index
		p.Accesses = append(p.Accesses, *i.Record.Entry)
	}
	if !named {
		return Proved{}, ErrCustody
	}
	return p, nil
}

package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Names within the bag.
const (
	fileManifest  = "data/" + attest.FileManifest
	fileSignature = attest.FileSignature
	fileProof     = attest.FileProof
	fileCustody   = attest.FileCustody
	fileOpened    = "data/" + open.FileManifest
	fileTree      = "manifest-sha256.txt"
	fileTagTree   = "tagmanifest-sha256.txt"
	fileSeal      = "seal.p7s"
	fileStamp     = "seal.tsr"

	bagit = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
)

// statement is what came from the operator beside the segments.
type statement struct {
	files [][]byte // in the order of statementFiles
	man   attest.Manifest
}

func statementFiles() []string {
	return []string{attest.FileManifest, attest.FileSignature, attest.FileProof, attest.FileCustody}
}

func readStatement(dir string) (statement, error) {
	var s statement
	for _, name := range statementFiles() {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return s, ErrStatement
		}
		s.files = append(s.files, b)
	}
	var err error
	if s.man, err = attest.Decode(s.files[0]); err != nil {
		return s, err
	}
	if _, err := attest.Verify(s.files[0], s.files[1]); err != nil {
		return s, err
	}
	_, err = attest.VerifyCustody(s.files[0], s.files[2], s.files[3], s.man.Operator.Log)
	return s, err
}

func (s statement) pulled() segment.Pulled {
	return segment.Pulled{Session: s.man.Session, Segments: s.man.Segments}
}

// bag is a bundle that comes to be as a folder.
type bag struct {
	records   *open.Records
	statement statement
	version   string
	redacted  *open.Redaction
}

// name is that of the folder in the zip and, with .zip, of the file.
func (b *bag) name() string {
	s := b.statement.man.Session
	name := fmt.Sprintf("ligate-%s-%d", url.PathEscape(string(s.LIID)), s.CIN)
	if b.redacted != nil {
		name += "-without-" + string(b.redacted.Without)
	}
	return name
}

// at is the time of all files: that of the operator's signature.
func (b *bag) at() time.Time { return b.statement.man.Signed }

// fill makes everything but the seal below dir and returns the names.
func (b *bag) fill(dir string) (names []string, err error) {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "segments"), 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := b.payload(dir, data); err != nil {
		return nil, err
	}
	for i, name := range []string{fileManifest, fileSignature, fileProof, fileCustody} {
		if err := write(dir, name, b.statement.files[i]); err != nil {
			return nil, err
		}
	}
	tree, oxum, err := hashTree(dir, true)
	if err != nil {
		return nil, err
	}
	for _, f := range []attest.File{
		{Name: fileTree, Octets: tree},
		{Name: "bagit.txt", Octets: []byte(bagit)},
		{Name: "bag-info.txt", Octets: b.info(oxum)},
		{Name: "README.txt", Octets: b.readme()},
	} {
		if err := write(dir, f.Name, f.Octets); err != nil {
			return nil, err
		}
	}
	tags, _, err := hashTree(dir, false)
	if err != nil {
		return nil, err
	}
	if err := write(dir, fileTagTree, tags); err != nil {
		return nil, err
	}
	return list(dir)
}

// payload makes what follows from the segments.
func (b *bag) payload(dir, data string) error {
	man, err := b.records.Write(data, b.version)
	if err != nil {
		return err
	}
	man.Redacted, man.Files = b.redacted, man.Files[len(b.records.Session().Segments):]
	add := func(name, role, about string, octets []byte) error {
		man.Files = append(man.Files, open.File{Name: name, Role: role, Bytes: int64(len(octets)), SHA256: attest.SHA256(octets), About: about})
		return write(data, name, octets)
	}
	for i := range man.Files {
		if man.Files[i].Name == open.FileCapture {
			man.Files[i].Role = open.Master
		}
	}
	var ber, table bytes.Buffer
	if err := errors.Join(writePSPDU(&ber, b.records, b.statement.man.Operator), writeCSV(&table, b.records.IRI())); err != nil {
		return err
	}
	err = errors.Join(add("ps-pdu.ber", open.Master, "all records as PS-PDUs of TS 102 232-1; the authorisation country is not in the records: XX", ber.Bytes()),
		add("iri.csv", open.Derived, "signalling for spreadsheets", table.Bytes()))
	for i, plain := range b.records.Plaintexts() {
		if plain != nil && err == nil {
			d := b.records.Session().Segments[i]
			err = add(fmt.Sprintf("segments/%06d.bin", d.Number), open.Master, "what was sealed: "+string(d.Kind)+" records and their salt", plain)
		}
	}
	if err != nil {
		return err
	}
	if b.redacted != nil {
		man.Notes = append(man.Notes, "This bundle is redacted: all "+string(b.redacted.Without)+" records were left out. The whole bundle has the hash that stands here as parent.")
	}
	text, err := open.EncodeManifest(man)
	if err != nil {
		return err
	}
	return write(dir, fileOpened, text)
}

func (b *bag) info(oxum string) []byte {
	s := b.statement.man
	return fmt.Appendf(nil, "Source-Organization: %s\nExternal-Identifier: %s/%d\nBagging-Date: %s\nPayload-Oxum: %s\nBag-Software-Agent: ligate %s\n",
		oneLine(s.Operator.ID), oneLine(string(s.Session.LIID)), s.Session.CIN, s.Signed.UTC().Format(time.DateOnly), oxum, oneLine(b.version))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// hashTree lists the files below data, or those beside it, as sha256sum does, and the
// Payload-Oxum.
func hashTree(dir string, payload bool) (tree []byte, oxum string, err error) {
	names, err := list(dir)
	if err != nil {
		return nil, "", err
	}
	octets, count := int64(0), 0
	for _, name := range names {
		if strings.HasPrefix(name, "data/") != payload {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		sum, err := fileHash(path)
		if err != nil {
			return nil, "", err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, "", fmt.Errorf("hash: %w", err)
		}
		octets, count = octets+info.Size(), count+1
		tree = fmt.Appendf(tree, "%s  %s\n", sum, name)
	}
	return tree, fmt.Sprintf("%d.%d", octets, count), nil
}

// list returns the names of all files below dir in the order of the zip.
func list(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list bundle: %w", err)
	}
	return sorted(names), nil
}

func write(dir, name string, b []byte) error {
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), b, 0o600); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

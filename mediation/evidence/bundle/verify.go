package bundle

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/open"
)

// Known is what whoever verifies learnt by another way than the bundle.
type Known struct {
	Operator string // SHA-256 fingerprint of the operator's certificate; empty = not held against one
	Log      string // verifier key of the operator's audit log; empty = the one that the operator signed
	Version  string // of this tool
}

// Report is what Verify found.
type Report struct {
	Name     string   // what the file should be called
	Faults   []string // each names the broken thing; none means that the bundle holds
	Notes    []string // what a person must know beside
	Operator string   // SHA-256 fingerprint of the certificate that signed
	Hash     string   // SHA-256 of tagmanifest-sha256.txt
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

func (r *Report) fault(format string, a ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, a...))
}

func (r *Report) note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

// maxExpanded bounds what a bundle is unpacked to.
const maxExpanded = 16 << 30

// verification unpacks a bundle and makes it again beside.
type verification struct {
	Report

	known  Known
	dir    string // what it holds
	again  string // what it should hold
	names  []string
	top    string
	stated statement
	whole  bool // the statement can be read
}

// Verify checks a bundle with nothing but itself and what is known. An error says that
// it could not be checked; what is wrong with the bundle stands in the report.
func Verify(path string, known Known) (Report, error) {
	tmp, err := os.MkdirTemp("", "ligate-verify-")
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	defer f.Close()
	v := &verification{known: known, dir: filepath.Join(tmp, "bag"), again: filepath.Join(tmp, "again")}
	if err := v.unpack(f); err != nil {
		return Report{}, err
	}
	v.tree(fileTree, true)
	v.tree(fileTagTree, false)
	v.statement()
	v.derived()
	v.seals()
	if err := v.form(f); err != nil {
		return Report{}, err
	}
	if got := strings.TrimSuffix(filepath.Base(path), ".zip"); got != v.Name && v.Name != "" {
		v.note("The file was called %s.zip when it was made.", v.Name)
	}
	return v.Report, nil
}

// unpack writes the files out. Names that lead elsewhere are faults.
func (v *verification) unpack(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		v.fault("zip: cannot be read: cut off, or its directory is damaged")
		return nil
	}
	left := int64(maxExpanded)
	for _, file := range z.File {
		top, name, ok := strings.Cut(file.Name, "/")
		if v.top == "" {
			v.top = top
		}
		if !ok || top != v.top || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") || slices.Contains(v.names, name) {
			v.fault("zip: an entry has a name that no bundle has, or has one twice")
			continue
		}
		left, err = v.file(file, name, left)
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) file(file *zip.File, name string, left int64) (int64, error) {
	path := filepath.Join(v.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		v.fault("zip: an entry has a name that no bundle has, or has one twice")
		return left, nil
	}
	defer out.Close()
	v.names = append(v.names, name)
	r, err := file.Open()
	if err != nil {
		v.fault("%s: cannot be unpacked", name)
		return left, nil
	}
	defer r.Close()
	n, err := io.Copy(out, io.LimitReader(r, left))
	switch {
	case errors.Is(err, zip.ErrChecksum):
		v.fault("%s: changed, or its checksum in the zip was", name)
	case err != nil:
		v.fault("%s: cannot be unpacked", name)
	case n == left:
		return 0, errors.New("verify: the bundle unpacks to more than 16 GiB")
	}
	return left - n, nil
}

// tree holds the files against a manifest of BagIt, as sha256sum -c does, and looks
// for files that it does not name.
func (v *verification) tree(manifest string, payload bool) {
	b, err := os.ReadFile(v.path(manifest))
	if err != nil {
		v.fault("%s: missing", manifest)
		return
	}
	var listed []string
	for line := range bytes.Lines(b) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "  ")
		if !ok || len(sum) != 64 || !filepath.IsLocal(name) || strings.HasPrefix(name, "data/") != payload || slices.Contains(listed, name) {
			v.fault("%s: a line is malformed", manifest)
			continue
		}
		listed = append(listed, name)
		switch got, err := fileHash(v.path(name)); {
		case err != nil:
			v.fault("%s: missing, but in %s", name, manifest)
		case got != sum:
			v.fault("%s: does not have the hash in %s", name, manifest)
		}
	}
	for _, name := range v.names {
		free := name == fileTagTree || name == fileSeal || name == fileStamp
		if strings.HasPrefix(name, "data/") == payload && !free && !slices.Contains(listed, name) {
			v.fault("%s: added, not in %s", name, manifest)
		}
	}
	if !payload {
		v.Hash = attest.SHA256(b)
	}
}

func (v *verification) path(name string) string {
	return filepath.Join(v.dir, filepath.FromSlash(name))
}

// statement checks what the operator signed and the log proves.
func (v *verification) statement() {
	files := make([][]byte, 0, 4)
	for _, name := range []string{fileManifest, fileSignature, fileProof, fileCustody} {
		b, err := os.ReadFile(v.path(name))
		if err != nil {
			v.fault("%s: missing", name)
			return
		}
		files = append(files, b)
	}
	cert, err := attest.Verify(files[0], files[1])
	if err != nil {
		v.fault("%s: does not sign %s", fileSignature, fileManifest)
	} else {
		v.Operator = attest.SHA256(cert.Raw)
		if v.known.Operator != "" && v.Operator != v.known.Operator {
			v.fault("%s: signed with another certificate than the operator's that you named", fileSignature)
		}
	}
	man, err := attest.Decode(files[0])
	if err != nil {
		v.fault("%s: %s", fileManifest, strings.TrimPrefix(err.Error(), "attest: "))
		return
	}
	v.stated, v.whole = statement{files: files, man: man}, true
	if v.known.Log != "" && v.known.Log != man.Operator.Log {
		v.fault("%s: names another audit log than the one whose key you gave", fileManifest)
	}
	if _, err := attest.VerifyCustody(files[0], files[2], files[3], man.Operator.Log); err != nil {
		v.fault("%s, %s: do not prove that the manifest is on the operator's log", fileProof, fileCustody)
	}
	if !man.Clock.Known || !man.Clock.Synchronised {
		v.note("The clock of the operator's mediation was not known to be synchronised when it signed.")
	}
}

// derived makes every file again from the segments and compares.
func (v *verification) derived() {
	if !v.whole {
		return
	}
	opened, err := open.ReadManifest(filepath.Join(v.dir, "data"))
	if err != nil {
		v.fault("%s: cannot be read", fileOpened)
		return
	}
	records, err := open.FromPlaintexts(v.stated.pulled(), v.plaintexts(opened.Redacted))
	if err != nil {
		v.fault("data/segments: %s", strings.TrimPrefix(err.Error(), "open: "))
		return
	}
	b := bag{records: records, statement: v.stated, version: opened.Tool.Version, redacted: opened.Redacted}
	v.Name = b.name()
	want, err := b.fill(v.again)
	if err != nil {
		v.fault("data/segments: the files cannot be made again: their content is not what a gateway copies")
		return
	}
	if b.redacted != nil {
		v.note("Redacted: all %s records were left out. The whole bundle's tagmanifest-sha256.txt has the SHA-256 %s.", b.redacted.Without, b.redacted.Parent)
	}
	v.compare(want, opened.Tool.Version)
}

// plaintexts reads the segments that there must be.
func (v *verification) plaintexts(redacted *open.Redaction) [][]byte {
	all := make([][]byte, len(v.stated.man.Segments))
	for i, s := range v.stated.man.Segments {
		name := fmt.Sprintf("%s%06d.bin", segments, s.Number)
		b, err := os.ReadFile(v.path(name))
		switch {
		case redacted != nil && s.Kind == redacted.Without:
		case err != nil:
			v.fault("%s: missing", name)
		default:
			all[i] = b
		}
	}
	return all
}

// compare holds the files against those made again. What another version of ligate
// says around the payload may differ; the payload may not, unseen.
func (v *verification) compare(want []string, version string) {
	other := version != v.known.Version
	for _, name := range want {
		got, err := fileHash(v.path(name))
		made, err2 := fileHash(filepath.Join(v.again, filepath.FromSlash(name)))
		switch {
		case err != nil:
			v.fault("%s: missing", name)
		case err2 == nil && got == made:
		case other && !strings.HasPrefix(name, "data/"):
			v.note("%s: reads otherwise than this version of ligate writes it.", name)
		case other:
			v.fault("%s: is not what this version of ligate makes of the segments; verify with version %s, which the bundle names", name, oneLine(version))
		default:
			v.fault("%s: is not what follows from the segments and the operator's manifest", name)
		}
	}
	for _, name := range v.names {
		if !slices.Contains(want, name) && name != fileSeal && name != fileStamp {
			v.fault("%s: added, no part of this bundle", name)
		}
	}
}

// seals checks the opener's signature and the time stamp.
func (v *verification) seals() {
	tags, err := os.ReadFile(v.path(fileTagTree))
	if err != nil {
		return // said already
	}
	if b, err := os.ReadFile(v.path(fileSeal)); err == nil {
		if cert, err := attest.Verify(tags, b); err != nil {
			v.fault("%s: does not sign %s", fileSeal, fileTagTree)
		} else {
			v.note("Sealed with the certificate %s.", attest.SHA256(cert.Raw))
		}
	}
	if b, err := os.ReadFile(v.path(fileStamp)); err == nil {
		if at, cert, err := readStamp(b, tags); err != nil {
			v.fault("%s: does not stamp %s", fileStamp, fileTagTree)
		} else {
			v.note("Stamped at %s with the certificate %s; openssl ts says whether that is an authority's.", at.Format("2006-01-02T15:04:05Z"), attest.SHA256(cert.Raw))
		}
	}
}

// form packs the files again: the zip must be the same, octet for octet.
func (v *verification) form(f *os.File) error {
	if v.Name == "" || len(v.names) == 0 {
		return nil // said already why
	}
	if !slices.Equal(v.names, sorted(v.names)) {
		v.fault("zip: the entries are in another order")
	}
	if v.top != v.Name {
		v.fault("zip: the folder in it has another name")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	c := &comparer{r: bufio.NewReader(f)}
	err := pack(c, v.dir, v.Name, v.names, v.stated.man.Signed)
	if err == nil {
		err = c.ended()
	}
	if errors.Is(err, errDiffers) {
		v.fault("zip: its own headers, times or names were changed, or octets added")
		return nil
	}
	return err
}

package open

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ligate/ligate/li"
)

// The names of what opening writes.
const (
	FileManifest = "manifest.json"
	FileIRI      = "iri.jsonl"
	FileCapture  = "call.pcapng"
	FileAudio    = "call.wav"

	maxManifestBytes = 256 << 20
)

// staging is a folder beside the final one in which files come to be.
type staging struct {
	dir   string
	final string
	files []File
}

func newStaging(final string) (*staging, error) {
	parent := filepath.Dir(final)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("make output folder: %w", err)
	}
	dir, err := os.MkdirTemp(parent, ".opening-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make output folder: %w", err)
	}
	return &staging{dir: dir, final: final}, nil
}

// discard removes what was staged; after commit there is nothing left to remove.
func (s *staging) discard() { _ = os.RemoveAll(s.dir) }

// write creates one file, syncs it and remembers its hash.
func (s *staging) write(name, about string, fill func(*os.File) error) error {
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	s.files = append(s.files, File{Name: name, Role: Derived, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil)), About: about})
	return nil
}

// commit moves the staged folder to its final name. An older opening of the same
// session steps aside first and is removed last.
func (s *staging) commit(liid li.LIID, cin li.CIN) error {
	old := s.dir + ".old"
	replaced, err := replaceable(s.final, liid, cin)
	if err != nil {
		return err
	}
	if replaced {
		if err := os.Rename(s.final, old); err != nil {
			return fmt.Errorf("replace output folder: %w", err)
		}
	}
	if err := os.Rename(s.dir, s.final); err != nil {
		if replaced {
			err = errors.Join(err, os.Rename(old, s.final))
		}
		return fmt.Errorf("name output folder: %w", err)
	}
	if replaced {
		_ = os.RemoveAll(old) // the new one stands; a rest does no harm
	}
	return syncDir(filepath.Dir(s.final))
}

// replaceable reports whether there is a folder to step aside. A folder that this
// package did not write for the session is ErrOccupied.
func replaceable(dir string, liid li.LIID, cin li.CIN) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read output folder: %w", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case FileManifest, FileIRI, FileCapture, FileAudio:
		default:
			return false, ErrOccupied
		}
	}
	if len(entries) == 0 {
		return true, nil
	}
	if man, err := ReadManifest(dir); err != nil || man.LIID != liid || man.CIN != cin {
		return false, ErrOccupied
	}
	return true, nil
}

// ReadManifest reads the manifest of an opened session.
func ReadManifest(dir string) (Manifest, error) {
	b, err := readAtMost(filepath.Join(dir, FileManifest), maxManifestBytes)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	var man Manifest
	if json.Unmarshal(b, &man) != nil || man.Format != ManifestFormat {
		return Manifest{}, errors.New("read manifest: not a " + ManifestFormat + " file")
	}
	return man, nil
}

// EncodeManifest writes a manifest as manifest.json has it.
func EncodeManifest(man Manifest) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(man); err != nil {
		return nil, fmt.Errorf("write manifest.json: %w", err)
	}
	return b.Bytes(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync output folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync output folder: %w", err)
	}
	return nil
}

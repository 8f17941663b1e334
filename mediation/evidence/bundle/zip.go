package bundle

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// order is the place of each file; segments follow operator-manifest.json by number.
func order() []string {
	return []string{
		"bagit.txt", "bag-info.txt", "README.txt",
		"data/manifest.json", fileManifest, "data/iri.jsonl", "data/iri.csv", "data/call.wav", "data/call.pcapng", "data/ps-pdu.ber",
		segments,
		fileSignature, fileProof, fileCustody, fileTree, fileTagTree, fileSeal, fileStamp,
	}
}

const segments = "data/segments/"

// sorted puts names in the order of the zip; unknown ones last.
func sorted(names []string) []string {
	all := order()
	place := func(name string) int {
		if strings.HasPrefix(name, segments) {
			name = segments
		}
		if i := slices.Index(all, name); i >= 0 {
			return i
		}
		return len(all)
	}
	out := slices.Clone(names)
	slices.SortFunc(out, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return out
}

// pack writes the files below dir as the bundle's one form of zip: stored, in order,
// below the folder top, all with one time.
func pack(w io.Writer, dir, top string, names []string, at time.Time) error {
	z := zip.NewWriter(w)
	for _, name := range sorted(names) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: top + "/" + name, Method: zip.Store, Modified: at.UTC().Truncate(2 * time.Second)})
		if err != nil {
			return fmt.Errorf("write zip: %w", err)
		}
		if err := copyFile(f, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("write zip: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write zip: %w", err)
	}
	return nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

var errDiffers = errors.New("differs")

// comparer takes what is written and fails where r has something else.
type comparer struct {
	r   io.Reader
	buf []byte
}

func (c *comparer) Write(p []byte) (int, error) {
	if cap(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	got := c.buf[:len(p)]
	if _, err := io.ReadFull(c.r, got); err != nil || !slices.Equal(got, p) {
		return 0, errDiffers
	}
	return len(p), nil
}

// ended fails if r goes on.
func (c *comparer) ended() error {
	if n, _ := io.ReadFull(c.r, make([]byte, 1)); n != 0 {
		return errDiffers
	}
	return nil
}

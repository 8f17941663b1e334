package deliver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ligate/ligate/li"
)

const (
	minDropKey = 32
	dropName   = ".pcapng.age"
	dropWork   = ".work" // under Drop.Dir: what agencies do not see
)

// dropMark is how far the files of one session go, as it stands on disk. Before a file
// is written its end is noted: after a crash the same file is made again, with the
// same records under the same name, or is found whole.
//
//	known ──note──► writing (Writing, To…) ──file renamed, note──► known (From… = To…)
type dropMark struct {
	FromIRI uint32 `json:"iri"` // records below are in files
	FromCC  uint32 `json:"cc"`
	ToIRI   uint32 `json:"to_iri,omitempty"` // the file that is being written goes up to these, which it does not hold
	ToCC    uint32 `json:"to_cc,omitempty"`
	Writing bool   `json:"writing,omitempty"`
}

// mac is a name for a session, or for one of its files, that tells nothing without
// the key.
func mac(key []byte, what string, liid li.LIID, cin li.CIN, numbers ...uint32) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s\x00%s\x00", what, liid)
	b := binary.BigEndian.AppendUint32(nil, uint32(cin))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// loadMarks reads what saveMarks wrote; nothing = no file was written yet.
func loadMarks(path string) (map[string]dropMark, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]dropMark{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("deliver: read marks of capture files: %w", err)
	}
	marks := map[string]dropMark{}
	if err := json.Unmarshal(b, &marks); err != nil {
		return nil, errors.New("deliver: the marks of capture files are damaged")
	}
	return marks, nil
}

func saveMarks(path string, marks map[string]dropMark) error {
	b, err := json.Marshal(marks)
	if err != nil {
		return fmt.Errorf("deliver: keep marks of capture files: %w", err)
	}
	return place(path+".new", path, b)
}

// place makes a file appear whole and durable at once: temp is on the same file system.
func place(temp, path string, b []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640) //nolint:gosec // the group serves the agency; it is sealed
	if err != nil {
		return fmt.Errorf("deliver: write: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("deliver: write: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("deliver: sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("deliver: sync folder: %w", err)
	}
	return nil
}

package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// tiles reads tiles as a monitor outside does: by the paths of C2SP tlog-tiles, and
// nothing else.
type tiles struct {
	t    *testing.T
	read func(path string) ([]byte, error)
	n    int
}

func (s *tiles) Height() int { return 8 }

func (s *tiles) ReadTiles(all []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(all))
	for i, tile := range all {
		path, ok := strings.CutPrefix(tile.Path(), "tile/8/")
		if !ok {
			s.t.Fatalf("path %q", tile.Path())
		}
		var err error
		if out[i], err = s.read(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		s.n++
	}
	return out, nil
}

func (s *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// The tile reader of golang.org/x/mod/sumdb/tlog, which checks each tile against the
// checkpoint's root, proves every entry from our tiles alone.
func TestTilesServeAStandardReader(t *testing.T) {
	t.Parallel()
	l, vkey := newLog(t)
	pool := server.Pool(t)
	const size = 600 // two full tiles, a partial one, and one above them
	addAll(t, l, pool, size)
	checkpoint, err := l.Checkpoint(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, root, err := audit.OpenCheckpoint(checkpoint, verifier)
	if err != nil || n != size {
		t.Fatal(n, err)
	}
	source := &tiles{t: t, read: func(path string) ([]byte, error) { return l.Tile(t.Context(), pool, path) }}
	reader := tlog.TileHashReader(tlog.Tree{N: n, Hash: root}, source)
	for _, index := range []int64{0, 255, 256, 511, 512, 599} {
		proof, err := tlog.ProveRecord(n, index, reader)
		if err != nil {
			t.Fatal(index, err)
		}
		bundle, err := l.Tile(t.Context(), pool, fmt.Sprintf("entries/%03d%s", index/256, map[bool]string{true: ".p/88"}[index >= 512]))
		if err != nil {
			t.Fatal(index, err)
		}
		at := index % 256 * 34
		if bundle[at] != 0 || bundle[at+1] != 32 {
			t.Fatalf("entry %d: length %x, want 32", index, bundle[at:at+2])
		}
		if err := tlog.CheckRecord(proof, n, root, index, tlog.RecordHash(bundle[at+2:at+34])); err != nil {
			t.Errorf("entry %d of the bundle is not in the tree: %v", index, err)
		}
	}
	if source.n == 0 {
		t.Error("no tile was read")
	}
	// A tile that lies is found by the reader.
	lying := &tiles{t: t, read: func(path string) ([]byte, error) {
		b, err := l.Tile(t.Context(), pool, path)
		if err == nil {
			sum := sha256.Sum256(b[:32])
			copy(b, sum[:])
		}
		return b, err
	}}
	if _, err := tlog.ProveRecord(n, 0, tlog.TileHashReader(tlog.Tree{N: n, Hash: root}, lying)); err == nil {
		t.Error("a tile that lies was believed")
	}
	for _, path := range []string{
		"", "0", "0/002", "0/002.p/89", "0/002.p/256", "0/003", "1/000", "1/000.p/3", "7/000.p/1", "x/000", "-1/000", "data/000", "entries/002",
		"entries/002.p/89", "entries/x000/000", "0/0", "0/000.p/0", "../0/000", "entries/data/000", "62/000.p/1", "0/x999/x999/x999/x999/x999/999.p/1",
	} {
		if _, err := l.Tile(t.Context(), pool, path); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", path, err)
		}
	}
}

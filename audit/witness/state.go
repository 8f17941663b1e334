package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// folder is where a witness remembers: DIR/HASH.checkpoint, the last checkpoint that
// it signed of the origin of that hash, and DIR/HASH.fork, the first one that it was
// shown beside it.
type folder struct {
	dir  string
	lock *os.File
}

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness: make folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("witness: lock folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, lock.Close())
	}
	return &folder{dir: dir, lock: lock}, nil
}

func (f *folder) close() error { return f.lock.Close() }

func (f *folder) path(origin, kind string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:])+"."+kind)
}

// head is the last tree that was signed; size 0 before the first.
type head struct {
	size int64
	root tlog.Hash
}

func (f *folder) load(v note.Verifier) (head, error) {
	signed, err := os.ReadFile(f.path(v.Name(), "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return head{root: tlog.Hash(sha256.Sum256(nil))}, nil // RFC 6962's empty tree
	}
	if err != nil {
		return head{}, fmt.Errorf("witness: read state: %w", err)
	}
	size, root, err := audit.OpenCheckpoint(signed, v)
	if err != nil {
		return head{}, ErrState
	}
	return head{size, root}, nil
}

// keep writes a file so that it is there, whole, after a loss of power.
func (f *folder) keep(origin, kind string, b []byte) (err error) {
	path := f.path(origin, kind)
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("witness: write state: %w", err)
	}
	_, err = file.Write(b)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("witness: write state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("witness: write state: %w", err)
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("witness: sync folder: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("witness: sync folder: %w", err)
	}
	return nil
}

func (f *folder) has(origin, kind string) bool {
	_, err := os.Stat(f.path(origin, kind))
	return err == nil
}

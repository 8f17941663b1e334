package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/warrant/sealing"
)

// masterCredential is the name of the systemd credential that holds the master key.
const masterCredential = "ligate-master.key"

// masterFile is where the master key stands: a file of 32 octets. While a rotation is
// on its way, and until the next one if it died late, the one to come stands beside it
// as .new: the database says which one counts.
type masterFile struct {
	path string
	own  bool // ours to make and to change: not a credential, not the operator's own file
	kms  keyService
}

// masterKey finds the file: the config's, a systemd credential, or our own.
func (c *config) masterKey() masterFile {
	kms := keyService(c.Admin.MasterKMS)
	if c.Admin.MasterKey != "" {
		return masterFile{path: c.Admin.MasterKey, kms: kms}
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, masterCredential)
		if _, err := os.Stat(path); err == nil {
			return masterFile{path: path, kms: kms}
		}
	}
	return masterFile{path: c.secrets().path("master.key"), own: true, kms: kms}
}

func (f masterFile) next() string { return f.path + ".new" }

// find is a pgstore.Masters. It looks again at the first file, for a rotation may rename
// the second while it looks.
func (f masterFile) find(id string) (*sealing.Master, error) {
	if id == "" {
		return f.first()
	}
	holds := "no file there"
	for _, path := range []string{f.path, f.next(), f.path} {
		m, err := f.read(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case m.ID() == id:
			return m, nil
		}
		if path == f.path {
			holds = "key " + m.ID() + " there"
		}
	}
	return nil, fmt.Errorf("%w: the database wants master key %s in %s, and there is %s: put the right key there, from its backup", sealing.ErrMaster, id, f.path, holds)
}

// first is the master key of a database that has none yet.
func (f masterFile) first() (*sealing.Master, error) {
	m, err := f.read(f.path)
	if !errors.Is(err, fs.ErrNotExist) || !f.own {
		return m, err
	}
	if err := f.make(f.path); err != nil && !errors.Is(err, fs.ErrExist) { // another process made it now
		return nil, err
	}
	return f.read(f.path)
}

func (f masterFile) read(path string) (*sealing.Master, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: everybody may open this file: chmod 600 it, and rotate the key", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	if b, err = f.kms.open(b); err != nil {
		return nil, err
	}
	m, err := sealing.NewMaster(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// make keeps a fresh master key in a new file, durably.
func (f masterFile) make(path string) error {
	key := make([]byte, sealing.MasterBytes)
	_, _ = rand.Read(key) // never fails
	kept, err := f.kms.seal(key)
	if err != nil {
		return err
	}
	return errors.Join(pki.Keep(path, kept), syncDir(filepath.Dir(path)))
}

// prepare makes the next master key beside the one in use, durably. What an earlier
// rotation left there is settled first: in use it takes its place, else it goes.
func (f masterFile) prepare(used string) (*sealing.Master, error) {
	if left, err := f.read(f.next()); err == nil && left.ID() == used {
		if err := f.finish(); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(f.next()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove a master key that was never used: %w", err)
	}
	if err := f.make(f.next()); err != nil {
		return nil, err
	}
	return f.read(f.next())
}

// finish puts the next master key in the place of the one before.
func (f masterFile) finish() error {
	if err := os.Rename(f.next(), f.path); err != nil {
		return fmt.Errorf("put the new master key in its place: %w", err)
	}
	return syncDir(filepath.Dir(f.path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

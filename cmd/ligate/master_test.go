package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/warrant/sealing"
)

const (
	oneKMS     = "base64key://smGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4="
	anotherKMS = "base64key://a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
)

// With a key service the file alone opens nothing, and rotation works as without.
func TestMasterKeyUnderAKeyService(t *testing.T) {
	t.Parallel()
	f := masterFile{path: filepath.Join(t.TempDir(), "master.key"), own: true, kms: oneKMS}
	m, err := f.find("")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(f.path)
	if err != nil || len(kept) <= sealing.MasterBytes {
		t.Fatalf("%d octets, %v", len(kept), err)
	}
	if again, err := f.find(m.ID()); err != nil || again.ID() != m.ID() {
		t.Errorf("again: %v", err)
	}
	for kms, want := range map[keyService]error{"": sealing.ErrMasterLength, anotherKMS: errKeyServiceSealed, "nosuch://x": errKeyService, "base64key://": errKeyService} {
		other := f
		other.kms = kms
		if _, err := other.find(m.ID()); !errors.Is(err, want) || strings.Contains(err.Error(), "smGb") {
			t.Errorf("%s: %v", kms, err)
		}
	}
	next, err := f.prepare(m.ID())
	if err != nil || next.ID() == m.ID() {
		t.Fatalf("prepare: %v", err)
	}
	for _, id := range []string{m.ID(), next.ID()} { // before and after the commit
		if found, err := f.find(id); err != nil || found.ID() != id {
			t.Errorf("between: %v", err)
		}
	}
	if err := f.finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.find(m.ID()); !errors.Is(err, sealing.ErrMaster) {
		t.Errorf("the old key is still there: %v", err)
	}
}

// A file that is not ours is used and never made, changed or replaced.
func TestMasterKeyOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	cfg := &config{DataDir: dir}
	cfg.Admin.MasterKey = filepath.Join(dir, "mine")
	if _, err := cfg.masterKey().find(""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made up: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cfg.Admin.MasterKey = ""
	if f := cfg.masterKey(); !f.own {
		t.Error("a credential that is not there counts")
	}
	key := bytes.Repeat([]byte{7}, sealing.MasterBytes)
	if err := os.WriteFile(filepath.Join(dir, masterCredential), key, 0o440); err != nil {
		t.Fatal(err)
	}
	f := cfg.masterKey()
	want, err := sealing.NewMaster(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.find(""); err != nil || f.own || got.ID() != want.ID() {
		t.Errorf("credential: %v", err)
	}
}

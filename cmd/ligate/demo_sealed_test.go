package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// idleBlock is what a bus file holds that holds no message.
const idleBlock = 100

// sealedToTheAgencyOnly holds what is left of a call that is sealed and delivered against
// the keys that the operator has: each segment is sealed to the agency's identity and to
// nobody else, and the bus, whose key lies beside it, holds no message any more.
func sealedToTheAgencyOnly(t *testing.T, dir string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "operator", "evidence", "*", "*.age"))
	if err != nil || len(segments) < 4 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "agency", "keys", "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil || len(identities) != 1 {
		t.Fatal(err)
	}
	for _, name := range segments {
		sealed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := recipients(t, sealed); n != 1 {
			t.Errorf("%s is sealed to %d recipients, want the agency's one", filepath.Base(name), n)
		}
		opened, err := age.Decrypt(bytes.NewReader(sealed), identities...)
		if err != nil {
			t.Fatalf("the agency cannot open %s: %v", filepath.Base(name), err)
		}
		if _, err := io.Copy(io.Discard, opened); err != nil {
			t.Errorf("the agency cannot read %s: %v", filepath.Base(name), err)
		}
	}
	blocks, err := filepath.Glob(filepath.Join(dir, "operator", "bus", "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) < 3 {
		t.Fatalf("%d files of messages, %v", len(blocks), err)
	}
	for _, name := range blocks {
		if info, err := os.Stat(name); err != nil || info.Size() > idleBlock {
			t.Errorf("the bus still holds %d octets that its key opens (%v)", info.Size(), err)
		}
	}
}

// recipients counts those of an age file (age-encryption.org/v1).
func recipients(t *testing.T, sealed []byte) (n int) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(sealed))
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "-> "):
			n++
		case strings.HasPrefix(line, "---"):
			return n
		}
	}
	t.Fatal("no age header")
	return 0
}

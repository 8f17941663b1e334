package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
)

// ligate audit witness makes its key and certificate, says both, and cosigns over TLS
// what the admin's configuration points there; started again it is the same witness.
func TestWitnessCommand(t *testing.T) {
	t.Parallel()
	secret, vkey, err := audit.NewKey("op/ligate")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.Sign(&note.Note{Text: "op/ligate\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"audit", "witness", "--listen", "127.0.0.1:0", "--key", filepath.Join(dir, "key"), "--dir", filepath.Join(dir, "state"), "--origin", vkey}
	var errOut bytes.Buffer
	if code := run(t.Context(), args, io.Discard, &errOut); code != exitUsage || !strings.Contains(errOut.String(), "--name") {
		t.Errorf("without key and name: %d %s", code, errOut.String())
	}
	first, stop := startWitness(t, append(args, "--name", "w.example/1"))
	remote, err := first.remote()
	if err != nil {
		t.Fatal(err)
	}
	line, err := remote.AddCheckpoint(t.Context(), 0, nil, checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.CosignedAt(append(checkpoint, line...), remote.Verifier); err != nil {
		t.Error(err)
	}
	stop()
	again, stop := startWitness(t, args)
	defer stop()
	if again.Key != first.Key || again.Certificate != first.Certificate {
		t.Error("started again it is another witness")
	}
	if remote, err = again.remote(); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.AddCheckpoint(t.Context(), 0, nil, checkpoint); err == nil || !strings.Contains(err.Error(), "knows size 1") {
		t.Errorf("it forgot: %v", err)
	}
	again.Certificate = strings.Repeat("0", 64)
	if remote, err = again.remote(); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.AddCheckpoint(t.Context(), 1, nil, checkpoint); err == nil {
		t.Error("another certificate was believed")
	}
	if mode, err := os.Stat(filepath.Join(dir, "key")); err != nil || mode.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", mode, err)
	}
}

// startWitness runs the command until stop, and reads what it says of itself.
func startWitness(t *testing.T, args []string) (c witnessConfig, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, out, io.Discard) }()
	lines := bufio.NewScanner(in)
	for _, field := range []*string{&c.Key, &c.Certificate, &c.URL} {
		if !lines.Scan() {
			t.Fatalf("the witness ended with %d", <-done)
		}
		words := strings.Fields(lines.Text())
		*field = words[len(words)-1]
	}
	return c, func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("exit code %d", code)
		}
	}
}

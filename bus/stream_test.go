package bus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// Killed while a stream is made for the first time, a bus starts again; one that
// holds messages and lost its description does not, for it would lose them too.
func TestHalfMadeStream(t *testing.T) {
	t.Parallel()
	for name, half := range map[string]struct {
		published bool
		without   []string // files of the description
		starts    bool
	}{
		"nothing written": {false, []string{"meta.inf", "meta.sum", "meta.key"}, true},
		"key written":     {false, []string{"meta.inf", "meta.sum"}, true},
		"no checksum":     {false, []string{"meta.sum"}, true},
		"messages there":  {true, []string{"meta.sum"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b, stop := open(t, dir, 0)
			if half.published {
				if err := b.Publish(t.Context(), x2x3.X3, part, []byte("copy")); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			for _, file := range half.without {
				if err := os.Remove(filepath.Join(stream(t, dir), file)); err != nil {
					t.Fatal(err)
				}
			}
			if half.starts {
				b, _ = open(t, dir, 0)
				if err := b.Publish(t.Context(), x2x3.X3, part, []byte("copy")); err != nil {
					t.Error(err)
				}
				take(t, b, 1, all)
				return
			}
			b, err := bus.New(bus.Config{Dir: dir, Key: key, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := b.Run(ctx); !errors.Is(err, bus.ErrStart) {
				t.Errorf("got %v, want ErrStart", err)
			}
		})
	}
}

// A start does not write a stream's description again: the server does so in two
// steps, and a stream whose process is killed between them is not recovered.
func TestStartLeavesTheStreamAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, stop := open(t, dir, 1<<20)
	stop()
	meta := filepath.Join(stream(t, dir), "meta.inf")
	before, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	_, stop = open(t, dir, 1<<20)
	stop()
	after, err := os.ReadFile(meta)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the description was written again (%v)", err)
	}
	b, _ := open(t, dir, 1<<21) // unless a limit changes
	if changed, err := os.ReadFile(meta); err != nil || bytes.Equal(after, changed) {
		t.Errorf("a new limit was not written (%v)", err)
	}
	if err := b.Publish(t.Context(), x2x3.X2, part, []byte("copy")); err != nil {
		t.Error(err)
	}
}

// stream is the folder of the stream.
func stream(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*", "streams", "LI"))
	if err != nil || len(found) != 1 {
		t.Fatalf("folder of the stream: %v, %v", found, err)
	}
	return found[0]
}

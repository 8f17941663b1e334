package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// keepStream opens a stream, or makes it. One whose files hold something, but which
// the server did not recover, is never made anew: the server would remove what it
// holds first. One that is as wanted is left alone: the server writes a stream's
// description in two steps, and killed between them does not recover it.
func (b *Bus) keepStream(ctx context.Context, want jetstream.StreamConfig) error {
	js := b.link.js
	stream, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if b.server != nil && b.holds(want.Name) {
			return ErrStart
		}
		_, err = js.CreateStream(ctx, want)
	case err == nil:
		if is := stream.CachedInfo().Config; is.MaxBytes == want.MaxBytes && is.Duplicates == want.Duplicates && is.Replicas == max(1, want.Replicas) {
			return nil // the rest never changes
		}
		_, err = js.UpdateStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("bus: open stream: %w", err)
	}
	return nil
}

// holds reports whether there are files of a stream that somebody could miss. One
// whose making was killed has neither a whole description nor messages.
func (b *Bus) holds(name string) bool {
	dir := filepath.Join(b.cfg.Dir, server.JetStreamStoreDir, "$G", "streams", name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	for _, file := range []string{server.JetStreamMetaFile, server.JetStreamMetaFileSum} {
		if _, err := os.Stat(filepath.Join(dir, file)); errors.Is(err, fs.ErrNotExist) {
			return b.holdsMessages(dir)
		}
	}
	return true
}

func (b *Bus) holdsMessages(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, "msgs"))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || filepath.Ext(e.Name()) == ".blk" && info.Size() > 0 {
			return true
		}
	}
	return false
}

package bus_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

var key = bytes.Repeat([]byte{7}, 32)

const part = 3 // the partition of tests that need one only

// crashDir makes this test binary a publisher that dies: see TestSurvivesKill.
const crashDir = "LIGATE_TEST_BUS_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		publishForEver(dir)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, dir string, max int64) (*bus.Bus, func()) {
	t.Helper()
	b, err := bus.New(bus.Config{Dir: dir, Key: key, Log: slog.New(slog.DiscardHandler), MaxBytes: max})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	closed := false
	stop := func() {
		if !closed {
			closed = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return b, stop
}

// take consumes n messages, acknowledging those that ack picks.
func take(t *testing.T, b *bus.Bus, n int, ack func(int) bool) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []bus.Message
	err := b.Consume(ctx, part, func(m bus.Message) {
		if len(got) == n {
			return
		}
		if ack(len(got)) {
			if err := m.Ack(); err != nil {
				t.Error(err)
			}
		}
		if got = append(got, m); len(got) == n {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%d messages, want %d", len(got), n)
	}
	return got
}

func all(int) bool { return true }

func TestUnacknowledgedComeAgainInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, stop := open(t, dir, 0)
	for i := range 10 {
		kind := x2x3.X3
		if i == 4 {
			kind = x2x3.X2
		}
		if err := b.Publish(t.Context(), kind, part, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	take(t, b, 6, func(i int) bool { return i%2 == 0 })
	stop()
	b, _ = open(t, dir, 0)
	want := []byte{1, 3, 5, 6, 7, 8, 9}
	for i, m := range take(t, b, len(want), all) {
		if m.Data[0] != want[i] || m.Kind != x2x3.X3 {
			t.Errorf("message %d is %d of kind %d, want %d", i, m.Data[0], m.Kind, want[i])
		}
	}
}

func TestFilesAreEncrypted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, stop := open(t, dir, 0)
	secret := []byte("what the parties said")
	if err := b.Publish(t.Context(), x2x3.X3, part, secret); err != nil {
		t.Fatal(err)
	}
	stop()
	octets := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		octets += len(b)
		if bytes.Contains(b, secret) {
			t.Errorf("%s holds the message in clear", filepath.Base(path))
		}
		return err
	})
	if err != nil || octets < len(secret) {
		t.Errorf("looked at %d octets, %v", octets, err)
	}
}

func TestFullStoreRefuses(t *testing.T) {
	t.Parallel()
	b, _ := open(t, t.TempDir(), 1<<20)
	data := make([]byte, 100<<10)
	stored := 0
	var err error
	for i := range 20 {
		data[0] = byte(i)
		if err = b.Publish(t.Context(), x2x3.X3, part, data); err != nil {
			break
		}
		stored++
	}
	if !errors.Is(err, bus.ErrFull) || stored == 0 {
		t.Fatalf("after %d messages: %v", stored, err)
	}
	take(t, b, stored, all)
}

func TestPublishBeforeRun(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Config{Dir: t.TempDir(), Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), x2x3.X2, part, nil); !errors.Is(err, bus.ErrStopped) {
		t.Errorf("got %v", err)
	}
}

// A publisher is killed in full flight: everything that it was told is stored is
// there after the restart, once and in order.
func TestSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	for in := bufio.NewScanner(out); in.Scan() && acked < 2000; {
		if _, err := fmt.Sscan(in.Text(), &acked); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	b, _ := open(t, dir, 0)
	for i, m := range take(t, b, int(acked), all) {
		if got := binary.BigEndian.Uint64(m.Data); got != uint64(i+1) {
			t.Fatalf("message %d is number %d", i, got)
		}
	}
}

// publishForEver prints the number of each message once it is stored.
func publishForEver(dir string) {
	b, err := bus.New(bus.Config{Dir: dir, Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	go func() { panic(b.Run(context.Background())) }()
	<-b.Ready()
	for i := uint64(1); ; i++ {
		if err := b.Publish(context.Background(), x2x3.X3, part, binary.BigEndian.AppendUint64(nil, i)); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

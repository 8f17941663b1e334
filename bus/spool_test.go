package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
)

// drain takes n messages from a spool and acknowledges those that ack picks.
func drain(t *testing.T, s *bus.Spool, n int, ack func(int) bool) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	err := s.Consume(ctx, func(m bus.SpoolMessage) {
		if len(got) == n {
			return
		}
		if ack(len(got)) {
			if err := m.Ack(); err != nil {
				t.Error(err)
			}
		}
		if got = append(got, string(m.Data)); len(got) == n {
			cancel()
		}
	})
	if err != nil || len(got) != n {
		t.Fatalf("%d messages, want %d, %v", len(got), n, err)
	}
	return got
}

// Each spool has its own order, its own room, and begins again where nobody
// acknowledged, also after a restart.
func TestSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, stop := open(t, dir, 0)
	a, err := b.Spool(t.Context(), "agency-a", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		for range 2 { // tried again: stored once
			if err := a.Publish(t.Context(), fmt.Sprint(i), fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	full := func() error { return a.Publish(t.Context(), "big", make([]byte, 900<<10)) }
	if err := errors.Join(full(), a.Publish(t.Context(), "big2", make([]byte, 200<<10))); !errors.Is(err, bus.ErrFull) {
		t.Errorf("beyond its limit: %v", err)
	}
	other, err := b.Spool(t.Context(), "agency-b", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Publish(t.Context(), "1", []byte("b")); err != nil {
		t.Errorf("another spool: %v", err)
	}
	drain(t, a, 3, func(i int) bool { return i != 1 })
	awaitBacklog(t, a, 4)
	stop()
	b, _ = open(t, dir, 0)
	if a, err = b.Spool(t.Context(), "agency-a", 2<<20); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(drain(t, a, 3, func(int) bool { return true })); got != "[1 3 4]" {
		t.Errorf("after the restart %s", got)
	}
	awaitBacklog(t, a, 1)
}

// A spool's name becomes a part of a stream's name and of a subject.
func TestSpoolNames(t *testing.T) {
	t.Parallel()
	b, _ := open(t, t.TempDir(), 0)
	for _, name := range []string{"a", "Agency-7_cc", strings.Repeat("z", 100), "0", "-", "_"} {
		if _, err := b.Spool(t.Context(), name, 1<<20); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "no good", "a.b", "a*", ">", "a/b", "ä", "a\x00", "[", "@", "`", "{", ":", "/", strings.Repeat("z", 101)} {
		if _, err := b.Spool(t.Context(), name, 1<<20); err == nil {
			t.Errorf("%q passed", name)
		}
	}
	if _, err := b.Spool(t.Context(), "a", 0); err == nil {
		t.Error("no limit passed")
	}
}

// awaitBacklog waits until so many messages are left: acknowledgements are not answered.
func awaitBacklog(t *testing.T, s *bus.Spool, want uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		log, err := s.Backlog(t.Context())
		if err == nil && log.Messages == want && !log.Oldest.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("backlog %+v, %v; want %d messages", log, err, want)
		}
	}
}

package bus_test

import (
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/natstest"
	"github.com/ligate/ligate/li/x2x3"
)

// A message says when it was stored, not when it was handed out: the same each time and
// after a restart. One that was forwarded says when the cluster stored it.
func TestStored(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	cluster := client(t, c, key)
	run(t, cluster.Run)
	awaitReady(t, cluster)
	dir := t.TempDir()
	b, stop := open(t, dir, 0)
	began := time.Now()
	if err := b.Publish(t.Context(), x2x3.X3, part, []byte("a")); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	check := func(m bus.Message, from, to time.Time) {
		t.Helper()
		if m.Stored.Before(from.Round(0)) || m.Stored.After(to.Round(0)) || m.Stored.Location() != time.UTC {
			t.Errorf("stored at %v, want from %v to %v, UTC", m.Stored, from.UTC(), to.UTC())
		}
	}
	first := take(t, b, 1, none)[0]
	check(first, began, ended)
	stop()
	b, _ = open(t, dir, 0)
	if again := take(t, b, 1, none)[0]; !again.Stored.Equal(first.Stored) {
		t.Errorf("stored at %v, and after a restart at %v", first.Stored, again.Stored)
	}
	f, err := bus.NewForwarder(bus.ForwarderConfig{From: b, To: cluster})
	if err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	run(t, f.Run)
	check(take(t, cluster, 1, all)[0], began, time.Now())
}

func none(int) bool { return false }

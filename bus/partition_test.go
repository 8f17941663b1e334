package bus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// The partition of a call is part of the stored format: it never changes.
func TestPartitionIsForEver(t *testing.T) {
	t.Parallel()
	xid, err := li.ParseXID("29f28e1c-f230-486a-a860-f5a784ab9172")
	if err != nil {
		t.Fatal(err)
	}
	for correlation, want := range map[uint64]int{0: 12, 1: 3, 2: 0, 1 << 63: 10, 1<<64 - 1: 2} {
		if got := bus.Partition(xid, correlation); got != want {
			t.Errorf("correlation %d is in partition %d, want %d", correlation, got, want)
		}
	}
}

// Calls of one Task, and Tasks of one call, spread over all partitions.
func TestPartitionsAreEven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		xid, from := li.XID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "xid")), rapid.Uint64().Draw(t, "from")
		const calls = 1600
		var calm, tasks [bus.Partitions]int
		for i := range uint64(calls) {
			calm[bus.Partition(xid, from+i)]++
			other := xid
			binary.BigEndian.PutUint64(other[8:], i)
			tasks[bus.Partition(other, from)]++
		}
		for p := range bus.Partitions {
			if min(calm[p], tasks[p]) < calls/bus.Partitions/2 || max(calm[p], tasks[p]) > calls/bus.Partitions*2 {
				t.Fatalf("calls %v, tasks %v", calm, tasks)
			}
		}
	})
}

// Each partition is consumed apart and in order, and one that is not read, or begins
// anew, holds up no other.
func TestPartitionsAreApart(t *testing.T) {
	t.Parallel()
	b, _ := open(t, t.TempDir(), 0)
	const rounds = 100
	for n := range rounds {
		var batch bus.Batch
		for p := range bus.Partitions {
			batch[p] = []byte{byte(p), byte(n)}
		}
		if err := b.PublishAll(t.Context(), x2x3.X3, &batch); err != nil {
			t.Fatal(err)
		}
		for p, left := range batch {
			if len(left) > 0 {
				t.Fatalf("slot %d is not empty", p)
			}
		}
	}
	for p := range bus.Partitions / 2 { // the others are not read
		for begun := range 3 { // each time anew: nothing is acknowledged
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			n := 0
			err := b.Consume(ctx, p, func(m bus.Message) {
				if m.Data[0] != byte(p) || m.Data[1] != byte(n) || m.Kind != x2x3.X3 {
					t.Errorf("partition %d, time %d: message %d of partition %d where %d is due", p, begun, m.Data[1], m.Data[0], n)
				}
				if n++; n == rounds {
					cancel()
				}
			})
			cancel()
			if err != nil || n != rounds {
				t.Fatalf("partition %d: %d messages, %v", p, n, err)
			}
		}
	}
	for _, p := range []int{-1, bus.Partitions} {
		if err := b.Publish(t.Context(), x2x3.X3, p, []byte("a")); !errors.Is(err, bus.ErrPartition) {
			t.Errorf("publish to %d: %v", p, err)
		}
		if err := b.Consume(t.Context(), p, nil); !errors.Is(err, bus.ErrPartition) {
			t.Errorf("consume %d: %v", p, err)
		}
	}
}

// Who does not own a partition reads nothing of it.
func TestConsumeWhile(t *testing.T) {
	t.Parallel()
	b, _ := open(t, t.TempDir(), 0)
	if err := b.Publish(t.Context(), x2x3.X3, part, []byte("a")); err != nil {
		t.Fatal(err)
	}
	lost := errors.New("lost")
	err := b.ConsumeWhile(t.Context(), part, func(context.Context) error { return lost }, func(bus.Message) { t.Error("a message") })
	if !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	take(t, b, 1, all)
}

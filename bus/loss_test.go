package bus_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/natstest"
	"github.com/ligate/ligate/li/x2x3"
)

// reached is a log that tells when the cluster is reached again: by then the bus has
// been told that the connection was lost.
type reached struct {
	slog.Handler

	news chan struct{}
}

func (r reached) Enabled(context.Context, slog.Level) bool { return true }

func (r reached) Handle(_ context.Context, rec slog.Record) error {
	if strings.Contains(rec.Message, "reached again") {
		r.news <- struct{}{}
	}
	return nil
}

// What was on its way when the connection was lost is not handed out after it: a
// partition and a spool both begin anew with the oldest message.
func TestLossBeginsAnew(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	log := reached{slog.DiscardHandler, make(chan struct{}, 100)}
	b, err := bus.New(bus.Config{Key: key, Log: slog.New(log), MaxBytes: 64 << 20, Cluster: &bus.Cluster{URLs: c.URLs, TLS: c.TLS(), Replicas: 1}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	awaitReady(t, b)
	spool, err := b.Spool(t.Context(), "agency", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range byte(3) {
		if err := b.Publish(t.Context(), x2x3.X3, part, []byte{i}); err != nil {
			t.Fatal(err)
		}
		if err := spool.Publish(t.Context(), fmt.Sprint(i), []byte{i}); err != nil {
			t.Fatal(err)
		}
	}
	type arrival struct{ from, data byte }
	const fromPartition, fromSpool = 0, 1
	arrivals, goOn := make(chan arrival, 100), make(chan struct{})
	take := func(ctx context.Context, from byte, data []byte) {
		arrivals <- arrival{from, data[0]}
		select {
		case <-goOn:
		case <-ctx.Done():
		}
	}
	run(t, func(ctx context.Context) error {
		return b.Consume(ctx, part, func(m bus.Message) { take(ctx, fromPartition, m.Data) })
	})
	run(t, func(ctx context.Context) error {
		return spool.Consume(ctx, func(m bus.SpoolMessage) { take(ctx, fromSpool, m.Data) })
	})
	var got [2][]byte
	await := func(n int) {
		t.Helper()
		late := time.After(time.Minute)
		for len(got[fromPartition]) < n || len(got[fromSpool]) < n {
			select {
			case a := <-arrivals:
				got[a.from] = append(got[a.from], a.data)
			case <-late:
				t.Fatalf("got %v, want %d each", got, n)
			}
		}
	}
	await(1) // the others follow at once, and wait in the client
	c.Kill(0)
	c.Restart(0)
	select {
	case <-log.news:
	case <-time.After(time.Minute):
		t.Fatal("the server is not reached again")
	}
	close(goOn)
	await(2)
	for from, data := range got {
		if data[0] != 0 || data[1] != 0 {
			t.Errorf("source %d: got %v, want the oldest again after the loss", from, data)
		}
	}
}

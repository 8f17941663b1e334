package bus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/natstest"
	"github.com/ligate/ligate/li/x2x3"
)

func client(t *testing.T, c *natstest.Cluster, key []byte) *bus.Bus {
	t.Helper()
	b, err := bus.New(bus.Config{
		Key: key, Log: slog.New(slog.DiscardHandler), MaxBytes: 256 << 20,
		Cluster: &bus.Cluster{URLs: c.URLs, TLS: c.TLS(), Replicas: len(c.URLs)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func awaitReady(t *testing.T, b *bus.Bus) {
	t.Helper()
	select {
	case <-b.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the cluster is not ready")
	}
}

// place is where a message was stored first.
type place struct {
	stream string
	seq    uint64
}

// reader consumes all partitions, acknowledges, and holds what comes against what was
// published: numbers from 1, in each partition apart.
type reader struct {
	t *testing.T

	mu   sync.Mutex // guards the rest
	next [bus.Partitions]uint64
	seen map[place]bool
	bad  int
}

func read(t *testing.T, b *bus.Bus) *reader {
	t.Helper()
	r := &reader{t: t, seen: map[place]bool{}}
	for p := range bus.Partitions {
		run(t, func(ctx context.Context) error { return b.Consume(ctx, p, func(m bus.Message) { r.take(p, m) }) })
	}
	return r
}

func (r *reader) take(partition int, m bus.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := m.Ack(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		r.bad++ // it comes again
	}
	if at := (place{m.Stream, m.Seq}); r.seen[at] {
		return
	} else {
		r.seen[at] = true
	}
	n := binary.BigEndian.Uint64(m.Data)
	if n != r.next[partition]+1 {
		r.t.Errorf("partition %d: message %d after %d", partition, n, r.next[partition])
	}
	r.next[partition] = n
}

// await waits until n messages of each of the partitions have come.
func (r *reader) await(n uint64, partitions int) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		got, done := r.next, true
		r.mu.Unlock()
		for p := range partitions {
			done = done && got[p] >= n
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("have %v, want %d each", got, n)
		}
	}
}

const busy = 4 // partitions with traffic in these tests

// numbered is one message for each busy partition.
func numbered(n uint64) *bus.Batch {
	var batch bus.Batch
	for p := range busy {
		batch[p] = append(binary.BigEndian.AppendUint64(nil, n), byte(p))
	}
	return &batch
}

// The server that leads is killed in the middle of publishing and consuming, and
// later another one: nothing is lost, each partition keeps its order, and what stands
// in the cluster's files tells nothing.
func TestClusterSurvivesItsServers(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	publisher, consumer := client(t, c, key), client(t, c, key)
	run(t, publisher.Run)
	run(t, consumer.Run)
	awaitReady(t, publisher)
	awaitReady(t, consumer)
	secret := []byte("what the parties said")
	if err := publisher.Publish(t.Context(), x2x3.X2, part, append(binary.BigEndian.AppendUint64(nil, 1), secret...)); err != nil {
		t.Fatal(err)
	}
	if found, looked := c.Holds(secret); found || looked < len(secret) {
		t.Errorf("the cluster holds the message in clear: %v, of %d octets", found, looked)
	}
	got := read(t, consumer)
	js := c.Client()
	n := uint64(0)
	publish := func(many int) {
		t.Helper()
		for range many {
			n++
			batch := numbered(n)
			if n == 1 {
				batch[part] = nil // was published above
			}
			for attempt := 0; ; attempt++ {
				err := publisher.PublishAll(t.Context(), x2x3.X3, batch)
				if err == nil {
					break
				}
				if attempt == 3 {
					t.Fatal(err)
				}
			}
		}
	}
	publish(200)
	first := c.Leader(js, "LI")
	killed := make(chan struct{})
	time.AfterFunc(200*time.Millisecond, func() {
		defer close(killed)
		c.Kill(first)
	})
	publish(400)
	got.await(n, busy)
	<-killed
	c.Restart(first)
	publish(200)
	c.AwaitCurrent(js, "LI")
	c.Kill((first + 1) % 3)
	publish(200)
	got.await(n, busy)
}

// A gateway's own bus is its spool: what it took while the cluster was away is moved
// on, in order and once, also when the forwarder, or the leading server, dies on the
// way.
func TestForwarder(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	spool, _ := open(t, t.TempDir(), 0)
	cluster, consumer := client(t, c, key), client(t, c, key)
	run(t, cluster.Run)
	run(t, consumer.Run)
	awaitReady(t, cluster)
	awaitReady(t, consumer)
	got := read(t, consumer)
	forward := func() (stop func()) {
		t.Helper()
		f, err := bus.NewForwarder(bus.ForwarderConfig{From: spool, To: cluster})
		if err != nil {
			t.Fatal(err)
		}
		return run(t, f.Run)
	}
	n := uint64(0)
	publish := func(many int) {
		t.Helper()
		for range many {
			n++
			if err := spool.PublishAll(t.Context(), x2x3.X3, numbered(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(100)
	stop := forward()
	got.await(20, busy)
	stop() // in the middle
	publish(100)
	stop = forward()
	got.await(150, busy)
	c.Kill(c.Leader(c.Client(), "LI"))
	publish(200)
	got.await(n, busy)
	stop()
	left, _, err := spool.Backlog(t.Context())
	for deadline := time.Now().Add(10 * time.Second); err == nil && left > 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		left, _, err = spool.Backlog(t.Context())
	}
	if err != nil || left != 0 {
		t.Errorf("%d messages are left in the spool, %v", left, err)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	streams := map[string]bool{}
	for at := range got.seen {
		streams[at.stream] = true
	}
	if len(streams) != 1 {
		t.Errorf("messages of %d streams, want the spool's only", len(streams))
	}
}

// A node with another key does not mix its messages in, and what is put or moved into
// the stream by others is not taken for ours.
func TestClusterKeys(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	b := client(t, c, key)
	run(t, b.Run)
	awaitReady(t, b)
	stranger := client(t, c, bytes.Repeat([]byte{8}, 32))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := stranger.Run(ctx); !errors.Is(err, bus.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if err := b.Publish(t.Context(), x2x3.X3, 1, []byte("ours")); err != nil {
		t.Fatal(err)
	}
	js := c.Client()
	stream, err := js.Stream(t.Context(), "LI")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string]*nats.Msg{
		"put there": {Subject: "li.2.x3", Data: []byte("not ours")},
		"moved":     {Subject: "li.2.x3", Data: sealed.Data},
		"renamed":   {Subject: "li.1.x3", Data: sealed.Data, Header: nats.Header{"Ligate-From": {"x.1"}}},
	} {
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(name, err)
		}
	}
	for p, want := range map[int]int{1: 1, 2: 0} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		n := 0
		if err := b.Consume(ctx, p, func(bus.Message) { n++ }); err != nil {
			t.Error(err)
		}
		cancel()
		if n < want || want == 0 && n > 0 {
			t.Errorf("partition %d: %d messages, want %d", p, n, want)
		}
	}
	if left, _, err := b.Backlog(t.Context()); err != nil || left != 4 {
		t.Errorf("%d messages are left, %v, want all 4", left, err)
	}
}

func TestClusterAddresses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][2]error{ // without and with TLS
		"nats://127.0.0.1:4222":     {nil, nil},
		"nats://[::1]:4222":         {nil, nil},
		"nats://localhost:4222":     {nil, nil},
		"nats://192.0.2.1:4222":     {bus.ErrPlain, nil},
		"nats://nats.example:4222":  {bus.ErrPlain, nil},
		"tls://127.0.0.1:4222":      {bus.ErrPlain, nil},
		"tls://nats.example:4222":   {bus.ErrPlain, nil},
		"http://127.0.0.1:4222":     {bus.ErrURL, bus.ErrURL},
		"nats://127.0.0.1":          {bus.ErrURL, bus.ErrURL},
		"nats://a:b@127.0.0.1:4222": {bus.ErrURL, bus.ErrURL},
		"127.0.0.1:4222":            {bus.ErrURL, bus.ErrURL},
	} {
		for i, secure := range []bool{false, true} {
			if got := bus.CheckURL(url, secure); !errors.Is(got, want[i]) {
				t.Errorf("%s, TLS %v: %v, want %v", url, secure, got, want[i])
			}
		}
	}
	log, loop := slog.New(slog.DiscardHandler), []string{"nats://127.0.0.1:4222"}
	for name, cfg := range map[string]bus.Config{
		"none":           {Cluster: &bus.Cluster{}},
		"plain":          {Cluster: &bus.Cluster{URLs: []string{"nats://192.0.2.1:4222"}}},
		"six replicas":   {Cluster: &bus.Cluster{URLs: loop, Replicas: 6}},
		"and own files":  {Cluster: &bus.Cluster{URLs: loop}, Dir: t.TempDir()},
		"and a listener": {Cluster: &bus.Cluster{URLs: loop}, Listen: "127.0.0.1:0", TLS: &tls.Config{MinVersion: tls.VersionTLS13}},
		"neither":        {},
	} {
		cfg.Key, cfg.Log = key, log
		if _, err := bus.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

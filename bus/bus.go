package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// Config is what a Bus needs; fields without a default are required.
type Config struct {
	Key        []byte // 32 octets; what is stored is readable with it only
	Log        *slog.Logger
	MaxBytes   int64 // what may wait; default 8 GiB
	SpoolBytes int64 // what all spools together may be limited to; default 64 GiB

	Dir        string      // the server's files; required without Cluster
	SyncAlways bool        // fsync before each acknowledgement
	Listen     string      // host:port for a mediation elsewhere; empty = this process only
	TLS        *tls.Config // required with Listen; must demand a client certificate

	Cluster *Cluster // servers elsewhere; nil = a server in this process
}

const (
	keyBytes        = 32
	defaultMaxBytes = 8 << 30
	defaultSpool    = 64 << 30
	streamName      = "LI"
	startTimeout    = 20 * time.Second
	dedupWindow     = 2 * time.Minute
	maxPayload      = 1 << 20
)

// Bus is an embedded server and a connection to it, or a connection to a cluster.
type Bus struct {
	cfg    Config
	server *server.Server // nil with a cluster
	sealer *sealer        // nil without
	names  namer
	ready  chan struct{}
	link   link // set before ready is closed
}

// New validates the configuration; Run starts the server or connects.
func New(cfg Config) (*Bus, error) {
	if len(cfg.Key) != keyBytes || cfg.Log == nil {
		return nil, errors.New("bus: Log and a Key of 32 octets are required")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.SpoolBytes == 0 {
		cfg.SpoolBytes = defaultSpool
	}
	b := &Bus{cfg: cfg, names: newNamer(), ready: make(chan struct{}), link: link{log: cfg.Log, ackTimeout: publishTimeout}}
	if cfg.Cluster != nil {
		return b, b.join()
	}
	return b, b.embed()
}

// Ready is closed once Publish and Consume work.
func (b *Bus) Ready() <-chan struct{} { return b.ready }

// Addr is where a remote mediation reaches the bus; nil before Ready and without
// Config.Listen.
func (b *Bus) Addr() net.Addr {
	if b.cfg.Listen == "" || b.server == nil {
		return nil
	}
	return b.server.Addr()
}

// Run serves until ctx ends, which is no error; then the files are closed.
func (b *Bus) Run(ctx context.Context) error {
	if b.server == nil {
		return b.runClient(ctx)
	}
	return b.runServer(ctx)
}

func (b *Bus) stream() jetstream.StreamConfig {
	return b.workQueue(streamName, allSubjects, b.cfg.MaxBytes)
}

// workQueue is a stream on disk that forgets what is acknowledged and refuses when it
// is full.
func (b *Bus) workQueue(name, subjects string, maxBytes int64) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: name, Subjects: []string{subjects}, Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxBytes: maxBytes, Duplicates: dedupWindow,
	}
	if b.cfg.Cluster != nil {
		cfg.Replicas = b.cfg.Cluster.Replicas
	}
	return cfg
}

// Backlog is how many messages nobody has acknowledged yet, and their octets.
func (b *Bus) Backlog(ctx context.Context) (messages, octets uint64, err error) {
	select {
	case <-b.ready:
	default:
		return 0, 0, ErrStopped
	}
	stream, err := b.link.js.Stream(ctx, streamName)
	if err != nil {
		return 0, 0, fmt.Errorf("bus: read backlog: %w", err)
	}
	state := stream.CachedInfo().State
	return state.Msgs, state.Bytes, nil
}

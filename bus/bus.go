package bus

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config is what a Bus needs; fields without a default are required.
type Config struct {
	Dir        string // its files
	Key        []byte // 32 octets; the files are readable with it only
	Log        *slog.Logger
	MaxBytes   int64 // what may wait; default 8 GiB
	SpoolBytes int64 // what all spools together may be limited to; default 64 GiB
	SyncAlways bool  // fsync before each acknowledgement

	Listen string      // host:port for a mediation elsewhere; empty = this process only
	TLS    *tls.Config // required with Listen; must demand a client certificate
}

const (
	keyBytes        = 32
	defaultMaxBytes = 8 << 30
	defaultSpool    = 64 << 30
	streamName      = "LI"
	startTimeout    = 20 * time.Second
	syncInterval    = 2 * time.Minute
	dedupWindow     = 2 * time.Minute
	maxPayload      = 1 << 20
)

// Bus is an embedded server and a connection to it.
type Bus struct {
	cfg    Config
	server *server.Server
	ready  chan struct{}
	link   link // set before ready is closed
}

// New validates the configuration; Run starts the server.
func New(cfg Config) (*Bus, error) {
	if cfg.Dir == "" || len(cfg.Key) != keyBytes || cfg.Log == nil {
		return nil, errors.New("bus: Dir, Log and a Key of 32 octets are required")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.SpoolBytes == 0 {
		cfg.SpoolBytes = defaultSpool
	}
	opts := &server.Options{
		ServerName: "ligate", DontListen: true, NoSigs: true, MaxPayload: maxPayload,
		JetStream: true, StoreDir: cfg.Dir, JetStreamKey: hex.EncodeToString(cfg.Key), JetStreamCipher: server.ChaCha,
		JetStreamMaxStore: cfg.MaxBytes + cfg.SpoolBytes + 64<<20, JetStreamMaxMemory: 64 << 20,
		SyncInterval: syncInterval, SyncAlways: cfg.SyncAlways, DisableJetStreamBanner: true,
	}
	if err := listen(opts, cfg); err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("bus: make server: %w", err)
	}
	srv.SetLoggerV2(logger{cfg.Log}, false, false, false)
	return &Bus{cfg: cfg, server: srv, ready: make(chan struct{}), link: link{log: cfg.Log}}, nil
}

// listen opens the server to a mediation elsewhere, behind mutual TLS.
func listen(opts *server.Options, cfg Config) error {
	if cfg.Listen == "" {
		return nil
	}
	if cfg.TLS == nil || cfg.TLS.ClientAuth < tls.RequireAnyClientCert || cfg.TLS.MinVersion < tls.VersionTLS12 {
		return errors.New("bus: Listen needs a TLS configuration, of 1.2 or newer, that demands a client certificate")
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return errors.New("bus: Listen: want host:port")
	}
	if opts.Port, err = strconv.Atoi(port); err != nil || opts.Port < 0 || opts.Port > 65535 {
		return errors.New("bus: Listen: want host:port")
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	opts.Host, opts.DontListen = host, false
	opts.TLS, opts.TLSVerify, opts.TLSHandshakeFirst = true, true, true
	opts.TLSConfig, opts.TLSTimeout = cfg.TLS.Clone(), 5
	return nil
}

// Ready is closed once Publish and Consume work.
func (b *Bus) Ready() <-chan struct{} { return b.ready }

// Addr is where a remote mediation reaches the bus; nil before Ready and without
// Config.Listen.
func (b *Bus) Addr() net.Addr {
	if b.cfg.Listen == "" {
		return nil
	}
	return b.server.Addr()
}

// Run serves until ctx ends, which is no error; then the files are closed.
func (b *Bus) Run(ctx context.Context) error {
	b.server.Start()
	defer func() {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}()
	if !b.server.ReadyForConnections(startTimeout) || !b.server.JetStreamEnabled() {
		return ErrStart
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	defer b.link.conn.Close()
	close(b.ready)
	<-ctx.Done()
	return nil
}

// connect opens the stream.
func (b *Bus) connect(ctx context.Context) error {
	opts := append(b.link.handlers(), nats.InProcessServer(b.server), nats.MaxReconnects(-1))
	conn, err := nats.Connect("", opts...)
	if err != nil {
		return fmt.Errorf("bus: connect: %w", err)
	}
	if err := b.link.open(conn); err != nil {
		return err
	}
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = b.openStream(start, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{allSubjects}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: b.cfg.MaxBytes,
		Duplicates: dedupWindow,
	})
	if err != nil {
		conn.Close()
	}
	return err
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

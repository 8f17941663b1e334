package bus

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// syncInterval is how often the server syncs its files, without Config.SyncAlways.
const syncInterval = 2 * time.Minute

// embed makes the server of this process.
func (b *Bus) embed() error {
	cfg := b.cfg
	if cfg.Dir == "" {
		return errors.New("bus: Dir is required without Cluster")
	}
	opts := &server.Options{
		ServerName: "ligate", DontListen: true, NoSigs: true, MaxPayload: maxPayload,
		JetStream: true, StoreDir: cfg.Dir, JetStreamKey: hex.EncodeToString(cfg.Key), JetStreamCipher: server.AES,
		JetStreamMaxStore: cfg.MaxBytes + cfg.SpoolBytes + 64<<20, JetStreamMaxMemory: 64 << 20,
		SyncInterval: syncInterval, SyncAlways: cfg.SyncAlways, DisableJetStreamBanner: true,
	}
	if err := listen(opts, cfg); err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("bus: make server: %w", err)
	}
	srv.SetLoggerV2(logger{cfg.Log}, false, false, false)
	b.server = srv
	return nil
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

func (b *Bus) runServer(ctx context.Context) error {
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

// connect opens the stream. One that is held but was not recovered is never made
// anew: the server would remove what it holds first.
func (b *Bus) connect(ctx context.Context) error {
	opts := append(b.link.options(), nats.InProcessServer(b.server), nats.MaxReconnects(-1))
	conn, err := nats.Connect("", opts...)
	if err != nil {
		return fmt.Errorf("bus: connect: %w", err)
	}
	if err := b.link.open(conn); err != nil {
		return err
	}
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := b.keepStream(start, b.stream()); err != nil {
		conn.Close()
		return err
	}
	return nil
}

package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// RemoteConfig is what a Remote needs; all fields are required.
type RemoteConfig struct {
	Addr string      // host:port of a gateway's bus, its Config.Listen
	TLS  *tls.Config // shows the mediation's certificate
	Log  *slog.Logger
}

// Remote consumes from a gateway's bus over TLS.
type Remote struct {
	cfg   RemoteConfig
	ready chan struct{}
	link  link // set before ready is closed
}

const redialWait = time.Second

// Dial validates the configuration; Run connects.
func Dial(cfg RemoteConfig) (*Remote, error) {
	if cfg.Addr == "" || cfg.TLS == nil || cfg.Log == nil {
		return nil, errors.New("bus: Addr, TLS and Log are required")
	}
	return &Remote{cfg: cfg, ready: make(chan struct{}), link: link{log: cfg.Log, ackTimeout: publishTimeout}}, nil
}

// Ready is closed once there is a connection, or an attempt that goes on.
func (r *Remote) Ready() <-chan struct{} { return r.ready }

// Run keeps the connection until ctx ends, which is no error. A gateway that is
// away is tried again for ever.
func (r *Remote) Run(ctx context.Context) error {
	opts := append(r.link.options(), nats.Secure(r.cfg.TLS.Clone()), nats.TLSHandshakeFirst(), nats.MaxReconnects(-1),
		nats.ReconnectWait(redialWait), nats.RetryOnFailedConnect(true), nats.Name("mediation"))
	conn, err := nats.Connect("tls://"+r.cfg.Addr, opts...)
	if err != nil {
		return fmt.Errorf("bus: connect: %w", err)
	}
	if err := r.link.open(conn); err != nil {
		return err
	}
	defer conn.Close()
	close(r.ready)
	<-ctx.Done()
	return nil
}

// Consume is Bus.Consume over the network.
func (r *Remote) Consume(ctx context.Context, partition int, handle func(Message)) error {
	return r.ConsumeWhile(ctx, partition, owned, handle)
}

// ConsumeWhile is Bus.ConsumeWhile over the network.
func (r *Remote) ConsumeWhile(ctx context.Context, partition int, owns func(context.Context) error, handle func(Message)) error {
	return r.link.consume(ctx, r.ready, partition, owns, handle)
}

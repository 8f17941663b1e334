package export

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// Config is what an Exporter needs; fields without a default are required.
type Config struct {
	Bus    consumer    // of which nobody else reads
	X2, X3 string      // host:port of the MDF; may be the same
	TLS    *tls.Config // shows our certificate and pins the MDF's
	Log    *slog.Logger
	OpsReg prometheus.Registerer // whether there are connections; nil = none
	LIReg  prometheus.Registerer // LI figures; nil = none

	Private bool // the MDF is a ligate: attribute 4 goes along

	Keepalive      time.Duration // between keep-alives at most (TIME_P1); default 60s
	Answer         time.Duration // how long one may be unanswered (TIME_P2); default 180s
	MinRedial      time.Duration // before the next attempt, doubling; default 1s
	MaxRedial      time.Duration // default 30s
	MaxUnconfirmed int           // octets on their way to a destination; default 8 MiB

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // default net.Dialer's
}

// consumer hands out the bus's messages, each until it is acknowledged.
type consumer interface {
	Consume(ctx context.Context, partition int, handle func(bus.Message)) error
}

const (
	defaultKeepalive      = 60 * time.Second
	defaultAnswer         = 180 * time.Second
	defaultMinRedial      = time.Second
	defaultMaxRedial      = 30 * time.Second
	defaultMaxUnconfirmed = 8 << 20
	dialTimeout           = 10 * time.Second
	maxChunk              = 256 << 10 // of one write
	minWindow             = 4 << 10
	probeEvery            = 100 * time.Millisecond
	logEvery              = time.Minute
)

// Exporter sends until its Run ends.
type Exporter struct {
	cfg     Config
	metrics *metrics
	lanes   map[x2x3.Type]*lane // read only
}

// New validates the configuration; Run does the work.
func New(cfg Config) (*Exporter, error) {
	if cfg.Bus == nil || cfg.X2 == "" || cfg.X3 == "" || cfg.TLS == nil || cfg.Log == nil ||
		min(cfg.Keepalive, cfg.Answer, cfg.MinRedial, cfg.MaxRedial) < 0 || cfg.MaxUnconfirmed < 0 {
		return nil, errConfig
	}
	orDefault(&cfg.Keepalive, defaultKeepalive)
	orDefault(&cfg.Answer, defaultAnswer)
	orDefault(&cfg.MinRedial, defaultMinRedial)
	orDefault(&cfg.MaxRedial, defaultMaxRedial)
	orDefault(&cfg.MaxUnconfirmed, defaultMaxUnconfirmed)
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	m, err := newMetrics(cfg.OpsReg, cfg.LIReg)
	if err != nil {
		return nil, err
	}
	e := &Exporter{cfg: cfg, metrics: m, lanes: map[x2x3.Type]*lane{}}
	e.lanes[x2x3.X2] = newLane(e, x2x3.X2, cfg.X2)
	e.lanes[x2x3.X3] = newLane(e, x2x3.X3, cfg.X3)
	return e, nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Run exports until ctx ends, which is no error. What was not confirmed by then comes
// again from the bus.
func (e *Exporter) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range e.lanes {
		g.Go(func() error { l.run(ctx); return nil })
	}
	for partition := range bus.Partitions {
		f := &feed{Exporter: e, partition: partition, high: map[string]uint64{}}
		g.Go(func() error {
			return e.cfg.Bus.Consume(ctx, partition, func(m bus.Message) { f.receive(ctx, m) })
		})
	}
	return g.Wait()
}

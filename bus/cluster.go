package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is NATS servers with JetStream that somebody else runs.
type Cluster struct {
	URLs     []string    // nats:// or tls://, host:port; one that answers tells of the others
	TLS      *tls.Config // with our certificate; nil only where Plain allows every URL
	Replicas int         // servers that hold each message, 1 to 5; default 3
}

const (
	defaultReplicas = 3
	maxReplicas     = 5
	dialTimeout     = 2 * time.Second
	reconnectWait   = 250 * time.Millisecond
	pingEvery       = 3 * time.Second  // two unanswered pings end a connection
	leaderTime      = 30 * time.Second // a new leader is elected within
	clusterTimeout  = 3 * time.Second  // one attempt to publish
	openTime        = 5 * time.Second  // one attempt to open the stream
	keyCheck        = "PDUs of ligate, key check "
)

// Errors of a cluster's addresses.
var (
	ErrURL   = errors.New("bus: want nats://host:port or tls://host:port, without a user or password")
	ErrPlain = errors.New("bus: without TLS only servers on loopback addresses")
)

// CheckURL holds a server's address against the rules; secure says that there is a TLS
// configuration.
func CheckURL(text string, secure bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" {
		return ErrURL
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback(); !secure && (u.Scheme == "tls" || !loopback) {
		return ErrPlain
	}
	return nil
}

// join validates what a client of a cluster needs.
func (b *Bus) join() error {
	c := *b.cfg.Cluster
	if b.cfg.Listen != "" || b.cfg.Dir != "" {
		return errors.New("bus: Dir and Listen are of a server of our own, not of a cluster")
	}
	if len(c.URLs) == 0 {
		return errors.New("bus: Cluster.URLs is required")
	}
	for _, u := range c.URLs {
		if err := CheckURL(u, c.TLS != nil); err != nil {
			return err
		}
	}
	if c.Replicas == 0 {
		c.Replicas = defaultReplicas
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		return errors.New("bus: Cluster.Replicas: want 1 to 5")
	}
	b.cfg.Cluster, b.link.ackTimeout = &c, clusterTimeout
	var err error
	b.sealer, err = newSealer(b.cfg.Key)
	b.link.sealer = b.sealer
	return err
}

// runClient keeps a connection to the cluster. One that is away is tried for ever.
func (b *Bus) runClient(ctx context.Context) error {
	opts := append(b.link.options(), nats.Name("ligate"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.RetryOnFailedConnect(true),
		nats.ReconnectBufSize(-1), // what was not sent is an error, not sent later
		nats.Timeout(dialTimeout), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.ReconnectHandler(func(*nats.Conn) { b.cfg.Log.InfoContext(ctx, "the bus's cluster is reached again") }))
	if b.cfg.Cluster.TLS != nil {
		opts = append(opts, nats.Secure(b.cfg.Cluster.TLS.Clone()))
	}
	conn, err := nats.Connect(strings.Join(b.cfg.Cluster.URLs, ","), opts...)
	if err != nil {
		return fmt.Errorf("bus: connect: %w", err)
	}
	if err := b.link.open(conn); err != nil {
		return err
	}
	defer conn.Close()
	if err := b.awaitStream(ctx); err != nil {
		return err
	}
	if ctx.Err() == nil {
		close(b.ready)
	}
	<-ctx.Done()
	return nil
}

// awaitStream opens the stream once the cluster is there.
func (b *Bus) awaitStream(ctx context.Context) error {
	for wait, told := minRetry, false; ; wait = min(2*wait, maxRetry) {
		err := b.openStream(ctx)
		if err == nil || errors.Is(err, ErrKey) {
			return err
		}
		if !told && ctx.Err() == nil {
			told = true
			b.cfg.Log.WarnContext(ctx, "the bus's cluster does not open the stream; trying again", slog.Any("err", err))
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// openStream makes the stream, or changes what the configuration changes. One that
// was made with another key is left alone.
func (b *Bus) openStream(ctx context.Context) error {
	attempt, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	mark := keyCheck + b.sealer.check // a description is what servers of every age keep
	old, err := b.link.js.Stream(attempt, streamName)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("bus: find stream: %w", err)
	}
	if err == nil && old.CachedInfo().Config.Description != mark {
		return ErrKey
	}
	cfg := b.stream()
	cfg.Description = mark
	if _, err := b.link.js.CreateOrUpdateStream(attempt, cfg); err != nil {
		return fmt.Errorf("bus: make stream: %w", err)
	}
	return nil
}

// pause waits and reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

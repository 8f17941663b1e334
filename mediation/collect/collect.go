package collect

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// Config is what a Collector needs; fields without a default are required.
type Config struct {
	Bus      publisher
	Tasks    tasks
	Refusals recorder
	Alarms   alarms
	Log      *slog.Logger
	LIReg    prometheus.Registerer // LI figures; nil = none

	Certificate tls.Certificate // ours
	Listen      []Listen        // one port for both kinds, or one for each
	Elements    []Element

	Skew     time.Duration    // how far ahead of ours an element's clock may be; default 5m
	Backlog  time.Duration    // how old a PDU may be: elements keep them while we are away; default 24h, at least Skew
	Silence  time.Duration    // without keep-alives for so long a connection is dead (TIME_P2); default 3m, negative = never
	Patience time.Duration    // for a handshake, and for an element to read our answers; default 10s
	Gather   time.Duration    // how long PDUs are gathered into a bus message; default 20ms
	Grace    time.Duration    // how long a Task that is ordered may be unconfirmed; default 3s
	PerPeer  int              // connections an element; default 8
	Now      func() time.Time // default time.Now
}

// Listen is one port.
type Listen struct {
	Addr   string // host:port
	X2, X3 bool   // what is taken there
}

// Element is a network element that is not ours.
type Element struct {
	ID          string // its neIdentifier on X1 and its NFID on X2 and X3
	Certificate string // SHA-256 of its certificate, lower-case hexadecimal
	X2, X3      bool   // what it may send
	Private     bool   // it is a ligate, and its attribute 4 counts
}

// publisher stores PDUs for mediation, as bus.Bus does: it empties the slots that are
// stored, and nil means all are. It is called from many goroutines, each with a batch
// of its own.
type publisher interface {
	PublishAll(ctx context.Context, kind x2x3.Type, batch *bus.Batch) error
}

// tasks knows which Task went to which element. soon says that the Task is ordered, so
// that its confirmation may be on its way.
type tasks interface {
	TaskGiven(ctx context.Context, xid li.XID, element string) (given, soon bool, err error)
}

// recorder puts a refused PDU on the audit log.
type recorder interface {
	Refuse(ctx context.Context, xid li.XID, cause string) error
}

// alarms shows that a person must look, and that it is over.
type alarms interface {
	OpenAlarm(ctx context.Context, kind, object string) error
	CloseAlarm(ctx context.Context, kind, object string) error
}

const (
	defaultSkew     = 5 * time.Minute
	defaultBacklog  = 24 * time.Hour
	defaultSilence  = 3 * time.Minute
	defaultPatience = 10 * time.Second
	defaultGather   = 20 * time.Millisecond
	defaultGrace    = 3 * time.Second
	defaultPerPeer  = 8
	maxHandshakes   = 256
	maxBatchBytes   = 512 << 10 // of one kind; with one more PDU it is still a bus message
	minRetry        = 50 * time.Millisecond
	maxRetry        = 2 * time.Second
	attemptTimeout  = 5 * time.Second
	drainTime       = 3 * time.Second
	stallAlarm      = 30 * time.Second // trouble that lasts so long is shown
	logEvery        = 10 * time.Second
	recordEvery     = time.Minute // refusals of one element and reason
	staleFor        = time.Hour
)

// Collector listens for network elements.
type Collector struct {
	cfg        Config
	metrics    *metrics
	given      *given
	refused    *refused
	seen       *seen
	elements   map[string]*Element // by certificate; read only after New
	handshakes chan struct{}       // a place each
	ready      chan struct{}
	addrs      []net.Addr // set before ready is closed

	mu     sync.Mutex           // guards the fields below, briefly
	open   map[string]int       // connections by element
	logged map[string]time.Time // when a thing was last logged
}

// New validates the configuration; Run listens.
func New(cfg Config) (*Collector, error) {
	if cfg.Bus == nil || cfg.Tasks == nil || cfg.Refusals == nil || cfg.Alarms == nil || cfg.Log == nil || len(cfg.Certificate.Certificate) == 0 ||
		len(cfg.Listen) == 0 || len(cfg.Listen) > 2 {
		return nil, errConfig
	}
	elements, err := byCertificate(cfg.Elements)
	if err != nil {
		return nil, err
	}
	orDefault(&cfg.Skew, defaultSkew)
	orDefault(&cfg.Backlog, defaultBacklog)
	orDefault(&cfg.Silence, defaultSilence)
	orDefault(&cfg.Patience, defaultPatience)
	orDefault(&cfg.Gather, defaultGather)
	orDefault(&cfg.Grace, defaultGrace)
	orDefault(&cfg.PerPeer, defaultPerPeer)
	cfg.Backlog = max(cfg.Backlog, cfg.Skew)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m, err := newMetrics(cfg.LIReg, cfg.Elements)
	if err != nil {
		return nil, err
	}
	c := &Collector{
		cfg: cfg, metrics: m, elements: elements, handshakes: make(chan struct{}, maxHandshakes), ready: make(chan struct{}),
		open: map[string]int{}, logged: map[string]time.Time{},
	}
	c.given, c.seen = newGiven(c), newSeen(cfg.Now)
	c.refused = &refused{Collector: c, last: map[refusalKey]time.Time{}}
	return c, nil
}

// byCertificate checks the elements.
func byCertificate(all []Element) (map[string]*Element, error) {
	elements := make(map[string]*Element, len(all))
	ids := map[string]bool{}
	for _, e := range all {
		if e.ID == "" || ids[e.ID] || elements[e.Certificate] != nil || !e.X2 && !e.X3 ||
			!regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(e.Certificate) {
			return nil, errConfig
		}
		ids[e.ID], elements[e.Certificate] = true, &e
	}
	return elements, nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Ready is closed once elements can connect.
func (c *Collector) Ready() <-chan struct{} { return c.ready }

// Addrs are where Config.Listen came to be; nil before Ready.
func (c *Collector) Addrs() []net.Addr {
	select {
	case <-c.ready:
		return c.addrs
	default:
		return nil
	}
}

// Run listens until ctx ends, which is no error. What was taken by then is published,
// for a few seconds at most; what was not, no element was told to be stored.
func (c *Collector) Run(ctx context.Context) error {
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for _, l := range c.cfg.Listen {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Addr)
		if err != nil {
			return fmt.Errorf("collect: bind: %w", err)
		}
		listeners, c.addrs = append(listeners, listener), append(c.addrs, listener.Addr())
	}
	close(c.ready)
	for _, addr := range c.addrs {
		c.cfg.Log.InfoContext(ctx, "listening", slog.String("component", "x2x3"), slog.String("listen", addr.String()))
	}
	g, run := errgroup.WithContext(ctx)
	for i, l := range listeners {
		port := c.cfg.Listen[i]
		g.Go(func() error { return c.accept(run, l, port) })
	}
	return g.Wait()
}

// accept serves a port until ctx ends and its connections have ended.
func (c *Collector) accept(ctx context.Context, l net.Listener, port Listen) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var served sync.WaitGroup
	defer served.Wait()
	for wait := minRetry; ; {
		raw, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return nil
		}
		if err != nil { // no descriptors, most often
			c.log(ctx, "accept", "X2/X3 connections cannot be accepted", slog.Any("err", err))
			pause(ctx, wait)
			wait = min(2*wait, maxRetry)
			continue
		}
		wait = minRetry
		select {
		case c.handshakes <- struct{}{}:
			served.Go(func() { c.serve(ctx, raw, port) })
		default:
			_ = raw.Close()
			c.ended(ctx, nil, endBusy)
		}
	}
}

// ended counts a connection's end and logs it where something is wrong. element is nil
// for a peer that did not prove to be one.
func (c *Collector) ended(ctx context.Context, element *Element, why end) {
	c.metrics.ends[why].Inc()
	if why.ordinary() {
		return
	}
	if element == nil {
		c.log(ctx, string(why), "an X2/X3 connection was refused", slog.String("reason", string(why)))
		return
	}
	c.log(ctx, string(why)+element.ID, "an X2/X3 connection was ended", slog.String("gateway", element.ID), slog.String("reason", string(why)))
	if k := (refusalKey{element.ID, alarmProtocol}); why.protocol() && c.refused.due(k) && !c.alarm(ctx, alarmProtocol, element) {
		c.refused.again(k)
	}
}

// log writes a line about a thing every ten seconds at most.
func (c *Collector) log(ctx context.Context, thing, message string, attrs ...slog.Attr) {
	now := c.cfg.Now()
	c.mu.Lock()
	recent := now.Sub(c.logged[thing]) < logEvery
	if !recent {
		c.logged[thing] = now
	}
	c.mu.Unlock()
	if !recent {
		c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, message, attrs...)
	}
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

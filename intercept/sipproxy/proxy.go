package sipproxy

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// Proxy is the signalling path of one gateway.
type Proxy struct {
	cfg     Config
	log     *slog.Logger
	peers   *peers
	metrics *metrics
	ready   chan struct{}

	sockets   []*socket // opened by Run before ready is closed, then read only
	shards    []*shard
	seed      maphash.Seed
	strangers *rate.Limiter   // answers to unknown sources
	help      map[string]bool // emergency numbers
	draining  atomic.Bool     // new calls are refused
	held      atomic.Bool     // nothing begins but emergency calls
	live      atomic.Int64    // calls in progress
}

// Answers to strangers are few: each is a chance to reflect traffic.
const (
	strangerAnswers = 10 // a second
	strangerBurst   = 20
)

// New validates the configuration, opens nothing and starts nothing.
func New(cfg Config) (*Proxy, error) {
	cfg.Peers = append([]Peer(nil), cfg.Peers...)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	m, err := newMetrics(cfg.OpsReg, cfg.LIReg)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg: cfg, log: cfg.Log, metrics: m, ready: make(chan struct{}), seed: maphash.MakeSeed(),
		peers: newPeers(cfg.Peers, cfg.Plan, newKeyring(cfg.Secret).peerID), strangers: rate.NewLimiter(strangerAnswers, strangerBurst), help: map[string]bool{},
	}
	p.held.Store(cfg.Hold != nil)
	for _, n := range cfg.Emergency {
		p.help[n] = true
	}
	for range cfg.Shards {
		p.shards = append(p.shards, newShard(p))
	}
	return p, p.peerFigures(cfg.OpsReg)
}

// Ready is closed once all sockets are open.
func (p *Proxy) Ready() <-chan struct{} { return p.ready }

// Addrs returns the sockets' addresses in the order of Config.Listen. It may be
// called once Ready is closed.
func (p *Proxy) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, s := range p.sockets {
		addrs = append(addrs, s.local)
	}
	return addrs
}

// Run serves until ctx ends, which is no error. When it returns, its sockets and
// goroutines are gone. It can run once.
func (p *Proxy) Run(ctx context.Context) error {
	for _, l := range p.cfg.Listen {
		s, err := openSocket(ctx, l)
		if err != nil {
			p.closeSockets()
			return fmt.Errorf("sipproxy: %w", err)
		}
		p.sockets = append(p.sockets, s)
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := p.resolve(ctx, group); err != nil {
		p.closeSockets()
		return fmt.Errorf("sipproxy: %w", err)
	}
	p.startPings()
	for _, s := range p.sockets { // all before any serves: a message may leave by another
		s.pool.start(ctx, group, p)
	}
	for _, s := range p.sockets {
		group.Go(func() error { return p.serve(ctx, s) })
	}
	for _, s := range p.shards {
		group.Go(func() error { s.run(ctx); return nil })
	}
	group.Go(func() error { p.release(ctx); return nil })
	stop := context.AfterFunc(ctx, p.closeSockets)
	defer stop()
	close(p.ready)
	p.log.InfoContext(ctx, "sip proxy serves", slog.Int("listeners", len(p.sockets)), slog.Int("peers", len(p.peers.all)))
	err := group.Wait()
	p.closeSockets()
	return err
}

// release ends the hold when its time has come.
func (p *Proxy) release(ctx context.Context) {
	if p.cfg.Hold == nil {
		return
	}
	select {
	case <-p.cfg.Hold:
		p.held.Store(false)
	case <-ctx.Done():
	}
}

// drainLook is how often Drain looks whether calls are left.
const drainLook = 50 * time.Millisecond

// Drain refuses new calls from now on, emergency calls excepted, and returns the
// number of calls that are left: none, or some when ctx ended first.
func (p *Proxy) Drain(ctx context.Context) int {
	p.draining.Store(true)
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for p.live.Load() > 0 {
		select {
		case <-ctx.Done():
			return int(p.live.Load())
		case <-look.C:
		}
	}
	return 0
}

func (p *Proxy) closeSockets() {
	for _, s := range p.sockets {
		s.close()
	}
}

// serve reads one socket.
func (p *Proxy) serve(ctx context.Context, s *socket) error {
	if s.udp != nil {
		return p.serveUDP(ctx, s)
	}
	return p.serveTCP(ctx, s)
}

// reading is how a message was read.
type reading struct {
	at   time.Time // when it came
	busy bool      // it had waited for the reader: more may wait
}

// receive takes the octets of one message from a known peer or a stranger. raw
// becomes the message's own.
func (p *Proxy) receive(ctx context.Context, f flow, from *peer, raw []byte, read reading) error {
	m, err := wire.Parse(raw)
	if m == nil {
		p.metrics.reject(rejectMalformed)
		return err
	}
	if from == nil {
		p.stranger(f, m)
		return nil
	}
	if m.IsRequest() {
		p.metrics.request(m.Method)
	} else {
		p.metrics.responses[m.Status/100].Inc()
	}
	if err != nil {
		p.metrics.reject(rejectMalformed)
		p.refuse(f, m, err)
		return err
	}
	if f.conn != nil && m.IsRequest() {
		f.sock.pool.reuse(f.conn, m)
	}
	p.shardOf(m.CallID).offer(ctx, event{at: read.at, flow: f, from: from, msg: m}, read.busy)
	return nil
}

func (p *Proxy) shardOf(callID string) *shard {
	return p.shards[maphash.String(p.seed, callID)%uint64(len(p.shards))]
}

// stranger answers 403 to a request of an unknown source, now and then.
func (p *Proxy) stranger(f flow, m *wire.Message) {
	p.metrics.reject(rejectStranger)
	if m.IsRequest() && m.Method != "ACK" && p.strangers.Allow() {
		p.send(f, answer(m, f.remote, 403, "Forbidden", "stranger", ""), failure{})
	}
}

// refuse answers a malformed request. Its retransmissions get the same answer, so
// no transaction is kept.
func (p *Proxy) refuse(f flow, m *wire.Message, err error) {
	fault, ok := err.(*wire.Fault) //nolint:errorlint // Parse returns it unwrapped
	if !ok {
		return
	}
	p.send(f.back(m), answer(m, f.remote, fault.Status, reasonOf(fault.Status), "malformed", ""), failure{})
}

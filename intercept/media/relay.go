package media

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Side is one side of the gateway.
type Side uint8

// The sides. The zero value is invalid.
const (
	Access Side = iota + 1 // subscribers
	Trunk                  // PSTN
)

// Config is what a Relay needs; fields without a default are required.
type Config struct {
	AccessAddr netip.Addr            // our address towards subscribers
	TrunkAddr  netip.Addr            // our address towards trunks
	Ports      PortRange             // on each address
	Threads    int                   // default one a core
	Quiet      time.Duration         // rest of a port after a call; default 5 s
	OpsReg     prometheus.Registerer // nil = none
}

const defaultQuiet = 5 * time.Second

// Relay owns the media sockets.
type Relay struct {
	addr    [3]netip.Addr // by Side
	ports   [3]*ports     // by Side
	threads []*thread
	next    atomic.Uint32
	ready   chan struct{}
	counts  counts

	mu       sync.Mutex // guards sessions
	sessions map[*Session]struct{}
}

// counts are the relay's figures; they read the same with and without taps.
type counts struct {
	packets, octets, refused, failed, sources atomic.Uint64
}

// New validates the configuration; Run relays.
func New(cfg Config) (*Relay, error) {
	if !cfg.AccessAddr.IsValid() || !cfg.TrunkAddr.IsValid() || cfg.Ports.Max-cfg.Ports.Min < 3 {
		return nil, errors.New("media: AccessAddr, TrunkAddr and at least four Ports are required")
	}
	if cfg.Threads == 0 {
		cfg.Threads = runtime.NumCPU()
	}
	if cfg.Quiet == 0 {
		cfg.Quiet = defaultQuiet
	}
	r := &Relay{ready: make(chan struct{}), sessions: map[*Session]struct{}{}}
	r.addr[Access], r.addr[Trunk] = cfg.AccessAddr, cfg.TrunkAddr
	r.ports[Access] = newPorts(cfg.Ports, cfg.Quiet)
	r.ports[Trunk] = r.ports[Access]
	if cfg.AccessAddr != cfg.TrunkAddr {
		r.ports[Trunk] = newPorts(cfg.Ports, cfg.Quiet)
	}
	for range cfg.Threads {
		t, err := newThread(r)
		if err != nil {
			return nil, err
		}
		r.threads = append(r.threads, t)
	}
	return r, r.metrics(cfg.OpsReg)
}

func (r *Relay) metrics(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	counter := func(name, help string, v *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(v.Load()) })
	}
	for _, c := range []prometheus.Collector{
		counter("ligate_media_packets_total", "Media packets relayed.", &r.counts.packets),
		counter("ligate_media_octets_total", "Octets of media relayed.", &r.counts.octets),
		counter("ligate_media_refused_packets_total", "Packets from a source that is not the call's.", &r.counts.refused),
		counter("ligate_media_ssrc_changes_total", "Changes of the synchronisation source from the call's own address.", &r.counts.sources),
		counter("ligate_media_failed_packets_total", "Packets that the kernel would not send.", &r.counts.failed),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ligate_media_sessions", Help: "Calls whose media is anchored."},
			func() float64 { return float64(r.Sessions()) }),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("media: register metrics: %w", err)
		}
	}
	return nil
}

// Sessions is the number of open sessions.
func (r *Relay) Sessions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// PortsInUse is the number of port pairs that open sessions hold.
func (r *Relay) PortsInUse() int {
	n := r.ports[Access].used()
	if r.ports[Trunk] != r.ports[Access] {
		n += r.ports[Trunk].used()
	}
	return n
}

// Ready is closed once packets flow.
func (r *Relay) Ready() <-chan struct{} { return r.ready }

// Run relays until ctx ends, which is no error; then every session is closed.
func (r *Relay) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range r.threads {
		g.Go(func() error { return t.loop(ctx) })
	}
	close(r.ready)
	err := g.Wait()
	r.mu.Lock()
	open := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		open = append(open, s)
	}
	r.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	for _, t := range r.threads {
		t.close()
	}
	return err
}

// Open begins a session: one PSTN-bridged dialog. It takes no port yet.
func (r *Relay) Open() *Session {
	s := &Session{relay: r, thread: r.threads[int(r.next.Add(1))%len(r.threads)], opened: time.Now()}
	s.taps.Store(&[]Tapping{})
	r.mu.Lock()
	r.sessions[s] = struct{}{}
	r.mu.Unlock()
	return s
}

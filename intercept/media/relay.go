package media

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
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
	AccessAddr  netip.Addr            // our address towards subscribers
	TrunkAddr   netip.Addr            // our address towards trunks
	AccessOther netip.Addr            // the same in the other address family; zero = none
	TrunkOther  netip.Addr            // the same in the other address family; zero = none
	Ports       PortRange             // on each address
	Threads     int                   // default one a core
	Quiet       time.Duration         // rest of a port after a call; default 5 s
	OpsReg      prometheus.Registerer // nil = none
}

const defaultQuiet = 5 * time.Second

// Relay owns the media sockets.
type Relay struct {
	addrs   [3][]netip.Addr       // by Side, the default first
	ports   map[netip.Addr]*ports // read only
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
	r := &Relay{ready: make(chan struct{}), sessions: map[*Session]struct{}{}, ports: map[netip.Addr]*ports{}}
	r.addrs[Access], r.addrs[Trunk] = []netip.Addr{cfg.AccessAddr, cfg.AccessOther}, []netip.Addr{cfg.TrunkAddr, cfg.TrunkOther}
	for side, list := range r.addrs {
		r.addrs[side] = slices.DeleteFunc(list, func(a netip.Addr) bool { return !a.IsValid() })
		for _, a := range r.addrs[side] {
			if r.ports[a] == nil {
				r.ports[a] = newPorts(cfg.Ports, cfg.Quiet)
			}
		}
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
	n := 0
	for _, p := range r.ports {
		n += p.used()
	}
	return n
}

// Ready is closed once packets flow.
func (r *Relay) Ready() <-chan struct{} { return r.ready }

// Run relays until ctx ends, which is no error; then every session is closed. While it
// runs, GOMAXPROCS is higher by the number of its threads: each keeps one.
func (r *Relay) Run(ctx context.Context) error {
	moreProcs(len(r.threads))
	defer moreProcs(-len(r.threads))
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

// Families says which sides speak IPv6.
type Families struct{ Access, Trunk bool }

// Open begins a session: one PSTN-bridged dialog. It takes no port yet. A side for
// whose family there is no address gets the side's default one.
func (r *Relay) Open(ipv6 Families) *Session {
	s := &Session{relay: r, thread: r.threads[int(r.next.Add(1))%len(r.threads)], opened: time.Now()}
	s.addr[Access], s.addr[Trunk] = r.pick(Access, ipv6.Access), r.pick(Trunk, ipv6.Trunk)
	s.taps.Store(&[]Tapping{})
	r.mu.Lock()
	r.sessions[s] = struct{}{}
	r.mu.Unlock()
	return s
}

func (r *Relay) pick(side Side, ipv6 bool) netip.Addr {
	for _, a := range r.addrs[side] {
		if a.Is6() == ipv6 {
			return a
		}
	}
	return r.addrs[side][0]
}

// procs is held while GOMAXPROCS is changed, which two relays of one process may do at
// once.
var procs sync.Mutex

func moreProcs(n int) {
	procs.Lock()
	defer procs.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

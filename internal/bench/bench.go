package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
)

// Config is what a measurement needs; all fields are required.
type Config struct {
	LoadArgs []string      // the arguments that make this binary run Load
	Length   time.Duration // how long the load runs
	Relay    func(*media.Relay) sipproxy.Relay
}

// RelayResult is one run of the relay.
type RelayResult struct {
	Calls        int     `json:"calls"`
	Tapped       int     `json:"tapped_calls"`
	PacketsPerS  float64 `json:"packets_per_second"`
	Lost         int     `json:"lost_packets"`
	CPUPerPacket float64 `json:"cpu_ns_per_packet"` // of this process: relay, and for tapped calls tee and bus
	PerCore      float64 `json:"packets_per_second_per_core"`
	Copies       int     `json:"copies"`
}

// SIPResult is one run of the proxy.
type SIPResult struct {
	CallsPerS  float64 `json:"calls_per_second"`
	Failed     int     `json:"failed_calls"`
	CPUPerCall float64 `json:"cpu_us_per_call"` // of the proxy's process
}

// gateway is the measured process's parts.
type gateway struct {
	index  *tasking.Index
	tee    *tee.Tee
	relay  *media.Relay
	stop   context.CancelFunc
	ended  chan error
	parts  int
	remove func() error
}

const ports = 20000

// newGateway runs a relay, and a tee on a real bus in a temporary folder.
func newGateway(ctx context.Context) (*gateway, error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	b, err := bus.New(bus.Config{Dir: dir, Key: make([]byte, 32), Log: log})
	if err != nil {
		return nil, err
	}
	g := &gateway{ended: make(chan error, 4), remove: func() error { return os.RemoveAll(dir) }}
	if g.index, err = tasking.New(tasking.Config{}); err != nil {
		return nil, err
	}
	if g.tee, err = tee.New(tee.Config{Log: log, Out: b, NFID: "bench"}); err != nil {
		return nil, err
	}
	local := netip.MustParseAddr("127.0.0.1")
	if g.relay, err = media.New(media.Config{AccessAddr: local, TrunkAddr: local, Ports: media.PortRange{Min: ports, Max: ports + 9999}, Quiet: time.Millisecond}); err != nil {
		return nil, err
	}
	ctx, g.stop = context.WithCancel(ctx)
	for _, run := range []func(context.Context) error{b.Run, g.relay.Run} {
		g.parts++
		go func() { g.ended <- run(ctx) }()
	}
	select {
	case <-b.Ready():
	case err := <-g.ended:
		g.parts--
		return nil, errors.Join(err, g.close())
	}
	g.parts++
	go func() { g.ended <- g.tee.Run(ctx) }()
	return g, nil
}

func (g *gateway) close() error {
	g.stop()
	for range g.parts {
		<-g.ended // what was left in the rings is of no interest here
	}
	return g.remove()
}

// tap activates a Task over content and returns its tap.
func (g *gateway) tap() (*tasking.Tap, error) {
	target, err := li.NumberPlan{}.ParseTarget("+4930555001")
	if err != nil {
		return nil, err
	}
	task := li.ContentTask{IRITask: li.IRITask{XID: li.NewXID(), Targets: []li.Identity{target}, Until: time.Now().Add(time.Hour)}}
	if err := g.index.Activate(task); err != nil {
		return nil, err
	}
	return g.index.Match(target)[0], nil
}

// Relay carries calls of 50 packets a second each way, the given number of them
// tapped.
func Relay(ctx context.Context, cfg Config, calls, tapped int) (RelayResult, error) {
	g, err := newGateway(ctx)
	if err != nil {
		return RelayResult{}, err
	}
	r, err := g.measureRelay(cfg, calls, tapped)
	return r, errors.Join(err, g.close())
}

func (g *gateway) measureRelay(cfg Config, calls, tapped int) (RelayResult, error) {
	c, err := startLoad(cfg.LoadArgs, order{Kind: "rtp", Calls: calls, Length: cfg.Length})
	if err != nil {
		return RelayResult{}, err
	}
	defer c.kill()
	var load addresses
	if err := c.out.Decode(&load); err != nil {
		return RelayResult{}, fmt.Errorf("read load's addresses: %w", err)
	}
	anchors, err := g.anchor(load, tapped)
	if err != nil {
		return RelayResult{}, err
	}
	before := cpu()
	if err := c.in.Encode(anchors); err != nil {
		return RelayResult{}, fmt.Errorf("start load: %w", err)
	}
	d, err := c.finish()
	if err != nil {
		return RelayResult{}, fmt.Errorf("run load: %w", err)
	}
	perPacket := float64(cpu()-before) / float64(max(d.Sent, 1))
	return RelayResult{
		Calls: calls, Tapped: tapped, PacketsPerS: float64(d.Sent) / d.Took.Seconds(), Lost: d.Sent - d.Received,
		CPUPerPacket: perPacket, PerCore: 1e9 / perPacket, Copies: d.Sent * tapped / calls,
	}, nil
}

// anchor opens a session for each call of the load.
func (g *gateway) anchor(load addresses, tapped int) (addresses, error) {
	var anchors addresses
	var tap *tasking.Tap
	if tapped > 0 {
		var err error
		if tap, err = g.tap(); err != nil {
			return anchors, err
		}
	}
	for i := range load.Access {
		s := g.relay.Open()
		st, err := s.Stream(0)
		if err != nil {
			return anchors, err
		}
		st.SetRemote(media.Access, netip.MustParseAddrPort(load.Access[i]), netip.AddrPort{})
		st.SetRemote(media.Trunk, netip.MustParseAddrPort(load.Trunk[i]), netip.AddrPort{})
		if i < tapped {
			s.SetTaps([]media.Tapping{{Line: g.tee.Line(tap, uint64(i)+1), Grant: tap.Media(), Target: media.Access}}) //nolint:gosec // small
		}
		a, _ := st.Anchor(media.Access)
		b, _ := st.Anchor(media.Trunk)
		anchors.Access, anchors.Trunk = append(anchors.Access, a.String()), append(anchors.Trunk, b.String())
	}
	return anchors, nil
}

// SIP carries whole calls through the proxy, media anchored, as many at a time.
func SIP(ctx context.Context, cfg Config, window int, tapped bool) (SIPResult, error) {
	g, err := newGateway(ctx)
	if err != nil {
		return SIPResult{}, err
	}
	r, err := g.measureSIP(ctx, cfg, window, tapped)
	return r, errors.Join(err, g.close())
}

func (g *gateway) measureSIP(ctx context.Context, cfg Config, window int, tapped bool) (SIPResult, error) {
	if tapped {
		if _, err := g.tap(); err != nil {
			return SIPResult{}, err
		}
	}
	c, err := startLoad(cfg.LoadArgs, order{Kind: "sip", Calls: window, Length: cfg.Length})
	if err != nil {
		return SIPResult{}, err
	}
	defer c.kill()
	var load addresses
	if err := c.out.Decode(&load); err != nil {
		return SIPResult{}, fmt.Errorf("read load's addresses: %w", err)
	}
	proxy, err := sipproxy.New(sipproxy.Config{
		Log: slog.New(slog.DiscardHandler), Secret: make([]byte, 32), Index: g.index, Tee: g.tee, Relay: cfg.Relay(g.relay),
		Plan:   li.NumberPlan{CountryCode: "49", NationalPrefix: "0"},
		Listen: []sipproxy.Listen{{Net: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Peers: []sipproxy.Peer{
			{Name: "core", Role: sipproxy.RoleCore, Addr: netip.MustParseAddrPort(load.Access[0]), Trusted: true, Numbers: []string{"+4930"}},
			{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: netip.MustParseAddrPort(load.Trunk[0]), Trusted: true},
		},
	})
	if err != nil {
		return SIPResult{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- proxy.Run(ctx) }()
	defer func() { stop(); <-ended }()
	select {
	case <-proxy.Ready():
	case err := <-ended:
		ended <- nil
		return SIPResult{}, err
	}
	before := cpu()
	if err := c.in.Encode(addresses{Access: []string{proxy.Addrs()[0].String()}}); err != nil {
		return SIPResult{}, fmt.Errorf("start load: %w", err)
	}
	d, err := c.finish()
	if err != nil {
		return SIPResult{}, fmt.Errorf("run load: %w", err)
	}
	return SIPResult{
		CallsPerS: float64(d.Calls) / d.Took.Seconds(), Failed: d.Failed, CPUPerCall: float64(cpu()-before) / float64(max(d.Calls, 1)) / 1e3,
	}, nil
}

// cpu is the processor time of this process so far, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/li"
)

// SIPConfig is what SIP needs; all fields are required.
type SIPConfig struct {
	Config

	Relay  RelayView
	Window int // calls in the air
	Rounds int // of each variant
}

// calls is one load through the proxy.
type calls struct {
	ok, failed int
	perSecond  float64
	cpuPerCall float64 // µs of this process: proxy and relay, and for tapped calls tee and bus
	copies     copies
}

// SIP carries whole calls through the proxy, media anchored, none and all of them
// tapped, in turn.
func SIP(ctx context.Context, cfg SIPConfig) (*Report, error) {
	var variants [2][]calls // none, all
	for range cfg.Rounds {
		for tapped := range variants {
			r, err := proxied(ctx, cfg, tapped == 1)
			if err != nil {
				return nil, err
			}
			variants[tapped] = append(variants[tapped], r)
		}
	}
	report := NewReport("sip")
	report.Add("window", float64(cfg.Window), "calls")
	report.Add("rounds", float64(cfg.Rounds), "rounds")
	var ratios []float64
	for i, name := range []string{"untapped_", "tapped_"} {
		var rates, cpus []float64
		var failed, ok, stored, dropped float64
		for round, r := range variants[i] {
			rates, cpus = append(rates, r.perSecond), append(cpus, r.cpuPerCall)
			failed, ok = failed+float64(r.failed), ok+float64(r.ok)
			stored, dropped = stored+r.copies.stored, dropped+r.copies.dropped
			if i == 1 {
				ratios = append(ratios, r.cpuPerCall/variants[0][round].cpuPerCall)
			}
		}
		report.Add(name+"rate", Median(rates), "calls/s")
		report.Add(name+"failed", failed, "calls")
		report.Add(name+"cpu", Median(cpus), "µs/call")
		report.Add(name+"copies", stored/ok, "PDUs/call")
		report.Add(name+"copies_dropped", dropped, "PDUs")
	}
	report.Add("tapped_ratio", Median(ratios), "1")
	return report, nil
}

func proxied(ctx context.Context, cfg SIPConfig, tapped bool) (calls, error) {
	if cfg.Window < 1 {
		return calls{}, errors.New("bench: at least one call is needed")
	}
	g, err := newGateway(ctx)
	if err != nil {
		return calls{}, err
	}
	r, err := g.measureSIP(ctx, cfg, tapped)
	return r, errors.Join(err, g.close())
}

func (g *gateway) measureSIP(ctx context.Context, cfg SIPConfig, tapped bool) (calls, error) {
	if tapped {
		if _, err := g.tap(); err != nil {
			return calls{}, err
		}
	}
	c, load, err := startLoad(ctx, cfg.Config, order{Kind: "sip", Calls: cfg.Window, Length: cfg.Length})
	if err != nil {
		return calls{}, err
	}
	defer c.kill()
	proxy, stop, err := g.serve(ctx, cfg.Relay, load, sipproxy.Timers{})
	if err != nil {
		return calls{}, err
	}
	defer stop()
	before, err := cpu()
	if err != nil {
		return calls{}, err
	}
	d, err := c.finish(proxy)
	if err != nil {
		return calls{}, err
	}
	counted, err := g.settled(ctx)
	if err != nil {
		return calls{}, err
	}
	after, err := cpu()
	switch {
	case err != nil:
		return calls{}, err
	case d.Calls == 0:
		return calls{}, errors.New("bench: no call came through")
	case tapped && counted.stored == 0:
		return calls{}, ErrNoCopies
	}
	return calls{
		ok: d.Calls, failed: d.Failed, perSecond: float64(d.Calls) / d.Took.Seconds(),
		cpuPerCall: float64((after - before).Nanoseconds()) / 1e3 / float64(d.Calls), copies: counted,
	}, nil
}

// RelayView shows a relay as the proxy wants it.
type RelayView func(*media.Relay) sipproxy.Relay

// serve runs a proxy between the two sides of a load and says where the load must
// send; stop ends it.
func (g *gateway) serve(ctx context.Context, view RelayView, load addresses, timers sipproxy.Timers) (to addresses, stop func(), err error) {
	proxy, err := sipproxy.New(sipproxy.Config{
		Log: slog.New(slog.DiscardHandler), Secret: make([]byte, 32), Index: g.index, Tee: g.tee, Relay: view(g.relay),
		Plan:   li.NumberPlan{CountryCode: "49", NationalPrefix: "0"},
		Listen: []sipproxy.Listen{{Net: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Peers: []sipproxy.Peer{
			{Name: "core", Role: sipproxy.RoleCore, Addr: load.Access[0], Trusted: true, Numbers: []string{"+4930"}},
			{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: load.Trunk[0], Trusted: true},
		},
		Timers: timers,
	})
	if err != nil {
		return to, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- proxy.Run(ctx) }()
	select {
	case <-proxy.Ready():
		return addresses{Access: proxy.Addrs()[:1]}, func() { cancel(); <-ended }, nil
	case err := <-ended:
		cancel()
		return to, nil, fmt.Errorf("run proxy: %w", err)
	}
}

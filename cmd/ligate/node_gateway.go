package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
)

// buildGateway makes the POI: tasking, tee, relay, proxy and the X1 listener.
func (n *node) buildGateway() error {
	reports, err := n.buildReports()
	if err != nil {
		return err
	}
	cfg := tasking.Config{LIReg: n.li}
	if reports != nil {
		cfg.OnEnd = reports.Ended
	}
	index, err := tasking.New(cfg)
	if err != nil {
		return err
	}
	n.add(part{name: "tasking", run: index.Run})
	copies, err := tee.New(tee.Config{Log: n.log, Out: n.bus, NFID: n.cfg.Gateway.ID, LIReg: n.li})
	if err != nil {
		return err
	}
	n.add(part{name: "tee", run: func(ctx context.Context) error {
		defer close(n.copied)
		select {
		case <-n.bus.Ready():
			return copies.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	}})
	relay, err := n.buildRelay()
	if err != nil {
		return err
	}
	x1, err := n.buildX1(index, copies, reports)
	if err != nil {
		return err
	}
	return n.buildProxy(index, copies, relay, x1.Filled())
}

func (n *node) buildRelay() (*media.Relay, error) {
	m := n.cfg.Gateway.Media
	access, err := netip.ParseAddr(m.AccessAddr)
	if err != nil {
		return nil, fmt.Errorf("access address: %w", err)
	}
	trunk, err := netip.ParseAddr(m.TrunkAddr)
	if err != nil {
		return nil, fmt.Errorf("trunk address: %w", err)
	}
	other := func(addr string) netip.Addr { a, _ := netip.ParseAddr(addr); return a } // empty is none; checked with the config
	relay, err := media.New(media.Config{
		AccessAddr: access, TrunkAddr: trunk, AccessOther: other(m.AccessOther), TrunkOther: other(m.TrunkOther), Ports: media.PortRange{Min: m.Ports.Min, Max: m.Ports.Max}, Threads: m.Threads, OpsReg: n.ops,
	})
	if err != nil {
		return nil, err
	}
	n.add(part{name: "relay", run: relay.Run, ready: relay.Ready()})
	return relay, nil
}

func (n *node) buildProxy(index *tasking.Index, copies *tee.Tee, relay *media.Relay, filled <-chan struct{}) error {
	key, err := n.cfg.secrets().sipKey()
	if err != nil {
		return err
	}
	cfg := sipproxy.Config{
		Log: n.log, Plan: n.cfg.plan(), Secret: key, Relay: relayAdapter{relay}, Index: index, Tee: copies, OpsReg: n.ops, LIReg: n.li,
	}
	if cfg.TLS, err = n.cfg.Gateway.SIP.tls(); err != nil {
		return err
	}
	hold := make(chan struct{})
	cfg.Hold = hold
	n.add(part{name: "tasks", run: func(ctx context.Context) error { n.awaitTasks(ctx, filled, hold); return nil }, ready: hold})
	cfg.MediaTimeout = time.Duration(*n.cfg.Gateway.Media.Timeout)
	cfg.Emergency = n.cfg.Gateway.SIP.Emergency
	if dns := n.cfg.Gateway.SIP.DNS; dns != "" {
		if cfg.Resolver, err = netip.ParseAddrPort(dns); err != nil {
			return fmt.Errorf("DNS server: %w", err)
		}
	}
	for _, l := range n.cfg.Gateway.SIP.Listen {
		addr, err := netip.ParseAddrPort(l.Addr)
		if err != nil {
			return fmt.Errorf("SIP listener: %w", err)
		}
		cfg.Listen = append(cfg.Listen, sipproxy.Listen{Net: l.Net, Addr: addr})
	}
	for _, p := range n.cfg.Gateway.Peers {
		peer, err := p.peer()
		if err != nil {
			return err
		}
		cfg.Peers = append(cfg.Peers, peer)
	}
	proxy, err := sipproxy.New(cfg)
	if err != nil {
		return err
	}
	n.add(part{name: "sip", run: proxy.Run, ready: proxy.Ready()})
	n.drain = proxy.Drain
	return nil
}

// tls reads the gateway's certificate and the authorities that it believes, nil
// without a TLS listener.
func (c sipConfig) tls() (*sipproxy.TLS, error) {
	if c.TLS.Certificate == "" {
		return nil, nil
	}
	own, err := pki.Load(c.TLS.Certificate, c.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("SIP over TLS: %w", err)
	}
	t := &sipproxy.TLS{Certificate: own}
	if c.TLS.CA == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.TLS.CA)
	if err != nil {
		return nil, fmt.Errorf("SIP over TLS: authorities: %w", err)
	}
	t.CAs = x509.NewCertPool()
	if !t.CAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("SIP over TLS: %s holds no PEM certificate", c.TLS.CA)
	}
	return t, nil
}

func (p peerConfig) peer() (sipproxy.Peer, error) {
	peer := sipproxy.Peer{
		Name: p.Name, Role: sipproxy.RoleTrunk, Net: p.Net, Trusted: p.Trusted, Numbers: p.Numbers, Domains: p.Domains,
		Bare: bareReadings()[p.BareNumbers], TechPrefix: p.TechPrefix,
		Priority: p.Priority, Weight: p.Weight, Certificate: p.Certificate, TLSName: p.TLSName, Ping: time.Duration(*p.Ping),
		MaxCalls: p.MaxCalls, CallRate: p.CallRate, Emergency: p.Emergency, NoTCP: p.NoTCP,
	}
	var err error
	if peer.Addr, peer.Host, peer.Port, err = p.where(); err != nil {
		return sipproxy.Peer{}, fmt.Errorf("peer address: %w", err)
	}
	if p.Role == "core" {
		peer.Role = sipproxy.RoleCore
	}
	for _, s := range p.Sources {
		prefix, err := parsePrefix(s)
		if err != nil {
			return sipproxy.Peer{}, fmt.Errorf("peer source: %w", err)
		}
		peer.Sources = append(peer.Sources, prefix)
	}
	return peer, nil
}

// bareReadings are the words for what a number without a prefix is.
func bareReadings() map[string]li.Bare {
	return map[string]li.Bare{"": li.Unread, "international": li.BareInternational, "national": li.BareNationalNumber}
}

// where reads addr: an address with its port, a name, or a name with its port.
func (p peerConfig) where() (addr netip.AddrPort, host string, port uint16, err error) {
	if addr, err = netip.ParseAddrPort(p.Addr); err == nil {
		return addr, "", 0, nil
	}
	host, digits, found := strings.Cut(p.Addr, ":")
	if !validName(host) {
		return netip.AddrPort{}, "", 0, errors.New("want address:port, a name or name:port")
	}
	if !found {
		return netip.AddrPort{}, host, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, "", 0, errors.New("want a port from 1 to 65535")
	}
	return netip.AddrPort{}, host, uint16(n), nil
}

// relayAdapter shows the relay as the proxy wants it.
type relayAdapter struct{ relay *media.Relay }

// Open begins the media of one call.
func (a relayAdapter) Open(ipv6 sipproxy.Families) (sipproxy.MediaSession, error) {
	return sessionAdapter{a.relay.Open(media.Families(ipv6))}, nil
}

type sessionAdapter struct{ session *media.Session }

// Stream returns one media line's stream.
func (a sessionAdapter) Stream(i int) (sipproxy.MediaStream, error) {
	st, err := a.session.Stream(i)
	if err != nil {
		return nil, err
	}
	return streamAdapter{st}, nil
}

// SetTaps replaces the rights to copy.
func (a sessionAdapter) SetTaps(taps []sipproxy.ContentTap) {
	out := make([]media.Tapping, len(taps))
	for i, t := range taps {
		out[i] = media.Tapping{Line: t.Line, Grant: t.Grant, Target: mediaSide(t.Target)}
	}
	a.session.SetTaps(out)
}

// LastMedia is when a packet came last.
func (a sessionAdapter) LastMedia() time.Time { return a.session.LastMedia() }

// Close frees the ports.
func (a sessionAdapter) Close() { a.session.Close() }

type streamAdapter struct{ stream *media.Stream }

// Anchor is where the peer on that side must send.
func (a streamAdapter) Anchor(s sipproxy.Side) (rtp, rtcp netip.AddrPort) {
	return a.stream.Anchor(mediaSide(s))
}

// SetRemote says where the peer on that side wants media.
func (a streamAdapter) SetRemote(s sipproxy.Side, rtp, rtcp netip.AddrPort) {
	a.stream.SetRemote(mediaSide(s), rtp, rtcp)
}

func mediaSide(s sipproxy.Side) media.Side {
	if s == sipproxy.Access {
		return media.Access
	}
	return media.Trunk
}

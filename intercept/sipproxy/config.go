package sipproxy

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
)

// Config is what a Proxy needs; fields without a default are required.
type Config struct {
	Log    *slog.Logger
	Listen []Listen
	Peers  []Peer
	Plan   li.NumberPlan
	Secret []byte // 32 octets; the key of branches, Record-Route cookies and correlation ids
	Relay  Relay
	Index  *tasking.Index
	Tee    *tee.Tee
	OpsReg prometheus.Registerer // the same with none and with many taps; nil = none
	LIReg  prometheus.Registerer // LI figures; nil = none

	TLS       *TLS           // required with a listener or peer on "tls"
	Resolver  netip.AddrPort // DNS server for peers by name; zero = the system's
	Emergency []string       // numbers as they are dialled, such as "112"; service URNs count anyway

	Hold            <-chan struct{} // until it is closed nothing begins but emergency calls; nil = no waiting
	Shards          int             // default one a core
	MaxTransactions int             // server transactions a shard; more new INVITEs get 503; default 100000
	IdleCall        time.Duration   // a call without signalling and media for so long is forgotten; default 2h
	MediaTimeout    time.Duration   // an answered call that is not on hold ends without media for so long; 0 = IdleCall
	Timers          Timers
}

// Listen is one socket. The address must be concrete: it stands in Via and
// Record-Route.
type Listen struct {
	Net  string // "udp", "tcp" or "tls"
	Addr netip.AddrPort
}

// Role says what a peer is.
type Role uint8

// The roles. The zero value is invalid.
const (
	RoleCore  Role = iota + 1 // the operator's own call server
	RoleTrunk                 // a gateway or carrier towards the PSTN
)

// Peer is a neighbour that the proxy serves.
type Peer struct {
	Name     string
	Role     Role
	Net      string // "udp" (default), "tcp" or "tls"; with Host also "" for what DNS says
	Addr     netip.AddrPort
	Host     string         // instead of Addr: a name to be looked up (RFC 3263)
	Port     uint16         // with Host: no NAPTR and SRV look-up, but this port; 0 = look up
	Sources  []netip.Prefix // where its messages come from; empty = where it listens
	Trusted  bool           // its asserted identities count (RFC 3325)
	Numbers  []string       // E.164 prefixes that a core owns, with or without "+"
	Domains  []string       // domains that it owns
	Priority int            // among peers of one role; lower is tried first
	Weight   int            // share among peers of one priority; default 1

	Certificate string // SHA-256 of its certificate, hexadecimal; then it is known by that only
	TLSName     string // name in its certificate; then it is known by that only

	Bare       li.Bare // what its numbers without a prefix are
	TechPrefix string  // digits that it puts before every number

	Ping      time.Duration // between OPTIONS that ask whether it is up; 0 = none
	MaxCalls  int           // in progress at once, both directions; 0 = no limit
	CallRate  float64       // new calls a second, both directions; 0 = no limit
	Emergency bool          // emergency calls go here first
	NoTCP     bool          // requests over 1300 octets go over UDP too
}

// Timers are RFC 3261's; zero means the standard's value.
type Timers struct {
	T1 time.Duration // round trip estimate; default 500ms
	T2 time.Duration // longest retransmission interval; default 4s
	T4 time.Duration // longest life of a message in the network; default 5s
	C  time.Duration // longest wait for a final response to INVITE; default 185s

	Hop time.Duration // longest wait for any response while another hop is left; default 4s
}

const secretBytes = 32

func (t Timers) life() time.Duration { return 64 * t.T1 }

func (c *Config) setDefaults() {
	if c.Shards == 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	if c.MaxTransactions == 0 {
		c.MaxTransactions = 100000
	}
	if c.IdleCall == 0 {
		c.IdleCall = 2 * time.Hour
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Timers.T1, 500 * time.Millisecond}, {&c.Timers.T2, 4 * time.Second}, {&c.Timers.T4, 5 * time.Second}, {&c.Timers.C, 185 * time.Second}, {&c.Timers.Hop, 4 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

func (c *Config) validate() error {
	if c.Log == nil || len(c.Secret) != secretBytes || c.Relay == nil || c.Index == nil || c.Tee == nil || len(c.Listen) == 0 || len(c.Peers) == 0 {
		return ErrConfig
	}
	for _, l := range c.Listen {
		if !slices.Contains([]string{netUDP, netTCP, netTLS}, l.Net) || !l.Addr.IsValid() || l.Addr.Addr().IsUnspecified() {
			return ErrListen
		}
		if l.Net == netTLS && c.TLS == nil {
			return ErrTLS
		}
	}
	if err := c.Plan.Validate(); err != nil {
		return fmt.Errorf("sipproxy: %w", err)
	}
	names := map[string]bool{}
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Name == "" || names[p.Name] {
			return ErrPeer
		}
		names[p.Name] = true
		if err := c.checkPeer(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkPeer(p *Peer) error {
	if p.Net == "" && (p.Host == "" || p.Port != 0) {
		p.Net = netUDP
	}
	if p.Weight == 0 {
		p.Weight = 1
	}
	if p.Role < RoleCore || p.Role > RoleTrunk || p.Weight < 0 || p.MaxCalls < 0 || p.CallRate < 0 || p.Ping < 0 {
		return ErrPeer
	}
	if p.Addr.IsValid() == (p.Host != "") || p.Host == "" && !c.served(p) {
		return ErrPeer
	}
	if p.certified() && (p.Net != netTLS || c.TLS == nil) {
		return ErrTLS
	}
	if err := p.plan(c.Plan).Validate(); err != nil {
		return fmt.Errorf("sipproxy: %w", err)
	}
	for j, n := range p.Numbers {
		p.Numbers[j] = strings.TrimPrefix(n, "+")
	}
	return nil
}

// plan is how the peer's numbers are read.
func (p *Peer) plan(base li.NumberPlan) li.NumberPlan {
	base.Bare, base.TechPrefix = p.Bare, p.TechPrefix
	return base
}

// served reports whether a listener can reach the peer.
func (c *Config) served(p *Peer) bool {
	for _, l := range c.Listen {
		if l.Net == p.Net && l.Addr.Addr().Unmap().Is4() == p.Addr.Addr().Unmap().Is4() {
			return true
		}
	}
	return false
}

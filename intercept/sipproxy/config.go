package sipproxy

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
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

	Shards          int           // default one a core
	MaxTransactions int           // server transactions a shard; more new INVITEs get 503; default 100000
	IdleCall        time.Duration // a call without signalling and media for so long is forgotten; default 2h
	Timers          Timers
}

// Listen is one socket. The address must be concrete: it stands in Via and
// Record-Route.
type Listen struct {
	Net  string // "udp" or "tcp"
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
	Net      string // "udp" (default) or "tcp"
	Addr     netip.AddrPort
	Sources  []netip.Prefix // where its messages come from; empty = Addr's IP
	Trusted  bool           // its asserted identities count (RFC 3325)
	Numbers  []string       // E.164 prefixes that a core owns, with or without "+"
	Domains  []string       // domains that it owns
	Priority int            // among peers of one role; lower is tried first
}

// Timers are RFC 3261's; zero means the standard's value.
type Timers struct {
	T1 time.Duration // round trip estimate; default 500ms
	T2 time.Duration // longest retransmission interval; default 4s
	T4 time.Duration // longest life of a message in the network; default 5s
	C  time.Duration // longest wait for a final response to INVITE; default 185s
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
	}{{&c.Timers.T1, 500 * time.Millisecond}, {&c.Timers.T2, 4 * time.Second}, {&c.Timers.T4, 5 * time.Second}, {&c.Timers.C, 185 * time.Second}} {
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
		if l.Net != "udp" && l.Net != "tcp" || !l.Addr.IsValid() || l.Addr.Addr().IsUnspecified() {
			return ErrListen
		}
	}
	if err := c.Plan.Validate(); err != nil {
		return fmt.Errorf("sipproxy: %w", err)
	}
	names := map[string]bool{}
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Net == "" {
			p.Net = "udp"
		}
		if p.Name == "" || names[p.Name] || p.Role < RoleCore || p.Role > RoleTrunk || !p.Addr.IsValid() || !c.served(p) {
			return ErrPeer
		}
		names[p.Name] = true
		for j, n := range p.Numbers {
			p.Numbers[j] = strings.TrimPrefix(n, "+")
		}
	}
	return nil
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

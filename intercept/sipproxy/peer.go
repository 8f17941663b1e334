package sipproxy

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/ligate/ligate/li"
)

// peer is a configured neighbour. Its configuration does not change after New; where
// it listens and how it fares do, and may be read by every shard.
type peer struct {
	Peer
	id      uint32        // keyed hash of the name, as it stands in cookies
	numbers li.NumberPlan // how it writes numbers

	places atomic.Pointer[[]*place] // where it listens; empty while its name is not resolved
	calls  atomic.Int64             // in progress, in both directions
	pace   *rate.Limiter            // of new calls; nil = no limit
	udp    atomic.Int64             // until when large requests stay on UDP, in Unix nanoseconds
}

// place is one address of a peer.
type place struct {
	net      string
	addr     netip.AddrPort
	priority int // among the places of its peer; lower is tried first
	share    float64
	health   *health // shared with the same place as it stood before
}

// side is where the peer's media comes from.
func (p *peer) side() Side {
	if p.Role == RoleTrunk {
		return Trunk
	}
	return Access
}

// owns reports whether the peer sends from that address.
func (p *peer) owns(addr netip.Addr) bool { return p.match(addr) >= 0 }

// match returns how many bits of the address the peer's sources fix, -1 for none.
// Without configured sources a peer sends from where it listens.
func (p *peer) match(addr netip.Addr) int {
	best := -1
	for _, s := range p.Sources {
		if s.Contains(addr) {
			best = max(best, s.Bits())
		}
	}
	if len(p.Sources) > 0 {
		return best
	}
	for _, at := range *p.places.Load() {
		if at.addr.Addr() == addr {
			return addr.BitLen()
		}
	}
	return best
}

// ipv6 reports whether the peer is reached over IPv6.
func (p *peer) ipv6() bool {
	places := *p.places.Load()
	return len(places) > 0 && places[0].addr.Addr().Is6()
}

// enter counts a call, unless the peer has as many as it may.
func (p *peer) enter(limited bool) bool {
	n := p.calls.Add(1)
	if limited && p.MaxCalls > 0 && n > int64(p.MaxCalls) || limited && p.pace != nil && !p.pace.Allow() {
		p.calls.Add(-1)
		return false
	}
	return true
}

func (p *peer) leave() { p.calls.Add(-1) }

// peers is the table of neighbours.
type peers struct {
	all       []*peer // in the configured order
	byID      map[uint32]*peer
	cores     []*peer
	trunks    []*peer
	certified bool // one of them is known by its certificate

	mu     sync.Mutex // held while byAddr is replaced
	byAddr atomic.Pointer[map[netip.AddrPort]*peer]
}

func newPeers(configured []Peer, plan li.NumberPlan, id func(name string) uint32) *peers {
	t := &peers{byID: map[uint32]*peer{}}
	for _, c := range configured {
		p := &peer{Peer: c, id: id(c.Name), numbers: c.plan(plan)}
		if c.CallRate > 0 {
			p.pace = rate.NewLimiter(rate.Limit(c.CallRate), max(1, int(c.CallRate)))
		}
		p.places.Store(&[]*place{})
		t.all = append(t.all, p)
		t.byID[p.id] = p
		t.certified = t.certified || c.certified()
		if c.Role == RoleTrunk {
			t.trunks = append(t.trunks, p)
		} else {
			t.cores = append(t.cores, p)
		}
		if c.Host == "" {
			addr := netip.AddrPortFrom(c.Addr.Addr().Unmap(), c.Addr.Port())
			p.places.Store(&[]*place{{net: c.Net, addr: addr, share: 1, health: &health{}}})
		}
	}
	t.index()
	return t
}

// move says where a peer listens now. Places that stay keep their health.
func (t *peers) move(p *peer, places []*place) {
	old := *p.places.Load()
	for _, n := range places {
		n.health = &health{}
		for _, o := range old {
			if o.net == n.net && o.addr == n.addr {
				n.health = o.health
			}
		}
	}
	p.places.Store(&places)
	t.index()
}

func (t *peers) index() {
	t.mu.Lock()
	defer t.mu.Unlock()
	byAddr := map[netip.AddrPort]*peer{}
	for _, lookedUp := range []bool{false, true} { // DNS takes no configured address
		for _, p := range t.all {
			for _, at := range *p.places.Load() {
				if byAddr[at.addr] == nil && (p.Host != "") == lookedUp {
					byAddr[at.addr] = p
				}
			}
		}
	}
	t.byAddr.Store(&byAddr)
}

// at finds who listens at an address, nil for nobody.
func (t *peers) at(addr netip.AddrPort) *peer { return (*t.byAddr.Load())[addr] }

// bySource finds who sent from that address: a peer's own address first, then the
// most specific source prefix. Peers that are known by their certificate do not
// count. Nil is a stranger.
func (t *peers) bySource(src netip.AddrPort) *peer {
	return t.search(src, func(p *peer) bool { return !p.certified() })
}

// near finds whose an address is, however the peer proves who it is.
func (t *peers) near(addr netip.AddrPort) *peer {
	return t.search(addr, func(*peer) bool { return true })
}

func (t *peers) search(src netip.AddrPort, counts func(*peer) bool) *peer {
	if p := t.at(src); p != nil && p.Host == "" && counts(p) {
		return p
	}
	for _, lookedUp := range []bool{false, true} { // DNS takes no configured source
		var found *peer
		best := -1
		for _, p := range t.all {
			if (p.Host != "" && len(p.Sources) == 0) != lookedUp {
				continue
			}
			if bits := p.match(src.Addr()); bits > best && counts(p) {
				found, best = p, bits
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// byDomain finds who owns a domain.
func (t *peers) byDomain(host string) []*peer {
	var found []*peer
	for _, p := range t.all {
		if slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, host) }) {
			found = append(found, p)
		}
	}
	return found
}

// byNumber finds the cores that own a number: the longest prefix wins.
func (t *peers) byNumber(ids []li.Identity) []*peer {
	var found []*peer
	best := 0
	for _, id := range ids {
		if id.Kind() != li.E164 {
			continue
		}
		number := id.Reveal()
		for _, p := range t.cores {
			longest := 0
			for _, prefix := range p.Numbers {
				if strings.HasPrefix(number, prefix) {
					longest = max(longest, len(prefix))
				}
			}
			if longest > best {
				found, best = nil, longest
			}
			if longest == best && best > 0 {
				found = append(found, p)
			}
		}
	}
	return found
}

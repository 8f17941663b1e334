package sipproxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/ligate/ligate/li"
)

// peer is a configured neighbour. It does not change after New.
type peer struct {
	Peer
	id uint32 // keyed hash of the name, as it stands in cookies
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
func (p *peer) match(addr netip.Addr) int {
	best := -1
	for _, s := range p.Sources {
		if s.Contains(addr) {
			best = max(best, s.Bits())
		}
	}
	return best
}

// peers is the table of neighbours.
type peers struct {
	all    []*peer
	byAddr map[netip.AddrPort]*peer
	byID   map[uint32]*peer
	cores  []*peer // by priority
	trunks []*peer // by priority
}

func newPeers(configured []Peer, id func(name string) uint32) peers {
	t := peers{byAddr: map[netip.AddrPort]*peer{}, byID: map[uint32]*peer{}}
	for _, c := range configured {
		c.Addr = netip.AddrPortFrom(c.Addr.Addr().Unmap(), c.Addr.Port())
		if len(c.Sources) == 0 {
			c.Sources = []netip.Prefix{netip.PrefixFrom(c.Addr.Addr(), c.Addr.Addr().BitLen())}
		}
		p := &peer{Peer: c, id: id(c.Name)}
		t.all = append(t.all, p)
		t.byAddr[c.Addr] = p
		t.byID[p.id] = p
		if c.Role == RoleTrunk {
			t.trunks = append(t.trunks, p)
		} else {
			t.cores = append(t.cores, p)
		}
	}
	for _, list := range [][]*peer{t.cores, t.trunks} {
		slices.SortStableFunc(list, func(a, b *peer) int { return cmp.Compare(a.Priority, b.Priority) })
	}
	return t
}

// bySource finds who sent from that address: a peer's own address first, then the
// most specific source prefix. Nil is a stranger.
func (t *peers) bySource(src netip.AddrPort) *peer {
	if p, ok := t.byAddr[src]; ok {
		return p
	}
	var found *peer
	best := -1
	for _, p := range t.all {
		if bits := p.match(src.Addr()); bits > best {
			found, best = p, bits
		}
	}
	return found
}

// byDomain finds who owns a domain.
func (t *peers) byDomain(host string) *peer {
	for _, p := range t.all {
		for _, d := range p.Domains {
			if strings.EqualFold(d, host) {
				return p
			}
		}
	}
	return nil
}

// byNumber finds the core that owns a number: the longest prefix wins.
func (t *peers) byNumber(ids []li.Identity) *peer {
	var found *peer
	best := 0
	for _, id := range ids {
		if id.Kind() != li.E164 {
			continue
		}
		number := id.Reveal()
		for _, p := range t.cores {
			for _, prefix := range p.Numbers {
				if len(prefix) > best && strings.HasPrefix(number, prefix) {
					found, best = p, len(prefix)
				}
			}
		}
	}
	return found
}

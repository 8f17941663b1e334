package sipproxy

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// candidate is one place that could take a request.
type candidate struct {
	hop    nextHop
	down   bool
	later  bool // an emergency call's second choice
	first  int  // the peer's priority
	second int  // the place's
	score  float64
}

// order lists the places of some peers in the order in which to try them: those that
// are up, by priority, and by chance within one priority, each by its weight
// (RFC 2782). The chance is a keyed hash of the transaction, so that a CANCEL finds
// its INVITE after a restart. Places that are down come last: they may be better than
// nothing.
func (s *shard) order(list []*peer, key string, emergency bool) []nextHop {
	var found []candidate
	for _, p := range list {
		if p == nil {
			continue
		}
		for _, at := range *p.places.Load() {
			sock := s.proxy.socketFor(at.net, at.addr.Addr())
			if sock == nil {
				continue
			}
			found = append(found, candidate{
				hop:  nextHop{peer: p, place: at, flow: flow{sock: sock, remote: at.addr}},
				down: !at.health.usable(s.now), later: emergency && !p.Emergency,
				first: p.Priority, second: at.priority, score: at.share * float64(p.Weight),
			})
		}
	}
	if len(found) > 1 {
		s.draw(found, key)
	}
	hops := make([]nextHop, len(found))
	for i := range found {
		hops[i] = found[i].hop
	}
	return hops
}

// draw gives each candidate a score with which the smallest is the first with the
// probability of its weight, and sorts.
func (s *shard) draw(found []candidate, key string) {
	for i := range found {
		c := &found[i]
		u := (float64(binary.BigEndian.Uint64(s.keys.hash("order", key, c.hop.place.addr.String()))>>11) + 0.5) / (1 << 53)
		c.score = -math.Log(u) / max(c.score, leastShare)
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(compareBool(a.later, b.later), compareBool(a.down, b.down), cmp.Compare(a.first, b.first),
			cmp.Compare(a.second, b.second), cmp.Compare(a.score, b.score))
	})
}

// leastShare stands for weight 0, which is "hardly ever" (RFC 2782).
const leastShare = 1e-3

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

package sipproxy

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/intercept/sipproxy/locate"
)

// How often a name is looked up: as long as DNS says, within these bounds, and soon
// again when it does not answer.
const (
	minLookup   = 10 * time.Second
	maxLookup   = time.Hour
	lookupRetry = 5 * time.Second
)

// resolve keeps the places of peers by name up to date. While DNS does not answer the
// last known places stand.
func (p *Proxy) resolve(ctx context.Context, group *errgroup.Group) error {
	var r *locate.Resolver
	for _, peer := range p.peers.all {
		if peer.Host == "" {
			continue
		}
		if r == nil {
			var err error
			if r, err = locate.New(p.cfg.Resolver); err != nil {
				return err
			}
		}
		group.Go(func() error { p.follow(ctx, r, peer); return nil })
	}
	return nil
}

func (p *Proxy) follow(ctx context.Context, r *locate.Resolver, peer *peer) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		wait.Reset(p.lookUp(ctx, r, peer))
	}
}

// maxPlaces is how many places of one peer count: each call sorts them all.
const maxPlaces = 32

// lookUp moves a peer to where DNS says that it is and returns when to look again.
func (p *Proxy) lookUp(ctx context.Context, r *locate.Resolver, peer *peer) time.Duration {
	found, ttl, err := r.Find(ctx, locate.Query{Host: peer.Host, Port: peer.Port, Net: peer.Net, Serves: p.serves})
	if ctx.Err() != nil {
		return lookupRetry
	}
	if err != nil {
		p.metrics.lookups.Inc()
		p.log.WarnContext(ctx, "peer's name was not resolved", slog.String("peer", peer.Name), slog.Any("error", err))
		return lookupRetry
	}
	found = found[:min(len(found), maxPlaces)]
	sums := map[int]int{}
	for _, f := range found {
		sums[f.Priority] += f.Weight
	}
	var places []*place
	for _, f := range found {
		at := &place{net: f.Net, addr: f.Addr, priority: f.Priority, share: 1}
		if sums[f.Priority] > 0 {
			at.share = float64(f.Weight) / float64(sums[f.Priority])
		}
		places = append(places, at)
	}
	p.peers.move(peer, places)
	return min(max(ttl, minLookup), maxLookup)
}

// serves reports whether a listener speaks that transport and address family.
func (p *Proxy) serves(network string, ipv6 bool) bool {
	for _, s := range p.sockets {
		if s.net == network && s.local.Addr().Is6() == ipv6 {
			return true
		}
	}
	return false
}

package sipproxy

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
)

// What DNS says of one peer takes nothing of what is configured for another.
func TestDNSTakesNobodysIdentity(t *testing.T) {
	t.Parallel()
	keys := newKeyring(bytes.Repeat([]byte{7}, 32))
	table := newPeers([]Peer{
		{Name: "carrier", Role: RoleTrunk, Host: "carrier.example", Weight: 1},
		{
			Name: "core", Role: RoleCore, Net: "udp", Addr: netip.MustParseAddrPort("10.0.0.5:5060"),
			Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, Trusted: true, Weight: 1,
		},
	}, li.NumberPlan{}, keys.peerID)
	own, other := netip.MustParseAddrPort("10.0.0.5:5060"), netip.MustParseAddrPort("10.0.0.7:5060")
	table.move(table.all[0], []*place{{net: "udp", addr: own, share: 1}, {net: "udp", addr: other, share: 1}})
	for _, src := range []netip.AddrPort{own, other} {
		if got := table.bySource(src).Name; got != "core" {
			t.Errorf("%s is taken for %s", src, got)
		}
	}
}

// Places move while calls are routed to them, and keep their health.
func TestPlacesMoveUnderCalls(t *testing.T) {
	t.Parallel()
	keys := newKeyring(bytes.Repeat([]byte{7}, 32))
	table := newPeers([]Peer{{Name: "carrier", Role: RoleTrunk, Host: "carrier.example", Weight: 1}}, li.NumberPlan{}, keys.peerID)
	p, at := table.all[0], netip.MustParseAddrPort("127.0.0.9:5060")
	table.move(p, []*place{{net: "udp", addr: at, share: 1}})
	before := (*p.places.Load())[0].health
	s := &shard{
		proxy: &Proxy{peers: table, sockets: []*socket{{net: "udp", local: netip.MustParseAddrPort("127.0.0.1:5060")}}}, keys: keys, now: time.Now(),
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1000 {
			table.move(p, []*place{{net: "udp", addr: at, share: 0.5}})
		}
	})
	wg.Go(func() {
		for range 1000 {
			s.order([]*peer{p}, "k", false)
		}
	})
	wg.Wait()
	if (*p.places.Load())[0].health != before {
		t.Error("a place that stays lost its health")
	}
}

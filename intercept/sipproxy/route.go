package sipproxy

import (
	"net/netip"
	"slices"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// nextHop is where a request goes.
type nextHop struct {
	peer *peer
	flow flow
}

// routing is what a request's Route headers say.
type routing struct {
	own    []ownRoute // our own values, to be taken away
	cookie cookie
	known  bool   // the cookie is ours: the request is in a dialog that we routed
	next   string // the URI of the first foreign Route value, empty when none
	all    string // all foreign values, for the loop hash
}

// ownRoute is how many leading values of a Route field name the proxy.
type ownRoute struct {
	field wire.Field
	count int
}

// readRoutes reads the Route headers (RFC 3261 clause 16.4). A request within a
// dialog that comes without our cookie, from a peer that ignores Record-Route, is
// held against the dialogs that are known.
func (s *shard) readRoutes(m *wire.Message, from *peer) routing {
	var r routing
	foreign := false
	for e := range m.Elements(wire.Route) {
		addr, ok := wire.ParseNameAddr(m.Raw, e.Span)
		uri, ok2 := wire.ParseURI(m.Text(addr.URI))
		if ok && ok2 && !foreign && s.proxy.mine(uri.Host, uri.Port) {
			s.takeOwn(&r, e, uri, m.CallID)
			continue
		}
		if !foreign {
			foreign = true
			r.next = m.Text(addr.URI)
		}
		r.all += m.Text(e.Span) + ","
	}
	if !r.known && m.To.Tag != "" {
		r.cookie, r.known = s.dialogOf(m, from)
	}
	return r
}

// dialogOf finds a dialog by Call-ID, tags and peer.
func (s *shard) dialogOf(m *wire.Message, from *peer) (cookie, bool) {
	for _, c := range s.byCallID[m.CallID] {
		forth := from == c.a && m.From.Tag == c.aTag && slices.Contains(c.dialogs, m.To.Tag)
		back := from == c.b && m.To.Tag == c.aTag && slices.Contains(c.dialogs, m.From.Tag)
		if forth || back {
			return cookie{a: c.a, b: c.b, leg: c.leg}, true
		}
	}
	return cookie{}, false
}

func (s *shard) takeOwn(r *routing, e wire.Element, uri wire.URI, callID string) {
	if last := len(r.own) - 1; last >= 0 && r.own[last].field.Line == e.Field.Line {
		r.own[last].count++
	} else {
		r.own = append(r.own, ownRoute{e.Field, 1})
	}
	if text, ok := uri.Param(cookieParam); ok && !r.known {
		r.cookie, r.known = s.keys.readCookie(text, callID, &s.proxy.peers)
	}
}

// hops chooses where a request may go, in the order in which to try. None means
// that there is no way: the proxy is no open relay.
func (s *shard) hops(m *wire.Message, from *peer, r routing) []nextHop {
	if r.known {
		return s.dialogHop(m, from, r)
	}
	if r.next != "" {
		uri, ok := wire.ParseURI(r.next)
		if !ok {
			return nil
		}
		return s.toPeers(s.namedPeer(uri))
	}
	t := &s.proxy.peers
	if p := s.namedPeer(m.RequestURI); p != nil {
		return s.toPeers(p)
	}
	if p := t.byNumber(s.proxy.cfg.Plan.Identities(m.Text(m.URI))); p != nil {
		return s.toPeers(p)
	}
	if from.Role == RoleTrunk {
		return s.toPeers(first(t.cores))
	}
	return s.toPeers(t.trunks...)
}

func first(list []*peer) *peer {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// namedPeer finds the peer whose address or domain a URI names.
func (s *shard) namedPeer(uri wire.URI) *peer {
	if addr := hostAddr(uri.Host); addr.IsValid() {
		return s.proxy.peers.byAddr[withPort(addr, uri.Port)]
	}
	return s.proxy.peers.byDomain(uri.Host)
}

func withPort(addr netip.Addr, port uint16) netip.AddrPort {
	if port == 0 {
		port = defaultPort
	}
	return netip.AddrPortFrom(addr, port)
}

// dialogHop routes within a dialog: to the other party of the cookie, at the
// address that Route or Request-URI names if it is a known one, else at the
// party's configured address.
func (s *shard) dialogHop(m *wire.Message, from *peer, r routing) []nextHop {
	to := r.cookie.b
	if from == r.cookie.b {
		to = r.cookie.a
	} else if from != r.cookie.a {
		return nil
	}
	uri := m.RequestURI
	if r.next != "" {
		uri, _ = wire.ParseURI(r.next)
	}
	addr := hostAddr(uri.Host)
	if !addr.IsValid() {
		return s.toPeers(to)
	}
	at := withPort(addr, uri.Port)
	if p := s.proxy.peers.byAddr[at]; p != nil && (p == to || r.next != "") {
		return s.toPeers(p)
	}
	if !to.owns(addr) || s.proxy.mine(uri.Host, uri.Port) {
		return s.toPeers(to)
	}
	network := to.Net
	if uri.Transport == "udp" || uri.Transport == "tcp" {
		network = uri.Transport
	}
	sock := s.proxy.socketFor(network, addr)
	if sock == nil {
		return s.toPeers(to)
	}
	return []nextHop{{peer: to, flow: flow{sock: sock, remote: at}}}
}

// toPeers are peers at their configured addresses.
func (s *shard) toPeers(list ...*peer) []nextHop {
	var hops []nextHop
	for _, p := range list {
		if p == nil {
			continue
		}
		if sock := s.proxy.socketFor(p.Net, p.Addr.Addr()); sock != nil {
			hops = append(hops, nextHop{peer: p, flow: flow{sock: sock, remote: p.Addr}})
		}
	}
	return hops
}

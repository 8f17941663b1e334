package sipproxy

import (
	"net/netip"
	"slices"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// nextHop is where a request goes.
type nextHop struct {
	peer  *peer
	place *place // nil for an address that a dialog named
	flow  flow
	large bool // the request goes over TCP for its size only
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
	switch {
	case m.To.Tag == "":
		r.cookie, r.known = cookie{}, false // it opens something: a cookie proves no dialog
	case !r.known:
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
		r.cookie, r.known = s.keys.readCookie(text, callID, s.proxy.peers)
	}
}

// hops chooses where a request may go, in the order in which to try. None means
// that there is no way: the proxy is no open relay. key is the server transaction's.
func (s *shard) hops(m *wire.Message, from *peer, r routing, key string) []nextHop {
	if r.known {
		return s.dialogHop(m, from, r, key)
	}
	if r.next != "" {
		uri, ok := wire.ParseURI(r.next)
		if !ok {
			return nil
		}
		return s.secure(m, s.order(s.namedPeers(uri), key, false))
	}
	return s.secure(m, s.order(s.responsible(m, from), key, s.proxy.emergency(m)))
}

// responsible finds the peers that a request outside a dialog is for.
func (s *shard) responsible(m *wire.Message, from *peer) []*peer {
	t := s.proxy.peers
	if list := s.namedPeers(m.RequestURI); len(list) > 0 {
		return list
	}
	if list := t.byNumber(from.numbers.Identities(m.Text(m.URI))); len(list) > 0 {
		return list
	}
	if from.Role == RoleTrunk {
		return t.cores
	}
	return t.trunks
}

// secure leaves the hops over TLS for a request to a sips URI (RFC 5630 clause 3.1).
func (s *shard) secure(m *wire.Message, hops []nextHop) []nextHop {
	if m.RequestURI.Scheme != "sips" {
		return hops
	}
	return slices.DeleteFunc(hops, func(h nextHop) bool { return h.flow.sock.net != netTLS })
}

// namedPeers finds the peers whose address or domain a URI names.
func (s *shard) namedPeers(uri wire.URI) []*peer {
	addr := hostAddr(uri.Host)
	if !addr.IsValid() {
		return s.proxy.peers.byDomain(uri.Host)
	}
	if p := s.proxy.peers.at(withPort(addr, uri.Port, netOf(uri))); p != nil {
		return []*peer{p}
	}
	return nil
}

// netOf is the transport that a URI asks for, UDP when it does not say.
func netOf(uri wire.URI) string {
	switch {
	case uri.Scheme == "sips" || uri.Transport == netTLS:
		return netTLS
	case uri.Transport == netTCP:
		return netTCP
	}
	return netUDP
}

func withPort(addr netip.Addr, port uint16, network string) netip.AddrPort {
	if port == 0 {
		port = portOf(network)
	}
	return netip.AddrPortFrom(addr, port)
}

// dialogHop routes within a dialog: to the other party of the cookie, at the
// address that Route or Request-URI names if it is a known one, else at the
// party's configured address.
func (s *shard) dialogHop(m *wire.Message, from *peer, r routing, key string) []nextHop {
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
		return s.order([]*peer{to}, key, false)
	}
	network := netOf(uri)
	at := withPort(addr, uri.Port, network)
	if p := s.proxy.peers.at(at); p != nil && (p == to || r.next != "") {
		return s.placed(p, at, key)
	}
	if !to.owns(addr) || s.proxy.mine(uri.Host, uri.Port) {
		return s.order([]*peer{to}, key, false)
	}
	if uri.Transport == "" && uri.Scheme != "sips" && to.Net != "" {
		network = to.Net
	}
	sock := s.proxy.socketFor(network, addr)
	if sock == nil || to.certified() && network != netTLS {
		return s.order([]*peer{to}, key, false)
	}
	return []nextHop{{peer: to, flow: flow{sock: sock, remote: at}}}
}

// placed is the place of a peer that listens at an address.
func (s *shard) placed(p *peer, at netip.AddrPort, key string) []nextHop {
	hops := s.order([]*peer{p}, key, false)
	for _, h := range hops {
		if h.flow.remote == at {
			return []nextHop{h}
		}
	}
	return hops
}

package sipproxy

import (
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// retryAfter is what new INVITEs are told when the proxy is full, in seconds.
const retryAfter = "Retry-After: 5\r\n"

// request takes a request from a known peer.
func (s *shard) request(e event) {
	m := e.msg
	key := serverKey(m, e.from, m.Method)
	tx := s.servers[key]
	switch {
	case m.Method == "ACK":
		s.ack(e, key, tx)
		return
	case tx != nil:
		tx.again()
		return
	case m.Method == "CANCEL":
		s.cancel(e, key)
		return
	}
	opens := m.Method == "INVITE" && m.To.Tag == ""
	help := opens && s.proxy.emergency(m)
	if m.To.Tag == "" && !help && s.proxy.held.Load() {
		s.refuse(e, rejectStarting, 503, retryAfter)
		return
	}
	if why := s.crowded(); opens && !help && why != "" {
		s.refuse(e, why, 503, retryAfter)
		return
	}
	tx = s.newServerTx(e, key)
	tx.emergency = help
	if m.Method == "INVITE" {
		tx.answer(100, "")
	}
	tx.route = s.readRoutes(m, e.from)
	if s.forUs(m, tx.route) {
		s.answerPing(tx)
		return
	}
	if why, status, extra := s.check(m, tx.route); status != 0 {
		s.proxy.metrics.reject(why)
		tx.answer(status, extra)
		return
	}
	if tx.hops = s.hops(m, e.from, tx.route, key); len(tx.hops) == 0 {
		s.noWay(tx)
		return
	}
	if opens && !tx.route.known && !e.from.enter(!help) {
		s.proxy.metrics.reject(rejectLimit)
		tx.answer(503, retryAfter)
		return
	}
	s.attach(e, tx)
	s.forward(tx)
}

// crowdedAt is how many messages may wait before new calls are refused: what is
// already carried must not wait for them.
const crowdedAt = inboxSize / 2

// crowded says why no new call can be taken, empty when one can.
func (s *shard) crowded() reject {
	switch {
	case s.proxy.draining.Load():
		return rejectDrain
	case len(s.servers) >= s.proxy.cfg.MaxTransactions || len(s.inbox) >= crowdedAt:
		return rejectOverload
	}
	return ""
}

// noWay refuses a request that leads nowhere: to no peer, or to none that is called
// securely (RFC 5630 clause 5.3).
func (s *shard) noWay(tx *serverTx) {
	s.proxy.metrics.reject(rejectNoRoute)
	if tx.req.RequestURI.Scheme == "sips" {
		tx.answer(480, "Warning: 380 "+tx.src.sock.sentBy+" \"SIPS Not Allowed\"\r\n")
		return
	}
	tx.answer(403, "")
}

// answerPing answers OPTIONS to the proxy itself: while it drains, others shall take
// the calls.
func (s *shard) answerPing(tx *serverTx) {
	if s.proxy.draining.Load() {
		tx.answer(503, retryAfter)
		return
	}
	tx.answer(200, "Accept: application/sdp\r\n")
}

// refuse answers without keeping a transaction.
func (s *shard) refuse(e event, why reject, status int, extra string) {
	s.proxy.metrics.reject(why)
	b := answer(e.msg, e.flow.remote, status, reasonOf(status), s.keys.toTag(e.msg), extra)
	s.proxy.send(e.flow.back(e.msg), b, failure{})
}

// check is what a proxy must refuse (RFC 3261 clause 16.3).
func (s *shard) check(m *wire.Message, r routing) (why reject, status int, extra string) {
	switch m.RequestURI.Scheme {
	case "sip", "sips", "tel", "urn":
	default:
		return rejectScheme, 416, ""
	}
	if m.MaxForwards == 0 {
		return rejectHops, 483, ""
	}
	if s.looped(m, r) {
		return rejectLoop, 482, ""
	}
	var unknown []string
	for e := range m.Elements(wire.ProxyRequire) {
		unknown = append(unknown, m.Text(e.Span))
	}
	if len(unknown) > 0 {
		return rejectExtension, 420, "Unsupported: " + strings.Join(unknown, ", ") + "\r\n"
	}
	return "", 0, ""
}

// looped reports whether the same request passed before (RFC 3261 clause 16.3
// step 4). A spiral, which comes back changed, is legal.
func (s *shard) looped(m *wire.Message, r routing) bool {
	loop := ""
	for e := range m.Elements(wire.Via) {
		v, ok := wire.ParseVia(m.Raw, e)
		if !ok || !s.keys.ours(v.Branch) {
			continue
		}
		if loop == "" {
			loop = s.keys.loop(m, r.all)
		}
		if loopOf(v.Branch) == loop {
			return true
		}
	}
	return false
}

// forUs reports whether an OPTIONS asks the proxy itself. It may have no hop left:
// nothing is forwarded.
func (s *shard) forUs(m *wire.Message, r routing) bool {
	uri := m.RequestURI
	return m.Method == "OPTIONS" && r.next == "" && uri.User == "" && s.proxy.mine(uri.Host, uri.Port)
}

// cancel takes a CANCEL (RFC 3261 clauses 9.2 and 16.10).
func (s *shard) cancel(e event, key string) {
	m := e.msg
	invite := s.servers[serverKey(m, e.from, "INVITE")]
	if invite == nil {
		s.forwardStateless(e) // after a restart the next hop may know it
		return
	}
	tx := s.newServerTx(e, key)
	tx.call, tx.fromA = invite.call, invite.fromA
	s.copyReceived(tx.call, e, tx.fromA, 0)
	tx.answerQuietly(200)
	if invite.state != trying && invite.state != proceeding || invite.cancelled {
		return
	}
	invite.cancelled = true
	if invite.client != nil {
		invite.client.cancel(fieldLine(m, wire.Reason))
	}
}

// answerQuietly is answer for a hop-by-hop response that is no event of a call.
func (tx *serverTx) answerQuietly(status int) {
	req := tx.req
	tx.respond(status, answer(req, tx.src.remote, status, reasonOf(status), tx.shard.keys.toTag(req), ""), false)
}

// ack takes an ACK: to a failure it ends here, to a 2xx it goes on.
func (s *shard) ack(e event, key string, tx *serverTx) {
	if tx != nil {
		first, absorbed := tx.ack()
		if first {
			s.copyReceived(tx.call, e, tx.fromA, 0)
		}
		if absorbed {
			return
		}
	}
	if e.msg.To.Tag == s.keys.toTag(e.msg) {
		return // to a response of our own, of which no transaction was kept
	}
	s.forwardStateless(e)
}

// forwardStateless forwards an ACK to a 2xx, or an ACK or CANCEL whose transaction
// is not known any more (RFC 3261 clause 16.11).
func (s *shard) forwardStateless(e event) {
	m := e.msg
	r := s.readRoutes(m, e.from)
	if _, status, _ := s.check(m, r); status != 0 {
		s.notFound(e)
		return
	}
	hops := s.hops(m, e.from, r, serverKey(m, e.from, "INVITE"))
	if len(hops) == 0 {
		s.notFound(e)
		return
	}
	tx := &serverTx{shard: s, key: serverKey(m, e.from, "INVITE"), flow: e.flow, src: e.flow, from: e.from, req: m, route: r, hops: hops}
	s.attach(e, tx)
	_, out, err := s.build(tx)
	if err != nil {
		return
	}
	s.proxy.send(hops[0].flow, out, failure{})
}

func (s *shard) notFound(e event) {
	if e.msg.Method == "CANCEL" {
		s.refuse(e, rejectNoRoute, 481, "")
		return
	}
	s.proxy.metrics.reject(rejectNoRoute)
}

package sipproxy

import (
	"errors"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// forward sends a request to the next hop that was not tried yet.
func (s *shard) forward(tx *serverTx) {
	hop := tx.hops[tx.attempt]
	if tx.call != nil && tx.req.To.Tag == "" {
		tx.call.goesTo(hop.peer)
	}
	branch, out, err := s.build(tx)
	if err != nil {
		s.proxy.metrics.reject(rejectNoMedia)
		tx.answer(503, retryAfter)
		return
	}
	tx.client = s.newClientTx(tx, hop.flow, branch, tx.req.Method, out)
	if tx.cancelled {
		tx.client.cancelWait = true
	}
}

// errNoMedia means that a call's media cannot be anchored: it is not carried.
var errNoMedia = errors.New("sipproxy: no media ports")

// build makes the request as it goes to the current hop (RFC 3261 clause 16.6).
func (s *shard) build(tx *serverTx) (branch string, out []byte, err error) {
	m, hop := tx.req, tx.hops[tx.attempt]
	branch = s.keys.branch(tx.key, tx.attempt, s.keys.loop(m, tx.route.all))
	var e wire.Edits
	e.Insert(m.HeadersAt(), "Via: "+hop.flow.sock.via+";branch="+branch+"\r\n")
	if m.Method != "ACK" && m.Method != "CANCEL" {
		s.recordRoute(&e, tx, hop)
	}
	m.StampVia(&e, tx.src.remote)
	m.SetMaxForwards(&e)
	for _, own := range tx.route.own {
		e.Delete(m.ElementEdit(own.field, own.count))
	}
	if err := tx.call.anchor(&e, m, tx.fromA, tx.tagOfB(m)); err != nil {
		return "", nil, err
	}
	return branch, e.Apply(m.Raw), nil
}

// recordRoute keeps the proxy in the dialogs that a request may make. Where the
// sides differ in transport or address family it inserts two values (RFC 5658).
func (s *shard) recordRoute(e *wire.Edits, tx *serverTx, hop nextHop) {
	m := tx.req
	switch m.Method {
	case "INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE":
	default:
		return
	}
	c := tx.route.cookie
	if !tx.route.known {
		c = cookie{a: tx.from, b: hop.peer, leg: s.keys.leg(tx.key)}
	}
	text := s.keys.cookie(c, m.CallID)
	line := "Record-Route: " + routeURI(hop.flow.sock, text)
	if hop.flow.sock != tx.src.sock {
		line += ", " + routeURI(tx.src.sock, text)
	}
	e.Insert(m.HeadersAt(), line+"\r\n")
}

// branchFailed takes a failure of the current hop that the hop itself did not
// send: a timeout or a transport error.
func (s *shard) branchFailed(tx *serverTx, c *clientTx, status int) {
	if tx.client != c {
		return
	}
	if status != 487 && s.tryNext(tx) {
		return
	}
	tx.answer(status, "")
}

// tryNext fails over to the next hop. It does so only for a request that opens
// something, before any provisional response above 100 went upstream.
func (s *shard) tryNext(tx *serverTx) bool {
	if !tx.mayFailOver() {
		return false
	}
	s.proxy.metrics.failovers.Inc()
	tx.attempt++
	s.forward(tx)
	return true
}

func (tx *serverTx) mayFailOver() bool {
	return tx.req != nil && tx.req.To.Tag == "" && !tx.cancelled && !tx.client.heard && tx.attempt+1 < len(tx.hops) &&
		(tx.state == trying || tx.state == proceeding)
}

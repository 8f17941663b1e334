package sipproxy

import (
	"errors"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// forward sends a request to the next hop that was not tried yet and may take it.
func (s *shard) forward(tx *serverTx) {
	for tx.call != nil && tx.initial && !tx.call.goesTo(tx.hops[tx.attempt].peer, !tx.emergency) {
		if tx.attempt++; tx.attempt == len(tx.hops) {
			tx.attempt--
			s.proxy.metrics.reject(rejectLimit)
			tx.answer(503, retryAfter)
			return
		}
	}
	branch, out, err := s.build(tx)
	if err == nil && s.overTCP(tx, out) {
		branch, out, err = s.build(tx)
	}
	if err != nil {
		s.proxy.metrics.reject(rejectNoMedia)
		tx.answer(503, retryAfter)
		return
	}
	tx.client = s.newClientTx(tx, tx.hops[tx.attempt], branch, tx.req.Method, out)
	if tx.cancelled {
		tx.client.cancelWait = true
	}
}

// maxDatagram is the longest request that goes over UDP when the path's MTU is not
// known (RFC 3261 clause 18.1.1).
const maxDatagram = 1300

// tcpAgain is how long a peer that takes no TCP gets large requests over UDP.
const tcpAgain = 10 * time.Minute

// overTCP moves a large request from UDP to TCP, if there is a way.
func (s *shard) overTCP(tx *serverTx, out []byte) bool {
	hop := &tx.hops[tx.attempt]
	if len(out) <= maxDatagram || hop.flow.sock.net != netUDP || hop.peer.NoTCP || s.now.UnixNano() < hop.peer.udp.Load() {
		return false
	}
	sock := s.proxy.socketFor(netTCP, hop.flow.remote.Addr())
	if sock == nil {
		return false
	}
	hop.flow.sock, hop.large = sock, true
	return true
}

// backToUDP takes a large request that TCP did not take.
func (s *shard) backToUDP(tx *serverTx) bool {
	hop := &tx.hops[tx.attempt]
	if !hop.large {
		return false
	}
	hop.peer.udp.Store(s.now.Add(tcpAgain).UnixNano())
	hop.flow.sock, hop.large = s.proxy.socketFor(netUDP, hop.flow.remote.Addr()), false
	s.forward(tx)
	return true
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
	m.SetLength(&e, hop.flow.sock.reliable())
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
	line := "Record-Route: " + routeURI(hop.flow.sock, m.RequestURI.Scheme, text)
	if hop.flow.sock != tx.src.sock {
		line += ", " + routeURI(tx.src.sock, m.RequestURI.Scheme, text)
	}
	e.Insert(m.HeadersAt(), line+"\r\n")
}

// branchFailed takes a failure of the current hop that the hop itself did not
// send: a timeout or a transport error.
func (s *shard) branchFailed(tx *serverTx, c *clientTx, status int) {
	if status != 487 {
		c.hop.failed(s.now)
	}
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
	return tx.moreHops() && !tx.cancelled && !tx.client.heard && (tx.state == trying || tx.state == proceeding)
}

// moreHops reports whether a request that opens something could go elsewhere.
func (tx *serverTx) moreHops() bool {
	return tx.req != nil && tx.req.To.Tag == "" && tx.attempt+1 < len(tx.hops)
}

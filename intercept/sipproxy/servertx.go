package sipproxy

import (
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// txState is a transaction's state (RFC 3261 clause 17, RFC 6026 clause 7).
type txState uint8

const (
	trying     txState = iota + 1 // no provisional response yet: Calling or Trying
	proceeding                    // a provisional response is in
	accepted                      // INVITE only: a 2xx is in, more may follow
	completed                     // final response is in; for INVITE a failure
	confirmed                     // INVITE only: the failure was acknowledged
)

// serverTx is one request from a peer.
type serverTx struct {
	shard *shard
	key   string
	state txState
	flow  flow // where responses go
	src   flow // where the request came from
	from  *peer
	req   *wire.Message // nil once nothing needs it any more

	last      []byte // the last response, for retransmissions
	client    *clientTx
	hops      []nextHop // what may be tried; hops[0:attempt] were
	attempt   int
	route     routing
	call      *call  // nil for requests outside calls
	fromA     bool   // the request came from the call's first party
	calleeTag string // B's tag of the dialog that the request is in
	initial   bool   // it opens a call
	emergency bool
	cancelled bool

	resend *timer // G
	end    *timer // H, I, J, L
}

// serverKey is RFC 3261 clause 17.2.3: the branch, the sent-by and the method, and
// for RFC 2543 clients what identified a request then.
func serverKey(m *wire.Message, from *peer, method string) string {
	if method == "ACK" {
		method = "INVITE"
	}
	v := m.TopVia
	key := from.Name + "\x00" + method + "\x00" + v.Host + ":" + number(uint32(v.Port)) + "\x00" + v.Branch
	if len(v.Branch) > len(magic) && v.Branch[:len(magic)] == magic {
		return key
	}
	return key + "\x00" + m.CallID + "\x00" + m.From.Tag + "\x00" + number(m.Sequence) + "\x00" + m.Text(m.URI)
}

func (s *shard) newServerTx(e event, key string) *serverTx {
	tx := &serverTx{shard: s, key: key, state: trying, flow: e.flow.back(e.msg), src: e.flow, from: e.from, req: e.msg}
	s.servers[key] = tx
	s.proxy.metrics.transactions.Inc()
	return tx
}

// again takes a retransmission of the request.
func (tx *serverTx) again() {
	if tx.last != nil && (tx.state == trying || tx.state == proceeding || tx.state == completed) {
		tx.send(tx.last)
	}
}

func (tx *serverTx) send(b []byte) { tx.shard.proxy.send(tx.flow, b, failure{}) }

// respond sends a response upstream and follows the state machine.
func (tx *serverTx) respond(status int, b []byte, invite bool) {
	if tx.state == completed || tx.state == confirmed || tx.state == accepted && status/100 != 2 {
		return // the first final response stands
	}
	tx.send(b)
	t := tx.shard.proxy.cfg.Timers
	switch {
	case status < 200:
		tx.state, tx.last = proceeding, b
	case invite && status < 300:
		if tx.state != accepted {
			tx.state, tx.last = accepted, nil
			tx.req, tx.hops, tx.route = nil, nil, routing{} // it goes nowhere else now
			tx.endAfter(t.life())                           // L
		}
	case invite:
		tx.state, tx.last = completed, b
		if !tx.flow.sock.reliable() {
			tx.retransmit(t.T1)
		}
		tx.endAfter(t.life()) // H
	default:
		tx.state, tx.last = completed, b
		tx.req, tx.hops, tx.route = nil, nil, routing{}
		if tx.flow.sock.reliable() {
			tx.remove()
			return
		}
		tx.endAfter(t.life()) // J
	}
}

// retransmit is timer G.
func (tx *serverTx) retransmit(wait time.Duration) {
	tx.resend = tx.shard.after(wait, func() {
		tx.send(tx.last)
		tx.retransmit(min(2*wait, tx.shard.proxy.cfg.Timers.T2))
	})
}

// ack takes the ACK to a failure. It reports false when the ACK is for a 2xx, and
// so not the transaction's.
func (tx *serverTx) ack() (first, absorbed bool) {
	switch tx.state {
	case completed:
		tx.state = confirmed
		tx.resend.stop()
		if tx.flow.sock.reliable() {
			tx.remove()
			return true, true
		}
		tx.endAfter(tx.shard.proxy.cfg.Timers.T4) // I
		return true, true
	case accepted:
		return false, false
	case trying, proceeding, confirmed:
	}
	return false, true
}

func (tx *serverTx) endAfter(d time.Duration) {
	tx.end.stop()
	tx.end = tx.shard.after(d, tx.remove)
}

func (tx *serverTx) remove() {
	tx.resend.stop()
	tx.end.stop()
	if tx.shard.servers[tx.key] == tx {
		delete(tx.shard.servers, tx.key)
		tx.shard.proxy.metrics.transactions.Dec()
	}
}

// answer sends a response of the proxy's own. Calls are told too: a caller's
// failure ends the session also where no peer said so.
func (tx *serverTx) answer(status int, extra string) {
	if tx.req == nil {
		return
	}
	req := tx.req
	b := answer(req, tx.src.remote, status, reasonOf(status), tx.shard.keys.toTag(req), extra)
	if tx.call == nil || status < 200 {
		tx.respond(status, b, req.Method == "INVITE")
		return
	}
	m, err := wire.Parse(b)
	if err == nil {
		tx.shard.copyOwn(tx, m)
	}
	tx.respond(status, b, req.Method == "INVITE")
	if err == nil {
		tx.shard.finished(tx, m)
	}
}

// tagOfB is the tag of B's end of the dialog that a message of this transaction
// belongs to.
func (tx *serverTx) tagOfB(m *wire.Message) string {
	if tx.fromA {
		return m.To.Tag
	}
	return m.From.Tag
}

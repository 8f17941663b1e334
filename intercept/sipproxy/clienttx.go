package sipproxy

import (
	"strconv"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// clientTx is one request that the proxy sent to a peer.
type clientTx struct {
	shard  *shard
	key    string // branch and method
	state  txState
	invite bool
	server *serverTx // nil for requests of our own: CANCEL and OPTIONS
	hop    nextHop
	flow   flow
	done   func(status int) // hears how a request of our own ended; may be nil
	out    []byte           // the request, for retransmissions and for its ACK and CANCEL

	heard      bool   // a provisional response above 100 was forwarded
	cancelWait bool   // CANCEL goes out with the first provisional (RFC 3261 clause 9.1)
	cancelSent bool   // CANCEL went out
	reason     string // Reason line of the CANCEL that came

	resend *timer // A or E
	giveUp *timer // B, C or F
	end    *timer // D, K or M
}

func clientKey(branch, method string) string { return branch + "|" + method }

// newClientTx sends a request.
func (s *shard) newClientTx(server *serverTx, hop nextHop, branch, method string, out []byte) *clientTx {
	c := &clientTx{
		shard: s, key: clientKey(branch, method), state: trying, invite: method == "INVITE", server: server, hop: hop, flow: hop.flow, out: out,
	}
	s.clients[c.key] = c
	t := s.proxy.cfg.Timers
	if server != nil && server.moreHops() {
		c.giveUp = s.after(min(t.Hop, t.life()), c.abandon)
	} else {
		c.giveUp = s.after(t.life(), c.timedOut)
	}
	if !c.flow.sock.reliable() {
		c.retransmit(t.T1)
	}
	c.send(out)
	return c
}

func (c *clientTx) send(b []byte) { c.shard.proxy.send(c.flow, b, failure{c.shard, c.key}) }

// retransmit is timer A for INVITE, doubling, and E for others, up to T2.
func (c *clientTx) retransmit(wait time.Duration) {
	c.resend = c.shard.after(wait, func() {
		c.send(c.out)
		next := 2 * wait
		if !c.invite || c.state == proceeding {
			next = min(next, c.shard.proxy.cfg.Timers.T2)
		}
		c.retransmit(next)
	})
}

// provisional follows a 1xx.
func (c *clientTx) provisional(status int) {
	if c.state != trying && c.state != proceeding {
		return
	}
	first := c.state == trying
	c.state = proceeding
	if status > 100 {
		c.heard = true
	}
	if !c.invite {
		if first {
			c.giveUp.stop()
			c.giveUp = c.shard.after(c.shard.proxy.cfg.Timers.life(), c.timedOut) // it speaks: F, no next hop
		}
		return // E goes on, at T2
	}
	c.resend.stop()
	if first || status > 100 {
		c.giveUp.stop()
		c.giveUp = c.shard.after(c.shard.proxy.cfg.Timers.C, c.timedOut)
	}
	if c.cancelWait {
		c.sendCancel()
	}
}

// final follows a final response and reports whether it is to be forwarded.
func (c *clientTx) final(m *wire.Message) bool {
	t := c.shard.proxy.cfg.Timers
	switch {
	case c.invite && m.Status < 300:
		if c.state == completed {
			return false
		}
		if c.state != accepted {
			c.settle(accepted, t.life()) // M
			c.out = nil
		}
		return true
	case c.state == accepted:
		return false
	case c.state == completed:
		if c.invite {
			c.ack(m)
		}
		return false
	case c.invite:
		c.ack(m)
		c.settle(completed, t.life()) // D
		return true
	}
	c.out = nil
	c.settle(completed, t.T4) // K
	return true
}

func (c *clientTx) settle(s txState, life time.Duration) {
	c.state = s
	c.resend.stop()
	c.giveUp.stop()
	if s == completed && c.flow.sock.reliable() {
		c.remove()
		return
	}
	c.end = c.shard.after(life, c.remove)
}

// ack acknowledges a failure hop by hop.
func (c *clientTx) ack(m *wire.Message) {
	c.shard.proxy.send(c.flow, hopByHop(c.out, "ACK", fieldLine(m, wire.To), ""), failure{})
}

// cancel sends CANCEL, or remembers to (RFC 3261 clause 16.10).
func (c *clientTx) cancel(reason string) {
	c.reason = reason
	switch {
	case c.state == proceeding:
		c.sendCancel()
	case c.state == trying:
		c.cancelWait = true
	}
}

func (c *clientTx) sendCancel() {
	if c.cancelSent {
		return
	}
	c.cancelSent = true
	b := hopByHop(c.out, "CANCEL", "", c.reason)
	if m, err := wire.Parse(b); err == nil {
		c.shard.newClientTx(nil, c.hop, m.TopVia.Branch, "CANCEL", b)
	}
	// RFC 3261 clause 9.1: without a final response the INVITE is over then.
	c.giveUp.stop()
	c.giveUp = c.shard.after(c.shard.proxy.cfg.Timers.life(), c.timedOut)
}

// timedOut is timers B, C and F.
func (c *clientTx) timedOut() {
	if c.invite && c.state == proceeding && !c.cancelSent {
		c.sendCancel()
		return
	}
	c.failed(408)
}

// abandon goes on to the next hop while this one says nothing. If it speaks after
// all it is told to stop (RFC 3261 clause 16.10), and a 2xx of it still counts.
func (c *clientTx) abandon() {
	t := c.shard.proxy.cfg.Timers
	c.resend.stop()
	c.cancelWait = true
	c.giveUp = c.shard.after(t.life(), c.timedOut)
	c.hop.failed(c.shard.now)
	if c.server.client == c {
		c.shard.tryNext(c.server)
	}
}

func (c *clientTx) transportFailed() {
	if c.state != trying {
		return
	}
	if c.server != nil && c.server.client == c && c.hop.large {
		c.remove()
		c.shard.backToUDP(c.server)
		return
	}
	c.failed(503)
}

// failed ends the transaction without a response from the peer.
func (c *clientTx) failed(status int) {
	cancelled := c.cancelSent
	c.remove()
	if c.server == nil {
		c.told(status)
		return
	}
	if cancelled {
		status = 487
	}
	c.shard.branchFailed(c.server, c, status)
}

// told passes on how a request of our own ended.
func (c *clientTx) told(status int) {
	if c.done != nil {
		c.done(status)
	}
}

// failed notes at the place that a request was not served.
func (h nextHop) failed(now time.Time) {
	if h.place != nil {
		h.place.health.failed(now)
	}
}

// answered notes what the place's response says about it.
func (h nextHop) answered(now time.Time, m *wire.Message) {
	if h.place == nil {
		return
	}
	if m.Status == 503 {
		seconds, _ := strconv.Atoi(m.Value(wire.RetryAfter)[:digits(m.Value(wire.RetryAfter))])
		h.place.health.busy(now, time.Duration(seconds)*time.Second)
		return
	}
	h.place.health.served()
}

// digits is how many digits a text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && n < 9 && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

func (c *clientTx) remove() {
	c.resend.stop()
	c.giveUp.stop()
	c.end.stop()
	if c.shard.clients[c.key] == c {
		delete(c.shard.clients, c.key)
	}
}

package sipproxy

import (
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li/sipevent"
)

// response takes a response from a known peer (RFC 3261 clause 16.7).
func (s *shard) response(e event) {
	m := e.msg
	v := m.TopVia
	if !s.proxy.mine(v.Host, v.Port) || !s.keys.ours(v.Branch) {
		s.proxy.metrics.reject(rejectStray)
		return
	}
	c := s.clients[clientKey(v.Branch, m.Method)]
	if c == nil {
		s.stray(e)
		return
	}
	if m.Status > 100 {
		c.hop.answered(s.now, m)
	}
	if c.server == nil { // to a request of our own
		if m.Status >= 200 && c.final(m) {
			c.told(m.Status)
		}
		return
	}
	if m.Status < 200 {
		s.provisional(e, c)
		return
	}
	s.final(e, c)
}

func (s *shard) provisional(e event, c *clientTx) {
	tx, m := c.server, e.msg
	live := c.state == trying || c.state == proceeding
	c.provisional(m.Status)
	if !live && c.state != accepted || tx.client != c {
		return // late, or of a hop that was given up
	}
	s.connected(tx, e)
	s.copyReceived(tx.call, e, !tx.fromA, 0)
	if m.Status > 100 && live {
		s.up(e, c)
	}
}

func (s *shard) final(e event, c *clientTx) {
	tx, m := c.server, e.msg
	again := c.state == accepted
	if !c.final(m) {
		return
	}
	if tx.client != c && m.Status >= 300 {
		return // a hop that was given up
	}
	if tx.client != c && c.invite {
		s.won(tx, c)
	}
	if failsOver(m.Status) && tx.mayFailOver() {
		s.copyReceived(tx.call, e, !tx.fromA, sipevent.Continue)
		s.tryNext(tx)
		return
	}
	s.connected(tx, e)
	if !again || tx.call.newAnswer(m) {
		s.copyReceived(tx.call, e, !tx.fromA, 0)
	}
	s.up(e, c)
	s.finished(tx, m)
}

// connected takes the identity of who answers, or rings, as its network says.
func (s *shard) connected(tx *serverTx, e event) {
	if c := tx.call; c != nil && (e.msg.Method == "INVITE" || e.msg.Method == "UPDATE") && e.msg.Status > 100 && e.msg.Status < 300 {
		if c.joined(e.msg, e.from, !tx.fromA) {
			s.refreshTaps(c)
		}
	}
}

// won takes a 2xx of a hop that was given up: the one that is tried now must stop
// (RFC 3261 clause 16.7 step 10).
func (s *shard) won(tx *serverTx, c *clientTx) {
	if tx.client.state == trying || tx.client.state == proceeding {
		tx.client.cancel("")
	}
	tx.client = c
	if tx.call != nil && tx.initial {
		tx.call.goesTo(c.hop.peer, false)
	}
}

// failsOver reports whether a status says that this hop cannot serve the request
// while another may.
func failsOver(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// up forwards a response upstream.
func (s *shard) up(e event, c *clientTx) {
	tx, m := c.server, e.msg
	var edits wire.Edits
	m.PopVia(&edits)
	// A response cannot be refused; media that cannot be anchored goes direct.
	_ = tx.call.anchor(&edits, m, !tx.fromA, tx.tagOfB(m))
	m.SetLength(&edits, tx.flow.sock.reliable())
	tx.respond(m.Status, edits.Apply(m.Raw), c.invite)
}

// stray forwards a response whose transaction is not known, as after a restart. RFC
// 6026 clause 8.9 forbids that where anyone could send it; here the branch proves
// that the proxy forwarded the request, and the way back leads to a peer.
func (s *shard) stray(e event) {
	m := e.msg
	var next wire.ViaValue
	n := 0
	for el := range m.Elements(wire.Via) {
		if n++; n == 2 {
			next, _ = wire.ParseVia(m.Raw, el)
			break
		}
	}
	f, to := s.wayBack(next)
	if to == nil || m.Method == "CANCEL" {
		s.proxy.metrics.reject(rejectStray)
		return
	}
	var edits wire.Edits
	m.PopVia(&edits)
	m.SetLength(&edits, f.sock.reliable())
	s.copyStray(e, to)
	s.proxy.send(f, edits.Apply(m.Raw), failure{})
}

// wayBack is where a Via says that a request came from, if a peer is there.
func (s *shard) wayBack(v wire.ViaValue) (flow, *peer) {
	addr := hostAddr(v.Host)
	if v.Received != "" {
		addr = hostAddr(v.Received)
	}
	port := v.Port
	if v.RPort != 0 {
		port = v.RPort
	}
	if !addr.IsValid() {
		return flow{}, nil
	}
	network := strings.ToLower(v.Transport)
	at := withPort(addr, port, network)
	sock := s.proxy.socketFor(network, addr)
	if sock == nil {
		return flow{}, nil
	}
	to := s.proxy.peers.near(at)
	if to != nil && to.certified() && network != netTLS {
		return flow{}, nil
	}
	return flow{sock: sock, remote: at}, to
}

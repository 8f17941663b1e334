package sipproxy

import (
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// callTap is one Task on one call.
type callTap struct {
	tap     *tasking.Tap
	line    *tee.Line
	onA     bool // the target is on A's side
	content bool // something else than a claim matched
}

// lineKey names a line: a call can be several legs, such as a challenged INVITE and
// its second attempt, and their copies must be numbered in one row.
type lineKey struct {
	callID string
	tap    *tasking.Tap
}

type sharedLine struct {
	line *tee.Line
	refs int // calls that use it
}

// lineFor returns the line of a call and a tap.
func (s *shard) lineFor(c *call, tap *tasking.Tap) *tee.Line {
	key := lineKey{c.callID, tap}
	l := s.lines[key]
	if l == nil {
		l = &sharedLine{line: s.proxy.cfg.Tee.Line(tap, s.keys.correlation(tap.XID(), c.callID))}
		s.lines[key] = l
	}
	for _, have := range c.lines {
		if have == key {
			return l.line
		}
	}
	l.refs++
	c.lines = append(c.lines, key)
	return l.line
}

// release gives a call's lines back.
func (s *shard) release(keys []lineKey) {
	for _, key := range keys {
		if l := s.lines[key]; l != nil {
			if l.refs--; l.refs == 0 {
				delete(s.lines, key)
			}
		}
	}
}

// match finds the live taps on a call's parties.
func (s *shard) match(list []party) []callTap {
	var taps []callTap
	for _, p := range list {
		for _, tap := range s.proxy.cfg.Index.Match(p.id) {
			if tap.Live() {
				taps = addTap(taps, callTap{tap: tap, onA: p.onA, content: !p.claimed})
			}
		}
	}
	return taps
}

func addTap(taps []callTap, t callTap) []callTap {
	for i := range taps {
		if taps[i].tap == t.tap {
			taps[i].content = taps[i].content || t.content
			return taps
		}
	}
	return append(taps, t)
}

// refreshTaps looks up who is tapped now. Only a bridged call can be. What only
// tapped calls need is done once the message has gone on.
func (s *shard) refreshTaps(c *call) {
	taps := s.match(c.parties)
	s.count(c, taps)
	if !c.bridged {
		taps = nil
	}
	c.taps = taps
	s.later(func() {
		for i := range taps {
			taps[i].line = s.lineFor(c, taps[i].tap)
		}
		c.applyTaps()
	})
}

// count keeps the LI figures: one match a call.
func (s *shard) count(c *call, taps []callTap) {
	if c.counted || len(taps) == 0 {
		return
	}
	c.counted = true
	if !c.bridged {
		s.proxy.metrics.onNet.Inc()
		return
	}
	s.proxy.metrics.matched.Inc()
	for _, t := range taps {
		if !t.content {
			s.proxy.metrics.untrusted.Inc()
			return
		}
	}
}

// applyTaps gives the relay the rights to copy media, none for an untapped call.
func (c *call) applyTaps() {
	if c.session == nil {
		return
	}
	var content []ContentTap
	for _, t := range c.taps {
		grant := t.tap.Media()
		if grant == nil || !t.content || t.line == nil {
			continue
		}
		target := c.b.side()
		if t.onA {
			target = c.a.side()
		}
		c.unlock(t.line)
		content = append(content, ContentTap{Line: t.line, Grant: grant, Target: target})
	}
	c.session.SetTaps(content)
}

// attachReport matches a request that opens no call: REGISTER of a target, and
// MESSAGE between the operator and the PSTN. Each is a report of its own, so its
// CSeq is part of the correlation.
func (s *shard) attachReport(tx *serverTx) {
	m := tx.req
	c := &call{shard: s, callID: m.CallID, a: tx.from, b: tx.hops[0].peer, ended: true}
	if m.Method == "REGISTER" {
		c.parties = registered(m, tx.from)
		c.bridged = true // reported wherever it goes
	} else {
		c.parties = parties(m, c.a, c.b)
		c.bridged = bridge(c.a, c.b)
	}
	taps := s.match(c.parties)
	s.count(c, taps)
	if !c.bridged || len(taps) == 0 {
		return
	}
	s.later(func() {
		for i := range taps {
			xid := taps[i].tap.XID()
			taps[i].line = s.proxy.cfg.Tee.Line(taps[i].tap, s.keys.correlation(xid, c.callID, number(m.Sequence)))
		}
	})
	c.taps, c.report = taps, true
	tx.call, tx.fromA = c, true
}

// copyReceived copies a message of a call as it came from the network. byA says
// whose side sent it. stage overrides what the message means, 0 does not.
func (s *shard) copyReceived(c *call, e event, byA bool, stage sipevent.Stage) {
	if c == nil || len(c.taps) == 0 {
		return
	}
	s.copyLater(c, e.at, e.msg, e.flow.remote, e.flow.sock.local, byA, stage)
}

// copyLater copies a message once it has gone on, so that the tapped call is not
// kept waiting. The call is copied as it stands now.
func (s *shard) copyLater(c *call, at time.Time, m *wire.Message, src, dst netip.AddrPort, byA bool, stage sipevent.Stage) {
	taps, confirmed := c.taps, c.confirmed
	s.later(func() { copyMessage(taps, confirmed, at, m, src, dst, byA, stage) })
}

// copyOwn copies a final response of the proxy's own: no peer's tells that the
// session is over. It stands for the far side.
func (s *shard) copyOwn(tx *serverTx, m *wire.Message) {
	if tx.call != nil && len(tx.call.taps) > 0 {
		s.copyLater(tx.call, s.now, m, tx.flow.sock.local, tx.flow.remote, !tx.fromA, 0)
	}
}

// lapse tells mediation that a call is over though nobody said so.
func (c *call) lapse(cause string) {
	taps, now := c.taps, c.shard.now
	c.shard.later(func() {
		for _, t := range taps {
			t.line.X2(now, x2x3.NotApplicable, netip.AddrPort{}, netip.AddrPort{}, sipevent.Event{Stage: sipevent.End, Method: cause}, nil)
		}
	})
}

// copyStray copies a response of which no transaction is known, between two peers
// of which one is a trunk.
func (s *shard) copyStray(e event, requester *peer) {
	m := e.msg
	if !bridge(requester, e.from) || requester == e.from {
		return
	}
	c := &call{shard: s, callID: m.CallID, a: requester, b: e.from, bridged: true, confirmed: m.Method != "INVITE", ended: true}
	c.parties = laterParties(m, true, requester)
	s.refreshTaps(c)
	s.copyReceived(c, e, false, 0)
	s.after(s.proxy.cfg.Timers.life(), func() { s.release(c.lines) })
}

func copyMessage(taps []callTap, confirmed bool, at time.Time, m *wire.Message, src, dst netip.AddrPort, byA bool, stage sipevent.Stage) {
	event, err := sipevent.Classify(m.Raw, confirmed)
	if err != nil {
		event = sipevent.Event{Stage: sipevent.Continue, Method: otherMethod, Status: m.Status}
	}
	if stage != 0 {
		event.Stage = stage
	}
	for _, t := range taps {
		dir := x2x3.ToTarget
		if t.onA == byA {
			dir = x2x3.FromTarget
		}
		raw := m.Raw
		if !t.content || t.tap.Media() == nil {
			raw = withoutContent(m)
		}
		t.line.X2(at, dir, src, dst, event, raw)
	}
}

// withoutContent cuts the body of messages whose body is content of communication:
// texts, and digits after the call was set up. The headers stay as they came.
func withoutContent(m *wire.Message) []byte {
	switch m.Method {
	case "MESSAGE", "INFO":
		return m.Raw[:m.Body.Start]
	}
	return m.Raw
}

package sipproxy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li/sipevent"
)

// call is one forwarded INVITE and the dialogs that it made. It belongs to its
// shard's goroutine.
type call struct {
	shard   *shard
	leg     leg
	callID  string
	aTag    string // A's tag
	a, b    *peer  // who sent the first request, and who got it
	entered *peer  // b, once it counts the call
	bridged bool   // exactly one of them is a trunk

	confirmed bool     // a 2xx came
	ended     bool     // media is freed; the rest stays for late messages
	dialogs   []string // B's tags of dialogs that were confirmed and not hung up
	mediaTag  string   // B's tag whose answer the media follows; empty = any
	lastAck   string   // branch of the last ACK to a 2xx

	parties []party
	taps    []callTap
	lines   []lineKey
	counted bool // the match is in the LI figures
	report  bool // no call: a registration or text on its own

	session MediaSession // nil until the first session description
	secrets []secret     // SRTP keys of its streams
	flows   bool         // the last description wants media both ways in some stream
	touched time.Time
	limit   time.Duration // without signalling and media for so long it is forgotten
	idle    *timer
}

// attach finds or makes the call that a request belongs to, looks up its taps and
// copies the request. Every request takes this path.
func (s *shard) attach(e event, tx *serverTx) {
	m := tx.req
	fresh := false // the call is known from this message alone
	opens := m.To.Tag == "" && !tx.route.known
	switch {
	case m.Method == "INVITE" && opens:
		tx.initial, tx.fromA = true, true
		tx.call = s.newCall(s.keys.leg(tx.key), m.CallID, tx.from, tx.hops[0].peer)
		tx.call.aTag = m.From.Tag
		tx.call.parties = parties(m, tx.from, tx.hops[0].peer)
	case m.Method == "CANCEL":
		return
	case tx.route.known:
		fresh = s.attachDialog(tx)
	case m.Method == "REGISTER" || m.Method == "MESSAGE" && opens:
		s.attachReport(tx)
	}
	c := tx.call
	if c == nil {
		return
	}
	c.touched = s.now
	if fresh || m.Method == "INVITE" || m.Method == "UPDATE" {
		c.joined(m, tx.from, tx.fromA)
		s.refreshTaps(c)
	}
	if m.Method == "ACK" {
		if c.lastAck == m.TopVia.Branch {
			return
		}
		c.lastAck = m.TopVia.Branch
	}
	s.copyReceived(c, e, tx.fromA, 0)
}

// attachDialog finds the call by the cookie in Route. After a restart the cookie
// and the message are all that is known.
func (s *shard) attachDialog(tx *serverTx) (fresh bool) {
	m, k := tx.req, tx.route.cookie
	tx.fromA = tx.from == k.a
	tx.calleeTag = m.From.Tag
	if tx.fromA {
		tx.calleeTag = m.To.Tag
	}
	tx.call = s.calls[k.leg]
	old := tx.call
	if old != nil && old.ended && (m.Method == "INVITE" || m.Method == "UPDATE") {
		tx.call = nil // the sides go on after all
	}
	if tx.call != nil || !bridge(k.a, k.b) || m.Method == "SUBSCRIBE" || m.Method == "NOTIFY" { // those alone show no session
		return false
	}
	k.a.enter(false)
	c := s.newCall(k.leg, m.CallID, k.a, k.b)
	c.goesTo(k.b, false)
	c.confirmed, c.mediaTag, c.dialogs = true, tx.calleeTag, []string{tx.calleeTag}
	c.aTag = m.To.Tag
	if tx.fromA {
		c.aTag = m.From.Tag
	}
	c.parties = laterParties(m, tx.fromA, tx.from)
	if old != nil {
		c.parties = append(c.parties, old.parties...)
	}
	tx.call = c
	return true
}

// joined takes the identity that the network gives a side in the middle of a call
// (RFC 4916, RFC 5876): who answered, or took over, may be another than was dialled.
// It reports whether that was news.
func (c *call) joined(m *wire.Message, from *peer, byA bool) bool {
	if !from.Trusted || c.report {
		return false
	}
	news := false
	for _, id := range listed(from.numbers, m, wire.PAssertedIdentity) {
		p := party{id: id, onA: byA}
		if !slices.Contains(c.parties, p) {
			c.parties, news = append(c.parties, p), true
		}
	}
	return news
}

// bridge reports whether exactly one of two peers is a trunk.
func bridge(a, b *peer) bool { return (a.Role == RoleTrunk) != (b.Role == RoleTrunk) }

func (s *shard) newCall(l leg, callID string, a, b *peer) *call {
	c := &call{
		shard: s, leg: l, callID: callID, a: a, b: b, bridged: bridge(a, b), touched: s.now, limit: s.proxy.cfg.IdleCall,
	}
	s.calls[l] = c
	s.byCallID[callID] = append(s.byCallID[callID], c)
	s.proxy.metrics.calls.Inc()
	s.proxy.live.Add(1)
	c.watch(c.nextLook())
	return c
}

// goesTo says which peer the first request is tried at now. It reports false when
// that peer has as many calls as it may.
func (c *call) goesTo(p *peer, limited bool) bool {
	if c.report || c.ended {
		return true
	}
	if c.entered != p {
		if !p.enter(limited) {
			return false
		}
		if c.entered != nil {
			c.entered.leave()
		}
		c.entered = p
	}
	if c.b == p {
		return true
	}
	if c.session != nil && c.b.ipv6() != p.ipv6() {
		c.closeMedia() // its ports speak the other address family
	}
	c.b, c.bridged = p, bridge(c.a, p)
	c.shard.refreshTaps(c)
	return true
}

// watch ends the call when neither signalling nor media came for its limit, or no
// media in a call that is not on hold.
func (c *call) watch(wait time.Duration) {
	c.idle.stop()
	c.idle = c.shard.after(wait, func() {
		last, limit, cause := c.touched, c.limit, sipevent.Idle
		if c.session != nil && c.session.LastMedia().After(last) {
			last = c.session.LastMedia()
		}
		if most := c.shard.proxy.cfg.MediaTimeout; most > 0 && most < limit && c.confirmed && c.session != nil && c.flows {
			limit, cause = most, sipevent.NoMedia
		}
		if left := limit - c.shard.now.Sub(last); left > 0 {
			c.watch(min(left, c.nextLook()))
			return
		}
		c.shard.proxy.metrics.lapsed[cause].Inc()
		c.lapse(cause)
		c.end()
	})
}

// nextLook is how long nothing can be due.
func (c *call) nextLook() time.Duration {
	if most := c.shard.proxy.cfg.MediaTimeout; most > 0 {
		return min(most, c.limit)
	}
	return c.limit
}

// minSessionExpires is the least interval of RFC 4028 clause 4.
const minSessionExpires = 90

// refreshed follows a session timer (RFC 4028): when refreshes stop, the session
// is over for both sides.
func (c *call) refreshed(m *wire.Message) {
	seconds, _, _ := strings.Cut(m.Value(wire.SessionExpires), ";")
	n, err := strconv.Atoi(strings.TrimSpace(seconds))
	if err != nil || n < minSessionExpires || m.Method != "INVITE" && m.Method != "UPDATE" {
		return
	}
	limit := min(time.Duration(n)*time.Second+c.shard.proxy.cfg.Timers.life(), c.shard.proxy.cfg.IdleCall)
	if limit < c.limit {
		c.limit = limit
		c.watch(c.nextLook())
	}
	c.limit = limit
}

// newAnswer reports whether a 2xx to INVITE is of a branch that was not heard yet.
func (c *call) newAnswer(m *wire.Message) bool {
	return c == nil || !slices.Contains(c.dialogs, m.To.Tag)
}

// finished follows the final response to a request of a call.
func (s *shard) finished(tx *serverTx, m *wire.Message) {
	c := tx.call
	if c == nil || c.ended {
		return
	}
	c.touched = s.now
	ok := m.Status/100 == 2
	if ok {
		c.refreshed(m)
	}
	switch {
	case m.Method == "INVITE" && tx.initial && ok:
		c.answered(m.To.Tag)
	case m.Method == "INVITE" && tx.initial && len(c.dialogs) == 0:
		c.end()
	case m.Method == "BYE" && m.Status != 401 && m.Status != 407, c.confirmed && !tx.initial && (m.Method == "INVITE" || m.Method == "UPDATE") && (m.Status == 481 || m.Status == 408):
		c.hungUp(tx.calleeTag)
	}
}

func (c *call) answered(tag string) {
	if !c.confirmed {
		c.confirmed, c.mediaTag = true, tag
	}
	if !slices.Contains(c.dialogs, tag) {
		c.dialogs = append(c.dialogs, tag)
	}
}

// hungUp ends one dialog; the call ends with its last one.
func (c *call) hungUp(tag string) {
	c.dialogs = slices.DeleteFunc(c.dialogs, func(t string) bool { return t == tag })
	if c.mediaTag == tag {
		c.mediaTag = ""
	}
	if len(c.dialogs) == 0 {
		c.end()
	}
}

// end frees the media at once and the rest when no late message can come.
func (c *call) end() {
	if c.ended {
		return
	}
	c.ended = true
	c.idle.stop()
	c.closeMedia()
	c.a.leave()
	if c.entered != nil {
		c.entered.leave()
	}
	c.shard.proxy.metrics.calls.Dec()
	c.shard.proxy.live.Add(-1)
	c.shard.after(c.shard.proxy.cfg.Timers.life(), func() {
		c.shard.forget(c)
	})
}

func (s *shard) forget(c *call) {
	if s.calls[c.leg] == c {
		delete(s.calls, c.leg)
	}
	left := slices.DeleteFunc(s.byCallID[c.callID], func(x *call) bool { return x == c })
	if len(left) == 0 {
		delete(s.byCallID, c.callID)
	} else {
		s.byCallID[c.callID] = left
	}
	s.release(c.lines)
}

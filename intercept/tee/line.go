package tee

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// Line is one call under one Task. It holds the X2 and X3 sequence counters
// (TS 103 221-2 clause 5.3.9).
type Line struct {
	tee         *Tee
	tap         *tasking.Tap
	xid         li.XID
	correlation uint64
	x2, x3      atomic.Uint32 // next sequence number
}

// Line opens a line for a call. The correlation must be the same for every message
// and packet of the call, also after a restart of the gateway.
func (t *Tee) Line(tap *tasking.Tap, correlation uint64) *Line {
	return &Line{tee: t, tap: tap, xid: tap.XID(), correlation: correlation}
}

// Tap returns the Task's tap.
func (l *Line) Tap() *tasking.Tap { return l.tap }

// X2 copies a SIP message. It never blocks; a message that finds no room is
// counted as dropped and leaves a gap in the numbers.
func (l *Line) X2(at time.Time, dir x2x3.Direction, src, dst netip.AddrPort, ev sipevent.Event, msg []byte) {
	if !l.tap.Live() {
		return
	}
	m := message{line: l, seq: l.x2.Add(1) - 1, dir: dir, at: at, src: src, dst: dst, event: ev, sip: append([]byte(nil), msg...)}
	select {
	case l.tee.messages <- m:
		l.tee.wake()
	default:
		l.tee.dropped[x2x3.X2].Inc()
	}
}

// X3 copies one media datagram's payload. g must be the grant of this line's Task:
// without it, or when it is no longer live, nothing is copied.
func (l *Line) X3(g *tasking.MediaGrant, at time.Time, dir x2x3.Direction, src, dst netip.AddrPort, payload []byte) {
	if g == nil || g.XID() != l.xid || !g.Live() {
		return
	}
	seq := l.x3.Add(1) - 1
	if len(payload) > maxMediaBytes {
		l.tee.dropped[x2x3.X3].Inc()
		return
	}
	s, pos := l.tee.ring.claim()
	if s == nil {
		l.tee.dropped[x2x3.X3].Inc()
		return
	}
	s.line, s.seq, s.dir, s.at, s.src, s.dst = l, seq, dir, at, src, dst
	s.size = copy(s.data[:], payload)
	s.publish(pos)
	l.tee.wake()
}

// message is one copied SIP message.
type message struct {
	line  *Line
	seq   uint32
	dir   x2x3.Direction
	at    time.Time
	src   netip.AddrPort
	dst   netip.AddrPort
	event sipevent.Event
	sip   []byte
}

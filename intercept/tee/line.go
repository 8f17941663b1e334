package tee

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/bus"
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
	partition   int // of the bus
	x2, x3      counter

	srtp secured
}

// counter numbers the copies of one kind. Numbers are given where copies leave the
// ring, so that their order is the ring's even where two threads copy at once. A
// copy that found no room takes its number there too: the next copy carries how
// many were lost before it.
type counter struct {
	lost atomic.Uint32 // copies that found no room; written on the call's path
	sent uint32        // copies numbered; of Run's goroutine
	seen uint32        // losses numbered; of Run's goroutine
}

// next numbers a copy that was taken after lost others were lost.
func (c *counter) next(lost uint32) uint32 {
	c.seen = max(c.seen, lost)
	n := c.sent + c.seen
	c.sent++
	return n
}

// Line opens a line for a call. The correlation must be the same for every message
// and packet of the call, also after a restart of the gateway.
func (t *Tee) Line(tap *tasking.Tap, correlation uint64) *Line {
	t.mu.Lock()
	t.taps[tap] = struct{}{}
	t.mu.Unlock()
	return &Line{tee: t, tap: tap, xid: tap.XID(), correlation: correlation, partition: bus.Partition(tap.XID(), correlation)}
}

// Tap returns the Task's tap.
func (l *Line) Tap() *tasking.Tap { return l.tap }

// X2 copies a SIP message. It never blocks; a message that finds no room is
// counted as dropped and leaves a gap in the numbers.
func (l *Line) X2(at time.Time, dir x2x3.Direction, src, dst netip.AddrPort, ev sipevent.Event, msg []byte) {
	if !l.tap.Live() {
		return
	}
	m := message{
		line: l, lost: l.x2.lost.Load(), dir: dir, at: at, src: src, dst: dst, event: ev,
		sip: append([]byte(nil), msg...),
	}
	select {
	case l.tee.messages <- m:
	default:
		l.tee.drop(x2x3.X2, &l.x2)
	}
}

// X3 copies one media datagram's payload. g must be the grant of this line's Task:
// without it, or when it is no longer live, nothing is copied.
func (l *Line) X3(g *tasking.MediaGrant, at time.Time, dir x2x3.Direction, src, dst netip.AddrPort, payload []byte) {
	if g == nil || g.XID() != l.xid || !g.Live() {
		return
	}
	if len(payload) > maxMediaBytes {
		l.tee.drop(x2x3.X3, &l.x3)
		return
	}
	s, pos := l.tee.ring.claim()
	if s == nil {
		l.tee.drop(x2x3.X3, &l.x3)
		return
	}
	s.line, s.lost, s.dir, s.at, s.src, s.dst = l, l.x3.lost.Load(), dir, at, src, dst
	s.size = copy(s.data[:], payload)
	s.publish(pos)
}

// message is one copied SIP message.
type message struct {
	line  *Line
	lost  uint32 // copies of the line that were lost before this one
	dir   x2x3.Direction
	at    time.Time
	src   netip.AddrPort
	dst   netip.AddrPort
	event sipevent.Event
	sip   []byte
}

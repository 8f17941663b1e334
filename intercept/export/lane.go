package export

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ligate/ligate/li/x2x3"
)

// item is one bus message on its way.
type item struct {
	at   place
	data []byte
	pdus int
	ack  func() error
	sent bool // on some connection
}

// probe is a keep-alive that is not answered: its answer confirms what was sent before.
type probe struct {
	seq  uint32
	upto uint64 // items sent before it, counted since the start
	at   time.Time
}

// lane is the way to one destination: what waits for it or is not confirmed, in order.
type lane struct {
	*Exporter

	kind x2x3.Type
	addr string
	wake chan struct{} // the connection's writer has something to do; holds at most one

	mu        sync.Mutex // guards the fields below, briefly
	flight    []*item    // not confirmed, oldest first
	held      map[place]*item
	bytes     int           // of flight
	confirmed uint64        // items since the start
	sent      uint64        // items on this connection, counted like confirmed
	probes    []probe       // on this connection, oldest first
	sentBytes int           // sent on this connection and not confirmed
	window    int           // how much that may be
	room      chan struct{} // closed and replaced when something is confirmed
}

func newLane(e *Exporter, kind x2x3.Type, addr string) *lane {
	return &lane{Exporter: e, kind: kind, addr: addr, wake: make(chan struct{}, 1), held: map[place]*item{}, room: make(chan struct{}), window: e.cfg.MaxUnconfirmed}
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// again reports whether a message is on its way already. The bus waits for an answer
// to what it handed out last.
func (l *lane) again(at place, ack func() error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.held[at]
	if i != nil {
		i.ack = ack
	}
	return i != nil
}

// put queues a message, once there is room; false = ctx ended before.
func (l *lane) put(ctx context.Context, i *item) bool {
	for {
		l.mu.Lock()
		if l.bytes == 0 || l.bytes+len(i.data) <= l.cfg.MaxUnconfirmed {
			l.flight, l.held[i.at] = append(l.flight, i), i
			l.bytes += len(i.data)
			l.metrics.unconfirmed[l.kind].Set(float64(l.bytes))
			l.mu.Unlock()
			l.rouse()
			return true
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// begin starts a connection: all that is not confirmed is to be sent. After one that
// broke with something on its way, less may be on its way at once: a path that breaks
// often must neither keep everything from getting through nor get all of it again and
// again.
func (l *lane) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sentBytes > 0 {
		l.window = max(l.window/2, minWindow)
	}
	l.sent, l.probes, l.sentBytes = l.confirmed, nil, 0
}

// next appends what is to be sent now, some messages at most.
func (l *lane) next(dst []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.flight[l.sent-l.confirmed:] {
		if len(dst) > 0 && len(dst)+len(i.data) > maxChunk || l.sentBytes > 0 && l.sentBytes+len(i.data) > l.window {
			break
		}
		dst = append(dst, i.data...)
		l.sent++
		l.sentBytes += len(i.data)
		if i.sent {
			l.metrics.resent[l.kind].Add(float64(i.pdus))
		}
		i.sent = true
		l.metrics.sent[l.kind].Add(float64(i.pdus))
	}
	return dst
}

// ask notes a keep-alive that is about to be sent, if one is due: to keep the
// connection alive, or to learn what has arrived while no other asks that; not too
// often, unless much is on its way.
func (l *lane) ask(seq uint32, now time.Time, since time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since < l.cfg.Keepalive && (!l.unasked() || since < probeEvery && l.sentBytes < l.window/2) {
		return false
	}
	l.probes = append(l.probes, probe{seq, l.sent, now})
	return true
}

// unasked reports whether something was sent that no question covers. mu is held.
func (l *lane) unasked() bool { return len(l.probes) == 0 && l.sent > l.confirmed }

// patience is how long there is nothing to do, unless something happens, since after
// the last keep-alive.
func (l *lane) patience(now time.Time, since time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.cfg.Keepalive - since
	if l.unasked() {
		until = min(until, probeEvery-since)
	}
	if len(l.probes) > 0 {
		until = min(until, l.cfg.Answer-now.Sub(l.probes[0].at))
	}
	return until
}

// oldest is when the oldest unanswered keep-alive was sent; zero = there is none.
func (l *lane) oldest() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.probes) == 0 {
		return time.Time{}
	}
	return l.probes[0].at
}

// answered takes an answer: what was sent before its question is confirmed. false = to
// no question of this connection.
func (l *lane) answered(seq uint32) bool {
	l.mu.Lock()
	found := -1
	for i, p := range l.probes {
		if p.seq == seq {
			found = i
		}
	}
	if found < 0 {
		l.mu.Unlock()
		return false
	}
	done := l.confirm(l.probes[found].upto)
	l.probes = l.probes[found+1:]
	l.mu.Unlock()
	for _, i := range done {
		l.metrics.confirmed[l.kind].Add(float64(i.pdus))
		l.forget(i.ack)
	}
	l.rouse()
	return true
}

// confirm takes the items up to that one out. mu is held; nobody else touches them
// afterwards.
func (l *lane) confirm(upto uint64) []*item {
	if upto <= l.confirmed {
		return nil
	}
	n := upto - l.confirmed
	done := append([]*item(nil), l.flight[:n]...)
	rest := copy(l.flight, l.flight[n:])
	clear(l.flight[rest:])
	l.flight, l.confirmed = l.flight[:rest], upto
	for _, i := range done {
		delete(l.held, i.at)
		l.bytes -= len(i.data)
		l.sentBytes -= len(i.data)
	}
	l.window = min(2*l.window, l.cfg.MaxUnconfirmed)
	l.metrics.unconfirmed[l.kind].Set(float64(l.bytes))
	close(l.room)
	l.room = make(chan struct{})
	return done
}

// run keeps a connection until ctx ends.
func (l *lane) run(ctx context.Context) {
	var logged time.Time
	for wait := l.cfg.MinRedial; ; wait = min(2*wait, l.cfg.MaxRedial) {
		why, worked := l.connect(ctx)
		if ctx.Err() != nil {
			why = reasonStopped
		}
		l.metrics.up[l.kind].Set(0)
		l.metrics.ends[ending{l.kind, why}].Inc()
		if why == reasonStopped {
			return
		}
		if worked {
			wait = l.cfg.MinRedial
		}
		if now := time.Now(); now.Sub(logged) >= logEvery {
			logged = now
			l.cfg.Log.WarnContext(ctx, "no connection to the MDF; it is dialled again",
				slog.String("component", "export"), slog.String("stream", name(l.kind)), slog.String("reason", string(why)))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func name(kind x2x3.Type) string {
	if kind == x2x3.X2 {
		return "x2"
	}
	return "x3"
}

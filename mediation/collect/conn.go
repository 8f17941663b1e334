package collect

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// conn is one connection of an element. Its fields are its goroutine's own.
type conn struct {
	*Collector

	element *Element
	allowed map[x2x3.Type]bool
	tls     *tls.Conn
	in      *x2x3.Reader
	out     []byte // scratch: an answer
	packet  []byte // scratch: an IP packet
	timed   bool   // the PDU in hand came with its time

	pending  map[x2x3.Type]*pending
	since    time.Time // when the oldest PDU that is not published came; zero = none
	silentAt time.Time // when it is dead, unless a keep-alive comes
}

// pending is what waits to be published of one kind.
type pending struct {
	batch bus.Batch
	bytes int
	count int
	known []stored // those that are recognised when they come again
}

// run reads until the connection ends and publishes what it took.
func (c *conn) run(ctx context.Context) end {
	c.pending = map[x2x3.Type]*pending{x2x3.X2: {}, x2x3.X3: {}}
	c.hear(time.Now())
	why := c.read(ctx)
	if c.flush(ctx) {
		return why
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if !c.flush(last) {
		c.cfg.Log.WarnContext(ctx, "the bus did not take what an element sent last; the element was told nothing of it")
	}
	return why
}

// read takes PDUs until the connection ends or ctx does.
func (c *conn) read(ctx context.Context) end {
	for ctx.Err() == nil {
		p, err := c.next()
		now := time.Now()
		switch {
		case err == nil && p.Type != x2x3.X2 && p.Type != x2x3.X3:
			if why := c.keepalive(ctx, &p); why != "" {
				return why
			}
		case c.silent(now):
			return endSilent
		case isTimeout(err): // the time to publish has come
		case err != nil:
			return endOf(err, c.in.Partial())
		default:
			ok := c.take(ctx, &p)
			c.heldUp(now)
			if !ok {
				return endStopped
			}
		}
		if c.due(time.Now()) && !c.flush(ctx) {
			return endStopped
		}
	}
	return endStopped
}

// next waits for a PDU until the time to publish, or to give up, has come.
func (c *conn) next() (x2x3.PDU, error) {
	if !c.in.Ready() {
		at := c.silentAt
		if publish := c.since.Add(c.cfg.Gather); !c.since.IsZero() && (at.IsZero() || publish.Before(at)) {
			at = publish
		}
		if err := c.tls.SetReadDeadline(at); err != nil {
			return x2x3.PDU{}, err
		}
	}
	return c.in.Next()
}

// hear puts the end of our patience off. It is measured while we read: what holds us
// up is not the element's fault.
func (c *conn) hear(now time.Time) {
	if c.cfg.Silence > 0 {
		c.silentAt = now.Add(c.cfg.Silence)
	}
}

func (c *conn) silent(now time.Time) bool { return !c.silentAt.IsZero() && !now.Before(c.silentAt) }

// heldUp takes the time since begin off the element's silence.
func (c *conn) heldUp(begin time.Time) {
	if !c.silentAt.IsZero() {
		c.silentAt = c.silentAt.Add(time.Since(begin))
	}
}

func (c *conn) due(now time.Time) bool {
	return !c.since.IsZero() && (now.Sub(c.since) >= c.cfg.Gather ||
		c.pending[x2x3.X2].bytes >= maxBatchBytes || c.pending[x2x3.X3].bytes >= maxBatchBytes)
}

// keepalive answers one after all before it is stored. An empty end is that it goes on.
func (c *conn) keepalive(ctx context.Context, p *x2x3.PDU) end {
	if p.Type != x2x3.Keepalive || !p.HasSequence {
		return endKeepalive
	}
	if !c.flush(ctx) {
		return endStopped
	}
	c.metrics.keepalives[c.element.ID].Inc()
	c.out = x2x3.AppendKeepaliveAck(c.out[:0], p.Sequence)
	if c.tls.SetWriteDeadline(time.Now().Add(c.cfg.Patience)) != nil {
		return endBroken
	}
	if _, err := c.tls.Write(c.out); isTimeout(err) {
		return endUnread
	} else if err != nil {
		return endBroken
	}
	c.hear(time.Now())
	return ""
}

// flush publishes what was taken; false = ctx ended before all of it was stored.
func (c *conn) flush(ctx context.Context) bool {
	if c.since.IsZero() {
		return true
	}
	defer c.heldUp(time.Now())
	for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
		p := c.pending[kind]
		if p.count == 0 {
			continue
		}
		if !c.publish(ctx, kind, &p.batch) {
			return false
		}
		c.metrics.pdus[kindOf{c.element.ID, kind}].Add(float64(p.count))
		c.seen.remember(p.known)
		p.bytes, p.count, p.known = 0, 0, p.known[:0]
	}
	c.since = time.Time{}
	return true
}

// publish tries until all is stored. Meanwhile nothing is read: the element's own
// buffer fills.
func (c *conn) publish(ctx context.Context, kind x2x3.Type, batch *bus.Batch) bool {
	begin, alarmed := time.Now(), false
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := c.cfg.Bus.PublishAll(ctx, kind, batch)
		if err == nil {
			break
		}
		c.metrics.retries[stepPublish].Inc()
		if ctx.Err() != nil || !pause(ctx, wait) {
			return false
		}
		c.trouble(ctx, stepPublish, err)
		if !alarmed && time.Since(begin) >= stallAlarm {
			alarmed = c.alarm(ctx, alarmStalled, c.element)
		}
	}
	if alarmed {
		c.settle(ctx, alarmStalled, c.element)
	}
	return true
}

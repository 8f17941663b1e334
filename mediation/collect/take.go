package collect

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

const (
	ipv4Bytes = 20
	ipv6Bytes = 40
	rtpBytes  = 8 // of the shorter of RTP's and RTCP's headers
)

// take judges a PDU and puts it into the batch of its call. false = ctx ended before
// it could be judged.
func (c *conn) take(ctx context.Context, p *x2x3.PDU) bool {
	now := c.cfg.Now().UTC()
	c.timed = !p.Time.IsZero()
	if !c.timed {
		p.Time = now
	}
	why := c.judge(p, now)
	if why == "" {
		why = c.adapt(p)
	}
	if why != "" {
		c.refused.refuse(ctx, c.element, p.XID, why)
		return ctx.Err() == nil
	}
	if p.Time.Before(now.Add(-c.cfg.Skew)) {
		c.refused.late(ctx, c.element)
	}
	if p.Extra == nil || len(p.Extra.Additional) == 0 {
		return c.takeFor(ctx, p)
	}
	// The payload belongs to several Tasks: each gets a PDU of its own, without what
	// may tell of the others' targets.
	additional := p.Extra.Additional
	p.Extra.Additional, p.Extra.Matched, p.Extra.Other = nil, nil, nil
	ok := c.takeFor(ctx, p)
	for _, x := range additional {
		q := *p
		q.XID, q.Correlation, q.Sequence, q.HasSequence = x.XID, x.Correlation, x.Sequence, x.HasSequence
		ok = ok && c.takeFor(ctx, &q)
	}
	return ok
}

// takeFor takes a PDU for the one Task that it names, if the element was given it.
func (c *conn) takeFor(ctx context.Context, p *x2x3.PDU) bool {
	given, ok := c.given.ask(ctx, c.element, p.XID)
	if !ok {
		return false
	}
	if !given {
		c.refused.refuse(ctx, c.element, p.XID, foreignTask)
		return ctx.Err() == nil
	}
	to, at := c.pending[p.Type], bus.Partition(p.XID, p.Correlation)
	st, numbered := c.seen.of(c.element, p)
	if c.timed && numbered && c.seen.knows(st) {
		c.metrics.again[c.element.ID].Inc()
		return true
	}
	before := len(to.batch[at])
	msg, err := x2x3.AppendPDU(to.batch[at], p)
	if err != nil {
		c.refused.refuse(ctx, c.element, p.XID, wrongPayload)
		return ctx.Err() == nil
	}
	to.batch[at] = msg
	to.bytes += len(msg) - before
	to.count++
	if c.timed && numbered {
		to.known = append(to.known, st)
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	return true
}

// judge looks at what can be said without asking anybody.
func (c *conn) judge(p *x2x3.PDU, now time.Time) refusal {
	switch {
	case !c.allowed[p.Type]:
		return wrongKind
	case p.NFID != "" && p.NFID != c.element.ID:
		return foreignElement
	case p.Time.After(now.Add(c.cfg.Skew)), p.Time.Before(now.Add(-c.cfg.Backlog)):
		return wrongClock
	case p.Validate() != nil || p.Type == x2x3.X2 && p.Format != x2x3.FormatSIP:
		return wrongFormat
	}
	return ""
}

// adapt makes of a PDU what mediation delivers: a SIP message, or an IP packet.
func (c *conn) adapt(p *x2x3.PDU) refusal {
	if !c.element.Private {
		p.Event, p.Decrypted = nil, false
		if p.Extra != nil {
			p.Extra.Proprietary = nil
		}
	}
	p.NFID = c.element.ID
	switch p.Format {
	case x2x3.FormatSIP:
		if len(p.Payload) == 0 && !found(p) {
			return wrongPayload
		}
	case x2x3.FormatIPv4:
		return trim(p, ipv4Bytes, 4, 2, 0)
	case x2x3.FormatIPv6:
		return trim(p, ipv6Bytes, 6, 4, ipv6Bytes)
	case x2x3.FormatRTP:
		return c.wrap(p)
	default:
		return wrongFormat
	}
	return ""
}

// found reports whether a PDU tells an event that no message stands for.
func found(p *x2x3.PDU) bool {
	event, err := sipevent.DecodeEvent(p.Event)
	return err == nil && event.Stage == sipevent.End && event.Status == 0
}

// trim cuts off what stands behind an IP packet, such as a frame's padding. at is where
// its header says how long it is beside extra octets.
func trim(p *x2x3.PDU, header int, version byte, at, extra int) refusal {
	if len(p.Payload) < header || p.Payload[0]>>4 != version {
		return wrongPayload
	}
	size := int(binary.BigEndian.Uint16(p.Payload[at:])) + extra
	if size < header || size > len(p.Payload) {
		return wrongPayload
	}
	p.Payload = p.Payload[:size]
	return ""
}

// wrap puts bare RTP into the datagram that the attributes tell of. Without them it
// stays as it came.
func (c *conn) wrap(p *x2x3.PDU) refusal {
	if len(p.Payload) < rtpBytes || p.Payload[0]>>6 != 2 {
		return wrongPayload
	}
	if !p.Src.IsValid() || !p.Dst.IsValid() || p.Src.Addr().Is4() != p.Dst.Addr().Is4() {
		return ""
	}
	packet, format, err := x2x3.AppendDatagram(c.packet[:0], p.Src, p.Dst, p.Payload)
	if err != nil {
		return wrongPayload
	}
	c.packet, p.Payload, p.Format = packet, packet, format
	return ""
}

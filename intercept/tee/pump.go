package tee

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// pump is the state of Run's goroutine.
type pump struct {
	tee   *Tee
	batch bus.Batch              // one bus message a partition
	count [bus.Partitions]uint32 // PDUs in each
	bytes int                    // octets in all
	event []byte
	inner []byte // one IP packet
	plain []byte // one decrypted packet
}

// round publishes one batch of each kind and reports whether there was any.
// Signalling goes first, and neither kind can keep the other waiting for long.
func (p *pump) round(ctx context.Context) bool {
	signalling := p.signalling(ctx)
	media := p.media(ctx)
	return signalling || media
}

// signalling fills bus messages with SIP messages that wait.
func (p *pump) signalling(ctx context.Context) bool {
	for room := true; room; {
		m, ok := p.message()
		if !ok {
			break
		}
		if room, ok = p.appendX2(m); !ok {
			p.tee.dropped[x2x3.X2].Inc()
		}
	}
	return p.publish(ctx, x2x3.X2)
}

func (p *pump) message() (m message, ok bool) {
	select {
	case m = <-p.tee.messages:
		return m, true
	default:
		return message{}, false
	}
}

func (p *pump) appendX2(m message) (room, ok bool) {
	p.event = sipevent.AppendEvent(p.event[:0], m.event)
	sip := m.sip
	if m.line.tap.Media() == nil { // a Task of signalling only
		sip = sipevent.WithoutContent(sip)
	}
	m.line.tap.Count(false, len(sip), m.at)
	return p.append(m.line.partition, &x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: m.dir, XID: m.line.xid, Correlation: m.line.correlation,
		Sequence: m.line.x2.next(m.lost), HasSequence: true, Time: m.at, NFID: p.tee.nfid,
		Src: m.src, Dst: m.dst, Event: p.event, Payload: sip,
	})
}

// append puts a PDU into its partition's message. room says whether the round may go
// on, ok whether the PDU could be encoded.
func (p *pump) append(partition int, pdu *x2x3.PDU) (room, ok bool) {
	before := len(p.batch[partition])
	msg, err := x2x3.AppendPDU(p.batch[partition], pdu)
	if err != nil {
		return true, false
	}
	p.batch[partition] = msg
	p.count[partition]++
	p.bytes += len(msg) - before
	return len(msg) < maxBatchBytes && p.bytes < maxRoundBytes, true
}

// media fills bus messages with packets that wait.
func (p *pump) media(ctx context.Context) bool {
	for room := true; room; {
		s := p.tee.ring.next()
		if s == nil {
			break
		}
		var ok bool
		if room, ok = p.appendX3(s); !ok {
			p.tee.dropped[x2x3.X3].Inc()
		}
		p.tee.ring.release(s)
	}
	return p.publish(ctx, x2x3.X3)
}

func (p *pump) appendX3(s *slot) (room, ok bool) {
	seq := s.line.x3.next(s.lost)
	packet := s.data[:s.size]
	plain, opened, sealed := s.line.srtp.open(s.dst, p.plain[:0], packet)
	switch {
	case opened:
		p.plain, packet = plain, plain
	case sealed:
		p.tee.sealed.Inc()
	}
	inner, format, err := x2x3.AppendDatagram(p.inner[:0], s.src, s.dst, packet)
	p.inner = inner
	if err != nil {
		return true, false
	}
	s.line.tap.Count(true, len(inner), s.at)
	return p.append(s.line.partition, &x2x3.PDU{
		Type: x2x3.X3, Format: format, Direction: s.dir, XID: s.line.xid, Correlation: s.line.correlation,
		Sequence: seq, HasSequence: true, Time: s.at, NFID: p.tee.nfid, Payload: inner, Decrypted: opened,
	})
}

// publish tries until the bus has stored the batch or ctx ends, and reports whether
// there was a batch. Meanwhile the rings fill; what finds no room then is counted
// and shows as a gap.
func (p *pump) publish(ctx context.Context, kind x2x3.Type) bool {
	if p.bytes == 0 {
		return false
	}
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := p.tee.out.PublishAll(ctx, kind, &p.batch)
		p.settle(p.tee.published[kind], err != nil)
		if err == nil {
			break
		}
		if !pause(ctx, wait) {
			p.settle(p.tee.dropped[kind], false)
			break
		}
		p.tee.retries.Inc()
	}
	p.bytes = 0
	return true
}

// settle counts the PDUs of the messages that are done and empties those. While some
// are left only the empty ones are.
func (p *pump) settle(as prometheus.Counter, left bool) {
	for i, n := range p.count {
		if n > 0 && (!left || len(p.batch[i]) == 0) {
			as.Add(float64(n))
			p.count[i], p.batch[i] = 0, p.batch[i][:0]
		}
	}
}

// discard counts what is left when there is no more time.
func (p *pump) discard() {
	for _, ok := p.message(); ok; _, ok = p.message() {
		p.tee.dropped[x2x3.X2].Inc()
	}
	for s := p.tee.ring.next(); s != nil; s = p.tee.ring.next() {
		p.tee.dropped[x2x3.X3].Inc()
		p.tee.ring.release(s)
	}
}

// pause waits and reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

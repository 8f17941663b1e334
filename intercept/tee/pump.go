package tee

import (
	"context"
	"time"

	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// pump is the state of Run's goroutine.
type pump struct {
	tee   *Tee
	pdus  []byte // one bus message
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

// signalling fills one bus message with SIP messages that wait.
func (p *pump) signalling(ctx context.Context) bool {
	p.pdus = p.pdus[:0]
	count := 0
	for len(p.pdus) < maxBatchBytes {
		m, ok := p.message()
		if !ok {
			break
		}
		if p.appendX2(m) {
			count++
		} else {
			p.tee.dropped[x2x3.X2].Inc()
		}
	}
	return p.publish(ctx, x2x3.X2, count)
}

func (p *pump) message() (m message, ok bool) {
	select {
	case m = <-p.tee.messages:
		return m, true
	default:
		return message{}, false
	}
}

func (p *pump) appendX2(m message) bool {
	p.event = sipevent.AppendEvent(p.event[:0], m.event)
	sip := m.sip
	if m.line.tap.Media() == nil { // a Task of signalling only
		sip = sipevent.WithoutContent(sip)
	}
	pdu := x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: m.dir, XID: m.line.xid, Correlation: m.line.correlation,
		Sequence: m.line.x2.next(m.lost), HasSequence: true, Time: m.at, NFID: p.tee.nfid,
		Src: m.src, Dst: m.dst, Event: p.event, Payload: sip,
	}
	var err error
	p.pdus, err = x2x3.AppendPDU(p.pdus, &pdu)
	return err == nil
}

// media fills one bus message with packets that wait.
func (p *pump) media(ctx context.Context) bool {
	p.pdus = p.pdus[:0]
	count := 0
	for len(p.pdus) < maxBatchBytes {
		s := p.tee.ring.next()
		if s == nil {
			break
		}
		if p.appendX3(s) {
			count++
		} else {
			p.tee.dropped[x2x3.X3].Inc()
		}
		p.tee.ring.release(s)
	}
	return p.publish(ctx, x2x3.X3, count)
}

func (p *pump) appendX3(s *slot) bool {
	seq := s.line.x3.next(s.lost)
	packet := s.data[:s.size]
	plain, ok, sealed := s.line.srtp.open(s.dst, p.plain[:0], packet)
	switch {
	case ok:
		p.plain, packet = plain, plain
	case sealed:
		p.tee.sealed.Inc()
	}
	inner, format, err := x2x3.AppendDatagram(p.inner[:0], s.src, s.dst, packet)
	p.inner = inner
	if err != nil {
		return false
	}
	pdu := x2x3.PDU{
		Type: x2x3.X3, Format: format, Direction: s.dir, XID: s.line.xid, Correlation: s.line.correlation,
		Sequence: seq, HasSequence: true, Time: s.at, NFID: p.tee.nfid, Payload: inner, Decrypted: ok,
	}
	p.pdus, err = x2x3.AppendPDU(p.pdus, &pdu)
	return err == nil
}

// publish tries until the bus has stored the batch or ctx ends, and reports whether
// there was a batch. Meanwhile the rings fill; what finds no room then is counted
// and shows as a gap.
func (p *pump) publish(ctx context.Context, kind x2x3.Type, count int) bool {
	if count == 0 {
		return false
	}
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		if p.tee.out.Publish(ctx, kind, p.pdus) == nil {
			p.tee.published[kind].Add(float64(count))
			return true
		}
		if !pause(ctx, wait) {
			p.tee.dropped[kind].Add(float64(count))
			return true
		}
		p.tee.retries.Inc()
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

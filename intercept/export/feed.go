package export

import (
	"context"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// place is a message's position on a bus.
type place struct {
	stream string
	seq    uint64
}

// feed takes the messages of one partition. Its fields are its consumer's own.
type feed struct {
	*Exporter

	partition int
	high      map[string]uint64 // the last position handed on, by stream
}

// receive hands a message to its destination's lane and blocks while that is full.
func (f *feed) receive(ctx context.Context, m bus.Message) {
	l := f.lanes[m.Kind]
	if l == nil {
		f.metrics.withheld[withheldMalformed].Inc()
		f.forget(m.Ack)
		return
	}
	at := place{m.Stream, m.Seq}
	if l.again(at, m.Ack) {
		return
	}
	if m.Seq <= f.high[m.Stream] { // confirmed, and the bus missed it
		f.forget(m.Ack)
		return
	}
	data, count := f.prepare(m)
	if count > 0 && !l.put(ctx, &item{at: at, data: data, pdus: count, ack: m.Ack}) {
		return
	}
	f.high[m.Stream] = m.Seq
	if count == 0 {
		f.forget(m.Ack)
	}
}

// forget lets the bus forget a message.
func (e *Exporter) forget(ack func() error) {
	if ack() != nil {
		e.metrics.ackErrors.Inc() // it comes again and is recognised
	}
}

// prepare returns a message's PDUs as the MDF may see them, and how many they are. The
// octets stay as they are where nothing is withheld.
func (f *feed) prepare(m bus.Message) (data []byte, count int) {
	var decoder x2x3.Decoder
	var out []byte // nil = all so far may go as it is
	at := 0
	for at < len(m.Data) {
		p, n, err := decoder.Decode(m.Data[at:])
		if err != nil || p.Type != m.Kind { // nothing behind it can be read
			f.metrics.withheld[withheldMalformed].Inc()
			break
		}
		keep, changed := f.strip(&p)
		if !keep {
			f.metrics.withheld[withheldEvent].Inc()
		}
		if out == nil && (changed || !keep) {
			out = append(make([]byte, 0, len(m.Data)), m.Data[:at]...)
		}
		switch {
		case !keep:
		case changed:
			if out, err = x2x3.AppendPDU(out, &p); err != nil {
				f.metrics.withheld[withheldMalformed].Inc()
				keep = false
			}
		case out != nil:
			out = append(out, m.Data[at:at+n]...)
		}
		if keep {
			count++
		}
		at += n
	}
	if out == nil {
		out = m.Data[:at]
	}
	return out, count
}

// strip takes out what only a ligate understands. A message that is nothing else, such
// as the end of a call without media, does not go out at all.
func (f *feed) strip(p *x2x3.PDU) (keep, changed bool) {
	if f.cfg.Private {
		return true, false
	}
	keep = p.Type != x2x3.X2 || len(p.Payload) > 0
	changed = len(p.Event) > 0 || p.Decrypted || p.Extra != nil && len(p.Extra.Proprietary) > 0
	p.Event, p.Decrypted = nil, false
	if p.Extra != nil {
		p.Extra.Proprietary = nil
	}
	return keep, changed
}

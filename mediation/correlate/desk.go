package correlate

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// call is what a gateway names a session by.
type call struct {
	xid         li.XID
	correlation uint64
}

// place is a message's position on a bus.
type place struct {
	bus string
	seq uint64
}

// held is a bus message whose PDUs are not all settled.
type held struct {
	place  place
	stored time.Time // by the bus that is read
	size   int64
	left   atomic.Int32 // parts not settled, and one for the desk while it hands out
	ack    func() error
}

// part is those PDUs of one message that belong to one call, in order.
type part struct {
	msg  *held
	kind segment.Kind
	call call
	pdus []x2x3.PDU
}

func (p part) position() evidence.Position {
	return evidence.Position{Bus: p.msg.place.bus, Kind: p.kind, Seq: p.msg.place.seq}
}

// latest is when the newest PDU was intercepted.
func (p part) latest() (at time.Time) {
	for i := range p.pdus {
		if p.pdus[i].Time.After(at) {
			at = p.pdus[i].Time
		}
	}
	return at
}

// desk splits messages into parts, hands each to the worker of its call, and tells
// the bus when a message is settled. receive is called from one goroutine.
type desk struct {
	workers []*worker
	refusal *refusal
	metrics *metrics
	room    *semaphore.Weighted // octets of messages that may be held, over all desks
	limit   int64
	end     context.CancelCauseFunc // ends the partition's run
	now     func() time.Time
	reading reading

	mu   sync.Mutex        // guards the fields below, briefly
	held map[place]*held   // what is not settled
	high map[string]uint64 // the last position handed out, by bus
}

func newDesk(c *Correlator, end context.CancelCauseFunc) *desk {
	d := &desk{
		workers: make([]*worker, c.cfg.Workers), refusal: c.refusal, metrics: c.metrics, room: c.room, limit: c.cfg.MaxHeldBytes, end: end, now: c.cfg.Now,
		held: map[place]*held{}, high: map[string]uint64{},
	}
	for i := range d.workers {
		d.workers[i] = &worker{Correlator: c, desk: d, in: make(chan part, queueLength), calls: map[call]*entry{}}
	}
	return d
}

// leave gives back what a run that has ended still held.
func (d *desk) leave() {
	for _, h := range d.held {
		d.room.Release(h.size)
		d.metrics.held.Sub(float64(h.size))
	}
	for _, w := range d.workers {
		for _, e := range w.calls {
			if e.session != nil {
				d.metrics.open.Dec()
			}
		}
	}
}

// buses are those of which messages came.
func (d *desk) buses() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.high))
}

// overhead is what a message costs in memory beside its octets, roughly.
const overhead = 512

func (d *desk) receive(ctx context.Context, m bus.Message) {
	d.reading.busy()
	h := &held{place: place{m.Stream, m.Seq}, stored: m.Stored, size: min(int64(2*len(m.Data)+overhead), d.limit), ack: m.Ack}
	if d.again(h) {
		d.reading.handed(m.Stored, d.now())
		return
	}
	if d.room.Acquire(ctx, h.size) != nil {
		return
	}
	d.mu.Lock()
	d.held[h.place], d.high[m.Stream] = h, m.Seq
	d.mu.Unlock()
	d.metrics.held.Add(float64(h.size))
	parts := d.split(ctx, h, m)
	h.left.Store(int32(len(parts)) + 1) //nolint:gosec // a message of 1 MiB has at most 26214 PDUs
	for _, p := range parts {
		select {
		case d.worker(p.call).in <- p:
		case <-ctx.Done():
			return
		}
	}
	d.reading.handed(m.Stored, d.now())
	d.settle(h)
}

// again reports whether a message was handed out before: one that is held will be
// settled; one that was settled is acknowledged again, for the bus missed it.
func (d *desk) again(h *held) bool {
	d.mu.Lock()
	_, isHeld := d.held[h.place]
	seen := h.place.seq <= d.high[h.place.bus]
	d.mu.Unlock()
	if seen && !isHeld {
		_ = h.ack() // else it comes once more
	}
	return seen
}

// settle counts one part of a message; the last one lets the bus forget it.
func (d *desk) settle(h *held) {
	if h.left.Add(-1) > 0 {
		return
	}
	if h.ack() != nil {
		d.metrics.ackErrors.Inc() // it comes again and is known
	}
	d.mu.Lock()
	delete(d.held, h.place)
	d.mu.Unlock()
	d.room.Release(h.size)
	d.metrics.held.Sub(float64(h.size))
}

// split reads a message. What cannot be read is refused: nothing behind it can be.
func (d *desk) split(ctx context.Context, h *held, m bus.Message) []part {
	kind := segment.KindCC
	if m.Kind == x2x3.X2 {
		kind = segment.KindIRI
	}
	var parts []part
	index := map[call]int{}
	for b := m.Data; len(b) > 0; {
		p, n, err := x2x3.DecodePDU(b)
		if err != nil || p.Type != m.Kind || (m.Kind != x2x3.X2 && m.Kind != x2x3.X3) {
			d.refusal.refuse(ctx, p.XID, malformed, 1)
			break
		}
		b = b[n:]
		id := call{p.XID, p.Correlation}
		i, ok := index[id]
		if !ok {
			i = len(parts)
			index[id], parts = i, append(parts, part{msg: h, kind: kind, call: id})
		}
		parts[i].pdus = append(parts[i].pdus, p)
	}
	return parts
}

// worker is always the same one for a call.
func (d *desk) worker(id call) *worker {
	h := fnv.New32a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(id.xid[:], id.correlation))
	return d.workers[h.Sum32()%uint32(len(d.workers))] //nolint:gosec // a handful of workers
}

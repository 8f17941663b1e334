package tee

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// Config is what a Tee needs; fields without a default are required.
type Config struct {
	Log     *slog.Logger
	Out     publisher
	NFID    string                // this network element, the X1 neIdentifier
	X2Slots int                   // SIP messages that may wait; default 4096
	X3Slots int                   // media packets that may wait; default 16384 (26 MB)
	LIReg   prometheus.Registerer // LI figures; nil = none
}

// publisher stores PDUs for mediation. nil means durably stored; pdus may be
// reused after the call. It is called from one goroutine.
type publisher interface {
	Publish(ctx context.Context, kind x2x3.Type, pdus []byte) error
}

const (
	defaultX2Slots = 4096
	defaultX3Slots = 16384
	maxBatchBytes  = 48 << 10 // X3 octets in one bus message
	gatherTime     = 10 * time.Millisecond
	minRetry       = 50 * time.Millisecond
	maxRetry       = 2 * time.Second
	drainTime      = 3 * time.Second
)

// Tee copies calls to the bus.
type Tee struct {
	log      *slog.Logger
	out      publisher
	nfid     string
	messages chan message
	ring     *ring
	bell     chan struct{} // holds one token when something may wait

	dropped   map[x2x3.Type]prometheus.Counter // read only after New
	published map[x2x3.Type]prometheus.Counter // read only after New
	retries   prometheus.Counter
}

// New validates the configuration; Run does the work.
func New(cfg Config) (*Tee, error) {
	if cfg.Log == nil || cfg.Out == nil || cfg.NFID == "" {
		return nil, errors.New("tee: Log, Out and NFID are required")
	}
	if cfg.X2Slots == 0 {
		cfg.X2Slots = defaultX2Slots
	}
	if cfg.X3Slots == 0 {
		cfg.X3Slots = defaultX3Slots
	}
	t := &Tee{
		log: cfg.Log, out: cfg.Out, nfid: cfg.NFID,
		messages: make(chan message, cfg.X2Slots), ring: newRing(cfg.X3Slots), bell: make(chan struct{}, 1),
	}
	return t, t.metrics(cfg.LIReg)
}

func (t *Tee) metrics(reg prometheus.Registerer) error {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_tee_dropped_pdus_total", Help: "Copies that found no room; each shows as a gap.",
	}, []string{"kind"})
	published := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_tee_published_pdus_total", Help: "PDUs that the bus has stored.",
	}, []string{"kind"})
	t.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ligate_tee_publish_retries_total", Help: "Attempts to publish that failed and were made again.",
	})
	t.dropped = map[x2x3.Type]prometheus.Counter{x2x3.X2: dropped.WithLabelValues("x2"), x2x3.X3: dropped.WithLabelValues("x3")}
	t.published = map[x2x3.Type]prometheus.Counter{x2x3.X2: published.WithLabelValues("x2"), x2x3.X3: published.WithLabelValues("x3")}
	if reg == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{dropped, published, t.retries} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("tee: register metrics: %w", err)
		}
	}
	return nil
}

func (t *Tee) wake() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

// Run publishes copies until ctx ends; then it publishes what still waits, for
// at most drainTime, and returns nil. Copies that the bus would not take by then
// are counted as dropped and reported as an error.
func (t *Tee) Run(ctx context.Context) error {
	p := &pump{tee: t}
	for ctx.Err() == nil {
		if p.round(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-t.bell:
			p.gather(ctx)
		}
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for p.round(drain) {
	}
	if drain.Err() != nil {
		return errors.New("tee: copies were left when the gateway stopped")
	}
	return nil
}

// pump is the state of Run's goroutine.
type pump struct {
	tee   *Tee
	pdus  []byte // one bus message
	event []byte
	inner []byte // one IP packet
}

// gather lets a little media come together, so that many packets make one bus
// message. Signalling does not wait.
func (p *pump) gather(ctx context.Context) {
	if len(p.tee.messages) > 0 {
		return
	}
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// round publishes one batch of what waits and reports whether there was any.
// Signalling goes first: IRI must not wait for CC.
func (p *pump) round(ctx context.Context) bool {
	select {
	case m := <-p.tee.messages:
		p.sip(ctx, m)
		return true
	default:
	}
	return p.media(ctx)
}

func (p *pump) sip(ctx context.Context, m message) {
	p.event = sipevent.AppendEvent(p.event[:0], m.event)
	pdu := x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: m.dir, XID: m.line.xid, Correlation: m.line.correlation,
		Sequence: m.seq, HasSequence: true, Time: m.at, NFID: p.tee.nfid, Src: m.src, Dst: m.dst, Event: p.event, Payload: m.sip,
	}
	var err error
	if p.pdus, err = x2x3.AppendPDU(p.pdus[:0], &pdu); err != nil {
		p.tee.dropped[x2x3.X2].Inc()
		return
	}
	p.publish(ctx, x2x3.X2, 1)
}

// media fills one bus message with as many packets as are there.
func (p *pump) media(ctx context.Context) bool {
	p.pdus = p.pdus[:0]
	count := 0
	for len(p.pdus) < maxBatchBytes {
		s := p.tee.ring.next()
		if s == nil {
			break
		}
		if p.append(s) {
			count++
		} else {
			p.tee.dropped[x2x3.X3].Inc()
		}
		p.tee.ring.release(s)
	}
	if count == 0 {
		return false
	}
	p.publish(ctx, x2x3.X3, count)
	return true
}

func (p *pump) append(s *slot) bool {
	inner, format, err := x2x3.AppendDatagram(p.inner[:0], s.src, s.dst, s.data[:s.size])
	p.inner = inner
	if err != nil {
		return false
	}
	pdu := x2x3.PDU{
		Type: x2x3.X3, Format: format, Direction: s.dir, XID: s.line.xid, Correlation: s.line.correlation,
		Sequence: s.seq, HasSequence: true, Time: s.at, NFID: p.tee.nfid, Payload: inner,
	}
	pdus, err := x2x3.AppendPDU(p.pdus, &pdu)
	p.pdus = pdus
	return err == nil
}

// publish tries until the bus has stored the batch or ctx ends. Meanwhile the
// rings fill; what finds no room then is counted and shows as a gap.
func (p *pump) publish(ctx context.Context, kind x2x3.Type, count int) {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := p.tee.out.Publish(ctx, kind, p.pdus)
		if err == nil {
			p.tee.published[kind].Add(float64(count))
			return
		}
		p.tee.retries.Inc()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			if p.last(ctx, kind, count) {
				return
			}
			p.tee.dropped[kind].Add(float64(count))
			return
		case <-timer.C:
		}
	}
}

// last tries once more after ctx ended: the batch left the ring already.
func (p *pump) last(ctx context.Context, kind x2x3.Type, count int) bool {
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if p.tee.out.Publish(final, kind, p.pdus) != nil {
		return false
	}
	p.tee.published[kind].Add(float64(count))
	return true
}

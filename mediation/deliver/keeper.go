package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// brokenAfter is for how many times Refresh a delivery may fail to begin before that is
// shown, and what comes meanwhile is refused.
const brokenAfter = 30

// keeper opens one agency's spools and keeps its links. Its own goroutine does what may
// wait for the bus, so that no agency's trouble holds up another's, or the end of a
// delivery.
type keeper struct {
	*Outlet

	agency  warrant.AgencyID
	way     *way
	changed chan struct{} // capacity 1

	mu     sync.Mutex         // guards wanted, cut and queues, and writes of the way; held briefly
	wanted *warrant.Delivery  // that counts; nil = none
	cut    context.CancelFunc // ends the links that run; nil = none does
	queues queues             // that are open

	// Of the goroutine that runs:
	channels map[segment.Kind]*channel
	drop     *dropChannel
	tried    int       // number of the delivery that was begun last
	failing  time.Time // since when it could not begin; zero = it could
	alarmed  bool
	running  sync.WaitGroup
}

// channel is one of an agency's two interfaces, from when it was first needed.
type channel struct {
	lateness

	kind  segment.Kind
	queue *queue
	spool *bus.Spool
	marks *marks
	ended chan struct{} // closed when the link of the delivery that counted has ended; nil = there was none
}

func newKeeper(o *Outlet, id warrant.AgencyID) *keeper {
	return &keeper{Outlet: o, agency: id, way: o.way(id), changed: make(chan struct{}, 1), channels: map[segment.Kind]*channel{}}
}

// want lets a delivery count from now on, or none: what went under another one stops.
// It does not wait.
func (k *keeper) want(d *warrant.Delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d == nil && k.wanted == nil || d != nil && k.wanted != nil && d.Number == k.wanted.Number {
		return
	}
	k.wanted = d
	if k.cut != nil {
		k.cut()
		k.cut = nil
	}
	var next *outbound
	if d != nil {
		next = newOutbound(*d, k.queues)
	}
	k.way.now.Store(next)
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// run keeps the agency's ways out until ctx ends.
func (k *keeper) run(ctx context.Context) {
	defer k.running.Wait()
	for ctx.Err() == nil {
		k.keep(ctx)
		k.lag(ctx)
		timer := time.NewTimer(k.cfg.Refresh)
		select {
		case <-ctx.Done():
		case <-k.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// keep begins the delivery that counts, unless that is done.
func (k *keeper) keep(ctx context.Context) {
	k.mu.Lock()
	d := k.wanted
	k.mu.Unlock()
	now := k.way.now.Load()
	if d == nil || d.Number != k.tried {
		k.failing, k.alarmed = time.Time{}, false
	}
	if d == nil {
		k.await()
		return
	}
	if k.tried = d.Number; now != nil && now.whole {
		return
	}
	if k.failing.IsZero() {
		k.failing = k.cfg.Now()
	}
	k.await()
	err := k.begin(ctx, *d)
	if err == nil {
		k.failing, k.alarmed = time.Time{}, false
		return
	}
	k.trouble(ctx, "open_spool", err)
	if k.broken() && !k.alarmed {
		k.alarmed = openAlarm(ctx, k.cfg.Alarms, alarmBroken, "agency "+string(k.agency))
	}
}

func (k *keeper) broken() bool {
	return !k.failing.IsZero() && k.cfg.Now().Sub(k.failing) >= brokenAfter*k.cfg.Refresh
}

// await waits until the links that were cut have ended: two must not speak to one LEMF.
func (k *keeper) await() {
	k.mu.Lock()
	run := k.cut != nil
	k.mu.Unlock()
	for _, c := range k.channels {
		if !run && c.ended != nil {
			<-c.ended
			c.ended = nil
		}
	}
}

// begin opens what a delivery needs. What can be opened is used, also where something
// cannot.
func (k *keeper) begin(ctx context.Context, d warrant.Delivery) error {
	var dropErr, err error
	if d.FileDrop {
		if dropErr = k.openDrop(ctx, d); errors.Is(dropErr, errNoDrop) {
			dropErr = nil // shown
		}
	}
	if d.HI2 != "" {
		err = k.open(ctx, d)
	}
	err = errors.Join(dropErr, err)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wanted == nil || k.wanted.Number != d.Number { // another one counts meanwhile
		return nil
	}
	if iri, cc := k.channels[segment.KindIRI], k.channels[segment.KindCC]; iri != nil && cc != nil {
		k.queues.iri, k.queues.cc = iri.queue, cc.queue
	}
	if k.drop != nil {
		k.queues.drop = k.drop.queue
	}
	connected := k.connect(ctx, d)
	out := newOutbound(d, k.queues)
	out.whole, out.stuck = err == nil && connected, err != nil && k.broken()
	k.way.now.Store(out)
	return err
}

// open opens the two spools of an agency and lets their queues run. Where they are open
// their limits become those of the delivery.
func (k *keeper) open(ctx context.Context, d warrant.Delivery) error {
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		limit := d.BufferIRI
		if kind == segment.KindCC {
			limit = d.BufferCC
		}
		spool, err := k.spool(ctx, string(kind), limit)
		if err != nil {
			return err
		}
		if k.channels[kind] != nil {
			continue
		}
		c := &channel{lateness: newLateness(k.agency, interfaceOf(kind)), kind: kind, queue: newQueue(), spool: spool, marks: newMarks()}
		k.channels[kind] = c
		k.running.Go(func() { c.queue.run(ctx, c.spool, k.stuck(ctx, c.name)) })
	}
	return nil
}

func (k *keeper) spool(ctx context.Context, name string, limit int64) (*bus.Spool, error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return k.cfg.Bus.Spool(attempt, string(k.agency)+"-"+name, limit)
}

// stuck shows trouble with a spool that lasts.
func (k *keeper) stuck(ctx context.Context, name string) func(time.Time, error) {
	shown := time.Time{}
	return func(since time.Time, err error) {
		if time.Since(since) >= publishAlarm && !shown.Equal(since) {
			shown = since
			_ = openAlarm(ctx, k.cfg.Alarms, alarmStuck, name)
			k.trouble(ctx, "publish", err)
		}
	}
}

// connect begins the links of a delivery, unless they run. It reports false where some
// that were cut have not ended: begin must be called again. mu is held.
func (k *keeper) connect(ctx context.Context, d warrant.Delivery) bool {
	if k.cut != nil || k.queues.iri == nil || d.HI2 == "" {
		return true
	}
	iri, cc := k.channels[segment.KindIRI], k.channels[segment.KindCC]
	if iri.ended != nil || cc.ended != nil {
		return false
	}
	run, cut := context.WithCancel(ctx)
	k.cut = cut
	k.link(run, iri, d.HI2, d)
	k.link(run, cc, d.HI3, d)
	return true
}

// link keeps one interface's connection until run ends.
func (k *keeper) link(run context.Context, c *channel, addr string, d warrant.Delivery) {
	if addr == "" {
		return
	}
	ended := make(chan struct{})
	c.ended = ended
	l := &link{
		name: c.name, kind: c.kind, addr: addr, delivery: d, tls: k.cfg.TLS(d.Cert), spool: c.spool, timing: k.cfg.Timing, operator: k.operator(d),
		log: k.cfg.Log, metrics: k.metrics.link(d.AgencyID, c.kind), alarms: k.cfg.Alarms, confirmed: c.marks,
	}
	k.running.Go(func() {
		defer close(ended)
		k.hold(run, c.name, "hold_link", func(ctx context.Context) error { l.run(ctx); return nil })
	})
}

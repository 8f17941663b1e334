package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Alarms of delivery.
const (
	alarmDown  = "handover_link_down"
	alarmLag   = "handover_lag"
	alarmFull  = "handover_buffer_full"
	alarmStuck = "handover_spool_stuck"

	alarmBroken = "handover_misconfigured"
)

const (
	attemptTimeout = 15 * time.Second
	alarmAfter     = 5 // looks
)

// channel is one agency's interface while some delivery of it counts.
type channel struct {
	agency warrant.AgencyID
	kind   segment.Kind
	queue  *queue
	spool  *bus.Spool
	marks  *marks
	stop   context.CancelFunc // ends the link of the delivery that counts; nil = none runs
	number int                // of that delivery
	ended  chan struct{}      // closed when that link has ended
	late   bool               // the lag alarm is open
}

func (c *channel) name() string {
	if c.kind == segment.KindIRI {
		return "agency " + string(c.agency) + " hi2"
	}
	return "agency " + string(c.agency) + " hi3"
}

// manager is the state of Run's goroutine.
type manager struct {
	*Outlet

	refreshing sync.Mutex // one refresh at a time; guards channels, drops and failed, and is held while spools are opened
	channels   map[warrant.AgencyID]map[segment.Kind]*channel
	drops      map[warrant.AgencyID]*dropChannel
	failed     map[warrant.AgencyID]int // looks in a row at which a delivery could not begin
	running    sync.WaitGroup
}

// Run pushes until ctx ends, which is no error. What is not confirmed then goes when
// it runs again.
func (o *Outlet) Run(ctx context.Context) error {
	select {
	case <-o.cfg.Bus.Ready():
	case <-ctx.Done():
		return nil
	}
	m := &manager{Outlet: o, channels: map[warrant.AgencyID]map[segment.Kind]*channel{}, drops: map[warrant.AgencyID]*dropChannel{}, failed: map[warrant.AgencyID]int{}}
	defer m.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.refresh = func() error { return m.look(ctx) }
	known := false
	for {
		if err := m.look(ctx); err != nil {
			m.trouble(ctx, "list_deliveries", err)
		} else if !known {
			known = true
			close(o.ready)
			m.running.Go(func() { o.pump(ctx) })
		}
		m.lag(ctx)
		m.dropLag(ctx)
		if !pause(ctx, o.cfg.Refresh) {
			return nil
		}
	}
}

func (o *Outlet) trouble(ctx context.Context, step string, err error) {
	if ctx.Err() == nil {
		o.metrics.retries.Inc()
		o.cfg.Log.WarnContext(ctx, "delivery waits and tries again", slog.String("step", step), slog.Any("err", err))
	}
}

// look makes the ways out those of the deliveries that count now.
func (m *manager) look(ctx context.Context) error {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	all, err := m.cfg.Records.ActiveDeliveries(attempt)
	if err != nil {
		return err
	}
	seen := map[warrant.AgencyID]bool{}
	for _, d := range all {
		seen[d.AgencyID] = true
		err := m.adopt(ctx, d)
		if err == nil {
			delete(m.failed, d.AgencyID)
			continue
		}
		m.trouble(ctx, "open_spool", err)
		if m.failed[d.AgencyID]++; m.failed[d.AgencyID] == alarmAfter {
			_ = openAlarm(ctx, m.cfg.Alarms, alarmBroken, "agency "+string(d.AgencyID))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, out := range m.agencies {
		if !seen[id] { // withdrawn: what is on the spool waits for another delivery
			out.gone.Store(true)
			out.dropGone.Store(true)
			delete(m.agencies, id)
			for _, c := range m.channels[id] {
				c.hangUp()
			}
		}
	}
	return nil
}

func (c *channel) hangUp() {
	if c.stop != nil {
		c.stop()
		<-c.ended
		c.stop = nil
	}
}

// adopt lets a delivery count.
func (m *manager) adopt(ctx context.Context, d warrant.Delivery) error {
	m.mu.Lock()
	now := m.agencies[d.AgencyID]
	m.mu.Unlock()
	if now != nil && now.delivery.Number == d.Number {
		return nil
	}
	out := &outbound{delivery: d}
	if d.FileDrop {
		var err error
		if out.drop, err = m.openDrop(ctx, d); err != nil && !errors.Is(err, errNoDrop) {
			return err
		}
	}
	switch {
	case d.HI2 == "":
	case m.channels[d.AgencyID] == nil:
		if err := m.open(ctx, d); err != nil {
			return err
		}
	default: // the limits may be others
		for kind, limit := range map[segment.Kind]int64{segment.KindIRI: d.BufferIRI, segment.KindCC: d.BufferCC} {
			attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
			_, err := m.cfg.Bus.Spool(attempt, string(d.AgencyID)+"-"+string(kind), limit)
			cancel()
			if err != nil {
				return err
			}
		}
	}
	if channels := m.channels[d.AgencyID]; channels != nil {
		m.connect(ctx, channels[segment.KindIRI], d.HI2, d)
		m.connect(ctx, channels[segment.KindCC], d.HI3, d)
		if d.HI2 != "" {
			out.iri, out.cc = channels[segment.KindIRI].queue, channels[segment.KindCC].queue
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now != nil { // sessions that go on keep their delivery, but not a way that is closed
		now.gone.Store(d.HI2 == "")
		now.dropGone.Store(!d.FileDrop)
	}
	m.agencies[d.AgencyID] = out
	return nil
}

// open opens the two spools of an agency and lets their queues run.
func (m *manager) open(ctx context.Context, d warrant.Delivery) error {
	channels := map[segment.Kind]*channel{}
	for kind, limit := range map[segment.Kind]int64{segment.KindIRI: d.BufferIRI, segment.KindCC: d.BufferCC} {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		spool, err := m.cfg.Bus.Spool(attempt, string(d.AgencyID)+"-"+string(kind), limit)
		cancel()
		if err != nil {
			return err
		}
		channels[kind] = &channel{agency: d.AgencyID, kind: kind, queue: newQueue(), spool: spool, marks: newMarks()}
	}
	m.channels[d.AgencyID] = channels
	for _, c := range channels {
		m.running.Go(func() { c.queue.run(ctx, c.spool, m.stuck(ctx, c.name())) })
	}
	return nil
}

// stuck shows trouble with a spool that lasts.
func (m *manager) stuck(ctx context.Context, name string) func(time.Time, error) {
	shown := time.Time{}
	return func(since time.Time, err error) {
		if time.Since(since) >= publishAlarm && !shown.Equal(since) {
			shown = since
			_ = openAlarm(ctx, m.cfg.Alarms, alarmStuck, name)
			m.trouble(ctx, "publish", err)
		}
	}
}

// connect ends the link of the delivery that counted and begins that of d.
func (m *manager) connect(ctx context.Context, c *channel, addr string, d warrant.Delivery) {
	c.hangUp()
	if addr == "" {
		return
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	c.stop, c.ended, c.number = stop, ended, d.Number
	l := &link{
		name: c.name(), addr: addr, delivery: d, tls: m.lemfTLS(d), spool: c.spool, timing: m.cfg.Timing, operator: m.operator(d),
		log: m.cfg.Log, metrics: m.metrics.link(d.AgencyID, c.kind), alarms: m.cfg.Alarms, confirmed: c.marks,
	}
	m.running.Go(func() {
		defer close(ended)
		for run.Err() == nil {
			err := m.cfg.Hold(run, "handover "+c.name(), func(ctx context.Context) error { l.run(ctx); return nil })
			if err != nil {
				m.trouble(run, "hold_link", err)
				pause(run, time.Second)
			}
		}
	})
}

func (m *manager) lemfTLS(d warrant.Delivery) *tls.Config { return m.cfg.TLS(d.Cert) }

// lag shows what waits too long, here and to the LEMF.
func (m *manager) lag(ctx context.Context) {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	for id, channels := range m.channels {
		m.mu.Lock()
		out := m.agencies[id]
		m.mu.Unlock()
		if out == nil {
			continue
		}
		for _, c := range channels {
			attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
			b, err := c.spool.Backlog(attempt)
			cancel()
			if err != nil {
				continue
			}
			m.metrics.backlog(id, interfaceOf(c.kind), b.Messages, b.Octets)
			late := b.Messages > 0 && m.cfg.Now().Sub(b.Oldest) > out.delivery.LagAlarm
			switch {
			case late && !c.late:
				c.late = openAlarm(ctx, m.cfg.Alarms, alarmLag, c.name())
				m.warn(ctx, out, c, "delivery is late: the oldest record waits since "+b.Oldest.UTC().Format(time.RFC3339))
			case !late && c.late:
				c.late = !closeAlarm(ctx, m.cfg.Alarms, alarmLag, c.name())
				m.warn(ctx, out, c, "delivery is in time again")
			}
		}
	}
}

// warn tells the LEMF by an HI1 alarm, behind what waits for HI2.
func (m *manager) warn(ctx context.Context, out *outbound, c *channel, text string) {
	iface := "HI2: "
	if c.kind == segment.KindCC {
		iface = "HI3: "
	}
	if err := m.notify(out, noticeOf(iface+text, m.cfg.Now())); err != nil {
		m.trouble(ctx, "notify", err)
	}
}

func openAlarm(ctx context.Context, a alarms, kind, object string) bool {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return a.OpenAlarm(attempt, kind, object) == nil
}

func closeAlarm(ctx context.Context, a alarms, kind, object string) bool {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return a.CloseAlarm(attempt, kind, object) == nil
}

// Full shows that an agency's limit is reached: some records go to the sealed store
// only.
func (o *Outlet) Full(ctx context.Context, l *Line, kind segment.Kind, records int) {
	o.metrics.refused(interfaceOf(kind), records)
	name := (&channel{agency: l.agency.delivery.AgencyID, kind: kind}).name()
	if !openAlarm(ctx, o.cfg.Alarms, alarmFull, name) && ctx.Err() == nil {
		o.cfg.Log.WarnContext(ctx, "a full buffer is not shown as an alarm", slog.Any("err", errors.New("alarm not opened")))
	}
}

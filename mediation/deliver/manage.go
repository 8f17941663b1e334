package deliver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/etsi"
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
	lateness

	kind   segment.Kind
	queue  *queue
	spool  *bus.Spool
	marks  *marks
	stop   context.CancelFunc // ends the link of the delivery that counts; nil = none runs
	number int                // of that delivery
	ended  chan struct{}      // closed when that link has ended
}

// newLateness names an agency's interface, hi2, hi3 or drop.
func newLateness(id warrant.AgencyID, iface string) lateness {
	return lateness{agency: id, iface: iface, name: "agency " + string(id) + " " + iface}
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
	for id, w := range m.all() {
		if seen[id] || w.now.Swap(nil) == nil {
			continue
		}
		delete(m.failed, id)
		for _, c := range m.channels[id] { // withdrawn: what is on the spool waits for another delivery
			c.hangUp()
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

// adopt lets a delivery count, also where its spools cannot be opened: the one before
// must not go on.
func (m *manager) adopt(ctx context.Context, d warrant.Delivery) error {
	w := m.way(d.AgencyID)
	if now := w.now.Load(); now != nil && now.whole && now.delivery.Number == d.Number {
		return nil
	}
	out := &outbound{delivery: d, stuck: m.failed[d.AgencyID]+1 >= alarmAfter}
	var dropErr, err error
	if d.FileDrop {
		if out.drop, dropErr = m.openDrop(ctx, d); errors.Is(dropErr, errNoDrop) {
			dropErr = nil // shown
		}
	}
	if d.HI2 != "" {
		err = m.open(ctx, d)
	}
	if channels := m.channels[d.AgencyID]; channels != nil {
		m.connect(ctx, channels[segment.KindIRI], d.HI2, d)
		m.connect(ctx, channels[segment.KindCC], d.HI3, d)
		if d.HI2 != "" {
			out.iri, out.cc = channels[segment.KindIRI].queue, channels[segment.KindCC].queue
		}
	}
	err = errors.Join(dropErr, err)
	out.whole = err == nil
	w.now.Store(out)
	return err
}

// open opens the two spools of an agency and lets their queues run. Where they are open
// their limits become those of the delivery.
func (m *manager) open(ctx context.Context, d warrant.Delivery) error {
	channels := map[segment.Kind]*channel{}
	for kind, limit := range map[segment.Kind]int64{segment.KindIRI: d.BufferIRI, segment.KindCC: d.BufferCC} {
		spool, err := m.spool(ctx, d.AgencyID, string(kind), limit)
		if err != nil {
			return err
		}
		channels[kind] = &channel{lateness: newLateness(d.AgencyID, interfaceOf(kind)), kind: kind, queue: newQueue(), spool: spool, marks: newMarks()}
	}
	if m.channels[d.AgencyID] != nil {
		return nil
	}
	m.channels[d.AgencyID] = channels
	for _, c := range channels {
		m.running.Go(func() { c.queue.run(ctx, c.spool, m.stuck(ctx, c.name)) })
	}
	return nil
}

func (m *manager) spool(ctx context.Context, id warrant.AgencyID, name string, limit int64) (*bus.Spool, error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return m.cfg.Bus.Spool(attempt, string(id)+"-"+name, limit)
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
	if c.stop != nil && c.number == d.Number {
		return
	}
	c.hangUp()
	if addr == "" {
		return
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	c.stop, c.ended, c.number = stop, ended, d.Number
	l := &link{
		name: c.name, kind: c.kind, addr: addr, delivery: d, tls: m.cfg.TLS(d.Cert), spool: c.spool, timing: m.cfg.Timing, operator: m.operator(d),
		log: m.cfg.Log, metrics: m.metrics.link(d.AgencyID, c.kind), alarms: m.cfg.Alarms, confirmed: c.marks, hi2: m.channels[c.agency][segment.KindIRI].queue,
	}
	m.running.Go(func() {
		defer close(ended)
		for run.Err() == nil {
			err := m.cfg.Hold(run, "handover "+c.name, func(ctx context.Context) error { l.run(ctx); return nil })
			if err != nil {
				m.trouble(run, "hold_link", err)
				pause(run, time.Second)
			}
		}
	})
}

// lag shows what waits too long, here and to the LEMF.
func (m *manager) lag(ctx context.Context) {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	for id, channels := range m.channels {
		out := m.outbound(id)
		if out == nil {
			continue
		}
		for _, c := range channels {
			late, oldest := m.late(ctx, c.lateness, c.spool, out.delivery.LagAlarm)
			if late == c.late {
				continue
			}
			if c.late = late; late {
				m.warn(ctx, out, c, "delivery is late: the oldest record waits since "+oldest.UTC().Format(time.RFC3339))
			} else {
				m.warn(ctx, out, c, "delivery is in time again")
			}
		}
	}
	for id, c := range m.drops {
		limit := m.cfg.Drop.Every + time.Minute
		if out := m.outbound(id); out != nil {
			limit = m.cfg.Drop.Every + out.delivery.LagAlarm
		}
		c.late, _ = m.late(ctx, c.lateness, c.spool, limit)
	}
}

// lateness is of what the lag alarm speaks, and whether it is open.
type lateness struct {
	agency warrant.AgencyID
	iface  string // of metrics
	name   string // of alarms
	late   bool
}

// late shows what waits for longer than a limit. It returns whether the alarm is open
// now, and since when the oldest message waits.
func (m *manager) late(ctx context.Context, l lateness, spool *bus.Spool, limit time.Duration) (open bool, oldest time.Time) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	b, err := spool.Backlog(attempt)
	if err != nil {
		return l.late, time.Time{}
	}
	m.metrics.backlog(l.agency, l.iface, b.Messages, b.Octets)
	late := b.Messages > 0 && m.cfg.Now().Sub(b.Oldest) > limit
	switch {
	case late && !l.late:
		return openAlarm(ctx, m.cfg.Alarms, alarmLag, l.name), b.Oldest
	case !late && l.late:
		return !closeAlarm(ctx, m.cfg.Alarms, alarmLag, l.name), b.Oldest
	}
	return l.late, b.Oldest
}

// warn tells the LEMF by an HI1 alarm, behind what waits for HI2.
func (m *manager) warn(ctx context.Context, out *outbound, c *channel, text string) {
	if _, err := m.notify(out, 0, etsi.HI1{What: etsi.HI1Alarm, At: m.cfg.Now(), Text: strings.ToUpper(c.iface) + ": " + text}); err != nil {
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
	name := newLateness(l.delivery.AgencyID, interfaceOf(kind)).name
	if !openAlarm(ctx, o.cfg.Alarms, alarmFull, name) && ctx.Err() == nil {
		o.cfg.Log.WarnContext(ctx, "a full buffer is not shown as an alarm", slog.Any("err", errors.New("alarm not opened")))
	}
}

package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

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

const attemptTimeout = 15 * time.Second

// manager learns which deliveries count and lets a keeper of each agency know. It waits
// for the database only, never for an agency's spool.
type manager struct {
	*Outlet

	looking chan struct{} // capacity 1: one look at a time, which guards keepers
	keepers map[warrant.AgencyID]*keeper
	running sync.WaitGroup
}

func newManager(o *Outlet) *manager {
	return &manager{Outlet: o, looking: make(chan struct{}, 1), keepers: map[warrant.AgencyID]*keeper{}}
}

// Run pushes until ctx ends, which is no error. What is not confirmed then goes when
// it runs again.
func (o *Outlet) Run(ctx context.Context) error {
	select {
	case <-o.cfg.Bus.Ready():
	case <-ctx.Done():
		return nil
	}
	m := newManager(o)
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		m.looking <- struct{}{} // nobody looks any more
		m.running.Wait()
	}()
	o.refresh = func(asked context.Context) error { return m.look(ctx, asked) }
	known := false
	for {
		if err := m.look(ctx, ctx); err != nil {
			m.trouble(ctx, "list_deliveries", err)
		} else if !known {
			known = true
			close(o.ready)
			m.running.Go(func() { o.pump(ctx) })
		}
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

// hold does a job whenever no other process does it, until ctx ends.
func (o *Outlet) hold(ctx context.Context, job, step string, run func(context.Context) error) {
	for ctx.Err() == nil {
		if err := o.cfg.Hold(ctx, "handover "+job, run); err != nil {
			o.trouble(ctx, step, err)
			pause(ctx, time.Second)
		}
	}
}

// look makes the ways out those of the deliveries that count now. asked ends the
// waiting, ctx what a look begins.
func (m *manager) look(ctx, asked context.Context) error {
	select {
	case m.looking <- struct{}{}:
	case <-asked.Done():
		return asked.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-m.looking }()
	attempt, cancel := context.WithTimeout(asked, attemptTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	all, err := m.cfg.Records.ActiveDeliveries(attempt)
	if err != nil {
		return err
	}
	seen := map[warrant.AgencyID]bool{}
	for _, d := range all {
		seen[d.AgencyID] = true
		m.keeper(ctx, d.AgencyID).want(&d)
	}
	for id, k := range m.keepers {
		if !seen[id] { // withdrawn: what is on the spool waits for another delivery
			k.want(nil)
		}
	}
	return nil
}

// keeper returns an agency's, which runs until ctx ends.
func (m *manager) keeper(ctx context.Context, id warrant.AgencyID) *keeper {
	k := m.keepers[id]
	if k == nil {
		k = newKeeper(m.Outlet, id)
		m.keepers[id] = k
		m.running.Go(func() { k.run(ctx) })
	}
	return k
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

package correlate

import (
	"context"
	"time"

	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

// worker owns the sessions of its calls.
type worker struct {
	*Correlator

	desk  *desk
	in    chan part
	calls map[call]*entry
}

// judged is a PDU and why it is refused; empty = it is not.
type judged struct {
	x2x3.PDU

	refused cause
}

const (
	stallAlarm   = 30 * time.Second // trouble that lasts so long is shown
	alarmStall   = "mediation_stalled"
	alarmMissing = "mediation_copies_missing"
	minTick      = time.Millisecond
	forgetAfter  = time.Minute // a closed session of which nothing is heard
	askEvery     = 30 * time.Second
)

func (w *worker) adopt(id call, p *evidence.Progress) {
	w.calls[id] = &entry{id: id, session: w.newSession(p)}
	w.metrics.open.Inc()
}

func (w *worker) run(ctx context.Context) {
	ticker := time.NewTicker(max(min(w.cfg.IRIEvery, w.cfg.CCEvery, w.cfg.EndGrace)/5, minTick))
	defer ticker.Stop()
	for {
		tick := ticker.C
		if len(w.calls) == 0 {
			tick = nil // most workers of a quiet deployment: nothing wakes them
		}
		select {
		case <-ctx.Done():
			return
		case p := <-w.in:
			w.part(ctx, p)
		case <-tick:
			w.sweep(ctx)
		}
	}
}

// part queues a part behind those of its call that wait, and works on them.
func (w *worker) part(ctx context.Context, p part) { w.attend(ctx, w.queue(p)) }

func (w *worker) queue(p part) *entry {
	e := w.calls[p.call]
	if e == nil {
		e = &entry{id: p.call}
		w.calls[p.call] = e
	}
	e.queue = append(e.queue, p)
	return e
}

// drain takes what has come meanwhile: between two commits, so that what goes to a
// LEMF at once waits for one disk write at most. What comes while it does waits for the
// next time: a busy call must not keep others from being stored.
func (w *worker) drain(ctx context.Context) {
	for range len(w.in) {
		select {
		case p := <-w.in:
			if e := w.queue(p); !e.trouble.waits(w.cfg.Now()) {
				if step, err := w.take(ctx, e); err != nil {
					w.failed(ctx, e, step, err)
				}
			}
		default:
			return
		}
	}
}

// sweep stores what is due, closes what has ended and forgets what is over.
func (w *worker) sweep(ctx context.Context) {
	for id, e := range w.calls {
		w.attend(ctx, e)
		s := e.session
		if s != nil && len(e.queue) == 0 && !s.progress.ClosedAt.IsZero() && s.empty() && w.cfg.Now().Sub(s.heard) >= forgetAfter {
			delete(w.calls, id)
			w.metrics.open.Dec()
		}
	}
}

// attend does what a call needs now, unless trouble says wait.
func (w *worker) attend(ctx context.Context, e *entry) {
	now := w.cfg.Now()
	if e.trouble.waits(now) || ctx.Err() != nil {
		return
	}
	step, err := w.take(ctx, e)
	if err == nil && e.session != nil {
		if step, err = w.store(ctx, e.session, false); err == nil {
			step, err = w.finish(ctx, e)
		}
	}
	if err == nil {
		w.recovered(ctx, e)
		return
	}
	w.failed(ctx, e, step, err)
}

// failed lets a call wait, and shows trouble that lasts.
func (w *worker) failed(ctx context.Context, e *entry, step string, err error) {
	now := w.cfg.Now()
	e.trouble.failed(now)
	w.trouble(ctx, step, err)
	if now.Sub(e.trouble.since) >= stallAlarm && !e.trouble.alarmed {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		e.trouble.alarmed = w.cfg.Alarms.OpenAlarm(attempt, alarmStall, "xid "+e.id.xid.String()) == nil
	}
}

// recovered ends trouble.
func (w *worker) recovered(ctx context.Context, e *entry) {
	if e.trouble.alarmed {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		if err := w.cfg.Alarms.CloseAlarm(attempt, alarmStall, "xid "+e.id.xid.String()); err != nil {
			w.trouble(ctx, "close_alarm", err)
		}
	}
	e.trouble = backoff{}
}

// take works off what waits for its session.
func (w *worker) take(ctx context.Context, e *entry) (step string, err error) {
	for len(e.queue) > 0 {
		p := e.queue[0]
		if step, err = w.takePart(ctx, e, p); err != nil {
			return step, err
		}
		w.metrics.pdus[p.kind].Add(float64(len(p.pdus)))
		e.queue[0] = part{}
		e.queue = e.queue[1:]
	}
	e.queue = nil
	if e.session == nil {
		delete(w.calls, e.id) // all was refused
	}
	return "", nil
}

// takePart holds a part against its Task and collects what is allowed and new. An
// error leaves everything as it was.
func (w *worker) takePart(ctx context.Context, e *entry, p part) (step string, err error) {
	if e.session != nil && w.known(e.session, p) {
		return "", nil
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	info, found, err := w.tasks.info(attempt, p.call.xid, p.latest())
	if err != nil {
		return "find_task", err
	}
	pdus, refused := w.judge(info, found, p)
	if e.session == nil && len(refused) > 0 && len(pdus) == refused.total() {
		w.refuse(ctx, p, refused)
		w.desk.settle(p.msg)
		return "", nil
	}
	if e.session == nil {
		progress, err := w.cfg.Store.Session(attempt, info, p.call.correlation, firstAllowed(pdus))
		if err != nil {
			return "open_session", err
		}
		e.session = w.newSession(progress)
		w.metrics.open.Inc()
		if w.known(e.session, p) {
			return "", nil
		}
	}
	if found {
		if err := w.settleLine(attempt, e.session, info); err != nil {
			return "find_delivery", err
		}
	}
	w.refuse(ctx, p, refused)
	taken, duplicates := e.session.take(p, pdus, w.cfg.Now())
	w.metrics.duplicates.Add(float64(duplicates))
	if taken == 0 {
		w.desk.settle(p.msg)
	}
	return "", nil
}

// known settles a part that is in committed segments already.
func (w *worker) known(s *session, p part) bool {
	pos := p.position()
	if s.progress.Position(pos.Bus, pos.Kind) < pos.Seq {
		return false
	}
	w.metrics.replayed.Add(float64(len(p.pdus)))
	w.desk.settle(p.msg)
	return true
}

// refusals is how many PDUs were refused, by cause.
type refusals map[cause]int

func (r refusals) total() (n int) {
	for _, count := range r {
		n += count
	}
	return n
}

// judge holds each PDU of a part against its Task.
func (w *worker) judge(info warrant.TaskInfo, found bool, p part) ([]judged, refusals) {
	all, refused := make([]judged, 0, len(p.pdus)), refusals{}
	for _, pdu := range p.pdus {
		if pdu.Time.IsZero() { // a network element that is not ours
			pdu.Time = w.cfg.Now().UTC()
		}
		why := unknownTask
		if found {
			why = allowed(info, &pdu)
			if pdu.Type == x2x3.X2 && !info.Media { // a network element that is not ours sends it all
				pdu.Payload = sipevent.WithoutContent(pdu.Payload)
			}
		}
		if why != "" {
			refused[why]++
		}
		all = append(all, judged{pdu, why})
	}
	return all, refused
}

func (w *worker) refuse(ctx context.Context, p part, refused refusals) {
	for why, n := range refused {
		w.refusal.refuse(ctx, p.call.xid, why, n)
	}
}

func firstAllowed(pdus []judged) time.Time {
	for i := range pdus {
		if pdus[i].refused == "" {
			return pdus[i].Time
		}
	}
	return time.Time{}
}

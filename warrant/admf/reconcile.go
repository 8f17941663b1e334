package admf

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

const (
	// tooLate is how close to its end a Task is not pushed any more: the gateway, whose
	// clock may differ a little, would refuse it.
	tooLate = 500 * time.Millisecond
	// overdue is how long after its end a tap that the gateway was to end itself may still
	// be told of without an alarm: clocks differ a little. It is removed at once all the same.
	overdue = time.Second
	// foreignOverdue is the same for an element whose Tasks the ADMF ends.
	foreignOverdue = 10 * time.Second
)

// look is one comparison: what was asked, what the gateway said, what became of it.
type look struct {
	plan  *plan
	at    time.Time // by our clock
	clock time.Time // by the gateway's
	kept  map[li.XID]bool
	stays map[li.XID]bool // not to run and running still

	unsure map[li.XID]bool // pushed or removed while the gateway was answering: the next look will tell
	stray  []stray
}

// reconcile makes the gateway, which has said what it taps, what the plan wants:
// removals first. An error means that the gateway could not be asked or told; that
// it refuses a single Task is an alarm and no error.
func (w *worker) reconcile(ctx context.Context, s sight) error {
	w.found = Finding{Gateway: w.id}
	if s.err != nil {
		return s.err
	}
	p, now := w.admf.plan.Load(), time.Now()
	w.found = Finding{Gateway: w.id, Up: true, At: now.UTC(), Ordered: len(p.tasks), Running: len(s.all.Tasks)}
	l := &look{
		plan: p, at: now, clock: s.clock.Add(now.Sub(s.began) / 2), unsure: maps.Clone(w.since),
		kept: make(map[li.XID]bool, len(s.all.Tasks)), stays: map[li.XID]bool{},
	}
	w.watchClock(l, s)
	if err := w.sort(ctx, l, s.all.Tasks); err != nil {
		return err
	}
	if err := w.removeStray(ctx, l); err != nil {
		return err
	}
	w.forgetEnded(l)
	if err := w.deliverTo(ctx, s.all.Destinations); err != nil {
		return err
	}
	if err := w.add(ctx, l); err != nil {
		return err
	}
	w.admf.metrics.tasks.WithLabelValues(w.id).Set(float64(len(w.placed)))
	return w.settle(ctx)
}

// push does what a new plan changes, going by what we know to be in place: removals
// first. What the gateway really has the next look will show.
func (w *worker) push(ctx context.Context, p *plan) error {
	now := time.Now()
	for xid, task := range w.placed {
		if _, wanted := p.wants(xid, now); wanted {
			continue
		}
		if !w.cfg.Foreign && !task.Signalling().Until.After(now) {
			w.look(ctx) // it ends by itself; that it did must be seen
			continue
		}
		w.since[xid] = true
		if _, err := w.remove(ctx, xid); err != nil {
			return err
		}
	}
	var missing []li.Task
	for xid, task := range p.tasks {
		have, was := w.placed[xid]
		switch {
		case was && (x1.Equal(have, task) || w.cfg.Foreign && x1.EqualButEnd(have, task)), time.Until(task.Signalling().Until) < tooLate:
			continue
		case w.withdrawn(xid, task):
			continue
		case was:
			w.since[xid] = true
			kept, gone, err := w.change(ctx, task)
			if err != nil {
				return err
			}
			if kept || !gone {
				continue
			}
		}
		w.since[xid] = true
		missing = append(missing, task)
	}
	err := w.place(ctx, missing)
	w.admf.metrics.tasks.WithLabelValues(w.id).Set(float64(len(w.placed)))
	return err
}

// withdrawn reports whether the newest plan no longer has the Task: it waits.
func (w *worker) withdrawn(xid li.XID, task li.Task) bool {
	now, ok := w.admf.plan.Load().tasks[xid]
	return !ok || !x1.Equal(now, task)
}

// settle tells the gateway that it has what is wanted: one that has just started takes
// calls from now on. And it keeps an element's fail-safe from ending its Tasks.
func (w *worker) settle(ctx context.Context) error {
	if err := w.client.Ping(ctx); err != nil && !isRefusal(err) {
		return err
	}
	if w.cfg.Keepalive == 0 || time.Since(w.alive) < w.cfg.Keepalive {
		return nil
	}
	err := w.client.Keepalive(ctx)
	if err != nil && !isRefusal(err) {
		return err
	}
	w.alive = time.Now()
	return nil
}

// watchClock alarms on a gateway whose clock is off.
func (w *worker) watchClock(l *look, s sight) {
	skew := alarm{AlarmClockSkew, w.id}
	if off := l.clock.Sub(l.at).Abs(); off > w.admf.cfg.MaxSkew+l.at.Sub(s.began) {
		w.notes.raise(skew)
	} else {
		w.notes.clear(skew)
	}
}

// sort decides on each tap that the gateway told of: it stays, it is removed as one
// of ours, or it is a stray.
func (w *worker) sort(ctx context.Context, l *look, running []x1.TaskDetails) error {
	for _, task := range running {
		xid := task.Task.Signalling().XID
		if l.unsure[xid] {
			continue
		}
		want, wanted := l.plan.wants(xid, l.at)
		switch {
		case wanted && !task.Status.Unlisted && w.same(want, task):
			l.kept[xid] = true
			w.placed[xid] = want
			delete(w.sent, xid)
			w.notes.confirm(xid, true, l.at)
			w.notes.clear(w.about(AlarmTaskRefused, xid))
		case wanted && !task.Status.Unlisted && w.ours(l.plan, task):
			kept, gone, err := w.change(ctx, want)
			if err != nil {
				return err
			}
			l.kept[xid], l.stays[xid] = kept, !kept && !gone
		case !task.Status.Unlisted && w.ours(l.plan, task) && !w.overran(l, task):
			gone, err := w.remove(ctx, xid)
			if err != nil {
				return err
			}
			w.found.Removed++
			l.stays[xid] = !gone
		default:
			l.stray = append(l.stray, stray{TaskDetails: task, at: l.at})
		}
	}
	return nil
}

// same reports whether a tap is just what is wanted.
func (w *worker) same(want li.Task, got x1.TaskDetails) bool {
	if got.Odd {
		return false
	}
	if w.cfg.Foreign {
		return x1.EqualButEnd(want, got.Task)
	}
	return x1.Equal(want, got.Task)
}

// change makes a tap of ours what is wanted now, in one step: with another end the tap
// goes on, with other targets or less content a new one takes its place at once. Where
// the gateway will not, the old one goes, and a new one is placed after that.
func (w *worker) change(ctx context.Context, want li.Task) (kept, gone bool, err error) {
	xid := want.Signalling().XID
	err = w.client.Modify(ctx, x1.ModifyTask(w.order(want)))
	switch {
	case err == nil:
		w.placed[xid] = want
		return true, false, nil
	case !isRefusal(err) && !errors.Is(err, x1.ErrTask):
		return false, false, err
	}
	gone, err = w.remove(ctx, xid)
	return false, gone, err
}

// overran reports whether a tap of ours runs though its end has long passed, or its
// gateway believes that it has not.
func (w *worker) overran(l *look, task x1.TaskDetails) bool {
	until := task.Task.Signalling().Until
	if w.cfg.Foreign {
		known, ok := w.placed[task.Task.Signalling().XID]
		return ok && l.at.Sub(known.Signalling().Until) > foreignOverdue
	}
	late := l.at.Sub(until)
	return late > overdue || late > 0 && until.Sub(l.clock) > overdue
}

// about names an alarm on one Task of this gateway.
func (w *worker) about(kind string, xid li.XID) alarm { return alarm{kind, w.id + " " + xid.String()} }

// ours reports whether a Task that should not run is one that was once ordered: as
// we placed or sent it, or as the plan says with an end that has come.
func (w *worker) ours(p *plan, task x1.TaskDetails) bool {
	for _, known := range []map[li.XID]li.Task{w.placed, w.sent, p.tasks} {
		if t, ok := known[task.Task.Signalling().XID]; ok && w.same(t, task) {
			return true
		}
	}
	return false
}

// remove ends a Task and reports whether it is gone; that it was gone already is
// what we want. A gateway that refuses is an alarm and holds up nothing else.
func (w *worker) remove(ctx context.Context, xid li.XID) (gone bool, err error) {
	err = w.client.Deactivate(ctx, xid)
	switch {
	case err == nil, refusedWith(err, x1.CodeXIDUnknown):
	case isRefusal(err):
		w.admf.metrics.refusals.WithLabelValues(w.id).Inc()
		w.notes.raise(w.about(AlarmTapStays, xid))
		return false, nil
	default:
		return false, err
	}
	delete(w.sent, xid)
	if _, was := w.placed[xid]; was {
		delete(w.placed, xid)
		w.notes.confirm(xid, false, time.Now())
	} else {
		w.notes.confirmGone(xid, time.Now())
	}
	return true, nil
}

// forgetEnded drops what is neither running nor wanted: it ended at its own end, or
// was withdrawn while the gateway was empty. Alarms on such Tasks are over.
func (w *worker) forgetEnded(l *look) {
	for xid := range w.placed {
		if _, wanted := l.plan.wants(xid, l.at); !wanted && !l.kept[xid] && !l.stays[xid] && !l.unsure[xid] {
			delete(w.placed, xid)
			w.notes.confirm(xid, false, l.at)
		}
	}
	for xid, task := range w.sent {
		if !task.Signalling().Until.After(l.at) {
			delete(w.sent, xid)
		}
	}
	for a := range w.notes.open {
		switch a.kind {
		case AlarmTaskRefused:
			if _, wanted := l.plan.wants(w.subject(a), l.at); !wanted {
				w.notes.clear(a)
			}
		case AlarmTapStays:
			if xid := w.subject(a); !l.stays[xid] && !l.unsure[xid] {
				w.notes.clear(a)
			}
		}
	}
}

// subject is the XID that about put into the object.
func (w *worker) subject(a alarm) li.XID {
	xid, err := li.ParseXID(a.object[len(w.id)+1:])
	if err != nil {
		panic("admf: an alarm's object does not end in an XID")
	}
	return xid
}

// add places what is wanted and does not run.
func (w *worker) add(ctx context.Context, l *look) error {
	lost := alarm{AlarmTapsLost, w.id}
	var missing []li.Task
	for xid, task := range l.plan.tasks {
		if l.kept[xid] || l.unsure[xid] || time.Until(task.Signalling().Until) < tooLate || w.withdrawn(xid, task) {
			continue
		}
		if _, was := w.placed[xid]; was {
			w.admf.metrics.lost.WithLabelValues(w.id).Inc()
			w.notes.raise(lost)
		}
		missing = append(missing, task)
	}
	if err := w.place(ctx, missing); err != nil {
		return err
	}
	w.notes.clear(lost)
	return nil
}

// order is what the gateway is told.
func (w *worker) order(task li.Task) x1.ActivateTask {
	a := x1.ActivateTask{Task: task, Bare: w.cfg.Foreign}
	_, media := task.(li.ContentTask)
	for _, d := range w.cfg.Destinations {
		if media || d.Delivery != x1.DeliverX3 {
			a.DIDs = append(a.DIDs, d.DID)
		}
	}
	return a
}

// place pushes Tasks, to a gateway of ours several at once: one that comes back empty
// takes no calls before it has them all.
func (w *worker) place(ctx context.Context, tasks []li.Task) error {
	for len(tasks) > 0 {
		n := 1
		if !w.cfg.Foreign {
			n = min(len(tasks), x1.MaxBatch)
		}
		if err := w.placeSome(ctx, tasks[:n]); err != nil {
			return err
		}
		tasks = tasks[n:]
	}
	return nil
}

func (w *worker) placeSome(ctx context.Context, tasks []li.Task) error {
	orders := make([]x1.ActivateTask, len(tasks))
	for i, task := range tasks {
		w.sent[task.Signalling().XID] = task
		orders[i] = w.order(task)
	}
	if len(tasks) > 1 {
		each, err := w.client.ActivateAll(ctx, orders)
		if err == nil {
			for i, task := range tasks {
				if err := w.answered(task, each[i]); err != nil {
					return err
				}
			}
			return nil
		}
		// One that cannot be written, or too much for one message: one by one.
		if !errors.Is(err, x1.ErrTask) && !errors.Is(err, x1.ErrTooLarge) {
			return err
		}
	}
	for i, task := range tasks {
		if err := w.answered(task, w.client.Activate(ctx, orders[i])); err != nil {
			return err
		}
	}
	return nil
}

// answered notes what became of a Task that was pushed. A refusal is an alarm on it.
func (w *worker) answered(task li.Task, err error) error {
	xid := task.Signalling().XID
	switch {
	case err == nil:
		w.placed[xid] = task
		delete(w.sent, xid)
		w.found.Placed++
		w.notes.confirm(xid, true, time.Now())
		w.notes.clear(w.about(AlarmTaskRefused, xid))
	case refusedWith(err, x1.CodeXIDExists):
		// It came to be since we asked. The next comparison says whether it is as ordered.
	case isRefusal(err), errors.Is(err, x1.ErrTask):
		delete(w.sent, xid)
		w.admf.metrics.refusals.WithLabelValues(w.id).Inc()
		w.notes.raise(w.about(AlarmTaskRefused, xid))
	default:
		return err
	}
	return nil
}

func refusedWith(err error, code int) bool {
	var refusal *x1.Error
	return errors.As(err, &refusal) && refusal.Code == code
}

// isRefusal reports whether the gateway understood and would not.
func isRefusal(err error) bool {
	var refusal *x1.Error
	return errors.As(err, &refusal)
}

package admf

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// tooLate is how close to its end a Task is not pushed any more: the gateway, whose
// clock may differ a little, would refuse it.
const tooLate = 500 * time.Millisecond

// reconcile asks the gateway what it taps and makes it what the plan wants:
// removals first. An error means that the gateway could not be asked or told; that
// it refuses a single Task is an alarm and no error.
func (w *worker) reconcile(ctx context.Context, p *plan) error {
	running, err := w.client.Tasks(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	kept := make(map[li.XID]bool, len(running))
	stays := make(map[li.XID]bool) // not to run and running still
	var foreign []li.Task
	for _, task := range running {
		xid := task.Signalling().XID
		want, wanted := p.wants(xid, now)
		switch {
		case wanted && x1.Equal(want, task):
			kept[xid] = true
			w.placed[xid] = want
			delete(w.sent, xid)
			w.notes.confirm(xid, true, now)
			w.notes.clear(w.about(AlarmTaskRefused, xid))
		case w.ours(p, task):
			gone, err := w.remove(ctx, xid)
			if err != nil {
				return err
			}
			stays[xid] = !gone
		default:
			foreign = append(foreign, task)
		}
	}
	if err := w.removeForeign(ctx, foreign, stays, now); err != nil {
		return err
	}
	w.forgetEnded(p, kept, stays, now)
	if err := w.add(ctx, p, kept); err != nil {
		return err
	}
	w.admf.metrics.tasks.WithLabelValues(w.id).Set(float64(len(w.placed)))
	return nil
}

// about names an alarm on one Task of this gateway.
func (w *worker) about(kind string, xid li.XID) alarm { return alarm{kind, w.id + " " + xid.String()} }

// ours reports whether a Task that should not run is one that was once ordered: as
// we placed or sent it, or as the plan says with an end that has come.
func (w *worker) ours(p *plan, task li.Task) bool {
	for _, known := range []map[li.XID]li.Task{w.placed, w.sent, p.tasks} {
		if t, ok := known[task.Signalling().XID]; ok && x1.Equal(t, task) {
			return true
		}
	}
	return false
}

// remove ends a Task and reports whether it is gone; that it was gone already is
// what we want. A gateway that refuses is an alarm and holds up nothing else.
func (w *worker) remove(ctx context.Context, xid li.XID) (gone bool, err error) {
	err = w.client.Deactivate(ctx, xid)
	var refusal *x1.Error
	switch {
	case err == nil, refusedWith(err, x1.CodeXIDUnknown):
	case errors.As(err, &refusal):
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

// removeForeign ends what nobody here ordered, after the alarm was handed over.
func (w *worker) removeForeign(ctx context.Context, foreign []li.Task, stays map[li.XID]bool, now time.Time) error {
	if len(foreign) == 0 {
		return nil
	}
	// The plan may be older than the Task: another ADMF of the same store placed it.
	fresh := &plan{}
	if tasks, err := w.wanted(ctx, now); err == nil {
		fresh = newPlan(tasks)
	}
	for _, task := range foreign {
		xid := task.Signalling().XID
		want, wanted := fresh.wants(xid, now)
		if wanted && x1.Equal(want, task) {
			w.admf.Nudge()
			continue
		}
		kind := AlarmRogueTap
		if wanted {
			kind = AlarmAlteredTap
		}
		a := w.about(kind, xid)
		if w.notes.raise(a) {
			w.admf.metrics.rogues.WithLabelValues(w.id).Inc()
			if err := w.notes.flushAlarms(ctx); err != nil {
				w.admf.metrics.storeErrors.Inc() // told later; the tap must end now
			}
		}
		gone, err := w.remove(ctx, xid)
		if err != nil {
			return err
		}
		if stays[xid] = !gone; gone {
			w.notes.forget(a)
		}
	}
	return nil
}

func (w *worker) wanted(ctx context.Context, now time.Time) ([]li.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return w.admf.cfg.Store.WantedTasks(ctx, now)
}

// forgetEnded drops what is neither running nor wanted: it ended at its own end, or
// was withdrawn while the gateway was empty. Alarms on such Tasks are over.
func (w *worker) forgetEnded(p *plan, kept, stays map[li.XID]bool, now time.Time) {
	for xid := range w.placed {
		if _, wanted := p.wants(xid, now); !wanted && !kept[xid] && !stays[xid] {
			delete(w.placed, xid)
			w.notes.confirm(xid, false, now)
		}
	}
	for xid, task := range w.sent {
		if !task.Signalling().Until.After(now) {
			delete(w.sent, xid)
		}
	}
	for a := range w.notes.open {
		switch a.kind {
		case AlarmTaskRefused:
			if _, wanted := p.wants(w.subject(a), now); !wanted {
				w.notes.clear(a)
			}
		case AlarmTapStays:
			if !stays[w.subject(a)] {
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
func (w *worker) add(ctx context.Context, p *plan, kept map[li.XID]bool) error {
	lost := alarm{AlarmTapsLost, w.id}
	for xid, task := range p.tasks {
		if kept[xid] || time.Until(task.Signalling().Until) < tooLate {
			continue
		}
		// Withdrawn since: a newer plan waits.
		if now, ok := w.admf.plan.Load().tasks[xid]; !ok || !x1.Equal(now, task) {
			continue
		}
		if _, was := w.placed[xid]; was {
			w.admf.metrics.lost.WithLabelValues(w.id).Inc()
			w.notes.raise(lost)
		}
		if err := w.place(ctx, xid, task); err != nil {
			return err
		}
	}
	w.notes.clear(lost)
	return nil
}

// place pushes one Task. A refusal is an alarm on the Task.
func (w *worker) place(ctx context.Context, xid li.XID, task li.Task) error {
	w.sent[xid] = task
	err := w.client.Activate(ctx, task)
	var refusal *x1.Error
	switch {
	case err == nil:
		w.placed[xid] = task
		delete(w.sent, xid)
		w.notes.confirm(xid, true, time.Now())
		w.notes.clear(w.about(AlarmTaskRefused, xid))
	case refusedWith(err, x1.CodeXIDExists):
		// It came to be since we asked. The next comparison says whether it is as ordered.
	case errors.As(err, &refusal), errors.Is(err, x1.ErrTask):
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

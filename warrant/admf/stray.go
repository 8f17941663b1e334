package admf

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant"
)

// stray is a tap that runs and has no order.
type stray struct {
	x1.TaskDetails

	at time.Time
}

// removeStray ends what nobody here ordered, after what it was is on record and the
// alarm handed over.
func (w *worker) removeStray(ctx context.Context, l *look) error {
	if len(l.stray) == 0 {
		return nil
	}
	// The plan may be older than the Task: another ADMF of the same store placed it.
	fresh := &plan{}
	if tasks, err := w.wanted(ctx, l.at); err == nil {
		fresh = newPlan(slices.DeleteFunc(tasks, func(t li.Task) bool { return l.plan.wrong[t.Signalling().XID] }))
	}
	for _, task := range l.stray {
		xid := task.Task.Signalling().XID
		want, wanted := fresh.wants(xid, l.at)
		if wanted && !task.Status.Unlisted && w.same(want, task.TaskDetails) {
			w.admf.Nudge()
			continue
		}
		if err := w.removeOne(ctx, l, task, w.kind(l, task, wanted)); err != nil {
			return err
		}
	}
	return nil
}

// kind says why a tap has no order, the most telling reason first.
func (w *worker) kind(l *look, task stray, wanted bool) warrant.OrphanKind {
	switch {
	case task.Status.Unlisted:
		return warrant.OrphanUnlisted
	case wanted:
		return warrant.OrphanAltered
	case l.plan.wrong[task.Task.Signalling().XID]:
		return warrant.OrphanUnproven
	case w.ours(l.plan, task.TaskDetails):
		return warrant.OrphanExpired
	}
	return warrant.OrphanRogue
}

func alarmOf(kind warrant.OrphanKind) string {
	switch kind {
	case warrant.OrphanAltered:
		return AlarmAlteredTap
	case warrant.OrphanExpired:
		return AlarmExpiredTap
	case warrant.OrphanRogue, warrant.OrphanUnlisted, warrant.OrphanUnproven:
		return AlarmRogueTap
	}
	return AlarmRogueTap
}

// removeOne freezes, alarms and removes, in this order. A store that cannot take the
// record does not keep the tap alive; it is told later.
func (w *worker) removeOne(ctx context.Context, l *look, task stray, kind warrant.OrphanKind) error {
	xid := task.Task.Signalling().XID
	a := w.about(alarmOf(kind), xid)
	if w.notes.raise(a) {
		w.found.Orphans++
		w.admf.metrics.rogues.WithLabelValues(w.id).Inc()
		w.notes.freeze(w.orphan(task, kind))
		if err := w.notes.flushAlarms(ctx); err != nil {
			w.admf.metrics.storeErrors.Inc() // told later; the tap must end now
		}
	}
	gone, err := w.remove(ctx, xid)
	if err != nil {
		return err
	}
	if l.stays[xid] = !gone; gone {
		delete(l.kept, xid) // whatever ran under this XID is gone
		w.found.Removed++
		w.notes.removed(xid, time.Now())
		w.notes.forget(a)
	}
	return nil
}

// orphan is the tap as it was found.
func (w *worker) orphan(task stray, kind warrant.OrphanKind) warrant.Orphan {
	t := task.Task.Signalling()
	_, media := task.Task.(li.ContentTask)
	o := warrant.Orphan{
		Gateway: w.id, XID: t.XID, Kind: kind, Media: media, Until: t.Until, Since: task.Status.Begun, LastIntercept: task.Status.LastIntercept,
		X2: task.Status.X2, X3: task.Status.X3, FoundAt: task.at,
	}
	for _, id := range t.Targets {
		o.Targets = append(o.Targets, HashTarget(w.admf.cfg.HashKey, id))
	}
	for _, id := range task.DIDs {
		o.Destinations = append(o.Destinations, id.String())
	}
	return o
}

// HashTarget is the keyed hash under which a target stands in the record of a frozen
// tap: HMAC-SHA-256 over its kind and normal form. Who holds the key can tell whether a
// number is meant; nobody can read it off.
func HashTarget(key []byte, id li.Identity) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte{byte(id.Kind()), ':'}) // a hash takes all
	_, _ = mac.Write([]byte(id.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

func (w *worker) wanted(ctx context.Context, now time.Time) ([]li.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return w.admf.cfg.Store.WantedTasks(ctx, now)
}

// deliverTo makes the destinations that an element is to know, and removes others: what
// is copied must go nowhere else. A refusal to do so is an alarm.
func (w *worker) deliverTo(ctx context.Context, have []x1.DestinationDetails) error {
	known := map[x1.DID]bool{}
	for _, d := range have {
		at := slices.IndexFunc(w.cfg.Destinations, func(want x1.Destination) bool { return want.DID == d.DID })
		if at >= 0 && !d.Odd && w.cfg.Destinations[at] == d.Destination {
			known[d.DID] = true
			continue
		}
		w.notes.raise(alarm{AlarmRogueDest, w.id + " " + d.DID.String()})
		if err := w.notes.flushAlarms(ctx); err != nil {
			w.admf.metrics.storeErrors.Inc()
		}
		if err := w.client.RemoveDestination(ctx, d.DID); err != nil && !isRefusal(err) {
			return err
		}
	}
	for _, d := range w.cfg.Destinations {
		if known[d.DID] {
			continue
		}
		if err := w.client.CreateDestination(ctx, d); err != nil && !isRefusal(err) {
			return err
		}
	}
	return nil
}

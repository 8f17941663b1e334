package correlate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/warrant"
)

// cause is why a PDU is refused.
type cause string

const (
	unknownTask  cause = "unknown_task"
	outsideDates cause = "outside_dates"
	notOrdered   cause = "content_not_ordered"
	malformed    cause = "malformed"
)

func causes() []cause { return []cause{unknownTask, outsideDates, notOrdered, malformed} }

const (
	stopGrace       = time.Second // a stop takes that long to reach a gateway at most
	refusalEvery    = time.Minute // on record, for one Task and cause
	maxRefusals     = 10_000
	alarmRefused    = "mediation_pdu_refused"
	objectMalformed = "bus"
)

// allowed holds a PDU against its Task; an empty cause is yes.
func allowed(info warrant.TaskInfo, p *x2x3.PDU) cause {
	end := info.Until
	if !info.StoppedAt.IsZero() && info.StoppedAt.Add(stopGrace).Before(end) {
		end = info.StoppedAt.Add(stopGrace)
	}
	switch {
	case p.Type == x2x3.X3 && !info.Media && !p.Time.Before(info.MediaUntil.Add(stopGrace)):
		return notOrdered
	case p.Time.Before(info.From) || p.Time.After(end):
		return outsideDates
	}
	return ""
}

type refusalKey struct {
	xid   li.XID
	cause cause
}

// refusal counts refused PDUs, and once a minute and cause puts them on record and
// raises the alarm.
type refusal struct {
	store   evidenceStore
	alarms  alarms
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	mu   sync.Mutex // guards last, briefly
	last map[refusalKey]time.Time
}

func (r *refusal) refuse(ctx context.Context, xid li.XID, why cause, n int) {
	r.metrics.refused[why].Add(float64(n))
	if !r.due(refusalKey{xid, why}) {
		return
	}
	object := "xid " + xid.String()
	if why == malformed {
		object = objectMalformed
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := r.store.Refuse(attempt, xid, string(why))
	if err == nil {
		err = r.alarms.OpenAlarm(attempt, alarmRefused, object)
	}
	if err != nil && ctx.Err() == nil {
		r.forget(refusalKey{xid, why})
		r.log.WarnContext(ctx, "a refused PDU is not on record", slog.String("reason", string(why)), slog.Any("err", err))
	}
}

func (r *refusal) due(k refusalKey) bool {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[k]; ok && now.Sub(last) < refusalEvery {
		return false
	}
	if len(r.last) >= maxRefusals {
		clear(r.last)
	}
	r.last[k] = now
	return true
}

func (r *refusal) forget(k refusalKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, k)
}

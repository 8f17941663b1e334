package collect

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ligate/ligate/li"
)

const (
	alarmPrefix   = "x2x3_" // and the reason of the refusal
	alarmProtocol = "x2x3_protocol"
	alarmStalled  = "x2x3_stalled"
	alarmLate     = "x2x3_late"
	objectPrefix  = "element "
	recordAgain   = 5 * time.Second // after an attempt that failed
	stepPublish   = "publish"
	stepTask      = "find_task"
)

type refusalKey struct {
	element string
	why     refusal
}

// refused counts PDUs that are not taken, and once a minute, element and reason puts
// one on record and raises the alarm.
type refused struct {
	*Collector

	mu   sync.Mutex // guards last, briefly
	last map[refusalKey]time.Time
}

func (r *refused) refuse(ctx context.Context, e *Element, xid li.XID, why refusal) {
	r.metrics.refused[refusedBy{e.ID, why}].Inc()
	k := refusalKey{e.ID, why}
	if !r.due(k) {
		return
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := r.cfg.Refusals.Refuse(attempt, xid, string(why)+", element "+e.ID)
	if err == nil {
		err = r.cfg.Alarms.OpenAlarm(attempt, alarmPrefix+string(why), objectPrefix+e.ID)
	}
	if err != nil && ctx.Err() == nil {
		r.again(k)
		r.log(ctx, "record", "a refused PDU is not on record", slog.String("gateway", e.ID), slog.Any("err", err))
	}
}

// late counts a PDU that is taken though it is old, and raises the alarm: a clock that
// is slow looks the same.
func (r *refused) late(ctx context.Context, e *Element) {
	r.metrics.late[e.ID].Inc()
	if k := (refusalKey{e.ID, alarmLate}); r.due(k) && !r.alarm(ctx, alarmLate, e) {
		r.again(k)
	}
}

func (r *refused) due(k refusalKey) bool {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[k]; ok && now.Sub(last) < recordEvery {
		return false
	}
	r.last[k] = now
	return true
}

// again makes a key due sooner, after an attempt that failed.
func (r *refused) again(k refusalKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[k] = r.cfg.Now().Add(recordAgain - recordEvery)
}

// alarm shows that a person must look at an element, and reports whether it is shown.
func (c *Collector) alarm(ctx context.Context, kind string, e *Element) bool {
	return c.told(ctx, kind, e, c.cfg.Alarms.OpenAlarm)
}

// settle shows that it is over.
func (c *Collector) settle(ctx context.Context, kind string, e *Element) {
	c.told(ctx, kind, e, c.cfg.Alarms.CloseAlarm)
}

func (c *Collector) told(ctx context.Context, kind string, e *Element, tell func(ctx context.Context, kind, object string) error) bool {
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
	defer cancel()
	err := tell(attempt, kind, objectPrefix+e.ID)
	if err != nil {
		c.log(ctx, "alarm", "an alarm is not on record", slog.String("alarm", kind), slog.Any("err", err))
	}
	return err == nil
}

// trouble logs an attempt that will be made again.
func (c *Collector) trouble(ctx context.Context, step string, err error) {
	c.log(ctx, step, "collecting waits and tries again", slog.String("step", step), slog.Any("err", err))
}

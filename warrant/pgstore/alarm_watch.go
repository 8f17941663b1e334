package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
)

// WatchSettings say when what the tables show is an alarm.
type WatchSettings struct {
	SilentAfter   time.Duration // a warrant without signalling for so long; 0 = none
	VanishedAfter time.Duration // a target that was seen before, and neither registered nor called for so long; 0 = none

	SelfTests     []li.LIID     // test warrants, one for each gateway that is to be tested
	SelfTestAfter time.Duration // without a receipt under one of them for so long
}

// The kinds of alarm that follow from the tables.
const (
	AlarmExpiringSoon    = "expiring_soon"    // object: warrant and 30d, 7d, 2d or 1d
	AlarmOriginalDue     = "original_due"     // object: warrant; the tap ends by itself if the original does not come
	AlarmStopUnconfirmed = "stop_unconfirmed" // object: gateway and XID; the warrant has ended, the gateway has not said so
	AlarmSilentWarrant   = "silent_warrant"   // object: warrant
	AlarmTargetVanished  = "target_vanished"  // object: warrant
	AlarmSelfTestMissed  = "self_test_missed" // object: LIID of the test warrant
)

// watch is one kind and the query of the objects about which it should be open. $1 is
// now, args are $2 and what follows.
type watch struct {
	kind, sql string
	args      []any
}

// watches lists the kinds that are on. A countdown step longer than the warrant's whole
// validity says nothing and is left out.
func (w WatchSettings) watches() []watch {
	all := []watch{
		{AlarmExpiringSoon, `select distinct on (w.id) w.id || ' ' || d.days || 'd' from warrant w, (values (30), (7), (2), (1)) as d (days)
			where w.state in ('active', 'suspended') and w.valid_until > $1 and w.valid_until <= $1::timestamptz + make_interval(days => d.days)
			  and w.valid_until - w.valid_from > make_interval(days => d.days) order by w.id, d.days`, nil},
		{AlarmOriginalDue, `select id from warrant where provisional and state in ('approved', 'active', 'suspended') and original_due < valid_until
			and original_due > $1 and original_due <= $1::timestamptz + make_interval(secs => $2)`, []any{originalSoon.Seconds()}},
		{AlarmStopUnconfirmed, `select g.gateway || ' ' || g.xid from task_gateway g join task t on t.xid = g.xid join warrant w on w.id = t.warrant_id
			where g.live and w.state in ('suspended', 'expired', 'revoked', 'purged') and w.stopped_at < $1::timestamptz - make_interval(secs => $2)`, []any{stopGrace.Seconds()}},
	}
	if w.SilentAfter > 0 {
		all = append(all, watch{AlarmSilentWarrant, `select w.id from warrant w join tap_interval i on i.warrant_id = w.id and i.ended_at is null
			where w.state = 'active' and i.began_at < $1::timestamptz - make_interval(secs => $2)
			  and not exists (select from session s where s.liid = w.liid and s.last_at >= $1::timestamptz - make_interval(secs => $2))`, []any{w.SilentAfter.Seconds()}})
	}
	if w.VanishedAfter > 0 {
		// A registration is signalling, too: who has not called may still be there.
		all = append(all, watch{
			AlarmTargetVanished, `select w.id from warrant w
			where w.state = 'active' and exists (select from session s where s.liid = w.liid)
			  and not exists (select from session s where s.liid = w.liid and s.last_at >= $1::timestamptz - make_interval(secs => $2))
			  and not exists (select from tap_interval i where i.warrant_id = w.id and i.ended_at is null and i.began_at >= $1::timestamptz - make_interval(secs => $2))`,
			[]any{w.VanishedAfter.Seconds()},
		})
	}
	if len(w.SelfTests) > 0 {
		// Who tests acknowledges only what came as it was said.
		all = append(all, watch{
			AlarmSelfTestMissed, `select l from unnest($3::text[]) l
			where not exists (select from session s join receipt r on r.session_id = s.id where s.liid = l and r.at >= $1::timestamptz - make_interval(secs => $2))`,
			[]any{w.SelfTestAfter.Seconds(), w.SelfTests},
		})
	}
	return all
}

// stopGrace is how long a gateway may take to confirm that a tap is off.
const stopGrace = time.Minute

// originalSoon is how long before an original is due that is shown.
const originalSoon = 24 * time.Hour

// WatchAlarms opens and closes the alarms that follow from the tables as they stand at
// now. One that a person closed opens again while its cause lasts.
func (s *Store) WatchAlarms(ctx context.Context, now time.Time, settings WatchSettings) error {
	for _, w := range settings.watches() {
		if err := s.inTx(ctx, func(tx pgx.Tx) error { return s.watch(ctx, tx, w, now) }); err != nil {
			return fmt.Errorf("watch %s: %w", w.kind, err)
		}
	}
	return nil
}

func (s *Store) watch(ctx context.Context, tx pgx.Tx, w watch, now time.Time) error {
	wanted, err := objects(ctx, tx, w.sql, append([]any{now}, w.args...)...)
	if err != nil {
		return err
	}
	open, err := objects(ctx, tx, "select object from alarm where kind = $1 and closed_at is null", w.kind)
	if err != nil {
		return err
	}
	for object := range wanted {
		if !open[object] {
			if err := s.raise(ctx, tx, w.kind, object); err != nil {
				return err
			}
		}
	}
	for object := range open {
		if !wanted[object] {
			if err := s.lower(ctx, tx, w.kind, object); err != nil {
				return err
			}
		}
	}
	return nil
}

func objects(ctx context.Context, tx pgx.Tx, sql string, args ...any) (map[string]bool, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, interpret(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, interpret(err)
	}
	set := make(map[string]bool, len(list))
	for _, o := range list {
		set[o] = true
	}
	return set, nil
}

// AlarmNotice is what the webhook is told: that there is an alarm, of a kind, under a
// name that says nothing.
type AlarmNotice struct {
	ID    string // of this notice, the same at each attempt
	Alarm string // of the alarm, the same for all its notices
	Kind  string
	Event string // raised, acknowledged, closed
}

// TakeAlarmNotices returns what is due, oldest first, and puts off its next attempt: a
// notice that is not dropped by then comes again.
func (s *Store) TakeAlarmNotices(ctx context.Context, now time.Time, limit int) ([]AlarmNotice, error) {
	rows, err := s.pool.Query(ctx, `with due as (select id from alarm_notice where next_at <= $1 order by serial limit $2 for update skip locked),
		taken as (update alarm_notice n set attempts = attempts + 1,
			next_at = $1 + least(interval '10 seconds' * power(2, least(attempts, 10)), interval '1 hour')
			from due where n.id = due.id returning n.id, n.serial, n.alarm_id, n.event)
		select taken.id::text, a.token::text, a.kind, taken.event from taken join alarm a on a.id = taken.alarm_id order by taken.serial`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("take alarm notices: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AlarmNotice])
	if err != nil {
		return nil, fmt.Errorf("take alarm notices: %w", interpret(err))
	}
	return all, nil
}

// DropAlarmNotice forgets a notice that was taken by the receiver.
func (s *Store) DropAlarmNotice(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, "delete from alarm_notice where id = $1", id)
	return interpret(err)
}

// DropAlarmNotices forgets what was raised before then: nobody is there to be told.
func (s *Store) DropAlarmNotices(ctx context.Context, before time.Time) error {
	_, err := s.pool.Exec(ctx, "delete from alarm_notice where at < $1", before)
	return interpret(err)
}

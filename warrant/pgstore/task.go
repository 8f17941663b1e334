package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// Due starts the warrants whose time has come, and ends those whose time is over or
// whose original did not come, each with its audit entry.
func (s *Store) Due(ctx context.Context, now time.Time) error {
	now = now.UTC().Truncate(time.Microsecond)
	rows, err := s.pool.Query(ctx, `select id, version, valid_until <= $1, provisional and original_due <= $1 and original_due < valid_until from warrant
		where state in ('approved', 'active', 'suspended')
		and (valid_until <= $1 or state = 'approved' and valid_from <= $1 or provisional and original_due <= $1) order by serial`, now)
	if err != nil {
		return fmt.Errorf("find due warrants: %w", interpret(err))
	}
	type due struct {
		ID            warrant.ID
		Version       int
		Over, Overdue bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return fmt.Errorf("find due warrants: %w", interpret(err))
	}
	for _, d := range all {
		rule, action, reason := warrant.Start, "warrant.start", ""
		switch {
		case d.Overdue:
			rule, action, reason = warrant.Lapse, "warrant.lapse", warrant.ReasonLapsed
		case d.Over:
			rule, action = warrant.Expire, "warrant.expire"
		}
		e := system(action, "", string(d.ID))
		e.Reason = reason
		_, err := s.change(ctx, d.ID, d.Version, e, func(_ pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
			return rule(w, now)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
	}
	return nil
}

// NextDeadline returns when Due has work next; zero = never, as things stand.
func (s *Store) NextDeadline(ctx context.Context, now time.Time) (time.Time, error) {
	var next *time.Time
	err := s.pool.QueryRow(ctx, `select min(t) from (
		select valid_until as t from warrant where state in ('approved', 'active', 'suspended')
		union all select original_due from warrant where state in ('approved', 'active', 'suspended') and provisional
		union all select valid_from from warrant where state = 'approved') deadlines where t > $1`, now).Scan(&next)
	if err != nil {
		return time.Time{}, fmt.Errorf("find next deadline: %w", interpret(err))
	}
	if next == nil {
		return time.Time{}, nil
	}
	return next.UTC(), nil
}

// WantedTasks returns what may be tapped at now. A warrant whose targets do not open is
// left out and alarmed: the others go on.
func (s *Store) WantedTasks(ctx context.Context, now time.Time) ([]li.Task, error) {
	var tasks []li.Task
	var broken []li.LIID
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		tasks, broken, err = s.wantedTasks(ctx, tx, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, liid := range broken {
		if err := s.OpenAlarm(ctx, alarmUnreadable, string(liid)); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

// alarmUnreadable: a row was changed behind our back; its object is the LIID.
const alarmUnreadable = "warrant_unreadable"

func (s *Store) wantedTasks(ctx context.Context, tx pgx.Tx, now time.Time) (tasks []li.Task, broken []li.LIID, err error) {
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	rows, err := tx.Query(ctx, `select t.xid::text, `+warrantColumns+` from warrant w join task t on t.warrant_id = w.id
		where w.state = 'active' order by w.serial`)
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		values := &withXID{CollectableRow: row}
		w, err := keys.scanWarrant(values)
		if unreadable(err) {
			broken = append(broken, w.LIID)
			return struct{}{}, nil
		}
		if err != nil {
			return struct{}{}, err
		}
		xid, err := li.ParseXID(values.xid)
		if err != nil {
			return struct{}{}, err
		}
		if task, ok := w.Task(xid, now); ok {
			tasks = append(tasks, task)
		}
		return struct{}{}, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", err)
	}
	return tasks, broken, nil
}

// withXID takes the leading XID off a row.
type withXID struct {
	pgx.CollectableRow
	xid string
}

// Scan reads the XID and then dest.
func (r *withXID) Scan(dest ...any) error {
	return r.CollectableRow.Scan(append([]any{&r.xid}, dest...)...)
}

// TaskInfo returns what mediation must know of a Task.
func (s *Store) TaskInfo(ctx context.Context, xid li.XID) (warrant.TaskInfo, error) {
	var info warrant.TaskInfo
	var scope string
	var began, ended, mediaUntil *time.Time
	err := s.pool.QueryRow(ctx, `select w.id, w.liid, w.agency_id, a.recipients, w.scope,
		  case when w.provisional then least(w.valid_until, w.original_due) else w.valid_until end, w.provisional,
		  (select min(i.began_at) from tap_interval i where i.warrant_id = w.id),
		  (select case when bool_or(i.ended_at is null) then null else max(i.ended_at) end from tap_interval i where i.warrant_id = w.id),
		  (select min(v.at) from warrant_version v join warrant_version b on b.warrant_id = v.warrant_id and b.version = v.version - 1
		    where v.warrant_id = w.id and v.act = 'narrow' and v.body->>'scope' = 'iri' and b.body->>'scope' = 'iri+cc')
		from task t join warrant w on w.id = t.warrant_id join agency a on a.id = w.agency_id
		where t.xid = $1 and w.state not in ('draft', 'submitted', 'rejected') and a.confirmed_by is not null`, xid.String()).
		Scan(&info.WarrantID, &info.LIID, &info.AgencyID, &info.Recipients, &scope, &info.Until, &info.Quarantined, &began, &ended, &mediaUntil)
	if err != nil {
		return warrant.TaskInfo{}, notFound(err)
	}
	if began == nil {
		return warrant.TaskInfo{}, warrant.ErrNotFound // approved, never started
	}
	info.XID, info.Media = xid, scope == warrant.IRIAndCC.String()
	info.From, info.Until, info.MediaUntil = began.UTC(), info.Until.UTC(), orZero(mediaUntil)
	if ended != nil {
		info.StoppedAt = ended.UTC()
	}
	return info, nil
}

// ConfirmTask records what a gateway confirmed of a Task.
func (s *Store) ConfirmTask(ctx context.Context, xid li.XID, gateway string, on bool, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var liid li.LIID
		err := tx.QueryRow(ctx, "select w.liid from task t join warrant w on w.id = t.warrant_id where t.xid = $1", xid.String()).Scan(&liid)
		if err != nil {
			return notFound(err)
		}
		tag, err := tx.Exec(ctx, `insert into task_gateway as g (xid, gateway, live, since) values ($1, $2, $3, $4)
			on conflict (xid, gateway) do update set live = excluded.live, since = excluded.since where g.live <> excluded.live`,
			xid.String(), gateway, on, at)
		if err != nil {
			return fmt.Errorf("confirm task: %w", interpret(err))
		}
		if tag.RowsAffected() == 0 {
			return nil // known already
		}
		e := system("tap.stopped", liid, gateway)
		if on {
			e.Action = "tap.started"
		}
		e.Time = at
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// TaskGiven reports whether a network element ever confirmed a Task. What it
// confirmed stays given when the Task ends: what it copied until then may come late.
// soon says that the Task's warrant is active, so that a confirmation may be on its way.
func (s *Store) TaskGiven(ctx context.Context, xid li.XID, gateway string) (given, soon bool, err error) {
	err = s.pool.QueryRow(ctx, `select exists (select from task_gateway where xid = $1 and gateway = $2),
		exists (select from task t join warrant w on w.id = t.warrant_id where t.xid = $1 and w.state = 'active')`, xid.String(), gateway).Scan(&given, &soon)
	if err != nil {
		return false, false, fmt.Errorf("find task of gateway: %w", interpret(err))
	}
	return given, soon, nil
}

// GatewayState is what a gateway confirmed of a warrant's Task.
type GatewayState struct {
	Gateway string
	Live    bool
	Since   time.Time
}

// Confirmations lists what each gateway last confirmed of a warrant's Task.
func (s *Store) Confirmations(ctx context.Context, id warrant.ID) ([]GatewayState, error) {
	rows, err := s.pool.Query(ctx, `select g.gateway, g.live, g.since from task_gateway g join task t on t.xid = g.xid
		where t.warrant_id = $1 order by g.gateway`, id)
	if err != nil {
		return nil, fmt.Errorf("list confirmations: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[GatewayState])
}

// Alarm is something that needs a person to look at it.
type Alarm struct {
	ID       int64
	Kind     string
	Object   string
	OpenedAt time.Time
	ClosedAt *time.Time
}

// OpenAlarm opens an alarm, unless it is open already.
func (s *Store) OpenAlarm(ctx context.Context, kind, object string) error {
	return s.alarm(ctx, "alarm.open", kind, object,
		"insert into alarm (kind, object, opened_at) values ($1, $2, $3) on conflict (kind, object) where closed_at is null do nothing")
}

// CloseAlarm closes an alarm; one that is not open is no error.
func (s *Store) CloseAlarm(ctx context.Context, kind, object string) error {
	return s.alarm(ctx, "alarm.close", kind, object, "update alarm set closed_at = $3 where kind = $1 and object = $2 and closed_at is null")
}

func (s *Store) alarm(ctx context.Context, action, kind, object, sql string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, kind, object, s.clock())
		if err != nil {
			return fmt.Errorf("%s: %w", action, interpret(err))
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		e := audit.Entry{Actor: "ligate", Role: "system", Action: action, Object: object, Result: "done", Detail: map[string]string{"kind": kind}}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// SettleAlarm closes an open alarm because a person looked at it and says what was
// done.
func (s *Store) SettleAlarm(ctx context.Context, by warrant.Actor, id int64, reason string) error {
	e := entry(by, "alarm.settle", "", "alarm "+strconv.FormatInt(id, 10))
	e.Reason = reason[:min(len(reason), 2000)]
	if !by.Confirmed || by.Role != warrant.Drafter && by.Role != warrant.Approver {
		return s.refused(ctx, e, warrant.ErrForbidden)
	}
	if reason == "" {
		return s.refused(ctx, e, &warrant.RuleError{Rule: warrant.RuleReason, Reason: "reason: say what was found and done"})
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "update alarm set closed_at = $2 where id = $1 and closed_at is null returning kind || ' ' || object", id, s.clock()).Scan(&e.Object)
		if err != nil {
			return notFound(err)
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// Alarms lists the newest 200 alarms, open ones first.
func (s *Store) Alarms(ctx context.Context) ([]Alarm, error) {
	rows, err := s.pool.Query(ctx, "select id, kind, object, opened_at, closed_at from alarm order by closed_at is not null, opened_at desc limit 200")
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Alarm])
}

// Listen closes over a connection of its own and calls wake at each notice until
// ctx ends, which is no error. A lost connection is an error: call again.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	raw := conn.Hijack()
	defer func() { _ = raw.Close(context.WithoutCancel(ctx)) }()
	if _, err := raw.Exec(ctx, "listen "+Channel); err != nil {
		return fmt.Errorf("listen: %w", interpret(err))
	}
	wake() // what changed before we listened
	for {
		if _, err := raw.WaitForNotification(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen: %w", err)
		}
		wake()
	}
}

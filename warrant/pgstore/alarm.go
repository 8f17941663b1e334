package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
)

// Alarm is something that needs a person to look at it. It is raised, may be
// acknowledged, and is closed: by ligate when it is over, or by a person.
type Alarm struct {
	ID       int64
	Kind     string
	Object   string
	OpenedAt time.Time
	AckedAt  *time.Time
	AckedBy  string
	AckNote  string
	ClosedAt *time.Time
	ClosedBy string // empty = ligate itself, because it was over
	Note     string // what was found and done
	FollowUp bool   // only a person closes it
}

const alarmColumns = `id, kind, object, opened_at, acked_at, coalesce(acked_by, ''), coalesce(ack_note, ''), closed_at, coalesce(closed_by, ''),
	coalesce(note, ''), exists (select from alarm_follow_up f where f.kind = alarm.kind)`

// OpenAlarm opens an alarm, unless it is open already.
func (s *Store) OpenAlarm(ctx context.Context, kind, object string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error { return s.raise(ctx, tx, kind, object) })
}

func (s *Store) raise(ctx context.Context, tx pgx.Tx, kind, object string) error {
	var id int64
	err := tx.QueryRow(ctx, `insert into alarm (kind, object, opened_at) values ($1, $2, $3)
		on conflict (kind, object) where closed_at is null do nothing returning id`, kind, object, s.clock()).Scan(&id)
	if err == pgx.ErrNoRows { //nolint:errorlint // Scan returns it bare
		return nil
	}
	if err != nil {
		return fmt.Errorf("open alarm: %w", interpret(err))
	}
	return s.alarmed(ctx, tx, id, "raised", alarmEntry("alarm.open", kind, object))
}

// CloseAlarm closes an alarm that is over; one that is not open is no error, and one
// that needs a person stays open.
func (s *Store) CloseAlarm(ctx context.Context, kind, object string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error { return s.lower(ctx, tx, kind, object) })
}

func (s *Store) lower(ctx context.Context, tx pgx.Tx, kind, object string) error {
	var id int64
	err := tx.QueryRow(ctx, `update alarm set closed_at = $3 where kind = $1 and object = $2 and closed_at is null
		and not exists (select from alarm_follow_up f where f.kind = $1) returning id`, kind, object, s.clock()).Scan(&id)
	if err == pgx.ErrNoRows { //nolint:errorlint // Scan returns it bare
		return nil
	}
	if err != nil {
		return fmt.Errorf("close alarm: %w", interpret(err))
	}
	return s.alarmed(ctx, tx, id, "closed", alarmEntry("alarm.close", kind, object))
}

func alarmEntry(action, kind, object string) audit.Entry {
	e := system(action, "", object)
	e.Detail = map[string]string{"kind": kind}
	return e
}

// alarmed keeps what the webhook is to be told, and the entry.
func (s *Store) alarmed(ctx context.Context, tx pgx.Tx, id int64, event string, e audit.Entry) error {
	_, err := tx.Exec(ctx, "insert into alarm_notice (alarm_id, event, at, next_at) values ($1, $2, $3, $3)", id, event, s.clock())
	if err != nil {
		return fmt.Errorf("keep alarm's notice: %w", interpret(err))
	}
	_, err = s.audit.Append(ctx, tx, e)
	return err
}

// AckAlarm notes that a person has seen an open alarm and looks into it. The first
// acknowledgement stands.
func (s *Store) AckAlarm(ctx context.Context, by warrant.Actor, id int64, note string) (Alarm, error) {
	e := entry(by, "alarm.acknowledge", "", "alarm "+strconv.FormatInt(id, 10))
	e.Reason = cut(note)
	return s.handleAlarm(ctx, by, id, "acknowledged", e, `update alarm set acked_at = $2, acked_by = $3, ack_note = $4
		where id = $1 and closed_at is null and acked_at is null`, note)
}

// SettleAlarm closes an open alarm because a person looked at it and says what was
// found and done.
func (s *Store) SettleAlarm(ctx context.Context, by warrant.Actor, id int64, note string) (Alarm, error) {
	e := entry(by, "alarm.settle", "", "alarm "+strconv.FormatInt(id, 10))
	e.Reason = cut(note)
	if handlesAlarms(by) && note == "" {
		return Alarm{}, s.refused(ctx, e, &warrant.RuleError{Rule: warrant.RuleReason, Reason: "note: say what was found and done"})
	}
	return s.handleAlarm(ctx, by, id, "closed", e, `update alarm set closed_at = $2, closed_by = $3, note = $4 where id = $1 and closed_at is null`, note)
}

func handlesAlarms(by warrant.Actor) bool {
	return by.Confirmed && (by.Role == warrant.Drafter || by.Role == warrant.Approver)
}

// handleAlarm is a person's act on an alarm; sql changes it or nothing.
func (s *Store) handleAlarm(ctx context.Context, by warrant.Actor, id int64, event string, e audit.Entry, sql, note string) (Alarm, error) {
	if !handlesAlarms(by) {
		return Alarm{}, s.refused(ctx, e, warrant.ErrForbidden)
	}
	var a Alarm
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, id, s.clock(), by.ID, note)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Action, interpret(err))
		}
		rows, err := tx.Query(ctx, "select "+alarmColumns+" from alarm where id = $1", id)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Action, interpret(err))
		}
		if a, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Alarm]); err != nil {
			return notFound(err)
		}
		if tag.RowsAffected() == 0 {
			return &warrant.RuleError{Rule: warrant.RuleState, Reason: "the alarm is closed, or acknowledged already"}
		}
		e.Object, e.Detail = a.Object, map[string]string{"kind": a.Kind}
		return s.alarmed(ctx, tx, id, event, e)
	})
	if err != nil {
		return Alarm{}, s.refused(ctx, e, err)
	}
	return a, nil
}

// AlarmFilter narrows a listing; zero fields do not.
type AlarmFilter struct {
	Kind  string
	State string // open (neither acknowledged nor closed), acknowledged, closed
}

// Alarms lists alarms, newest first, and the cursor of the next page.
func (s *Store) Alarms(ctx context.Context, f AlarmFilter, p Page) ([]Alarm, string, error) {
	limit, before, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	rows, err := s.pool.Query(ctx, "select "+alarmColumns+` from alarm where ($1::bigint = 0 or id < $1) and ($2 = '' or kind = $2)
		and ($3 = '' or $3 = case when closed_at is not null then 'closed' when acked_at is not null then 'acknowledged' else 'open' end)
		order by id desc limit $4`, before, f.Kind, f.State, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list alarms: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Alarm])
	if err != nil {
		return nil, "", fmt.Errorf("list alarms: %w", interpret(err))
	}
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], strconv.FormatInt(all[limit-1].ID, 10), nil
}

// OpenAlarms counts the alarms that are not closed, by kind.
func (s *Store) OpenAlarms(ctx context.Context) (map[string]int, error) {
	rows, err := s.pool.Query(ctx, "select kind, count(*) from alarm where closed_at is null group by kind")
	if err != nil {
		return nil, fmt.Errorf("count alarms: %w", interpret(err))
	}
	counts := map[string]int{}
	var kind string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&kind, &n}, func() error { counts[kind] = n; return nil })
	if err != nil {
		return nil, fmt.Errorf("count alarms: %w", interpret(err))
	}
	return counts, nil
}

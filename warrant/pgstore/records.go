package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
	"github.com/ligate/ligate/warrant/profile"
)

// zone is that of the records' times.
func (s *Store) zone() *time.Location {
	if s.profile == nil {
		return time.UTC
	}
	return s.profile.Location()
}

// DueNotice is what somebody must be told, and until when.
type DueNotice struct {
	To     string
	Within string
	Due    time.Time
	Form   string
	Source string // statute and section
}

// notices lists what the profile asks for when the event happens.
func (s *Store) notices(event string, at time.Time) []DueNotice {
	if s.profile == nil {
		return nil
	}
	var all []DueNotice
	for _, n := range s.profile.NoticesOn(event) {
		all = append(all, DueNotice{To: n.To, Within: n.Within.String(), Due: s.profile.NoticeDue(n, at), Form: n.Form, Source: n.Text})
	}
	return all
}

// compliance admits who drafts or approves.
func compliance(by warrant.Actor) error {
	if by.Confirmed && (by.Role == warrant.Drafter || by.Role == warrant.Approver) {
		return nil
	}
	return warrant.ErrForbidden
}

// whole turns a form that lacks something into the domain's refusal. The text names
// fields, never what stands in them.
func whole(f form.Form) error {
	err := f.Validate()
	var missing *form.MissingError
	if errors.As(err, &missing) {
		return &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: missing.Error()}
	}
	return err
}

// encode checks a form and writes it as JSON.
func encode(f form.Form) ([]byte, error) {
	if err := whole(f); err != nil {
		return nil, err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Name(), err)
	}
	return b, nil
}

// alone makes this transaction the only writer of a record.
func alone(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('ligate record ' || $1, 0))", id)
	return err
}

// record does f and appends e in one transaction; a refusal is recorded alone.
func (s *Store) record(ctx context.Context, e audit.Entry, may error, f func(pgx.Tx, *audit.Entry) error) error {
	if may != nil {
		return s.refused(ctx, e, may)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := f(tx, &e); err != nil {
			return interpret(err)
		}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
	return s.refused(ctx, e, err)
}

// reading puts a look at records on the audit log before it is answered.
func (s *Store) reading(ctx context.Context, by warrant.Actor, action, object string) error {
	e := entry(by, action, "", printable(object))
	if err := mayRead(by); err != nil {
		return s.refused(ctx, e, err)
	}
	return s.Record(ctx, e)
}

// TapInterval is a time in which a tap was allowed.
type TapInterval struct {
	Began time.Time
	Ended *time.Time // nil = it runs
}

// TapIntervals lists when the tap of a warrant was allowed, oldest first. The reading
// is on the audit log first.
func (s *Store) TapIntervals(ctx context.Context, by warrant.Actor, id warrant.ID) ([]TapInterval, error) {
	if err := s.readOf(ctx, by, id, "warrant.intervals"); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "select began_at, ended_at from tap_interval where warrant_id = $1 order by began_at", id)
	if err != nil {
		return nil, fmt.Errorf("list tap intervals: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[TapInterval])
}

// RecordsOf names the intercept whose receipts, or what a purge left of it, are to be
// shown. The reading is on the audit log first.
func (s *Store) RecordsOf(ctx context.Context, by warrant.Actor, id warrant.ID, action string) (warrant.Warrant, error) {
	if err := s.readOf(ctx, by, id, action); err != nil {
		return warrant.Warrant{}, err
	}
	rows, err := s.pool.Query(ctx, "select "+warrantColumns+" from warrant w where w.id = $1", id)
	if err != nil {
		return warrant.Warrant{}, fmt.Errorf("read warrant: %w", interpret(err))
	}
	w, err := pgx.CollectExactlyOneRow(rows, keyring{}.scanWarrant) // its targets stay closed
	return w, notFound(err)
}

// Word is one of the two words of a purge.
type Word struct {
	By     warrant.PersonID
	At     time.Time
	Reason string // names the rule
}

// PurgeRecord is who destroyed what was intercepted, when and by which rule.
type PurgeRecord struct {
	Asked, Done Word
	Rules       []Retention // of the profile, that bind the operator for what hangs on a warrant
}

// PurgeRecord returns the record of a purge; ErrNotFound where there was none.
func (s *Store) PurgeRecord(ctx context.Context, w warrant.Warrant) (PurgeRecord, error) {
	var r PurgeRecord
	const word = `select "by", at, reason from warrant_version where warrant_id = $1 and act = $2 order by version desc limit 1`
	err := s.pool.QueryRow(ctx, word, w.ID, "purge").Scan(&r.Done.By, &r.Done.At, &r.Done.Reason)
	if err == nil {
		err = s.pool.QueryRow(ctx, word, w.ID, "purge.request").Scan(&r.Asked.By, &r.Asked.At, &r.Asked.Reason)
	}
	r.Rules = s.retention(w)
	return r, notFound(err)
}

// Retention is how long records of one kind are kept.
type Retention struct {
	Kind, Rule, For, After, Duty, Source string
	// End is counted from the end of the tap; zero while it runs, for what binds the
	// agency, and for events that have nothing to do with one warrant.
	End time.Time
}

// Retention lists how long each kind of record of a warrant is kept. The reading is on
// the audit log first.
func (s *Store) Retention(ctx context.Context, by warrant.Actor, id warrant.ID) (ended time.Time, all []Retention, err error) {
	w, err := s.RecordsOf(ctx, by, id, "warrant.retention")
	if err != nil {
		return time.Time{}, nil, err
	}
	return tapEnd(w), s.retention(w), nil
}

// tapEnd is when a warrant's tap ended for good; zero = it has not.
func tapEnd(w warrant.Warrant) time.Time {
	if w.State == warrant.Suspended {
		return time.Time{}
	}
	return w.StoppedAt
}

func (s *Store) retention(w warrant.Warrant) []Retention {
	if s.profile == nil {
		return nil
	}
	var all []Retention
	for _, r := range s.profile.Retention {
		row := Retention{Kind: string(r.Kind), Rule: r.Rule, For: r.For.String(), After: r.After, Duty: r.Duty, Source: r.Text}
		if at := tapEnd(w); !at.IsZero() && r.Duty == profile.DutyOperator && r.Kind != profile.RecordDeletion {
			row.End, _ = s.profile.RetentionEnd(r.Kind, at)
		}
		all = append(all, row)
	}
	return all
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// single is the one record that was looked for by its name.
func single[T any](found []T, err error) (one T, _ error) {
	switch {
	case err != nil:
		return one, err
	case len(found) == 0:
		return one, warrant.ErrNotFound
	}
	return found[0], nil
}

package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
)

// sysadmin admits confirmed system administrators.
func sysadmin(by warrant.Actor) error {
	if by.Role != warrant.Sysadmin || !by.Confirmed {
		return warrant.ErrForbidden
	}
	return nil
}

// asSysadmin runs change in a transaction with its entry, for system administrators.
// A refusal is recorded.
func (s *Store) asSysadmin(ctx context.Context, by warrant.Actor, e audit.Entry, change func(pgx.Tx) error) error {
	if err := sysadmin(by); err != nil {
		return s.refused(ctx, e, err)
	}
	return s.refused(ctx, e, s.withEntry(ctx, e, change))
}

// withEntry runs change in a transaction with its entry.
func (s *Store) withEntry(ctx context.Context, e audit.Entry, change func(pgx.Tx) error) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
}

// one runs a statement that changes exactly one row; otherwise it is ErrNotFound.
func one(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	tag, err := tx.Exec(ctx, sql, args...)
	if err != nil {
		return interpret(err)
	}
	if tag.RowsAffected() != 1 {
		return warrant.ErrNotFound
	}
	return nil
}

// Person returns one person, whether or not they may sign in.
func (s *Store) Person(ctx context.Context, id warrant.PersonID) (warrant.Person, error) {
	return s.person(ctx, "p.id = $1", id)
}

// ActivePerson returns one person who may sign in now.
func (s *Store) ActivePerson(ctx context.Context, id warrant.PersonID) (warrant.Person, error) {
	return s.person(ctx, "p.id = $1 and person_active(p.id, $2)", id, s.clock())
}

// ActiveByName returns the person of that name who may sign in now.
func (s *Store) ActiveByName(ctx context.Context, name string) (warrant.Person, error) {
	return s.person(ctx, "p.name = $1 and person_active(p.id, $2)", name, s.clock())
}

// person reads one; where holds constant text only.
func (s *Store) person(ctx context.Context, where string, args ...any) (warrant.Person, error) {
	rows, err := s.pool.Query(ctx, "select "+personColumns+" from person p where "+where, args...)
	if err != nil {
		return warrant.Person{}, fmt.Errorf("find person: %w", interpret(err))
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPerson)
	return p, notFound(err)
}

// DisablePerson ends a person's access at once: sign-in, sessions, links. One system
// administrator suffices to stop.
func (s *Store) DisablePerson(ctx context.Context, by warrant.Actor, id warrant.PersonID, reason string) error {
	e := entry(by, "person.disable", "", string(id))
	e.Reason = cut(reason)
	return s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		now := s.clock()
		if err := one(ctx, tx, `update person set disabled_at = $2, disabled_by = $3, enable_asked_by = null, enabled_by = null
			where id = $1 and disabled_at is null`, id, now, by.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "update enrolment set remaining = 0 where person_id = $1 and remaining > 0", id); err != nil {
			return interpret(err)
		}
		_, err := endSessions(ctx, tx, id, string(by.ID), now)
		return err
	})
}

// EnablePerson is called twice, by two system administrators: the first asks, the
// second enables. It reports whether the person is enabled now.
func (s *Store) EnablePerson(ctx context.Context, by warrant.Actor, id warrant.PersonID) (enabled bool, err error) {
	e := entry(by, "person.enable", "", string(id))
	e.Detail = map[string]string{"step": "ask"}
	err = s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		var asked *string
		err := tx.QueryRow(ctx, "select enable_asked_by from person where id = $1 and disabled_at is not null for update", id).Scan(&asked)
		if err != nil {
			return notFound(err)
		}
		if asked == nil {
			return one(ctx, tx, "update person set enable_asked_by = $2 where id = $1", id, by.ID)
		}
		e.Detail["step"], enabled = "confirm", true // e's map is shared with the entry that is appended
		return one(ctx, tx, "update person set disabled_at = null, disabled_by = null, enabled_by = $2 where id = $1", id, by.ID)
	})
	return enabled && err == nil, err
}

// AddClearance says until when a person is cleared; another system administrator
// confirms. It returns the clearance's number.
func (s *Store) AddClearance(ctx context.Context, by warrant.Actor, id warrant.PersonID, until time.Time) (number int, err error) {
	e := entry(by, "clearance.add", "", string(id))
	e.Detail = map[string]string{"until": until.UTC().Format(time.RFC3339)}
	err = s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		var known warrant.PersonID
		if err := tx.QueryRow(ctx, "select id from person where id = $1 for update", id).Scan(&known); err != nil {
			return notFound(err)
		}
		if err := tx.QueryRow(ctx, "select coalesce(max(number), 0) + 1 from person_clearance where person_id = $1", id).Scan(&number); err != nil {
			return interpret(err)
		}
		return insertClearance(ctx, tx, id, number, until, by.ID, s.clock())
	})
	return number, err
}

// ConfirmClearance is the second system administrator's word.
func (s *Store) ConfirmClearance(ctx context.Context, by warrant.Actor, id warrant.PersonID, number int) error {
	return s.asSysadmin(ctx, by, entry(by, "clearance.confirm", "", string(id)), func(tx pgx.Tx) error {
		return one(ctx, tx, "update person_clearance set confirmed_by = $3 where person_id = $1 and number = $2 and confirmed_by is null", id, number, by.ID)
	})
}

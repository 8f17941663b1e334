package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
)

// ceremony stands for the people present when the first persons are enrolled.
const ceremony = "ceremony"

// EnrolFirst enrols the first people of an installation that knows nobody: the
// ceremony. It needs two system administrators, so that later additions can be
// confirmed. The people come back with their ids.
func (s *Store) EnrolFirst(ctx context.Context, people []warrant.Person) ([]warrant.Person, error) {
	admins := 0
	for _, p := range people {
		if err := p.Validate(); err != nil {
			return nil, err
		}
		if p.Role == warrant.Sysadmin {
			admins++
		}
	}
	if admins < 2 {
		return nil, &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "the ceremony enrols at least two system administrators"}
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := nobodyYet(ctx, tx); err != nil {
			return err
		}
		for i := range people {
			people[i].ID, people[i].AddedBy, people[i].Confirmed, people[i].CreatedAt = warrant.PersonID(newID()), ceremony, true, s.clock()
			if err := s.insertPerson(ctx, tx, people[i], "setup"); err != nil {
				return err
			}
			e := audit.Entry{Actor: ceremony, Role: "ceremony", Action: "person.enrol", Object: string(people[i].ID), Result: "done"}
			e.Detail = map[string]string{"role": people[i].Role.String(), "certificate": people[i].Cert}
			if _, err := s.audit.Append(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	return people, err
}

// nobodyYet holds the table of people and checks that nobody is confirmed: who used
// one half of a bootstrap link is nobody yet. What bootstrap links there are, are
// void from here on.
func nobodyYet(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "lock table person in exclusive mode"); err != nil {
		return fmt.Errorf("lock people: %w", interpret(err))
	}
	var known int
	if err := tx.QueryRow(ctx, "select count(*) from person where confirmed_by is not null").Scan(&known); err != nil {
		return fmt.Errorf("count people: %w", interpret(err))
	}
	if known > 0 {
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "this installation knows people already: a system administrator adds more, another confirms"}
	}
	if _, err := tx.Exec(ctx, "update enrolment set remaining = 0 where person_id is null and remaining > 0"); err != nil {
		return fmt.Errorf("void links: %w", interpret(err))
	}
	return nil
}

func (s *Store) insertPerson(ctx context.Context, tx pgx.Tx, p warrant.Person, confirmedBy any) error {
	_, err := tx.Exec(ctx, `insert into person (id, name, role, signin, cert, added_by, confirmed_by, created_at)
		values ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8)`,
		p.ID, p.Name, p.Role.String(), cmp.Or(p.SignIn, warrant.ByCertificate), p.Cert, p.AddedBy, confirmedBy, p.CreatedAt)
	if err != nil {
		return fmt.Errorf("add person: %w", interpret(err))
	}
	if p.ClearedUntil.IsZero() {
		return nil
	}
	return insertClearance(ctx, tx, p.ID, 1, p.ClearedUntil, p.AddedBy, p.CreatedAt)
}

func insertClearance(ctx context.Context, tx pgx.Tx, id warrant.PersonID, number int, until time.Time, by warrant.PersonID, at time.Time) error {
	_, err := tx.Exec(ctx, "insert into person_clearance (person_id, number, until, added_by, created_at) values ($1, $2, $3, $4, $5)",
		id, number, until, by, at)
	if err != nil {
		return fmt.Errorf("add clearance: %w", interpret(err))
	}
	return nil
}

// AddPerson adds a person, who may act once another system administrator confirms.
func (s *Store) AddPerson(ctx context.Context, by warrant.Actor, p warrant.Person) (warrant.Person, error) {
	e := entry(by, "person.add", "", "")
	if by.Role != warrant.Sysadmin || !by.Confirmed {
		return warrant.Person{}, s.refused(ctx, e, warrant.ErrForbidden)
	}
	if err := p.Validate(); err != nil {
		return warrant.Person{}, err
	}
	p.ID, p.AddedBy, p.Confirmed, p.CreatedAt = warrant.PersonID(newID()), by.ID, false, s.clock()
	p.SignIn = cmp.Or(p.SignIn, warrant.ByCertificate)
	e.Object = string(p.ID)
	e.Detail = map[string]string{"role": p.Role.String(), "signin": string(p.SignIn), "certificate": p.Cert}
	return p, s.inTx(ctx, func(tx pgx.Tx) error {
		if err := s.insertPerson(ctx, tx, p, nil); err != nil {
			return err
		}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
}

// ConfirmPerson is the second system administrator's word on a person, and on the
// clearance with which the person was added.
func (s *Store) ConfirmPerson(ctx context.Context, by warrant.Actor, id warrant.PersonID) error {
	e := entry(by, "person.confirm", "", string(id))
	if by.Role != warrant.Sysadmin || !by.Confirmed {
		return s.refused(ctx, e, warrant.ErrForbidden)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update person set confirmed_by = $2 where id = $1 and confirmed_by is null", id, by.ID)
		if err != nil {
			return interpret(err)
		}
		if tag.RowsAffected() == 0 {
			return warrant.ErrNotFound
		}
		if _, err := tx.Exec(ctx, "update person_clearance set confirmed_by = $2 where person_id = $1 and confirmed_by is null", id, by.ID); err != nil {
			return interpret(err)
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return s.refused(ctx, e, err)
}

// personColumns read person p.
const personColumns = `p.id, p.name, p.role, p.signin, coalesce(p.cert, ''), p.added_by, p.confirmed_by is not null, p.disabled_at is not null,
	(select c.until from person_clearance c where c.person_id = p.id and c.confirmed_by is not null order by c.number desc limit 1), p.created_at`

func scanPerson(row pgx.CollectableRow) (warrant.Person, error) {
	var p warrant.Person
	var role string
	var until *time.Time
	if err := row.Scan(&p.ID, &p.Name, &role, &p.SignIn, &p.Cert, &p.AddedBy, &p.Confirmed, &p.Disabled, &until, &p.CreatedAt); err != nil {
		return p, err
	}
	if until != nil {
		p.ClearedUntil = until.UTC()
	}
	var err error
	p.Role, err = warrant.ParseRole(role)
	p.CreatedAt = p.CreatedAt.UTC()
	return p, err
}

// PersonByCert returns the person with the certificate who may sign in now.
func (s *Store) PersonByCert(ctx context.Context, cert string) (warrant.Person, error) {
	rows, err := s.pool.Query(ctx, "select "+personColumns+" from person p where cert = $1 and person_active(p.id, $2)", cert, s.clock())
	if err != nil {
		return warrant.Person{}, fmt.Errorf("find person: %w", interpret(err))
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPerson)
	return p, notFound(err)
}

// People lists everybody, in the order in which they were added.
func (s *Store) People(ctx context.Context) ([]warrant.Person, error) {
	rows, err := s.pool.Query(ctx, "select "+personColumns+" from person p order by created_at, id")
	if err != nil {
		return nil, fmt.Errorf("list people: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanPerson)
}

func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return warrant.ErrNotFound
	}
	return interpret(err)
}

package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// Password is what proves a person who signs in by password.
type Password struct {
	Hash string // argon2id
	TOTP []byte // sealed
}

// EnrolPassword keeps a password and its TOTP secret; the link is used by it. A
// person who enrols again replaces both.
func (s *Store) EnrolPassword(ctx context.Context, p warrant.Person, enrolment string, pw Password, source string) error {
	return s.withEntry(ctx, enrolEntry("password.enrol", p, enrolment, source), func(tx pgx.Tx) error {
		en, err := s.use(ctx, tx, enrolment)
		if err != nil {
			return err
		}
		if en.PersonID != p.ID {
			return warrant.ErrNotFound
		}
		_, err = tx.Exec(ctx, `insert into person_password (person_id, enrolment_id, hash, totp, created_at) values ($1, $2, $3, $4, $5)
			on conflict (person_id) do update set enrolment_id = $2, hash = $3, totp = $4, last_step = 0, created_at = $5`,
			p.ID, enrolment, pw.Hash, pw.TOTP, s.clock())
		if err != nil {
			return fmt.Errorf("keep password: %w", interpret(err))
		}
		return nil
	})
}

func enrolEntry(action string, p warrant.Person, enrolment, source string) audit.Entry {
	return audit.Entry{
		Actor: string(p.ID), Role: p.Role.String(), Action: action, Object: string(p.ID), Result: "done", Source: source,
		Detail: map[string]string{"enrolment": enrolment},
	}
}

// Password returns a person's password.
func (s *Store) Password(ctx context.Context, id warrant.PersonID) (Password, error) {
	var pw Password
	err := s.pool.QueryRow(ctx, "select hash, totp from person_password where person_id = $1", id).Scan(&pw.Hash, &pw.TOTP)
	return pw, notFound(err)
}

// TakeStep uses a TOTP step up: the same or an older one is ErrNotFound from then on.
func (s *Store) TakeStep(ctx context.Context, id warrant.PersonID, step int64) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		return one(ctx, tx, "update person_password set last_step = $2 where person_id = $1 and last_step < $2", id, step)
	})
}

// EnrolSubject pins a subject of the identity provider to a person; the link is used
// by it.
func (s *Store) EnrolSubject(ctx context.Context, p warrant.Person, enrolment, issuer, subject, source string) error {
	return s.withEntry(ctx, enrolEntry("oidc.enrol", p, enrolment, source), func(tx pgx.Tx) error {
		en, err := s.use(ctx, tx, enrolment)
		if err != nil {
			return err
		}
		if en.PersonID != p.ID {
			return warrant.ErrNotFound
		}
		_, err = tx.Exec(ctx, "insert into person_oidc (issuer, subject, person_id, enrolment_id, created_at) values ($1, $2, $3, $4, $5)",
			issuer, subject, p.ID, enrolment, s.clock())
		if err != nil {
			return fmt.Errorf("pin subject: %w", interpret(err))
		}
		return nil
	})
}

// PersonBySubject returns the person to whom a subject of the identity provider is
// pinned and who may sign in now.
func (s *Store) PersonBySubject(ctx context.Context, issuer, subject string) (warrant.Person, error) {
	return s.person(ctx, `person_active(p.id, $3) and p.id = (select person_id from person_oidc where issuer = $1 and subject = $2)`, issuer, subject, s.clock())
}

// LockedUntil is when the last of the subjects, accounts or addresses, may try again;
// zero means now.
func (s *Store) LockedUntil(ctx context.Context, subjects ...string) (time.Time, error) {
	var until *time.Time
	err := s.pool.QueryRow(ctx, "select max(locked_until) from signin_failure where subject = any($1) and locked_until > $2", subjects, s.clock()).Scan(&until)
	if err != nil || until == nil {
		return time.Time{}, interpret(err)
	}
	return until.UTC(), nil
}

// Failed counts a failed sign-in of a subject, of which the first free ones delay
// nothing.
func (s *Store) Failed(ctx context.Context, subject string, free int) error {
	now := s.clock()
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "delete from signin_failure where last_at < $1", now.Add(-signin.ForgetFailures)); err != nil {
			return fmt.Errorf("forget failures: %w", interpret(err))
		}
		var failures int
		err := tx.QueryRow(ctx, `insert into signin_failure (subject, failures, last_at) values ($1, 1, $2)
			on conflict (subject) do update set failures = signin_failure.failures + 1, last_at = $2 returning failures`, subject, now).Scan(&failures)
		if err != nil {
			return fmt.Errorf("count failure: %w", interpret(err))
		}
		var until *time.Time
		if d := signin.Delay(failures, free); d > 0 {
			end := now.Add(d)
			until = &end
		}
		return one(ctx, tx, "update signin_failure set locked_until = $2 where subject = $1", subject, until)
	})
}

// AddMachineToken makes a token that counts once another system administrator
// confirms it; hash is of its text.
func (s *Store) AddMachineToken(ctx context.Context, by warrant.Actor, t signin.MachineToken, hash []byte) (signin.MachineToken, error) {
	t.ID, t.AddedBy, t.CreatedAt, t.Confirmed = newID(), by.ID, s.clock(), false
	t.ExpiresAt = t.ExpiresAt.UTC().Truncate(time.Microsecond)
	e := entry(by, "token.add", "", t.ID)
	e.Detail = map[string]string{"role": t.Role.String(), "operations": fmt.Sprint(len(t.Operations)), "until": t.ExpiresAt.Format(time.RFC3339)}
	return t, s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		if err := t.Validate(t.CreatedAt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into machine_token (id, name, token_hash, role, operations, added_by, created_at, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`, t.ID, t.Name, hash, t.Role.String(), t.Operations, t.AddedBy, t.CreatedAt, t.ExpiresAt)
		if err != nil {
			return fmt.Errorf("add machine token: %w", interpret(err))
		}
		return nil
	})
}

// ConfirmMachineToken is the second system administrator's word.
func (s *Store) ConfirmMachineToken(ctx context.Context, by warrant.Actor, id string) error {
	return s.asSysadmin(ctx, by, entry(by, "token.confirm", "", id), func(tx pgx.Tx) error {
		return one(ctx, tx, "update machine_token set confirmed_by = $2 where id = $1 and confirmed_by is null and revoked_at is null", id, by.ID)
	})
}

// RevokeMachineToken ends a token at once. One system administrator suffices.
func (s *Store) RevokeMachineToken(ctx context.Context, by warrant.Actor, id string) error {
	return s.asSysadmin(ctx, by, entry(by, "token.revoke", "", id), func(tx pgx.Tx) error {
		return one(ctx, tx, "update machine_token set revoked_at = $2, revoked_by = $3 where id = $1 and revoked_at is null", id, s.clock(), by.ID)
	})
}

const tokenColumns = "id, name, role, operations, confirmed_by is not null, added_by, created_at, expires_at, revoked_at"

func scanToken(row pgx.CollectableRow) (signin.MachineToken, error) {
	var t signin.MachineToken
	var role string
	var revoked *time.Time
	err := row.Scan(&t.ID, &t.Name, &role, &t.Operations, &t.Confirmed, &t.AddedBy, &t.CreatedAt, &t.ExpiresAt, &revoked)
	if err != nil {
		return t, err
	}
	if revoked != nil {
		t.RevokedAt = revoked.UTC()
	}
	t.CreatedAt, t.ExpiresAt = t.CreatedAt.UTC(), t.ExpiresAt.UTC()
	t.Role, err = warrant.ParseRole(role)
	return t, err
}

// MachineTokens lists all tokens, newest first.
func (s *Store) MachineTokens(ctx context.Context) ([]signin.MachineToken, error) {
	rows, err := s.pool.Query(ctx, "select "+tokenColumns+" from machine_token order by created_at desc, id")
	if err != nil {
		return nil, fmt.Errorf("list machine tokens: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanToken)
}

// MachineTokenByHash returns the token that counts now.
func (s *Store) MachineTokenByHash(ctx context.Context, hash []byte) (signin.MachineToken, error) {
	rows, err := s.pool.Query(ctx, "select "+tokenColumns+` from machine_token
		where token_hash = $1 and confirmed_by is not null and revoked_at is null and expires_at > $2`, hash, s.clock())
	if err != nil {
		return signin.MachineToken{}, fmt.Errorf("find machine token: %w", interpret(err))
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanToken)
	return t, notFound(err)
}

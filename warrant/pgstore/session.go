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

// SignedIn is a sign-in that succeeded, to be kept.
type SignedIn struct {
	Session   signin.Session // ID, CreatedAt, SeenAt and SecondFactorAt are set by OpenSession
	TokenHash []byte
	Role      warrant.Role
	Passkey   *signin.Passkey // as it stands after use; nil = none was used
}

// OpenSession keeps a sign-in and forgets the failures of account and address. lifetime is until
// its absolute end.
func (s *Store) OpenSession(ctx context.Context, in SignedIn, lifetime time.Duration) (signin.Session, error) {
	now := s.clock()
	v := in.Session
	v.ID, v.CreatedAt, v.SeenAt, v.SecondFactorAt, v.ExpiresAt = newID(), now, now, now, now.Add(lifetime)
	e := audit.Entry{Actor: string(v.PersonID), Role: in.Role.String(), Action: "session.open", Object: v.ID, Result: "done", Source: v.Source}
	e.Detail = map[string]string{"method": string(v.Method)}
	err := s.withEntry(ctx, e, func(tx pgx.Tx) error {
		if in.Passkey != nil {
			if err := s.touchPasskey(ctx, tx, *in.Passkey); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into signin_session (id, token_hash, person_id, method, agent_hash, cert, source, created_at, seen_at, expires_at, second_factor_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $8)`,
			v.ID, in.TokenHash, v.PersonID, v.Method, v.AgentHash, v.Cert, v.Source, now, v.ExpiresAt)
		if err != nil {
			return fmt.Errorf("open session: %w", interpret(err))
		}
		_, err = tx.Exec(ctx, "delete from signin_failure where subject in ('person:' || $1::text, 'address:' || $2::text)", v.PersonID, v.Source)
		return interpret(err)
	})
	return v, err
}

const sessionColumns = "id, person_id, method, agent_hash, cert, source, created_at, seen_at, expires_at, second_factor_at"

func scanSession(row pgx.CollectableRow) (signin.Session, error) {
	var v signin.Session
	err := row.Scan(&v.ID, &v.PersonID, &v.Method, &v.AgentHash, &v.Cert, &v.Source, &v.CreatedAt, &v.SeenAt, &v.ExpiresAt, &v.SecondFactorAt)
	for _, t := range []*time.Time{&v.CreatedAt, &v.SeenAt, &v.ExpiresAt, &v.SecondFactorAt} {
		*t = t.UTC()
	}
	return v, err
}

const seenEvery = 10 * time.Second // how exactly the last use of a session is kept

// SessionByToken returns the live session whose token has the hash, and notes that
// it is in use. What was revoked, has ended or idled, or whose person may not sign
// in any more is ErrNotFound.
func (s *Store) SessionByToken(ctx context.Context, hash []byte, idle time.Duration) (signin.Session, error) {
	now := s.clock()
	rows, err := s.pool.Query(ctx, "select "+sessionColumns+` from signin_session
		where token_hash = $1 and revoked_at is null and person_active(person_id, $2)`, hash, now)
	if err != nil {
		return signin.Session{}, fmt.Errorf("find session: %w", interpret(err))
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanSession)
	if err != nil {
		return signin.Session{}, notFound(err)
	}
	if !v.Live(idle, now) {
		return signin.Session{}, warrant.ErrNotFound
	}
	if now.Sub(v.SeenAt) < seenEvery {
		return v, nil
	}
	if _, err := s.pool.Exec(ctx, "update signin_session set seen_at = $2 where id = $1 and revoked_at is null", v.ID, now); err != nil {
		return signin.Session{}, fmt.Errorf("note session: %w", interpret(err))
	}
	return v, nil
}

// Sessions lists a person's sessions that were not revoked and have not ended.
func (s *Store) Sessions(ctx context.Context, id warrant.PersonID, idle time.Duration) ([]signin.Session, error) {
	now := s.clock()
	rows, err := s.pool.Query(ctx, "select "+sessionColumns+` from signin_session
		where person_id = $1 and revoked_at is null and expires_at > $2 and seen_at > $3 order by created_at`, id, now, now.Add(-idle))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanSession)
}

// EndSession revokes one session of a person. by acts on an own session, or as a
// system administrator.
func (s *Store) EndSession(ctx context.Context, by warrant.Actor, person warrant.PersonID, id string) error {
	e := entry(by, "session.revoke", "", id)
	if err := ownOrSysadmin(by, person); err != nil {
		return s.refused(ctx, e, err)
	}
	return s.withEntry(ctx, e, func(tx pgx.Tx) error {
		return one(ctx, tx, "update signin_session set revoked_at = $3, revoked_by = $4 where id = $1 and person_id = $2 and revoked_at is null",
			id, person, s.clock(), by.ID)
	})
}

// EndSessions revokes all sessions of a person, and says how many there were.
func (s *Store) EndSessions(ctx context.Context, by warrant.Actor, person warrant.PersonID) (n int, err error) {
	e := entry(by, "session.revoke-all", "", string(person))
	if err := ownOrSysadmin(by, person); err != nil {
		return 0, s.refused(ctx, e, err)
	}
	err = s.withEntry(ctx, e, func(tx pgx.Tx) error {
		n, err = endSessions(ctx, tx, person, string(by.ID), s.clock())
		return err
	})
	return n, err
}

func ownOrSysadmin(by warrant.Actor, person warrant.PersonID) error {
	if by.ID == person && by.Confirmed {
		return nil
	}
	return sysadmin(by)
}

func endSessions(ctx context.Context, tx pgx.Tx, person warrant.PersonID, by string, now time.Time) (int, error) {
	tag, err := tx.Exec(ctx, "update signin_session set revoked_at = $2, revoked_by = $3 where person_id = $1 and revoked_at is null", person, now, by)
	return int(tag.RowsAffected()), interpret(err)
}

// Proved notes a fresh second factor of a session: who it is was shown again.
func (s *Store) Proved(ctx context.Context, by warrant.Actor, session string, k signin.Passkey) error {
	e := entry(by, "session.step-up", "", session)
	return s.withEntry(ctx, e, func(tx pgx.Tx) error { return s.prove(ctx, tx, session, k) })
}

func (s *Store) prove(ctx context.Context, tx pgx.Tx, session string, k signin.Passkey) error {
	if err := s.touchPasskey(ctx, tx, k); err != nil {
		return err
	}
	return one(ctx, tx, "update signin_session set second_factor_at = $2 where id = $1 and revoked_at is null", session, s.clock())
}

// Challenge is a ceremony that began. Data is JSON and holds no secret in clear.
type Challenge struct {
	Kind string
	Data []byte
}

// BeginCeremony keeps a challenge under an id for validity.
func (s *Store) BeginCeremony(ctx context.Context, c Challenge, validity time.Duration) (id string, err error) {
	id, _ = signin.NewSecret("")
	now := s.clock()
	if _, err := s.pool.Exec(ctx, "delete from signin_challenge where expires_at < $1", now); err != nil {
		return "", fmt.Errorf("forget ceremonies: %w", interpret(err))
	}
	_, err = s.pool.Exec(ctx, "insert into signin_challenge (id, kind, data, expires_at) values ($1, $2, $3, $4)", id, c.Kind, c.Data, now.Add(validity))
	if err != nil {
		return "", fmt.Errorf("begin ceremony: %w", interpret(err))
	}
	return id, nil
}

// EndCeremony takes a challenge of a kind away and returns its data: whatever comes
// of it, it counts once.
func (s *Store) EndCeremony(ctx context.Context, kind, id string) (data []byte, err error) {
	err = s.pool.QueryRow(ctx, "delete from signin_challenge where id = $1 and kind = $2 and expires_at > $3 returning data", id, kind, s.clock()).Scan(&data)
	if err != nil {
		return nil, notFound(err)
	}
	return data, nil
}

// BreakSession revokes a session that was shown from elsewhere than where it was
// opened.
func (s *Store) BreakSession(ctx context.Context, v signin.Session, source string) error {
	e := system("session.revoke", "", v.ID)
	e.Source, e.Detail = source, map[string]string{"rule": "binding", "person": string(v.PersonID)}
	return s.withEntry(ctx, e, func(tx pgx.Tx) error {
		return one(ctx, tx, "update signin_session set revoked_at = $2, revoked_by = 'ligate' where id = $1 and revoked_at is null", v.ID, s.clock())
	})
}

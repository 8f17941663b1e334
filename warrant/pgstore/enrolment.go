package pgstore

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// IssueEnrolment makes a one-time link for a person; hash is of its token. It counts
// once another system administrator confirms it. Earlier links of the person are
// void.
func (s *Store) IssueEnrolment(ctx context.Context, by warrant.Actor, id warrant.PersonID, hash []byte) (signin.Enrolment, error) {
	now := s.clock()
	en := signin.Enrolment{ID: newID(), PersonID: id, Remaining: 1, ExpiresAt: now.Add(signin.LinkValidity)}
	e := entry(by, "enrolment.issue", "", string(id))
	e.Detail = map[string]string{"enrolment": en.ID}
	err := s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		var way warrant.SignIn
		if err := tx.QueryRow(ctx, "select signin from person where id = $1 and disabled_at is null for update", id).Scan(&way); err != nil {
			return notFound(err)
		}
		if way == warrant.ByCertificate {
			return &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: "this person signs in by certificate and enrols nothing"}
		}
		if _, err := tx.Exec(ctx, "update enrolment set remaining = 0 where person_id = $1 and remaining > 0", id); err != nil {
			return interpret(err)
		}
		return insertEnrolment(ctx, tx, en, hash, string(by.ID), now)
	})
	return en, err
}

func insertEnrolment(ctx context.Context, tx pgx.Tx, en signin.Enrolment, hash []byte, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into enrolment (id, person_id, token_hash, issued_by, remaining, created_at, expires_at)
		values ($1, nullif($2, ''), $3, $4, $5, $6, $7)`, en.ID, string(en.PersonID), hash, by, en.Remaining, now, en.ExpiresAt)
	if err != nil {
		return fmt.Errorf("issue enrolment: %w", interpret(err))
	}
	return nil
}

// ConfirmEnrolment is the second system administrator's word on a link.
func (s *Store) ConfirmEnrolment(ctx context.Context, by warrant.Actor, person warrant.PersonID, id string) error {
	e := entry(by, "enrolment.confirm", "", string(person))
	e.Detail = map[string]string{"enrolment": id}
	return s.asSysadmin(ctx, by, e, func(tx pgx.Tx) error {
		return one(ctx, tx, `update enrolment set confirmed_by = $3
			where id = $1 and person_id = $2 and confirmed_by is null and remaining > 0 and expires_at > $4`, id, person, by.ID, s.clock())
	})
}

// Bootstrap makes the one link by which the first two system administrators enrol,
// while nobody is known. Earlier ones are void.
func (s *Store) Bootstrap(ctx context.Context, hash []byte) (signin.Enrolment, error) {
	now := s.clock()
	en := signin.Enrolment{ID: newID(), Remaining: signin.BootstrapPeople, ExpiresAt: now.Add(signin.BootstrapValidity)}
	err := s.withEntry(ctx, audit.Entry{Actor: ceremony, Role: "ceremony", Action: "enrolment.bootstrap", Object: en.ID, Result: "done"}, func(tx pgx.Tx) error {
		if err := nobodyYet(ctx, tx); err != nil {
			return err
		}
		return insertEnrolment(ctx, tx, en, hash, ceremony, now)
	})
	return en, err
}

// AwaitsBootstrap reports whether nobody is confirmed and no bootstrap link counts.
func (s *Store) AwaitsBootstrap(ctx context.Context) (awaits bool, err error) {
	err = s.pool.QueryRow(ctx, `select not exists (select from person where confirmed_by is not null)
		and not exists (select from enrolment where person_id is null and remaining > 0 and expires_at > $1)`, s.clock()).Scan(&awaits)
	if err != nil {
		return false, fmt.Errorf("look for people: %w", interpret(err))
	}
	return awaits, nil
}

const enrolmentColumns = "id, coalesce(person_id, ''), confirmed_by is not null or person_id is null, remaining, expires_at"

func scanEnrolment(row pgx.CollectableRow) (signin.Enrolment, error) {
	var en signin.Enrolment
	err := row.Scan(&en.ID, &en.PersonID, &en.Confirmed, &en.Remaining, &en.ExpiresAt)
	return en, err
}

// EnrolmentByToken returns the link whose token has the hash, if it counts: it is
// confirmed, not used up, in time. For anything else it is ErrNotFound.
func (s *Store) EnrolmentByToken(ctx context.Context, hash []byte) (signin.Enrolment, error) {
	rows, err := s.pool.Query(ctx, "select "+enrolmentColumns+` from enrolment
		where token_hash = $1 and remaining > 0 and expires_at > $2 and (confirmed_by is not null or person_id is null)
		and (person_id is null or person_active(person_id, $2))`, hash, s.clock())
	if err != nil {
		return signin.Enrolment{}, fmt.Errorf("find enrolment: %w", interpret(err))
	}
	en, err := pgx.CollectExactlyOneRow(rows, scanEnrolment)
	return en, notFound(err)
}

// use takes one use of a link; a second one at the same time finds none left.
func (s *Store) use(ctx context.Context, tx pgx.Tx, id string) (signin.Enrolment, error) {
	rows, err := tx.Query(ctx, `update enrolment set remaining = remaining - 1 where id = $1 and remaining > 0 and expires_at > $2
		and (confirmed_by is not null or person_id is null) returning `+enrolmentColumns, id, s.clock())
	if err != nil {
		return signin.Enrolment{}, fmt.Errorf("use enrolment: %w", interpret(err))
	}
	en, err := pgx.CollectExactlyOneRow(rows, scanEnrolment)
	return en, notFound(err)
}

// EnrolPasskey keeps the passkey that was registered through its link, which is used
// by it. With the bootstrap link the person, a system administrator, is made first;
// both may act once the second has enrolled.
func (s *Store) EnrolPasskey(ctx context.Context, k signin.Passkey, p warrant.Person, source string) error {
	e := audit.Entry{Actor: string(p.ID), Role: p.Role.String(), Action: "passkey.enrol", Object: string(p.ID), Result: "done", Source: source}
	e.Detail = map[string]string{"enrolment": k.EnrolmentID, "attestation": k.Attestation, "public_key": keyHash(k.PublicKey)}
	return s.withEntry(ctx, e, func(tx pgx.Tx) error {
		en, err := s.use(ctx, tx, k.EnrolmentID)
		if err != nil {
			return err
		}
		switch en.PersonID {
		case "":
			return s.enrolBootstrapped(ctx, tx, k, p, en.Remaining)
		case k.PersonID:
			return s.insertPasskey(ctx, tx, k)
		}
		return warrant.ErrNotFound
	})
}

// enrolBootstrapped makes one of the first two. The last use of the link confirms
// both who came through it, and nobody who came through an older one.
func (s *Store) enrolBootstrapped(ctx context.Context, tx pgx.Tx, k signin.Passkey, p warrant.Person, remaining int) error {
	p.Role, p.SignIn, p.AddedBy, p.CreatedAt = warrant.Sysadmin, warrant.ByPasskey, ceremony, s.clock()
	if err := p.Validate(); err != nil {
		return err
	}
	if err := s.insertPerson(ctx, tx, p, nil); err != nil {
		return err
	}
	if err := s.insertPasskey(ctx, tx, k); err != nil || remaining > 0 {
		return err
	}
	_, err := tx.Exec(ctx, "update person set confirmed_by = 'setup' where id in (select person_id from passkey where enrolment_id = $1)", k.EnrolmentID)
	if err != nil {
		return fmt.Errorf("confirm the first people: %w", interpret(err))
	}
	return nil
}

// keyHash names a public key on the audit log, so that an auditor can hold a
// signature's key against it.
func keyHash(cose []byte) string { return hex.EncodeToString(signin.Hash(string(cose))) }

func (s *Store) insertPasskey(ctx context.Context, tx pgx.Tx, k signin.Passkey) error {
	_, err := tx.Exec(ctx, `insert into passkey (id, person_id, enrolment_id, public_key, attestation, aaguid, sign_count, backup_eligible, backup_state, transports, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		k.ID, k.PersonID, k.EnrolmentID, k.PublicKey, k.Attestation, k.AAGUID, int64(k.SignCount), k.BackupEligible, k.BackupState, k.Transports, s.clock())
	if err != nil {
		return fmt.Errorf("keep passkey: %w", interpret(err))
	}
	return nil
}

// Passkeys returns a person's passkeys that count.
func (s *Store) Passkeys(ctx context.Context, id warrant.PersonID) ([]signin.Passkey, error) {
	rows, err := s.pool.Query(ctx, `select id, person_id, enrolment_id, public_key, attestation, aaguid, sign_count, backup_eligible, backup_state, transports
		from passkey where person_id = $1 and revoked_at is null order by created_at`, id)
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", interpret(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (signin.Passkey, error) {
		var k signin.Passkey
		var count int64
		err := row.Scan(&k.ID, &k.PersonID, &k.EnrolmentID, &k.PublicKey, &k.Attestation, &k.AAGUID, &count, &k.BackupEligible, &k.BackupState, &k.Transports)
		k.SignCount = uint32(count)
		return k, err
	})
}

// RevokePasskeys ends all passkeys of a person and all sessions, as when one was
// lost or copied, and says how many keys there were. One system administrator
// suffices to stop.
func (s *Store) RevokePasskeys(ctx context.Context, by warrant.Actor, person warrant.PersonID) (n int, err error) {
	err = s.asSysadmin(ctx, by, entry(by, "passkey.revoke", "", string(person)), func(tx pgx.Tx) error {
		now := s.clock()
		tag, err := tx.Exec(ctx, "update passkey set revoked_at = $2, revoked_by = $3 where person_id = $1 and revoked_at is null", person, now, by.ID)
		if err != nil {
			return interpret(err)
		}
		n = int(tag.RowsAffected())
		_, err = endSessions(ctx, tx, person, string(by.ID), now)
		return err
	})
	return n, err
}

// touchPasskey keeps the counter after use. A counter that did not grow where
// authenticators count is ErrNotFound: somebody was faster.
func (s *Store) touchPasskey(ctx context.Context, tx pgx.Tx, k signin.Passkey) error {
	return one(ctx, tx, `update passkey set sign_count = $2, backup_state = $3, used_at = $4
		where id = $1 and revoked_at is null and (sign_count < $2 or (sign_count = 0 and $2 = 0))`, k.ID, int64(k.SignCount), k.BackupState, s.clock())
}

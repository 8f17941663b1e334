package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
)

// Certification is a certification of an interception as it was made.
type Certification struct {
	ID        string
	WarrantID warrant.ID // empty = made without authority
	Form      form.CALEACertificate
	MadeBy    warrant.PersonID
	MadeAt    time.Time
}

// Certify makes the certification of an interception. Of a warrant (id not empty) it
// takes reference, numbers, start and end from the warrant; what f says of them does
// not count. Without one it certifies a tap without authority, as f says.
func (s *Store) Certify(ctx context.Context, by warrant.Actor, id warrant.ID, f form.CALEACertificate) (Certification, error) {
	c := Certification{ID: newID(), WarrantID: id, MadeBy: by.ID, MadeAt: s.clock()}
	f.Carrier, f.Overseer, f.CompiledAt, f.Zone = s.operator, by.Name, c.MadeAt, s.zone().String()
	err := s.record(ctx, entry(by, "certification.make", "", c.ID), compliance(by), func(tx pgx.Tx, e *audit.Entry) error {
		f.Authority = form.WithoutAuthority
		if id != "" {
			w, err := s.lock(ctx, tx, id)
			if err != nil {
				return err
			}
			e.Warrant = string(w.LIID)
			if f, err = s.ofWarrant(ctx, tx, w, f); err != nil {
				return err
			}
		}
		c.Form = f
		e.Detail = map[string]string{"authority": string(f.Authority)}
		return s.insertCertification(ctx, tx, c, by.Source)
	})
	return c, err
}

// insertCertification writes one, its numbers sealed.
func (s *Store) insertCertification(ctx context.Context, tx pgx.Tx, c Certification, source string) error {
	if err := whole(c.Form); err != nil {
		return err
	}
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return err
	}
	hashes, sealed, err := keys.seal(sealCertification, c.ID, c.Form.Numbers)
	if err != nil {
		return err
	}
	c.Form.Numbers = nil
	body, err := json.Marshal(c.Form)
	if err != nil {
		return fmt.Errorf("encode certification: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into certification (id, warrant_id, form, numbers_hash, numbers_sealed, made_by, source, made_at)
		values ($1, nullif($2, ''), $3::jsonb - 'numbers', $4, $5, $6, $7, $8)`, c.ID, c.WarrantID, body, hashes, sealed, c.MadeBy, source, c.MadeAt)
	return err
}

// ofWarrant fills a certificate with what the warrant says.
func (s *Store) ofWarrant(ctx context.Context, tx pgx.Tx, w warrant.Warrant, f form.CALEACertificate) (form.CALEACertificate, error) {
	var began, ended *time.Time
	err := tx.QueryRow(ctx, `select min(began_at), case when bool_or(ended_at is null) then null else max(ended_at) end
		from tap_interval where warrant_id = $1`, w.ID).Scan(&began, &ended)
	if err != nil {
		return f, err
	}
	if began == nil {
		return f, &warrant.RuleError{Rule: warrant.RuleState, Reason: "nothing was intercepted under this warrant yet"}
	}
	f.Authority, f.Circumstances = form.WithAuthority, ""
	f.Reference, f.Start, f.End = string(w.LIID), began.UTC(), orZero(ended)
	// As approved: what a narrowing took away was intercepted until then.
	var version int
	var hashes [][]byte
	var sealed []byte
	err = tx.QueryRow(ctx, `select version, targets_hash, targets_sealed from warrant_version
		where warrant_id = $1 and body->>'state' = 'approved' order by version limit 1`, w.ID).Scan(&version, &hashes, &sealed)
	if err != nil {
		return f, err
	}
	keys, err := s.keys(ctx, tx)
	if err == nil {
		f.Numbers, err = keys.open(sealVersion, versionRow(w.ID, version), hashes, sealed)
	}
	return f, err
}

// certifications reads those that a condition, constant text, says.
func (s *Store) certifications(ctx context.Context, where string, arg any) (all []Certification, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select id, coalesce(warrant_id, ''), form, numbers_hash, numbers_sealed, made_by, made_at from certification "+where, arg)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, keys.scanCertification)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read certifications: %w", interpret(err))
	}
	return all, nil
}

func (r keyring) scanCertification(row pgx.CollectableRow) (Certification, error) {
	var c Certification
	var body, sealed []byte
	var hashes [][]byte
	if err := row.Scan(&c.ID, &c.WarrantID, &body, &hashes, &sealed, &c.MadeBy, &c.MadeAt); err != nil {
		return c, err
	}
	c.MadeAt = c.MadeAt.UTC()
	err := json.Unmarshal(body, &c.Form)
	if err == nil {
		c.Form.Numbers, err = r.open(sealCertification, c.ID, hashes, sealed)
	}
	return c, err
}

// Certifications lists certifications, newest first, at most 200; of one warrant if it
// is given. The reading is on the audit log first.
func (s *Store) Certifications(ctx context.Context, by warrant.Actor, id warrant.ID) ([]Certification, error) {
	if err := s.reading(ctx, by, "certification.list", string(id)); err != nil {
		return nil, err
	}
	return s.certifications(ctx, "where $1 = '' or warrant_id = $1 order by serial desc limit 200", id)
}

// Certification returns one. The reading is on the audit log first.
func (s *Store) Certification(ctx context.Context, by warrant.Actor, id string) (Certification, error) {
	if err := s.reading(ctx, by, "certification.read", id); err != nil {
		return Certification{}, err
	}
	return single(s.certifications(ctx, "where id = $1", id))
}

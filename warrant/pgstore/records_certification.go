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
			w, err := lock(ctx, tx, id)
			if err != nil {
				return err
			}
			e.Warrant = string(w.LIID)
			if f, err = ofWarrant(ctx, tx, w, f); err != nil {
				return err
			}
		}
		body, err := encode(f)
		if err != nil {
			return err
		}
		c.Form = f
		e.Detail = map[string]string{"authority": string(f.Authority)}
		_, err = tx.Exec(ctx, `insert into certification (id, warrant_id, form, made_by, source, made_at) values ($1, nullif($2, ''), $3, $4, $5, $6)`,
			c.ID, id, body, c.MadeBy, by.Source, c.MadeAt)
		return err
	})
	return c, err
}

// ofWarrant fills a certificate with what the warrant says.
func ofWarrant(ctx context.Context, tx pgx.Tx, w warrant.Warrant, f form.CALEACertificate) (form.CALEACertificate, error) {
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
	return f, tx.QueryRow(ctx, `select array (select jsonb_array_elements_text(body->'targets')) from warrant_version
		where warrant_id = $1 and body->>'state' = 'approved' order by version limit 1`, w.ID).Scan(&f.Numbers)
}

const certificationColumns = "id, coalesce(warrant_id, ''), form, made_by, made_at"

func scanCertification(row pgx.CollectableRow) (Certification, error) {
	var c Certification
	var body []byte
	if err := row.Scan(&c.ID, &c.WarrantID, &body, &c.MadeBy, &c.MadeAt); err != nil {
		return c, err
	}
	c.MadeAt = c.MadeAt.UTC()
	return c, json.Unmarshal(body, &c.Form)
}

// Certifications lists certifications, newest first, at most 200; of one warrant if it
// is given. The reading is on the audit log first.
func (s *Store) Certifications(ctx context.Context, by warrant.Actor, id warrant.ID) ([]Certification, error) {
	if err := s.reading(ctx, by, "certification.list", string(id)); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "select "+certificationColumns+" from certification where $1 = '' or warrant_id = $1 order by serial desc limit 200", id)
	if err != nil {
		return nil, fmt.Errorf("list certifications: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, scanCertification)
	return all, interpret(err)
}

// Certification returns one. The reading is on the audit log first.
func (s *Store) Certification(ctx context.Context, by warrant.Actor, id string) (Certification, error) {
	if err := s.reading(ctx, by, "certification.read", id); err != nil {
		return Certification{}, err
	}
	rows, err := s.pool.Query(ctx, "select "+certificationColumns+" from certification where id = $1", id)
	if err != nil {
		return Certification{}, fmt.Errorf("read certification: %w", interpret(err))
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCertification)
	return c, notFound(err)
}

package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
)

// Outage is a fault or an interruption, and what the agencies are told of it.
type Outage struct {
	ID          string
	Kind        string // of the fault, or the reason of the interruption
	Effect      string // on running measures
	Began       time.Time
	ExpectedEnd time.Time
	Contact     string
	DeclaredBy  warrant.PersonID
	DeclaredAt  time.Time
	Recovered   *time.Time // nil = it lasts
	Missing     string     // what was not delivered
	Notices     []OutageNotice
}

// OutageNotice is what one agency is told. An officer sends it.
type OutageNotice struct {
	Number   int
	Name     string // of the form: outage_notice or recovery_notice
	AgencyID warrant.AgencyID
	Body     json.RawMessage
	MadeAt   time.Time
}

// Form reads the notice.
func (n OutageNotice) Form() (form.Form, error) {
	if n.Name == (form.RecoveryNotice{}).Name() {
		var f form.RecoveryNotice
		err := json.Unmarshal(n.Body, &f)
		return f, err
	}
	var f form.OutageNotice
	err := json.Unmarshal(n.Body, &f)
	return f, err
}

// OutageNotices lists what the profile asks to be told of an outage, and until when.
func (s *Store) OutageNotices(o Outage) []DueNotice {
	due := s.notices("fault", o.Began)
	if o.Recovered != nil {
		due = append(due, s.notices("recovery", *o.Recovered)...)
	}
	return due
}

// DeclareOutage records an outage and makes a notice for each agency whose measures
// run, with its own measures only.
func (s *Store) DeclareOutage(ctx context.Context, by warrant.Actor, o Outage) (Outage, error) {
	o.ID, o.DeclaredBy, o.DeclaredAt, o.Began, o.ExpectedEnd = newID(), by.ID, s.clock(), o.Began.UTC(), o.ExpectedEnd.UTC()
	err := s.record(ctx, entry(by, "outage.declare", "", o.ID), compliance(by), func(tx pgx.Tx, e *audit.Entry) error {
		if err := whole(s.outageForm(o, "every agency", []string{"every measure"})); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into outage (id, kind, effect, began_at, expected_end, contact, declared_by, source, declared_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, o.ID, o.Kind, o.Effect, o.Began, o.ExpectedEnd, o.Contact, by.ID, by.Source, o.DeclaredAt)
		if err != nil {
			return err
		}
		affected, err := measures(ctx, tx, o.Began)
		if err != nil {
			return err
		}
		for _, a := range affected {
			if o, err = s.addNotice(ctx, tx, o, a.AgencyID, s.outageForm(o, a.Name, a.LIIDs)); err != nil {
				return err
			}
		}
		e.Detail = map[string]string{"notices": strconv.Itoa(len(o.Notices))}
		return nil
	})
	return o, err
}

func (s *Store) outageForm(o Outage, agency string, liids []string) form.OutageNotice {
	return form.OutageNotice{
		Operator: s.operator, Reference: o.ID, Agency: agency, LIIDs: liids, Kind: o.Kind, Effect: o.Effect, Begin: o.Began,
		ExpectedEnd: o.ExpectedEnd, Contact: o.Contact, SentAt: s.clock(), Zone: s.zone().String(),
	}
}

// affected is an agency with its measures that ran since the outage began.
type affected struct {
	AgencyID warrant.AgencyID
	Name     string
	LIIDs    []string
}

func measures(ctx context.Context, tx pgx.Tx, since time.Time) ([]affected, error) {
	rows, err := tx.Query(ctx, `select a.id, a.name, array_agg(distinct w.liid order by w.liid) from warrant w join agency a on a.id = w.agency_id
		where exists (select from tap_interval i where i.warrant_id = w.id and (i.ended_at is null or i.ended_at > $1))
		group by a.id, a.name order by a.id`, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[affected])
}

func (s *Store) addNotice(ctx context.Context, tx pgx.Tx, o Outage, agency warrant.AgencyID, f form.Form) (Outage, error) {
	body, err := encode(f)
	if err != nil {
		return o, err
	}
	n := OutageNotice{Number: len(o.Notices) + 1, Name: f.Name(), AgencyID: agency, Body: body, MadeAt: s.clock()}
	_, err = tx.Exec(ctx, "insert into outage_notice (outage_id, number, name, agency_id, form, made_at) values ($1, $2, $3, $4, $5, $6)",
		o.ID, n.Number, n.Name, n.AgencyID, body, n.MadeAt)
	o.Notices = append(o.Notices, n)
	return o, err
}

// RecoverOutage ends an outage and makes the second notice for each agency that had
// the first, about the same measures.
func (s *Store) RecoverOutage(ctx context.Context, by warrant.Actor, id string, at time.Time, missing string) (Outage, error) {
	var o Outage
	err := s.record(ctx, entry(by, "outage.recover", "", id), compliance(by), func(tx pgx.Tx, _ *audit.Entry) error {
		if err := alone(ctx, tx, id); err != nil {
			return err
		}
		var err error
		if o, err = single(outagesIn(ctx, tx, "where o.id = $1", id)); err != nil {
			return err
		}
		at = at.UTC()
		o.Recovered, o.Missing = &at, missing
		if err := whole(s.recoveryForm(o, form.OutageNotice{Agency: "every agency", LIIDs: []string{"every measure"}})); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `insert into outage_recovery (outage_id, recovered_at, missing, declared_by, source, declared_at)
			values ($1, $2, $3, $4, $5, $6)`, id, at, missing, by.ID, by.Source, s.clock())
		if err != nil {
			return err
		}
		for _, n := range o.Notices {
			var first form.OutageNotice
			if err := json.Unmarshal(n.Body, &first); err != nil {
				return fmt.Errorf("read notice: %w", err)
			}
			if o, err = s.addNotice(ctx, tx, o, n.AgencyID, s.recoveryForm(o, first)); err != nil {
				return err
			}
		}
		return nil
	})
	return o, err
}

func (s *Store) recoveryForm(o Outage, first form.OutageNotice) form.RecoveryNotice {
	return form.RecoveryNotice{
		Operator: s.operator, Reference: o.ID, Agency: first.Agency, LIIDs: first.LIIDs, Begin: o.Began, RecoveredAt: *o.Recovered,
		Missing: o.Missing, SentAt: s.clock(), Zone: s.zone().String(),
	}
}

// outagesIn reads outages with their notices; where holds constant text only.
func outagesIn(ctx context.Context, db querier, where string, args ...any) ([]Outage, error) {
	rows, err := db.Query(ctx, `select o.id, o.kind, o.effect, o.began_at, o.expected_end, o.contact, o.declared_by, o.declared_at,
		r.recovered_at, coalesce(r.missing, '') from outage o left join outage_recovery r on r.outage_id = o.id `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Outage, error) {
		var o Outage
		err := row.Scan(&o.ID, &o.Kind, &o.Effect, &o.Began, &o.ExpectedEnd, &o.Contact, &o.DeclaredBy, &o.DeclaredAt, &o.Recovered, &o.Missing)
		o.Began, o.ExpectedEnd, o.DeclaredAt = o.Began.UTC(), o.ExpectedEnd.UTC(), o.DeclaredAt.UTC()
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", interpret(err))
	}
	for i := range all {
		rows, err := db.Query(ctx, "select number, name, agency_id, form, made_at from outage_notice where outage_id = $1 order by number", all[i].ID)
		if err != nil {
			return nil, fmt.Errorf("read outages: %w", interpret(err))
		}
		if all[i].Notices, err = pgx.CollectRows(rows, pgx.RowToStructByPos[OutageNotice]); err != nil {
			return nil, fmt.Errorf("read outages: %w", interpret(err))
		}
	}
	return all, nil
}

// Outages lists outages, newest first, at most 200. The reading is on the audit log
// first.
func (s *Store) Outages(ctx context.Context, by warrant.Actor) ([]Outage, error) {
	if err := s.reading(ctx, by, "outage.list", ""); err != nil {
		return nil, err
	}
	return outagesIn(ctx, s.pool, "order by o.serial desc limit 200")
}

// Outage returns one. The reading is on the audit log first.
func (s *Store) Outage(ctx context.Context, by warrant.Actor, id string) (Outage, error) {
	if err := s.reading(ctx, by, "outage.read", id); err != nil {
		return Outage{}, err
	}
	return single(outagesIn(ctx, s.pool, "where o.id = $1", id))
}

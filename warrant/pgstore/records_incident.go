package pgstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
)

// IncidentForm is the report of an incident as it stands: a first one until somebody
// closed it.
func (s *Store) IncidentForm(i warrant.Incident) form.Incident {
	f := form.Incident{
		Operator: s.operator, Reference: i.ID, First: true, FoundAt: i.FoundAt, FoundHow: i.FoundHow, What: i.What,
		Intrusion: form.Intrusion(i.Intrusion), Unauthorised: i.Unauthorised, Zone: s.zone().String(),
	}
	for _, l := range i.Warrants {
		f.Warrants = append(f.Warrants, string(l))
	}
	for _, a := range i.Acts {
		switch a.Kind {
		case warrant.IncidentAction:
			f.Actions = append(f.Actions, a.Text)
		case warrant.IncidentTold:
			f.Told = append(f.Told, form.Told{Who: a.Text, At: a.At})
		case warrant.IncidentClose, warrant.IncidentConfirmClose: // below
		}
	}
	c, closing := i.Closing()
	if !closing {
		return f
	}
	f.First, f.Intrusion, f.Unauthorised = false, form.Intrusion(c.Intrusion), c.Unauthorised
	f.RootCause, f.Prevention = c.RootCause, c.Prevention
	if i.Closed() {
		f.ClosedBy = []string{string(c.By), string(i.Acts[len(i.Acts)-1].By)}
	}
	return f
}

// IncidentNotices lists who must be told of an incident, and until when.
func (s *Store) IncidentNotices(i warrant.Incident) []DueNotice {
	return s.notices("incident", i.FoundAt)
}

// OpenIncident opens an incident, with the first actions.
func (s *Store) OpenIncident(ctx context.Context, by warrant.Actor, i warrant.Incident, actions []string) (warrant.Incident, error) {
	now := s.clock()
	i.ID, i.OpenedBy, i.OpenedAt, i.FoundAt = newID(), by.ID, now, i.FoundAt.UTC()
	may := compliance(by)
	for _, text := range actions {
		if may == nil {
			i, may = i.Act(warrant.IncidentAct{Kind: warrant.IncidentAction, Text: text, At: now}, by, now)
		}
	}
	err := s.record(ctx, entry(by, "incident.open", "", i.ID), may, func(tx pgx.Tx, _ *audit.Entry) error {
		if err := whole(s.IncidentForm(i)); err != nil {
			return err
		}
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		hashes, sealed, err := keys.seal(sealIncident, i.ID, i.Unauthorised)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `insert into incident (id, found_at, found_how, what, warrants, intrusion, unauthorised_hash, unauthorised_sealed, opened_by, source, opened_at)
			values ($1, $2, $3, $4, coalesce($5::text[], '{}'), $6, $7, $8, $9, $10, $11)`,
			i.ID, i.FoundAt, i.FoundHow, i.What, i.Warrants, i.Intrusion, hashes, sealed, by.ID, by.Source, now)
		for _, a := range i.Acts {
			if err == nil {
				err = keys.insertAct(ctx, tx, i.ID, a, by.Source)
			}
		}
		return err
	})
	return i, err
}

func (r keyring) insertAct(ctx context.Context, tx pgx.Tx, id string, a warrant.IncidentAct, source string) error {
	hashes, sealed, err := r.seal(sealAct, actRow(id, a.Number), a.Unauthorised)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into incident_act (incident_id, number, kind, text, at, intrusion, unauthorised_hash, unauthorised_sealed, root_cause, prevention, "by", source, made_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		id, a.Number, a.Kind, a.Text, a.At, a.Intrusion, hashes, sealed, a.RootCause, a.Prevention, a.By, source, a.MadeAt)
	return err
}

func actRow(incident string, number int) string { return fmt.Sprintf("%s/%d", incident, number) }

// ActOnIncident adds an act to an incident: what was done, who was told, or one of the
// two words that close it.
func (s *Store) ActOnIncident(ctx context.Context, by warrant.Actor, id string, a warrant.IncidentAct) (warrant.Incident, error) {
	var i warrant.Incident
	e := entry(by, "incident."+string(a.Kind), "", id)
	err := s.record(ctx, e, compliance(by), func(tx pgx.Tx, e *audit.Entry) error {
		if err := alone(ctx, tx, id); err != nil {
			return err
		}
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		found, err := single(keys.incidents(ctx, tx, "where id = $1", id))
		if err != nil {
			return err
		}
		now := s.clock()
		if a.At.IsZero() {
			a.At = now
		}
		a.At = a.At.UTC()
		if i, err = found.Act(a, by, now); err != nil {
			return err
		}
		if err := whole(s.IncidentForm(i)); err != nil {
			return err
		}
		made := i.Acts[len(i.Acts)-1]
		e.Detail = map[string]string{"act": strconv.Itoa(made.Number)}
		return keys.insertAct(ctx, tx, id, made, by.Source)
	})
	return i, err
}

// incidents reads incidents with their acts; where holds constant text only.
func (s *Store) incidents(ctx context.Context, where string, args ...any) (all []warrant.Incident, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err == nil {
			all, err = keys.incidents(ctx, tx, where, args...)
		}
		return err
	})
	return all, err
}

func (r keyring) incidents(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]warrant.Incident, error) {
	rows, err := tx.Query(ctx, `select id, found_at, found_how, what, warrants, intrusion, unauthorised_hash, unauthorised_sealed, opened_by, opened_at from incident `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, r.scanIncident)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", interpret(err))
	}
	for n := range all {
		rows, err := tx.Query(ctx, `select number, kind, text, at, intrusion, unauthorised_hash, unauthorised_sealed, root_cause, prevention, "by", made_at
			from incident_act where incident_id = $1 order by number`, all[n].ID)
		if err != nil {
			return nil, fmt.Errorf("read incidents: %w", interpret(err))
		}
		all[n].Acts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (warrant.IncidentAct, error) { return r.scanAct(all[n].ID, row) })
		if err != nil {
			return nil, fmt.Errorf("read incidents: %w", interpret(err))
		}
	}
	return all, nil
}

func (r keyring) scanIncident(row pgx.CollectableRow) (warrant.Incident, error) {
	var i warrant.Incident
	var liids []string
	var hashes [][]byte
	var sealed []byte
	if err := row.Scan(&i.ID, &i.FoundAt, &i.FoundHow, &i.What, &liids, &i.Intrusion, &hashes, &sealed, &i.OpenedBy, &i.OpenedAt); err != nil {
		return i, err
	}
	for _, l := range liids {
		i.Warrants = append(i.Warrants, li.LIID(l))
	}
	i.FoundAt, i.OpenedAt = i.FoundAt.UTC(), i.OpenedAt.UTC()
	var err error
	i.Unauthorised, err = r.open(sealIncident, i.ID, hashes, sealed)
	return i, err
}

func (r keyring) scanAct(incident string, row pgx.CollectableRow) (warrant.IncidentAct, error) {
	var a warrant.IncidentAct
	var hashes [][]byte
	var sealed []byte
	err := row.Scan(&a.Number, &a.Kind, &a.Text, &a.At, &a.Intrusion, &hashes, &sealed, &a.RootCause, &a.Prevention, &a.By, &a.MadeAt)
	if err == nil {
		a.Unauthorised, err = r.open(sealAct, actRow(incident, a.Number), hashes, sealed)
	}
	return a, err
}

// Incidents lists incidents, newest first, at most 200. The reading is on the audit
// log first.
func (s *Store) Incidents(ctx context.Context, by warrant.Actor) ([]warrant.Incident, error) {
	if err := s.reading(ctx, by, "incident.list", ""); err != nil {
		return nil, err
	}
	return s.incidents(ctx, "order by serial desc limit 200")
}

// Incident returns one. The reading is on the audit log first.
func (s *Store) Incident(ctx context.Context, by warrant.Actor, id string) (warrant.Incident, error) {
	if err := s.reading(ctx, by, "incident.read", id); err != nil {
		return warrant.Incident{}, err
	}
	return single(s.incidents(ctx, "where id = $1", id))
}

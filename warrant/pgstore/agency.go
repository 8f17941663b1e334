package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/warrant"
)

// AddAgency adds an agency, which is usable once another person confirms it. The
// caller has checked that the recipients are keys.
func (s *Store) AddAgency(ctx context.Context, by warrant.Actor, a warrant.Agency) (warrant.Agency, error) {
	e := entry(by, "agency.add", "", "")
	if !mayManageAgencies(by) {
		return warrant.Agency{}, s.refused(ctx, e, warrant.ErrForbidden)
	}
	if err := a.Validate(); err != nil {
		return warrant.Agency{}, err
	}
	a.ID, a.AddedBy, a.Confirmed, a.CreatedAt = warrant.AgencyID(newID()), by.ID, false, s.clock()
	e.Object = string(a.ID)
	e.Detail = map[string]string{"recipients": strings.Join(a.Recipients, " ")}
	return a, s.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into agency (id, name, country, recipients, added_by, created_at) values ($1, $2, $3, $4, $5, $6)",
			a.ID, a.Name, a.Country, a.Recipients, a.AddedBy, a.CreatedAt)
		if err != nil {
			return fmt.Errorf("add agency: %w", interpret(err))
		}
		for _, u := range a.People {
			if _, err := tx.Exec(ctx, "insert into agency_user (agency_id, name, cert) values ($1, $2, $3)", a.ID, u.Name, u.Cert); err != nil {
				return fmt.Errorf("add agency's person: %w", interpret(err))
			}
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// ConfirmAgency is the second person's word: from now on warrants may name it.
func (s *Store) ConfirmAgency(ctx context.Context, by warrant.Actor, id warrant.AgencyID) error {
	e := entry(by, "agency.confirm", "", string(id))
	if !mayManageAgencies(by) {
		return s.refused(ctx, e, warrant.ErrForbidden)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update agency set confirmed_by = $2 where id = $1 and confirmed_by is null", id, by.ID)
		if err != nil {
			return interpret(err)
		}
		if tag.RowsAffected() == 0 {
			return warrant.ErrNotFound
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return s.refused(ctx, e, err)
}

// mayManageAgencies: compliance and system administrators, never an auditor.
func mayManageAgencies(by warrant.Actor) bool {
	return by.Confirmed && (by.Role == warrant.Drafter || by.Role == warrant.Approver || by.Role == warrant.Sysadmin)
}

const agencyQuery = `select a.id, a.name, a.country, a.recipients, a.added_by, a.confirmed_by is not null, a.created_at,
	array(select u.name from agency_user u where u.agency_id = a.id order by u.cert),
	array(select u.cert from agency_user u where u.agency_id = a.id order by u.cert)
	from agency a `

func scanAgency(row pgx.CollectableRow) (warrant.Agency, error) {
	var a warrant.Agency
	var names, certs []string
	err := row.Scan(&a.ID, &a.Name, &a.Country, &a.Recipients, &a.AddedBy, &a.Confirmed, &a.CreatedAt, &names, &certs)
	for i := range names {
		a.People = append(a.People, warrant.AgencyUser{Name: names[i], Cert: certs[i]})
	}
	a.CreatedAt = a.CreatedAt.UTC()
	return a, err
}

// Agency returns one agency.
func (s *Store) Agency(ctx context.Context, id warrant.AgencyID) (warrant.Agency, error) {
	return agencyIn(ctx, s.pool, id)
}

func agencyIn(ctx context.Context, db rowsQuerier, id warrant.AgencyID) (warrant.Agency, error) {
	rows, err := db.Query(ctx, agencyQuery+"where a.id = $1", id)
	if err != nil {
		return warrant.Agency{}, fmt.Errorf("read agency: %w", interpret(err))
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAgency)
	return a, notFound(err)
}

// rowsQuerier is a pool or a transaction.
type rowsQuerier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Agencies lists all agencies, in the order in which they were added.
func (s *Store) Agencies(ctx context.Context) ([]warrant.Agency, error) {
	rows, err := s.pool.Query(ctx, agencyQuery+"order by a.created_at, a.id")
	if err != nil {
		return nil, fmt.Errorf("list agencies: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanAgency)
}

// AgencyByCert returns the confirmed agency of which a person holds the
// certificate, and that person's name.
func (s *Store) AgencyByCert(ctx context.Context, cert string) (warrant.Agency, string, error) {
	rows, err := s.pool.Query(ctx, agencyQuery+"join agency_user me on me.agency_id = a.id where me.cert = $1 and a.confirmed_by is not null", cert)
	if err != nil {
		return warrant.Agency{}, "", fmt.Errorf("find agency: %w", interpret(err))
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAgency)
	if err != nil {
		return warrant.Agency{}, "", notFound(err)
	}
	for _, u := range a.People {
		if u.Cert == cert {
			return a, u.Name, nil
		}
	}
	return warrant.Agency{}, "", warrant.ErrNotFound
}

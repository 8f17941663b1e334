package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/warrant"
)

// AddDelivery says where an agency's records shall be pushed; it counts once
// another person confirms it.
func (s *Store) AddDelivery(ctx context.Context, by warrant.Actor, d warrant.Delivery) (warrant.Delivery, error) {
	e := entry(by, "delivery.add", "", string(d.AgencyID))
	if !mayManageAgencies(by) {
		return warrant.Delivery{}, s.refused(ctx, e, warrant.ErrForbidden)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		// One writer an agency makes the numbers consecutive.
		if _, err := tx.Exec(ctx, "select 1 from agency where id = $1 for update", d.AgencyID); err != nil {
			return interpret(err)
		}
		agency, err := agencyIn(ctx, tx, d.AgencyID)
		if err != nil {
			return err
		}
		d = d.WithDefaults(agency)
		if err := d.Validate(); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, "select coalesce(max(number), 0) + 1 from agency_delivery where agency_id = $1", d.AgencyID).Scan(&d.Number)
		if err != nil {
			return fmt.Errorf("next delivery: %w", interpret(err))
		}
		d.AddedBy, d.Confirmed, d.CreatedAt = by.ID, false, s.clock()
		e.Detail = map[string]string{"number": strconv.Itoa(d.Number), "hi2": d.HI2, "hi3": d.HI3, "certificate": d.Cert}
		_, err = tx.Exec(ctx, `insert into agency_delivery (agency_id, number, hi2, hi3, cert, auth_country, delivery_country, operator, point_id,
			frame, times, hash, encryption, confirm, buffer_iri, buffer_cc, lag_alarm_s, hi1, file_drop, added_by, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
			d.AgencyID, d.Number, d.HI2, d.HI3, d.Cert, d.AuthCountry, d.DeliveryCountry, d.Operator, d.PointID,
			d.Frame, d.Times, d.Hash, d.Encryption, d.Confirm, d.BufferIRI, d.BufferCC, int(d.LagAlarm/time.Second), d.HI1, d.FileDrop, d.AddedBy, d.CreatedAt)
		if err != nil {
			return fmt.Errorf("add delivery: %w", interpret(err))
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return d, err
}

// ConfirmDelivery is the second person's word: from now on it counts.
func (s *Store) ConfirmDelivery(ctx context.Context, by warrant.Actor, id warrant.AgencyID, number int) error {
	e := entry(by, "delivery.confirm", "", string(id))
	e.Detail = map[string]string{"number": strconv.Itoa(number)}
	if !mayManageAgencies(by) {
		return s.refused(ctx, e, warrant.ErrForbidden)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update agency_delivery set confirmed_by = $3 where agency_id = $1 and number = $2 and confirmed_by is null", id, number, by.ID)
		if err != nil {
			return interpret(err)
		}
		if tag.RowsAffected() == 0 {
			return warrant.ErrNotFound
		}
		if _, err = s.audit.Append(ctx, tx, e); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "select pg_notify($1, '')", Channel)
		return interpret(err)
	})
	return s.refused(ctx, e, err)
}

const deliveryColumns = `agency_id, number, hi2, hi3, cert, auth_country, delivery_country, operator, point_id, frame, times, hash, encryption,
	confirm, buffer_iri, buffer_cc, lag_alarm_s, hi1, file_drop, added_by, confirmed_by is not null, created_at`

func scanDelivery(row pgx.CollectableRow) (warrant.Delivery, error) {
	var d warrant.Delivery
	var lag int
	err := row.Scan(&d.AgencyID, &d.Number, &d.HI2, &d.HI3, &d.Cert, &d.AuthCountry, &d.DeliveryCountry, &d.Operator, &d.PointID, &d.Frame, &d.Times,
		&d.Hash, &d.Encryption, &d.Confirm, &d.BufferIRI, &d.BufferCC, &lag, &d.HI1, &d.FileDrop, &d.AddedBy, &d.Confirmed, &d.CreatedAt)
	d.LagAlarm, d.CreatedAt = time.Duration(lag)*time.Second, d.CreatedAt.UTC()
	return d, err
}

// Deliveries lists an agency's deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, id warrant.AgencyID) ([]warrant.Delivery, error) {
	rows, err := s.pool.Query(ctx, "select "+deliveryColumns+" from agency_delivery where agency_id = $1 order by number desc", id)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanDelivery)
}

// ActiveDeliveries lists the delivery of each agency that counts now, if it pushes
// anything.
func (s *Store) ActiveDeliveries(ctx context.Context) ([]warrant.Delivery, error) {
	rows, err := s.pool.Query(ctx, `select `+deliveryColumns+` from (
		select distinct on (agency_id) * from agency_delivery where confirmed_by is not null order by agency_id, number desc) d
		where hi2 <> '' or file_drop`)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanDelivery)
}

// notice keeps what an agency with notifications is to be told of a warrant's step.
func notice(ctx context.Context, tx pgx.Tx, before warrant.State, w warrant.Warrant) error {
	what, at := "", w.UpdatedAt
	switch {
	case w.State == warrant.Active && before != warrant.Active:
		what = "activated"
	case w.State == warrant.Active: // narrowed, or its original came
		what = "modified"
	case before == warrant.Active && w.State != warrant.Active:
		what, at = "deactivated", w.StoppedAt
	default:
		return nil
	}
	_, err := tx.Exec(ctx, `insert into hi1_event (agency_id, liid, what, at) select $1::text, $2::text, $3::text, $4::timestamptz
		where (select hi1 and hi2 <> '' from agency_delivery where agency_id = $1 and confirmed_by is not null order by number desc limit 1)`,
		w.AgencyID, w.LIID, what, at)
	if err != nil {
		return fmt.Errorf("keep notice: %w", interpret(err))
	}
	return nil
}

// Notices lists what other agencies than those are to be told, oldest first, at most
// 1000.
func (s *Store) Notices(ctx context.Context, without []warrant.AgencyID) ([]warrant.Notice, error) {
	rows, err := s.pool.Query(ctx, "select id, agency_id, liid, what, at from hi1_event where agency_id <> all(coalesce($1::text[], '{}')) order by id limit 1000", without)
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[warrant.Notice])
}

// DropNotices forgets notifications that are safely on their way.
func (s *Store) DropNotices(ctx context.Context, ids []int64) error {
	_, err := s.pool.Exec(ctx, "delete from hi1_event where id = any($1)", ids)
	return interpret(err)
}

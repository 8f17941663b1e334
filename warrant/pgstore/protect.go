package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// namesProtected reports whether a target is one of the protected numbers.
func (s *Store) namesProtected(ctx context.Context, tx pgx.Tx, w warrant.Warrant) (bool, error) {
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return false, err
	}
	var yes bool
	err = tx.QueryRow(ctx, `select exists (select from protected_number where identity_hash = any ($1) and confirmed_by is not null and removal_confirmed_by is null)`,
		keys.hashes(encodeTargets(w.Targets))).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("find protected numbers: %w", interpret(err))
	}
	return yes, nil
}

const protectedColumns = `id, identity_hash, identity_sealed, kind, added_by, added_at, coalesce(confirmed_by, ''), coalesce(removed_by, ''), coalesce(removal_confirmed_by, '')`

func (r keyring) scanProtected(row pgx.CollectableRow) (warrant.ProtectedNumber, error) {
	var p warrant.ProtectedNumber
	var hash, sealed []byte
	err := row.Scan(&p.ID, &hash, &sealed, &p.Kind, &p.AddedBy, &p.AddedAt, &p.ConfirmedBy, &p.RemovedBy, &p.RemovalConfirm)
	if err != nil {
		return p, err
	}
	ids, err := r.targets(sealProtected, p.ID, [][]byte{hash}, sealed)
	if err != nil {
		return p, err
	}
	p.Identity, p.AddedAt = ids[0], p.AddedAt.UTC()
	return p, nil
}

// Protect adds a protected number, which counts once another person confirms it.
func (s *Store) Protect(ctx context.Context, by warrant.Actor, id li.Identity, kind string) (warrant.ProtectedNumber, error) {
	p, err := warrant.Protect(warrant.ProtectedNumber{ID: newID(), Identity: id, Kind: kind}, by, s.clock())
	e := entry(by, "protected.add", "", p.ID)
	if err != nil {
		return p, s.refused(ctx, e, err)
	}
	return p, s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		hashes, sealed, err := keys.seal(sealProtected, p.ID, encodeTargets([]li.Identity{p.Identity}))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "insert into protected_number (id, identity_hash, identity_sealed, kind, added_by, added_at) values ($1, $2, $3, $4, $5, $6)",
			p.ID, hashes[0], sealed, p.Kind, p.AddedBy, p.AddedAt)
		if err != nil {
			return fmt.Errorf("protect number: %w", interpret(err))
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// ConfirmProtected is the second person's word on a protected number.
func (s *Store) ConfirmProtected(ctx context.Context, by warrant.Actor, id string) (warrant.ProtectedNumber, error) {
	return s.changeProtected(ctx, by, id, "protected.confirm", warrant.ConfirmProtected)
}

// Unprotect is asked by one person and takes effect with a second.
func (s *Store) Unprotect(ctx context.Context, by warrant.Actor, id string) (warrant.ProtectedNumber, error) {
	return s.changeProtected(ctx, by, id, "protected.remove", warrant.Unprotect)
}

func (s *Store) changeProtected(ctx context.Context, by warrant.Actor, id, action string,
	rule func(warrant.ProtectedNumber, warrant.Actor) (warrant.ProtectedNumber, error),
) (warrant.ProtectedNumber, error) {
	e := entry(by, action, "", id)
	var p warrant.ProtectedNumber
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select "+protectedColumns+" from protected_number where id = $1 for update", id)
		if err != nil {
			return fmt.Errorf("read protected number: %w", interpret(err))
		}
		if p, err = pgx.CollectExactlyOneRow(rows, keys.scanProtected); err != nil {
			return notFound(err)
		}
		if p, err = rule(p, by); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update protected_number set
			confirmed_by = nullif($2, ''), confirmed_at = case when $2 <> '' then coalesce(confirmed_at, $5) end,
			removed_by = nullif($3, ''), removed_at = case when $3 <> '' then coalesce(removed_at, $5) end,
			removal_confirmed_by = nullif($4, ''), removal_confirmed_at = case when $4 <> '' then coalesce(removal_confirmed_at, $5) end where id = $1`,
			id, p.ConfirmedBy, p.RemovedBy, p.RemovalConfirm, s.clock())
		if err != nil {
			return fmt.Errorf("change protected number: %w", interpret(err))
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return p, s.refused(ctx, e, err)
}

// ProtectedNumbers lists those that stand or wait for a second person. The reading is
// on the audit log first.
func (s *Store) ProtectedNumbers(ctx context.Context, by warrant.Actor) ([]warrant.ProtectedNumber, error) {
	e := entry(by, "protected.list", "", "")
	if err := mayRead(by); err != nil {
		return nil, s.refused(ctx, e, err)
	}
	if err := s.Record(ctx, e); err != nil {
		return nil, err
	}
	var all []warrant.ProtectedNumber
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select "+protectedColumns+" from protected_number where removal_confirmed_by is null order by added_at, id")
		if err != nil {
			return fmt.Errorf("list protected numbers: %w", interpret(err))
		}
		all, err = pgx.CollectRows(rows, keys.scanProtected)
		return err
	})
	return all, err
}

const holdColumns = `id, warrant_id, reason, set_by, set_at, coalesce(confirmed_by, ''), coalesce(release_reason, ''), coalesce(released_by, ''), coalesce(release_confirmed_by, '')`

func scanHold(row pgx.CollectableRow) (warrant.Hold, error) {
	var h warrant.Hold
	err := row.Scan(&h.ID, &h.WarrantID, &h.Reason, &h.SetBy, &h.SetAt, &h.ConfirmedBy, &h.ReleaseReason, &h.ReleasedBy, &h.ReleaseConfirmer)
	h.SetAt = h.SetAt.UTC()
	return h, err
}

// SetHold keeps a warrant from being purged, from now on.
func (s *Store) SetHold(ctx context.Context, by warrant.Actor, id warrant.ID, reason string) (warrant.Hold, error) {
	e := entry(by, "hold.set", "", string(id))
	e.Reason = cut(reason)
	var h warrant.Hold
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		w, err := s.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		e.Warrant = string(w.LIID)
		if h, err = warrant.SetHold(w, newID(), reason, by, s.clock()); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "insert into legal_hold (id, warrant_id, reason, set_by, set_at, set_source) values ($1, $2, $3, $4, $5, $6)",
			h.ID, id, h.Reason, h.SetBy, h.SetAt, by.Source)
		if err != nil {
			return fmt.Errorf("set hold: %w", interpret(err))
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return h, s.refused(ctx, e, err)
}

// ConfirmHold is the second person's word on a hold.
func (s *Store) ConfirmHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error) {
	return s.changeHold(ctx, by, id, hold, "hold.confirm", "", func(_ warrant.Warrant, h warrant.Hold) (warrant.Hold, error) {
		return warrant.ConfirmHold(h, by)
	})
}

// ReleaseHold asks for the release of a hold; it stays in force.
func (s *Store) ReleaseHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold, reason string) (warrant.Hold, error) {
	return s.changeHold(ctx, by, id, hold, "hold.release", reason, func(w warrant.Warrant, h warrant.Hold) (warrant.Hold, error) {
		return warrant.ReleaseHold(w, h, reason, by)
	})
}

// ConfirmRelease is the second person's word: the hold is over.
func (s *Store) ConfirmRelease(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error) {
	return s.changeHold(ctx, by, id, hold, "hold.release.confirm", "", func(_ warrant.Warrant, h warrant.Hold) (warrant.Hold, error) {
		return warrant.ConfirmRelease(h, by)
	})
}

func (s *Store) changeHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold, action, reason string,
	rule func(warrant.Warrant, warrant.Hold) (warrant.Hold, error),
) (warrant.Hold, error) {
	e := entry(by, action, "", string(id))
	e.Reason, e.Detail = cut(reason), map[string]string{"hold": hold}
	var h warrant.Hold
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		w, err := s.lock(ctx, tx, id) // a purge waits, or is over
		if err != nil {
			return err
		}
		e.Warrant = string(w.LIID)
		rows, err := tx.Query(ctx, "select "+holdColumns+" from legal_hold where id = $1 and warrant_id = $2", hold, id)
		if err != nil {
			return fmt.Errorf("read hold: %w", interpret(err))
		}
		if h, err = pgx.CollectExactlyOneRow(rows, scanHold); err != nil {
			return notFound(err)
		}
		if h, err = rule(w, h); err != nil {
			return err
		}
		if err := updateHold(ctx, tx, h, by.Source, s.clock()); err != nil {
			return err
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return h, s.refused(ctx, e, err)
}

func updateHold(ctx context.Context, tx pgx.Tx, h warrant.Hold, source string, now time.Time) error {
	_, err := tx.Exec(ctx, `update legal_hold set confirmed_by = nullif($2, ''), released_by = nullif($3, ''), release_reason = nullif($4, ''),
		release_confirmed_by = nullif($5, ''),
		confirmed_at = case when $2 <> '' then coalesce(confirmed_at, $6) end, confirmed_source = case when $2 <> '' then coalesce(confirmed_source, $7) end,
		released_at = case when $3 <> '' then coalesce(released_at, $6) end, released_source = case when $3 <> '' then coalesce(released_source, $7) end,
		release_confirmed_at = case when $5 <> '' then coalesce(release_confirmed_at, $6) end,
		release_confirmed_source = case when $5 <> '' then coalesce(release_confirmed_source, $7) end where id = $1`,
		h.ID, h.ConfirmedBy, h.ReleasedBy, h.ReleaseReason, h.ReleaseConfirmer, now, source)
	if err != nil {
		return fmt.Errorf("change hold: %w", interpret(err))
	}
	return nil
}

// Holds lists the holds of a warrant, newest first. The reading is on the audit log
// first.
func (s *Store) Holds(ctx context.Context, by warrant.Actor, id warrant.ID) ([]warrant.Hold, error) {
	if err := s.readOf(ctx, by, id, "hold.list"); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "select "+holdColumns+" from legal_hold where warrant_id = $1 order by set_at desc, id", id)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", interpret(err))
	}
	return pgx.CollectRows(rows, scanHold)
}

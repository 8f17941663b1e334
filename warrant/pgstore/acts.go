package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// Update replaces the order of a draft or a rejected warrant.
func (s *Store) Update(ctx context.Context, by warrant.Actor, id warrant.ID, version int, o warrant.Order) (warrant.Warrant, error) {
	return s.change(ctx, id, version, entry(by, "warrant.edit", "", string(id)), func(tx pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		o.Predecessor = w.Predecessor
		w, err := warrant.Edit(w, s.complete(o), by, s.clock())
		if err != nil {
			return w, err
		}
		return w, s.lawful(ctx, tx, w)
	})
}

// lawful holds an order against the limits and against what it extends.
func (s *Store) lawful(ctx context.Context, tx pgx.Tx, w warrant.Warrant) error {
	if err := s.limits.Check(w.Order); err != nil {
		return err
	}
	if w.Predecessor == "" {
		return nil
	}
	before, err := s.lock(ctx, tx, w.Predecessor)
	if err != nil {
		return err
	}
	return w.Follows(before)
}

// deliverable holds the agency's delivery that counts now against the limits; none is
// the zero value.
func (s *Store) deliverable(ctx context.Context, tx pgx.Tx, w warrant.Warrant) error {
	if s.limits.Deliverable == nil {
		return nil
	}
	rows, err := tx.Query(ctx, "select "+deliveryColumns+` from agency_delivery where agency_id = $1 and confirmed_by is not null
		order by number desc limit 1`, w.AgencyID)
	if err != nil {
		return fmt.Errorf("read delivery: %w", interpret(err))
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read delivery: %w", interpret(err))
	}
	return s.limits.Deliverable(w.Scope, d)
}

// agencyOf is the warrant's agency; one that does not exist is the zero value.
func agencyOf(ctx context.Context, tx pgx.Tx, w warrant.Warrant) (warrant.Agency, error) {
	agency, err := agencyIn(ctx, tx, w.AgencyID)
	if errors.Is(err, warrant.ErrNotFound) {
		return warrant.Agency{}, nil
	}
	return agency, err
}

// Submit hands a draft to the approver.
func (s *Store) Submit(ctx context.Context, by warrant.Actor, id warrant.ID, version int) (warrant.Warrant, error) {
	return s.change(ctx, id, version, entry(by, "warrant.submit", "", string(id)), func(tx pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		agency, err := agencyOf(ctx, tx, w)
		if err != nil {
			return w, err
		}
		if w, err = warrant.Submit(w, by, agency, s.clock()); err != nil {
			return w, err
		}
		if err := s.lawful(ctx, tx, w); err != nil {
			return w, err
		}
		if err := s.deliverable(ctx, tx, w); err != nil {
			return w, err
		}
		var hasOrder bool
		err = tx.QueryRow(ctx, "select exists (select from warrant_document where warrant_id = $1 and kind = 'order')", id).Scan(&hasOrder)
		if err != nil {
			return w, fmt.Errorf("find order: %w", interpret(err))
		}
		if err := s.limits.Submittable(hasOrder); err != nil {
			return w, err
		}
		w.Protected, err = s.namesProtected(ctx, tx, w)
		return w, err
	})
}

// Approve is the second person's word over exactly that version, and the third's where
// a target is protected.
func (s *Store) Approve(ctx context.Context, by warrant.Actor, id warrant.ID, version int, typed warrant.Retyped) (warrant.Warrant, error) {
	return s.change(ctx, id, version, entry(by, "warrant.approve", "", string(id)), func(tx pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		agency, err := agencyOf(ctx, tx, w)
		if err != nil {
			return w, err
		}
		protected, err := s.namesProtected(ctx, tx, w)
		if err != nil {
			return w, err
		}
		w.Protected = w.Protected || protected
		if w, err = warrant.Approve(w, by, typed, agency, s.clock()); err != nil {
			return w, err
		}
		if err := s.deliverable(ctx, tx, w); err != nil {
			return w, err
		}
		return w, s.lawful(ctx, tx, w)
	})
}

// act is one of the rules that take a reason.
type act func(w warrant.Warrant, by warrant.Actor, reason string, now time.Time) (warrant.Warrant, error)

func (s *Store) reasoned(ctx context.Context, by warrant.Actor, id warrant.ID, version int, action, reason string, rule act) (warrant.Warrant, error) {
	e := entry(by, action, "", string(id))
	e.Reason = cut(reason)
	return s.change(ctx, id, version, e, func(_ pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		return rule(w, by, reason, s.clock())
	})
}

const maxReason = 4096 // octets that a text of the audit log has at most

// cut is a reason as the audit log takes it.
func cut(reason string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""), "\x00", "")
}

// Reject sends a submitted warrant back.
func (s *Store) Reject(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.reject", reason, warrant.Reject)
}

// Suspend pauses a running tap.
func (s *Store) Suspend(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.suspend", reason, warrant.Suspend)
}

// Resume continues a suspended tap.
func (s *Store) Resume(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.resume", reason, warrant.Resume)
}

// Revoke ends a warrant for good.
func (s *Store) Revoke(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.revoke", reason, warrant.Revoke)
}

// Narrow takes targets away, or content, at once. No target = all stay, scope zero =
// it stays.
func (s *Store) Narrow(ctx context.Context, by warrant.Actor, id warrant.ID, version int, keep []li.Identity, scope warrant.Scope, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.narrow", reason, func(w warrant.Warrant, by warrant.Actor, reason string, now time.Time) (warrant.Warrant, error) {
		if keep == nil {
			keep = w.Targets
		}
		if scope == 0 {
			scope = w.Scope
		}
		return warrant.Narrow(w, keep, scope, by, reason, now)
	})
}

// ConfirmOriginal says that the original of a provisional order came; sha256 is the
// paper's, in hexadecimal.
func (s *Store) ConfirmOriginal(ctx context.Context, by warrant.Actor, id warrant.ID, version int, sha256 string) (warrant.Warrant, error) {
	return s.change(ctx, id, version, entry(by, "warrant.original", "", string(id)), func(_ pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		return warrant.ConfirmOriginal(w, sha256, by, s.clock())
	})
}

// RequestPurge is the first of two people who destroy what was intercepted.
func (s *Store) RequestPurge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return s.reasoned(ctx, by, id, version, "warrant.purge.request", reason, warrant.RequestPurge)
}

// Purge is the second person's word. The caller destroys the evidence afterwards.
func (s *Store) Purge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	e := entry(by, "warrant.purge", "", string(id))
	e.Reason = cut(reason)
	return s.change(ctx, id, version, e, func(tx pgx.Tx, w warrant.Warrant) (warrant.Warrant, error) {
		var held bool
		err := tx.QueryRow(ctx, "select exists (select from legal_hold where warrant_id = $1 and release_confirmed_by is null)", id).Scan(&held)
		if err != nil {
			return w, fmt.Errorf("find holds: %w", interpret(err))
		}
		return warrant.Purge(w, by, reason, held, s.clock())
	})
}

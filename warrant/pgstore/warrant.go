package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// CreateDraft drafts a warrant. The same key with the same order gives the same
// warrant again; with another order it is ErrIdempotency. An empty key is none.
func (s *Store) CreateDraft(ctx context.Context, by warrant.Actor, o warrant.Order, key string) (warrant.Warrant, error) {
	return s.draft(ctx, by, s.complete(o), key, "warrant.draft", warrant.New)
}

// Extend drafts the successor of a warrant, by a new order with its own LIID.
func (s *Store) Extend(ctx context.Context, by warrant.Actor, id warrant.ID, o warrant.Order, key string) (warrant.Warrant, error) {
	old, err := s.Warrant(ctx, by, id)
	if err != nil {
		return warrant.Warrant{}, err
	}
	return s.draft(ctx, by, s.complete(o), key, "warrant.extend", func(id warrant.ID, o warrant.Order, by warrant.Actor, now time.Time) (warrant.Warrant, error) {
		return warrant.Extend(old, id, o, by, now)
	})
}

// complete brings an order to the database's precision, and fills what the limits say.
func (s *Store) complete(o warrant.Order) warrant.Order {
	for _, t := range []*time.Time{&o.From, &o.Until, &o.OriginalDue} {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	return s.limits.Complete(o)
}

func (s *Store) draft(ctx context.Context, by warrant.Actor, o warrant.Order, key, action string,
	rule func(warrant.ID, warrant.Order, warrant.Actor, time.Time) (warrant.Warrant, error),
) (warrant.Warrant, error) {
	id := warrant.ID(newID())
	e := entry(by, action, o.LIID, string(id))
	w, err := rule(id, o, by, s.clock())
	if err == nil {
		err = s.limits.Check(w.Order)
	}
	if err != nil {
		return warrant.Warrant{}, s.refused(ctx, e, err)
	}
	return s.create(ctx, by, w, key, e)
}

func (s *Store) create(ctx context.Context, by warrant.Actor, w warrant.Warrant, key string, e audit.Entry) (warrant.Warrant, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if key != "" {
			keys, err := s.keys(ctx, tx)
			if err != nil {
				return err
			}
			hash, err := keys.orderHash(w.Order)
			if err != nil {
				return err
			}
			earlier, err := takeKey(ctx, tx, by.ID, key, hash, w.ID)
			if err != nil {
				return err
			}
			if earlier != w.ID {
				w, err = s.lock(ctx, tx, earlier)
				return err
			}
		}
		if err := s.insert(ctx, tx, w, e); err != nil {
			return fmt.Errorf("draft warrant: %w", err)
		}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
	return w, err
}

// takeKey claims an idempotency key and returns the warrant that it made: id, or
// the one of an earlier request.
func takeKey(ctx context.Context, tx pgx.Tx, by warrant.PersonID, key string, hash []byte, id warrant.ID) (warrant.ID, error) {
	_, err := tx.Exec(ctx, `insert into idempotency (person_id, key, body_hash, warrant_id) values ($1, $2, $3, $4) on conflict do nothing`, by, key, hash, id)
	if err != nil {
		return "", fmt.Errorf("keep idempotency key: %w", interpret(err))
	}
	var made warrant.ID
	var madeHash []byte
	err = tx.QueryRow(ctx, "select warrant_id, body_hash from idempotency where person_id = $1 and key = $2", by, key).Scan(&made, &madeHash)
	if err != nil {
		return "", fmt.Errorf("read idempotency key: %w", interpret(err))
	}
	if string(madeHash) != string(hash) {
		return "", warrant.ErrIdempotency
	}
	return made, nil
}

// orderHash is keyed: an order names a target.
func (r keyring) orderHash(o warrant.Order) ([]byte, error) {
	fields := []any{
		o.LIID, o.Authority, o.Reference, o.LegalBasis, o.AgencyID, encodeTargets(o.Targets), o.Scope, o.From, o.Until, o.Notes, o.Predecessor,
	}
	if o.Provisional {
		fields = append(fields, o.OriginalDue)
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("hash order: %w", err)
	}
	return r.key.HashOrder(body), nil
}

// mayRead keeps warrants from those who have no business with them.
func mayRead(by warrant.Actor) error {
	if by.Confirmed && (by.Role == warrant.Drafter || by.Role == warrant.Approver || by.Role == warrant.Auditor) {
		return nil
	}
	return warrant.ErrForbidden
}

// Warrant returns one warrant. The reading is on the audit log first.
func (s *Store) Warrant(ctx context.Context, by warrant.Actor, id warrant.ID) (warrant.Warrant, error) {
	e := entry(by, "warrant.read", "", string(id))
	if err := mayRead(by); err != nil {
		return warrant.Warrant{}, s.refused(ctx, e, err)
	}
	var w warrant.Warrant
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select "+warrantColumns+" from warrant w where w.id = $1", id)
		if err != nil {
			return fmt.Errorf("read warrant: %w", interpret(err))
		}
		if w, err = pgx.CollectExactlyOneRow(rows, keys.scanWarrant); err != nil {
			return notFound(err)
		}
		e.Warrant = string(w.LIID)
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return w, err
}

// Page is one page of a listing.
type Page struct {
	Limit int    // 1 to 200; default 50
	After string // cursor of an earlier page
}

const (
	defaultLimit = 50
	maxLimit     = 200
)

func (p Page) bounds() (limit int, after int64, err error) {
	limit = p.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if p.After != "" {
		after, err = strconv.ParseInt(p.After, 10, 64)
	}
	if err != nil || limit < 1 || limit > maxLimit || after < 0 {
		return 0, 0, warrant.ErrPage
	}
	return limit, after, nil
}

// Warrants lists warrants, newest first, of one state if it is given, and the
// cursor of the next page. Their targets are left closed. The listing is on the audit
// log first.
func (s *Store) Warrants(ctx context.Context, by warrant.Actor, state string, p Page) ([]warrant.Warrant, string, error) {
	e := entry(by, "warrant.list", "", "")
	if err := mayRead(by); err != nil {
		return nil, "", s.refused(ctx, e, err)
	}
	if err := s.Record(ctx, e); err != nil {
		return nil, "", err
	}
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	return s.list(ctx, "($3::bigint = 0 or serial < $3) and ($2 = '' or state = $2)", "desc", limit, state, after)
}

// WarrantsOn lists as Warrants does, but only warrants that name exactly that target.
// The search is on the audit log first, without the target.
func (s *Store) WarrantsOn(ctx context.Context, by warrant.Actor, target li.Identity, state string, p Page) ([]warrant.Warrant, string, error) {
	e := entry(by, "warrant.search", "", "")
	if err := mayRead(by); err != nil {
		return nil, "", s.refused(ctx, e, err)
	}
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	var hash []byte
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		hash = keys.hashes(encodeTargets([]li.Identity{target}))[0]
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return s.list(ctx, "($3::bigint = 0 or serial < $3) and ($2 = '' or state = $2) and targets_hash @> array[$4::bytea]", "desc", limit, state, after, hash)
}

// WarrantsOfAgency lists the warrants of an agency that were ever approved, oldest
// first, their targets left closed.
func (s *Store) WarrantsOfAgency(ctx context.Context, id warrant.AgencyID, p Page) ([]warrant.Warrant, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	return s.list(ctx, "agency_id = $2 and serial > $3 and state not in ('draft', 'submitted', 'rejected')", "asc", limit, string(id), after)
}

// list reads one page, targets left closed; where holds constant text only, and more
// are its arguments from $4 on.
func (s *Store) list(ctx context.Context, where, order string, limit int, arg string, after int64, more ...any) ([]warrant.Warrant, string, error) {
	rows, err := s.pool.Query(ctx, "select serial, "+warrantColumns+" from warrant w where "+where+" order by serial "+order+" limit $1",
		append([]any{limit + 1, arg, after}, more...)...)
	if err != nil {
		return nil, "", fmt.Errorf("list warrants: %w", interpret(err))
	}
	var serials []int64
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (warrant.Warrant, error) {
		var serial int64
		w, err := keyring{}.scanWarrant(leading{row, []any{&serial}})
		serials = append(serials, serial)
		return w, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list warrants: %w", err)
	}
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], strconv.FormatInt(serials[limit-1], 10), nil
}

// WarrantByLIID returns an agency's own warrant that was ever approved, its targets
// left closed. What is not its own is ErrNotFound like what does not exist.
func (s *Store) WarrantByLIID(ctx context.Context, id warrant.AgencyID, liid li.LIID) (warrant.Warrant, error) {
	rows, err := s.pool.Query(ctx, "select "+warrantColumns+" from warrant w where w.liid = $1 and w.agency_id = $2 and w.state not in ('draft', 'submitted', 'rejected')", liid, id)
	if err != nil {
		return warrant.Warrant{}, fmt.Errorf("read intercept: %w", interpret(err))
	}
	w, err := pgx.CollectExactlyOneRow(rows, keyring{}.scanWarrant)
	return w, notFound(err)
}

// change applies a rule to the warrant at exactly that version. The change and its
// entry commit together; a refusal is recorded alone.
func (s *Store) change(ctx context.Context, id warrant.ID, version int, e audit.Entry,
	rule func(tx pgx.Tx, w warrant.Warrant) (warrant.Warrant, error),
) (warrant.Warrant, error) {
	var w warrant.Warrant
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		if w, err = s.lock(ctx, tx, id); err != nil && !(unreadable(err) && slices.Contains(stops(), e.Action)) {
			return err
		}
		e.Warrant = string(w.LIID)
		if w.Version != version {
			return warrant.ErrVersion
		}
		before := w.State
		if w, err = rule(tx, w); err != nil {
			return err
		}
		if err := s.update(ctx, tx, w, e); err != nil {
			return err
		}
		if err := s.follow(ctx, tx, before, w); err != nil {
			return err
		}
		e.Warrant = string(w.LIID)
		e.Detail = map[string]string{"from": before.String(), "to": w.State.String(), "version": strconv.Itoa(w.Version)}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	if err != nil {
		return warrant.Warrant{}, s.refused(ctx, e, err)
	}
	return w, nil
}

// stops are the acts that need no target: what cannot be read any more can still be
// stopped.
func stops() []string {
	return []string{"warrant.suspend", "warrant.revoke", "warrant.expire", "warrant.lapse"}
}

// follow does what a state entails: a Task at approval, the interval in which the
// tap was allowed, and the notice to the ADMF.
func (s *Store) follow(ctx context.Context, tx pgx.Tx, before warrant.State, w warrant.Warrant) error {
	var err error
	switch {
	case w.State == warrant.Approved && before != warrant.Approved:
		_, err = tx.Exec(ctx, "insert into task (xid, warrant_id, created_at) values ($1, $2, $3)", li.NewXID().String(), w.ID, w.UpdatedAt)
	case w.State == warrant.Active && before != warrant.Active:
		_, err = tx.Exec(ctx, `insert into tap_interval (warrant_id, began_at) select $1, greatest($2, max(began_at) + interval '1 microsecond')
			from tap_interval where warrant_id = $1`, w.ID, w.UpdatedAt) // later than the last, however the clock was set
	case before == warrant.Active && w.State != warrant.Active:
		_, err = tx.Exec(ctx, "update tap_interval set ended_at = greatest($2, began_at) where warrant_id = $1 and ended_at is null", w.ID, w.StoppedAt)
	}
	if err != nil {
		return fmt.Errorf("record tap: %w", interpret(err))
	}
	if err := notice(ctx, tx, before, w); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "select pg_notify($1, '')", Channel); err != nil {
		return fmt.Errorf("notify: %w", interpret(err))
	}
	return nil
}

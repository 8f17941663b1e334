package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
)

// Kind says what a request is for.
type Kind string

// The kinds of requests.
const (
	Unmask Kind = "unmask"
	Erase  Kind = "erase"
)

// Request is what one person asked for and another may have confirmed.
type Request struct {
	ID          string     `json:"id"`
	Kind        Kind       `json:"kind"`
	Pseudonym   string     `json:"pseudonym,omitempty"`
	Entries     []int64    `json:"entries,omitempty"`
	Reason      string     `json:"reason"`
	AskedBy     string     `json:"asked_by"`
	AskedAt     time.Time  `json:"asked_at"`
	ConfirmedBy string     `json:"confirmed_by,omitempty"`
	ConfirmedAt *time.Time `json:"confirmed_at,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	DoneAt      *time.Time `json:"done_at,omitempty"`
}

const requestColumns = `id, kind, pseudonym, entries, reason, asked_by, asked_at, coalesce(confirmed_by, ''), confirmed_at, until, done_at`

func scanRequest(row pgx.CollectableRow) (Request, error) {
	var r Request
	err := row.Scan(&r.ID, &r.Kind, &r.Pseudonym, &r.Entries, &r.Reason, &r.AskedBy, &r.AskedAt, &r.ConfirmedBy, &r.ConfirmedAt, &r.Until, &r.DoneAt)
	return r, err
}

// AskUnmask asks whose pseudonym it is.
func (s *Store) AskUnmask(ctx context.Context, by Who, pseudonym, reason string) (Request, error) {
	if _, err := s.name(ctx, pseudonym); err != nil {
		return Request{}, err
	}
	return s.ask(ctx, by, Request{Kind: Unmask, Pseudonym: pseudonym, Entries: []int64{}, Reason: reason})
}

// AskErase asks that readable records be taken away.
func (s *Store) AskErase(ctx context.Context, by Who, entries []int64, reason string) (Request, error) {
	return s.ask(ctx, by, Request{Kind: Erase, Entries: entries, Reason: reason})
}

func (s *Store) ask(ctx context.Context, by Who, r Request) (Request, error) {
	if r.Reason == "" || len(r.Reason) > maxReason {
		return Request{}, ErrReason
	}
	r.ID, r.AskedBy, r.AskedAt = uuid.NewString(), by.ID, s.now()
	return r, s.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into audit_request (id, kind, pseudonym, entries, reason, asked_by, asked_at) values ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, r.Kind, r.Pseudonym, r.Entries, r.Reason, r.AskedBy, r.AskedAt)
		if err != nil {
			return err
		}
		e := by.entry("audit."+string(r.Kind)+".request", "request "+r.ID, "done")
		e.Reason = r.Reason
		if r.Pseudonym != "" {
			e.Detail = map[string]string{"pseudonym": r.Pseudonym}
		} else {
			e.Detail = map[string]string{"records": fmt.Sprint(len(r.Entries))}
		}
		_, err = s.cfg.Log.Append(ctx, tx, e)
		return err
	})
}

// Requests lists those of a kind, newest first, at most 1000.
func (s *Store) Requests(ctx context.Context, kind Kind) ([]Request, error) {
	rows, err := s.cfg.Pool.Query(ctx, "select "+requestColumns+" from audit_request where kind = $1 order by asked_at desc, id limit 1000", kind)
	if err != nil {
		return nil, fmt.Errorf("review: list requests: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, scanRequest)
	if err != nil {
		return nil, fmt.Errorf("review: list requests: %w", interpret(err))
	}
	return all, nil
}

// Confirm confirms a request as the second person; an erasure is done with it. Who
// asked is refused, on the log.
func (s *Store) Confirm(ctx context.Context, by Who, kind Kind, id string) (Request, error) {
	var r Request
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		if r, err = s.lock(ctx, tx, kind, id); err != nil {
			return err
		}
		now := s.now()
		r.ConfirmedBy, r.ConfirmedAt = by.ID, &now
		if kind == Unmask {
			until := now.Add(s.cfg.Unmask)
			r.Until = &until
		}
		_, err = tx.Exec(ctx, "update audit_request set confirmed_by = $2, confirmed_at = $3, until = $4 where id = $1", id, by.ID, now, r.Until)
		if err != nil {
			return err
		}
		if kind == Erase {
			return s.erase(ctx, tx, by, &r)
		}
		e := by.entry("audit.unmask.confirm", "request "+id, "done")
		e.Reason = r.Reason
		e.Detail = map[string]string{"pseudonym": r.Pseudonym, "asked_by": r.AskedBy, "until": r.Until.Format(time.RFC3339)}
		_, err = s.cfg.Log.Append(ctx, tx, e)
		return err
	})
	if errors.Is(err, ErrFourEyes) || errors.Is(err, ErrRole) {
		e := by.entry("audit."+string(kind)+".confirm", "request "+id, "refused")
		e.Detail = map[string]string{"rule": "four-eyes"}
		if _, recordErr := s.cfg.Log.Record(ctx, s.cfg.Pool, e); recordErr != nil {
			return Request{}, recordErr
		}
	}
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

func (s *Store) lock(ctx context.Context, tx pgx.Tx, kind Kind, id string) (Request, error) {
	rows, err := tx.Query(ctx, "select "+requestColumns+" from audit_request where id = $1 and kind = $2 for update", id, kind)
	if err != nil {
		return Request{}, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRequest)
	if errors.Is(err, pgx.ErrNoRows) {
		return Request{}, ErrNotFound
	}
	if err == nil && r.ConfirmedBy != "" {
		return Request{}, ErrState
	}
	return r, err
}

func (s *Store) erase(ctx context.Context, tx pgx.Tx, by Who, r *Request) error {
	e := by.entry("", "", "")
	e.Reason = r.Reason
	_, err := s.cfg.Log.Erase(ctx, tx, e, audit.Erasure{Request: r.ID, AskedBy: r.AskedBy, Entries: r.Entries})
	now := s.now()
	r.DoneAt = &now
	return err
}

// Unmasked tells one of the two whose pseudonym it is, while that lasts.
func (s *Store) Unmasked(ctx context.Context, by Who, id string) (r Request, name string, err error) {
	rows, err := s.cfg.Pool.Query(ctx, "select "+requestColumns+" from audit_request where id = $1 and kind = 'unmask'", id)
	if err != nil {
		return r, "", interpret(err)
	}
	r, err = pgx.CollectExactlyOneRow(rows, scanRequest)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && by.ID != r.AskedBy && by.ID != r.ConfirmedBy {
		return Request{}, "", ErrNotFound
	}
	if err != nil {
		return r, "", interpret(err)
	}
	if r.Until == nil || !s.now().Before(*r.Until) {
		return r, "", nil // not confirmed yet, or over
	}
	e := by.entry("audit.unmask.read", "request "+id, "done")
	e.Detail = map[string]string{"pseudonym": r.Pseudonym}
	if _, err := s.cfg.Log.Record(ctx, s.cfg.Pool, e); err != nil {
		return r, "", err
	}
	name, err = s.name(ctx, r.Pseudonym)
	return r, name, err
}

// name finds who has a pseudonym, as audit.AgencyActor and ids of staff are.
func (s *Store) name(ctx context.Context, pseudonym string) (name string, err error) {
	err = s.cfg.Pool.QueryRow(ctx, `select name from person where id = $1
		union all select u.name from agency_user u where u.agency_id || '/' || left(u.cert, 16) = $1 limit 1`, pseudonym).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("review: find pseudonym: %w", interpret(err))
	}
	return name, nil
}

package pgstore

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
)

// Errors of orders that come over HI1.
var (
	ErrHI1Content = errors.New("an object of that identifier holds something else")
	ErrHI1LIID    = errors.New("another order of the agency has that LIID")
)

// HI1Config is what NewHI1 needs; all fields are required.
type HI1Config struct {
	Store *Store
	Key   []byte // 32 octets: seals what agencies send; losing it loses the inbox
}

// HI1 keeps what agencies order electronically, until an officer takes it over.
//
// Invariants:
//   - An agency's act makes no warrant: Take, by an officer who becomes the drafter,
//     is the only way from an order to one.
//   - What an agency asks for is answered from its own rows only.
//   - Target values and documents reach the database sealed, and no audit entry.
//
// HI1 is safe for concurrent use.
type HI1 struct {
	s    *Store
	seal seal
}

// NewHI1 validates the configuration.
func NewHI1(cfg HI1Config) (*HI1, error) {
	if cfg.Store == nil {
		return nil, errors.New("pgstore: HI1 wants a Store")
	}
	sealing, err := newSeal(cfg.Key)
	if err != nil {
		return nil, err
	}
	return &HI1{s: cfg.Store, seal: sealing}, nil
}

// HI1Caller is a person of an agency in the act.
type HI1Caller struct {
	Agency warrant.AgencyID
	Person string
	Cert   string // fingerprint
	Source string // network address
}

func (c HI1Caller) entry(action string, liid li.LIID, object string) audit.Entry {
	return audit.Entry{
		Actor: string(c.Agency) + "/" + c.Person, Role: "agency", Action: action, Warrant: string(liid), Object: object, Result: "done",
		Source: c.Source, Detail: map[string]string{"certificate": c.Cert},
	}
}

// HI1Order is one order among the objects of an intake: a Task under an
// Authorisation, with the documents that belong to both.
type HI1Order struct {
	Task, Authorisation hi1.UUID
	Documents           []hi1.UUID
	LIID                li.LIID
}

// HI1Intake is what one message creates. The objects of each order are among Objects
// or were stored before.
type HI1Intake struct {
	Objects []hi1.Object
	Orders  []HI1Order
}

// HI1ObjectError says which object of an intake could not be stored.
type HI1ObjectError struct {
	ID  hi1.UUID
	Err error // ErrHI1Content or ErrHI1LIID
}

func (e *HI1ObjectError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *HI1ObjectError) Unwrap() error { return e.Err }

// DraftFromHI1 puts an agency's orders into the officers' inbox: all of the intake or,
// with an error, nothing. What is there already with the same content stays as it is.
// It makes no warrant.
func (h *HI1) DraftFromHI1(ctx context.Context, by HI1Caller, in HI1Intake) error {
	now := h.s.clock()
	return h.s.inTx(ctx, func(tx pgx.Tx) error {
		var entries []audit.Entry
		for _, o := range in.Objects {
			made, err := h.keepObject(ctx, tx, by, o, now)
			if err != nil {
				return err
			}
			e := by.entry("hi1.create", "", string(o.Base().ID))
			e.Detail["kind"], e.Detail["repeated"] = string(o.Type()), fmt.Sprint(!made)
			entries = append(entries, e)
		}
		for _, o := range in.Orders {
			id, err := keepOrder(ctx, tx, by.Agency, o, now)
			if err != nil {
				return err
			}
			if id != "" {
				entries = append(entries, by.entry("hi1.order", o.LIID, id))
			}
		}
		return h.append(ctx, tx, entries...)
	})
}

func (h *HI1) append(ctx context.Context, tx pgx.Tx, entries ...audit.Entry) error {
	for _, e := range entries {
		if _, err := h.s.audit.Append(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// keepObject stores an object unless it is there; another content is an error.
func (h *HI1) keepObject(ctx context.Context, tx pgx.Tx, by HI1Caller, o hi1.Object, now time.Time) (made bool, err error) {
	id := o.Base().ID
	sealed, mac, err := h.seal.close(by.Agency, o)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `insert into hi1_object (agency_id, object_id, kind, content, mac, created_at, changed_at)
		values ($1, $2, $3, $4, $5, $6, $6) on conflict (agency_id, object_id) do nothing`, by.Agency, id, o.Type(), sealed, mac, now)
	if err != nil {
		return false, fmt.Errorf("keep HI1 object: %w", interpret(err))
	}
	if tag.RowsAffected() > 0 {
		return true, nil
	}
	var have []byte
	if err := tx.QueryRow(ctx, "select mac from hi1_object where agency_id = $1 and object_id = $2", by.Agency, id).Scan(&have); err != nil {
		return false, fmt.Errorf("read HI1 object: %w", interpret(err))
	}
	if !hmac.Equal(have, mac) {
		return false, &HI1ObjectError{ID: id, Err: ErrHI1Content}
	}
	return false, nil
}

// keepOrder puts one order into the inbox; an empty id means that it was there.
func keepOrder(ctx context.Context, tx pgx.Tx, agency warrant.AgencyID, o HI1Order, now time.Time) (string, error) {
	id := newID()
	tag, err := tx.Exec(ctx, `insert into hi1_order (id, agency_id, task_id, authorisation_id, liid, state, created_at, updated_at)
		values ($1, $2, $3, $4, $5, 'received', $6, $6) on conflict (agency_id, task_id) do nothing`,
		id, agency, o.Task, o.Authorisation, o.LIID, now)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.ConstraintName == "hi1_order_liid_unique":
		return "", &HI1ObjectError{ID: o.Task, Err: ErrHI1LIID}
	case err != nil:
		return "", fmt.Errorf("keep HI1 order: %w", interpret(err))
	case tag.RowsAffected() == 0:
		return "", nil
	}
	for _, doc := range o.Documents {
		if _, err := tx.Exec(ctx, "insert into hi1_order_document (order_id, agency_id, object_id) values ($1, $2, $3) on conflict do nothing", id, agency, doc); err != nil {
			return "", fmt.Errorf("keep HI1 order's document: %w", interpret(err))
		}
	}
	return id, nil
}

// HI1Cancel says what became of an agency's wish to cancel.
type HI1Cancel struct {
	Withdrawn int // orders that no officer had taken: gone from the inbox
	Alarms    int // orders with a warrant: an officer is alarmed, who decides
}

// AskCancel records that an agency wants an object of its own cancelled. It stops
// nothing by itself that an officer has begun: an alarm asks an officer to. Asking
// again changes nothing.
func (h *HI1) AskCancel(ctx context.Context, by HI1Caller, id hi1.UUID) (out HI1Cancel, err error) {
	now := h.s.clock()
	err = h.s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update hi1_object set wish = 'Cancelled', changed_at = $3 where agency_id = $1 and object_id = $2 and wish = '' and kind <> 'Document'", by.Agency, id, now)
		if err != nil {
			return fmt.Errorf("keep wish: %w", interpret(err))
		}
		e := by.entry("hi1.update", "", string(id))
		e.Detail["desired"] = "Cancelled"
		if tag.RowsAffected() == 0 {
			e.Detail["repeated"] = "true"
			return h.append(ctx, tx, e)
		}
		var alarmed []string
		if out.Withdrawn, alarmed, err = cancelOrders(ctx, tx, by.Agency, id, now); err != nil {
			return err
		}
		entries := []audit.Entry{e}
		for _, liid := range alarmed {
			raised := system("alarm.open", li.LIID(liid), liid)
			raised.Detail = map[string]string{"kind": alarmCancel}
			entries = append(entries, raised)
		}
		out.Alarms = len(alarmed)
		return h.append(ctx, tx, entries...)
	})
	return out, err
}

// alarmCancel asks an officer to look at an agency's wish; its object is the LIID.
const alarmCancel = "hi1_cancellation_asked"

func cancelOrders(ctx context.Context, tx pgx.Tx, agency warrant.AgencyID, id hi1.UUID, now time.Time) (withdrawn int, alarmed []string, err error) {
	tag, err := tx.Exec(ctx, `update hi1_order set state = 'withdrawn', updated_at = $3
		where agency_id = $1 and (task_id = $2 or authorisation_id = $2) and state = 'received'`, agency, id, now)
	if err != nil {
		return 0, nil, fmt.Errorf("withdraw orders: %w", interpret(err))
	}
	rows, err := tx.Query(ctx, `insert into alarm (kind, object, opened_at)
		select $4, o.liid, $3 from hi1_order o join warrant w on w.id = o.warrant_id
		where o.agency_id = $1 and (o.task_id = $2 or o.authorisation_id = $2) and w.state not in ('expired', 'revoked', 'purged')
		on conflict (kind, object) where closed_at is null do nothing returning object`, agency, id, now, alarmCancel)
	if err != nil {
		return 0, nil, fmt.Errorf("open alarms: %w", interpret(err))
	}
	alarmed, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return int(tag.RowsAffected()), alarmed, err
}

// Refused records that a message or an act of an agency was refused, by a short
// constant reason, before it is answered.
func (h *HI1) Refused(ctx context.Context, by HI1Caller, action, object, reason string) error {
	e := by.entry(action, "", object)
	e.Result, e.Detail["rule"] = "refused", strings.ToValidUTF8(reason, "")
	return h.s.Record(ctx, e)
}

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
)

// HI1State is where an order stands before, and beside, its warrant.
type HI1State string

// The states. Once drafted, the warrant's state tells the rest.
const (
	HI1Received  HI1State = "received"
	HI1Drafted   HI1State = "drafted"
	HI1Rejected  HI1State = "rejected"
	HI1Withdrawn HI1State = "withdrawn"
)

// HI1Standing is what became of one order.
type HI1Standing struct {
	State   HI1State
	Reason  string        // why an officer rejected it
	Warrant warrant.State // 0 = there is none
	Stopped time.Time     // of the warrant; zero = not stopped
	Until   time.Time     // of the warrant; zero = there is none
	At      time.Time     // when it came to stand so
}

// HI1Object is an object of an agency, as sent, and what became of its orders.
type HI1Object struct {
	Object     hi1.Object
	Wish       string // DesiredStatus that was asked for later; empty = as sent
	Generation uint32 // one more at each change that the agency can see
	Changed    time.Time
	Orders     []HI1Standing
}

// The orders of an object: those of a Task or Authorisation, or with a Document.
const ordersOf = `select o.id from hi1_order o where o.agency_id = b.agency_id and (o.task_id = b.object_id or o.authorisation_id = b.object_id
	or exists (select from hi1_order_document d where d.order_id = o.id and d.object_id = b.object_id))`

// How often and when an object changed, as its agency can see.
const (
	generationOf = `(case when b.wish = '' then 0 else 1 end) + (select count(*) from hi1_notification n where n.order_id in (` + ordersOf + `))`
	changedOf    = `greatest(b.changed_at, (select max(n.at) from hi1_notification n where n.order_id in (` + ordersOf + `)))`
)

const objectQuery = `select b.object_id, b.content, b.wish, ` + generationOf + `, ` + changedOf + ` from hi1_object b `

func (h *HI1) scanObject(agency warrant.AgencyID) pgx.RowToFunc[HI1Object] {
	return func(row pgx.CollectableRow) (o HI1Object, err error) {
		var id hi1.UUID
		var sealed []byte
		if err := row.Scan(&id, &sealed, &o.Wish, &o.Generation, &o.Changed); err != nil {
			return o, err
		}
		o.Changed = o.Changed.UTC()
		o.Object, err = h.seal.open(agency, id, sealed)
		return o, err
	}
}

// Object returns an agency's own object. What is not its own is ErrNotFound like what
// does not exist. The reading is on the audit log first.
func (h *HI1) Object(ctx context.Context, by HI1Caller, id hi1.UUID) (HI1Object, error) {
	o, err := h.object(ctx, by.Agency, id)
	if err != nil && !errors.Is(err, warrant.ErrNotFound) {
		return HI1Object{}, err
	}
	e := by.entry("hi1.get", "", string(id))
	if err != nil {
		e.Result = "refused"
	}
	if auditErr := h.s.Record(ctx, e); auditErr != nil {
		return HI1Object{}, auditErr
	}
	return o, err
}

// Known returns an agency's object to check other objects against; no answer may
// show it.
func (h *HI1) Known(ctx context.Context, by HI1Caller, id hi1.UUID) (HI1Object, error) {
	return h.object(ctx, by.Agency, id)
}

func (h *HI1) object(ctx context.Context, agency warrant.AgencyID, id hi1.UUID) (HI1Object, error) {
	rows, err := h.s.pool.Query(ctx, objectQuery+"where b.agency_id = $1 and b.object_id = $2", agency, id)
	if err != nil {
		return HI1Object{}, fmt.Errorf("read HI1 object: %w", interpret(err))
	}
	o, err := pgx.CollectExactlyOneRow(rows, h.scanObject(agency))
	if err != nil {
		return HI1Object{}, notFound(err)
	}
	rows, err = h.s.pool.Query(ctx, `select s.state, s.reason, coalesce(w.state, ''), w.stopped_at, w.valid_until, coalesce(w.updated_at, s.updated_at)
		from hi1_object b join hi1_order s on s.id in (`+ordersOf+`) left join warrant w on w.id = s.warrant_id
		where b.agency_id = $1 and b.object_id = $2 order by s.serial`, agency, id)
	if err != nil {
		return HI1Object{}, fmt.Errorf("read HI1 orders: %w", interpret(err))
	}
	o.Orders, err = pgx.CollectRows(rows, scanStanding)
	return o, err
}

func scanStanding(row pgx.CollectableRow) (s HI1Standing, err error) {
	var state string
	var stopped, until *time.Time
	if err := row.Scan(&s.State, &s.Reason, &state, &stopped, &until, &s.At); err != nil {
		return s, err
	}
	return s.with(state, stopped, until)
}

func (s HI1Standing) with(state string, stopped, until *time.Time) (HI1Standing, error) {
	s.At = s.At.UTC()
	if stopped != nil {
		s.Stopped = stopped.UTC()
	}
	if until != nil {
		s.Until = until.UTC()
	}
	var err error
	if state != "" {
		s.Warrant, err = warrant.ParseState(state)
	}
	return s, err
}

// HI1Record is an object of an agency without what it says.
type HI1Record struct {
	ID         hi1.UUID
	Kind       hi1.ObjectType
	Generation uint32
	Changed    time.Time
}

// Objects lists an agency's own objects that changed at or after since, of one kind
// unless it is empty, the earliest change first, at most limit. The listing is on the
// audit log first.
func (h *HI1) Objects(ctx context.Context, by HI1Caller, kind hi1.ObjectType, since time.Time, limit int) ([]HI1Record, error) {
	if err := h.s.Record(ctx, by.entry("hi1.list", "", string(kind))); err != nil {
		return nil, err
	}
	rows, err := h.s.pool.Query(ctx, `select object_id, kind, generation, changed from (
		  select b.object_id, b.kind, `+generationOf+` as generation, `+changedOf+` as changed
		  from hi1_object b where b.agency_id = $1 and ($2 = '' or b.kind = $2)) o
		where changed >= $3 order by changed, object_id limit $4`, by.Agency, kind, since, limit)
	if err != nil {
		return nil, fmt.Errorf("list HI1 objects: %w", interpret(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r HI1Record, err error) {
		err = row.Scan(&r.ID, &r.Kind, &r.Generation, &r.Changed)
		r.Changed = r.Changed.UTC()
		return r, err
	})
}

// HI1Notification tells an agency what became of an order.
type HI1Notification struct {
	Cursor              string
	ID                  hi1.UUID
	Task, Authorisation hi1.UUID
	Standing            HI1Standing // as it was then
}

// Notifications lists an agency's notifications behind a cursor, in order; the empty
// cursor begins at the first. A cursor stays good for ever. The listing is on the
// audit log first.
func (h *HI1) Notifications(ctx context.Context, by HI1Caller, p Page) ([]HI1Notification, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, err
	}
	if err := h.s.Record(ctx, by.entry("hi1.notifications", "", "")); err != nil {
		return nil, err
	}
	rows, err := h.s.pool.Query(ctx, `select n.serial, n.id::text, o.task_id, o.authorisation_id, n.state, n.reason, n.warrant, n.stopped, n.until, n.at
		from hi1_notification n join hi1_order o on o.id = n.order_id
		where n.agency_id = $1 and n.serial > $2 order by n.serial limit $3`, by.Agency, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", interpret(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (n HI1Notification, err error) {
		var serial int64
		var state string
		var stopped, until *time.Time
		err = row.Scan(&serial, &n.ID, &n.Task, &n.Authorisation, &n.Standing.State, &n.Standing.Reason, &state, &stopped, &until, &n.Standing.At)
		if err != nil {
			return n, err
		}
		n.Cursor = strconv.FormatInt(serial, 10)
		n.Standing, err = n.Standing.with(state, stopped, until)
		return n, err
	})
}

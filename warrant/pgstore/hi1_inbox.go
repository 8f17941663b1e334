package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
)

// InboxOrder is an agency's order as the officers see it.
type InboxOrder struct {
	ID            string
	AgencyID      warrant.AgencyID
	LIID          li.LIID
	State         HI1State
	Reason        string
	Officer       warrant.PersonID // who took or rejected it
	WarrantID     warrant.ID
	WarrantState  string // how far the warrant that was drafted from it got; empty = there is none
	Wish          string // "Cancelled": the agency asked for it
	CreatedAt     time.Time
	UpdatedAt     time.Time
	TaskID        hi1.UUID
	Authorisation hi1.UUID
	Documents     []hi1.UUID
}

const inboxQuery = `select o.id, o.agency_id, o.liid, o.state, o.reason, coalesce(o.officer, ''), coalesce(o.warrant_id, ''),
	coalesce((select w.state from warrant w where w.id = o.warrant_id), ''),
	coalesce((select max(b.wish) from hi1_object b where b.agency_id = o.agency_id and b.object_id in (o.task_id, o.authorisation_id)), ''),
	o.created_at, o.updated_at, o.task_id, o.authorisation_id,
	array(select d.object_id from hi1_order_document d where d.order_id = o.id order by d.object_id)
	from hi1_order o `

func scanInbox(row pgx.CollectableRow) (o InboxOrder, err error) {
	var docs []string
	err = row.Scan(&o.ID, &o.AgencyID, &o.LIID, &o.State, &o.Reason, &o.Officer, &o.WarrantID, &o.WarrantState, &o.Wish, &o.CreatedAt, &o.UpdatedAt, &o.TaskID, &o.Authorisation, &docs)
	for _, d := range docs {
		o.Documents = append(o.Documents, hi1.UUID(d))
	}
	o.CreatedAt, o.UpdatedAt = o.CreatedAt.UTC(), o.UpdatedAt.UTC()
	return o, err
}

// Inbox lists orders, newest first, of one state unless it is empty, and the cursor of
// the next page. The listing is on the audit log first.
func (h *HI1) Inbox(ctx context.Context, by warrant.Actor, state HI1State, p Page) ([]InboxOrder, string, error) {
	e := entry(by, "inbox.list", "", "")
	if err := mayRead(by); err != nil {
		return nil, "", h.s.refused(ctx, e, err)
	}
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	if err := h.s.Record(ctx, e); err != nil {
		return nil, "", err
	}
	rows, err := h.s.pool.Query(ctx, inboxQuery+`where ($1 = '' or o.state = $1) and ($2::bigint = 0 or o.serial < $2) order by o.serial desc limit $3`, state, after, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list inbox: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, scanInbox)
	if err != nil || len(all) <= limit {
		return all, "", err
	}
	var serial int64
	if err := h.s.pool.QueryRow(ctx, "select serial from hi1_order where id = $1", all[limit-1].ID).Scan(&serial); err != nil {
		return nil, "", fmt.Errorf("list inbox: %w", interpret(err))
	}
	return all[:limit], strconv.FormatInt(serial, 10), nil
}

// InboxOrder returns one order with its Authorisation and Task. The reading is on the
// audit log first.
func (h *HI1) InboxOrder(ctx context.Context, by warrant.Actor, id string) (InboxOrder, *hi1.Authorisation, *hi1.Task, error) {
	o, err := h.enter(ctx, by, id, "inbox.read", id)
	if err != nil {
		return o, nil, nil, err
	}
	authorisation, task, err := h.objects(ctx, o)
	return o, authorisation, task, err
}

// enter admits a reader to one order and records it.
func (h *HI1) enter(ctx context.Context, by warrant.Actor, id, action, object string) (o InboxOrder, err error) {
	e := entry(by, action, "", object)
	if err := mayRead(by); err != nil {
		return o, h.s.refused(ctx, e, err)
	}
	if o, err = readOrder(ctx, h.s.pool, id, ""); err != nil {
		return o, err
	}
	e.Warrant = string(o.LIID)
	return o, h.s.Record(ctx, e)
}

// readOrder reads one order; lock is constant text behind the query.
func readOrder(ctx context.Context, db rowsQuerier, id, lock string) (InboxOrder, error) {
	rows, err := db.Query(ctx, inboxQuery+"where o.id = $1 "+lock, id)
	if err != nil {
		return InboxOrder{}, fmt.Errorf("read order: %w", interpret(err))
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanInbox)
	return o, notFound(err)
}

func (h *HI1) objects(ctx context.Context, o InboxOrder) (*hi1.Authorisation, *hi1.Task, error) {
	first, err := h.object(ctx, o.AgencyID, o.Authorisation)
	if err != nil {
		return nil, nil, err
	}
	second, err := h.object(ctx, o.AgencyID, o.TaskID)
	if err != nil {
		return nil, nil, err
	}
	authorisation, ok := first.Object.(*hi1.Authorisation)
	task, ok2 := second.Object.(*hi1.Task)
	if !ok || !ok2 {
		return nil, nil, warrant.ErrNotFound
	}
	return authorisation, task, nil
}

// InboxDocument returns a document of an order. The reading is on the audit log first.
func (h *HI1) InboxDocument(ctx context.Context, by warrant.Actor, id string, document hi1.UUID) (*hi1.Document, error) {
	o, err := h.enter(ctx, by, id, "inbox.document", id+" "+string(document))
	if err != nil {
		return nil, err
	}
	for _, d := range o.Documents {
		if d != document {
			continue
		}
		found, err := h.object(ctx, o.AgencyID, d)
		if doc, ok := found.Object.(*hi1.Document); ok || err != nil {
			return doc, err
		}
	}
	return nil, warrant.ErrNotFound
}

// Take makes an order the officer's own draft. order turns the objects into what a
// warrant says; from here on the draft is one like any other.
func (h *HI1) Take(ctx context.Context, by warrant.Actor, id string,
	order func(warrant.AgencyID, *hi1.Authorisation, *hi1.Task) (warrant.Order, error),
) (warrant.Warrant, error) {
	e := entry(by, "inbox.take", "", id)
	if err := mayDecide(by); err != nil {
		return warrant.Warrant{}, h.s.refused(ctx, e, err)
	}
	o, err := readOrder(ctx, h.s.pool, id, "")
	if err != nil {
		return warrant.Warrant{}, err
	}
	authorisation, task, err := h.objects(ctx, o) // immutable: what is read here is what is taken
	if err != nil {
		return warrant.Warrant{}, err
	}
	e.Warrant = string(o.LIID)
	var w warrant.Warrant
	err = h.s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := waiting(ctx, tx, id); err != nil {
			return err
		}
		says, err := order(o.AgencyID, authorisation, task)
		if err != nil {
			return err
		}
		now := h.s.clock()
		if w, err = warrant.New(warrant.ID(newID()), h.s.complete(says), by, now); err != nil {
			return err
		}
		if err := h.s.limits.Check(w.Order); err != nil {
			return err
		}
		draft := entry(by, "warrant.draft", w.LIID, string(w.ID))
		if err := h.s.insert(ctx, tx, w, draft); err != nil {
			return fmt.Errorf("draft warrant: %w", err)
		}
		_, err = tx.Exec(ctx, "update hi1_order set state = 'drafted', officer = $2, warrant_id = $3, updated_at = $4 where id = $1", id, by.ID, w.ID, now)
		if err != nil {
			return fmt.Errorf("take order: %w", interpret(err))
		}
		e.Detail = map[string]string{"warrant_id": string(w.ID)}
		return h.append(ctx, tx, e, draft)
	})
	if err != nil {
		return warrant.Warrant{}, h.s.refused(ctx, e, err)
	}
	return w, nil
}

// mayDecide: those who may draft.
func mayDecide(by warrant.Actor) error {
	if by.Confirmed && (by.Role == warrant.Drafter || by.Role == warrant.Approver) {
		return nil
	}
	return warrant.ErrForbidden
}

// waiting locks an order that nobody has decided yet.
func waiting(ctx context.Context, tx pgx.Tx, id string) (InboxOrder, error) {
	o, err := readOrder(ctx, tx, id, "for update of o")
	if err == nil && o.State != HI1Received {
		err = &warrant.RuleError{Rule: warrant.RuleState, Reason: "the order was taken, rejected or withdrawn already"}
	}
	return o, err
}

// Refuse rejects an order; the agency is told the reason.
func (h *HI1) Refuse(ctx context.Context, by warrant.Actor, id, reason string) error {
	e := entry(by, "inbox.refuse", "", id)
	e.Reason = cut(reason)
	if err := mayDecide(by); err != nil {
		return h.s.refused(ctx, e, err)
	}
	err := h.s.inTx(ctx, func(tx pgx.Tx) error {
		o, err := waiting(ctx, tx, id)
		if err != nil {
			return err
		}
		e.Warrant = string(o.LIID)
		if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
			return &warrant.RuleError{Rule: warrant.RuleReason, Reason: "reason: required, at most 2000 octets"}
		}
		_, err = tx.Exec(ctx, "update hi1_order set state = 'rejected', reason = $2, officer = $3, updated_at = $4 where id = $1", id, reason, by.ID, h.s.clock())
		if err != nil {
			return fmt.Errorf("reject order: %w", interpret(err))
		}
		return h.append(ctx, tx, e)
	})
	return h.s.refused(ctx, e, err)
}

package pgstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

func newHI1(t *testing.T, o *office, key byte) *pgstore.HI1 {
	t.Helper()
	h, err := pgstore.NewHI1(pgstore.HI1Config{Store: o.Store, Key: bytes.Repeat([]byte{key}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func police(o *office) pgstore.HI1Caller {
	return pgstore.HI1Caller{Agency: o.agency.ID, Person: "Ina", Cert: cert("a"), Source: "127.0.0.1"}
}

func hi1UUID() hi1.UUID { return hi1.UUID(li.NewXID().String()) }

// received puts an order with that LIID into the inbox and returns its id.
func received(t *testing.T, o *office, h *pgstore.HI1, liid li.LIID) (string, pgstore.HI1Order) {
	t.Helper()
	order := pgstore.HI1Order{Task: hi1UUID(), Authorisation: hi1UUID(), Documents: []hi1.UUID{hi1UUID()}, LIID: liid}
	err := h.DraftFromHI1(t.Context(), police(o), pgstore.HI1Intake{
		Objects: []hi1.Object{
			&hi1.Task{Common: hi1.Common{ID: order.Task}, Reference: liid}, &hi1.Authorisation{Common: hi1.Common{ID: order.Authorisation}},
			&hi1.Document{Common: hi1.Common{ID: order.Documents[0]}},
		},
		Orders: []pgstore.HI1Order{order},
	})
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := h.Inbox(t.Context(), o.ann, pgstore.HI1Received, pgstore.Page{})
	if err != nil || len(all) == 0 || all[0].LIID != liid {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0].ID, order
}

// says is what Take is told of an order.
func says(t *testing.T, o *office, liid li.LIID) func(warrant.AgencyID, *hi1.Authorisation, *hi1.Task) (warrant.Order, error) {
	return func(warrant.AgencyID, *hi1.Authorisation, *hi1.Task) (warrant.Order, error) {
		return warrant.Order{
			LIID: liid, Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: o.agency.ID, Targets: []li.Identity{target(t, "+4930555001")},
			Scope: warrant.IRIOnly, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour),
		}, nil
	}
}

// Each rule about orders stands in the database too, under its name.
func TestDatabaseHoldsTheLawOfHI1(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := newHI1(t, o, 1)
	id, order := received(t, o, h, "L-1")
	other, _ := received(t, o, h, "L-2")
	foreign := o.active(t, "L-3")
	if _, err := h.Take(t.Context(), o.ann, other, says(t, o, "L-2")); err != nil {
		t.Fatal(err)
	}
	for constraint, sql := range map[string]string{
		"hi1_object_pk":                    "insert into hi1_object select * from hi1_object limit 1",
		"hi1_object_immutable":             "update hi1_object set content = 'x'",
		"hi1_object_never_changes":         "delete from hi1_object",
		"hi1_object_wish_known":            "update hi1_object set wish = 'Active'",
		"hi1_object_kind_known":            fmt.Sprintf("insert into hi1_object values ('%s', '%s', 'Notification', '', '', '', now(), now())", o.agency.ID, hi1UUID()),
		"hi1_object_id_is_uuid":            fmt.Sprintf("insert into hi1_object values ('%s', 'X', 'Task', '', '', '', now(), now())", o.agency.ID),
		"hi1_object_agency":                fmt.Sprintf("insert into hi1_object values ('nobody', '%s', 'Task', '', '', '', now(), now())", hi1UUID()),
		"hi1_order_begins_as_received":     fmt.Sprintf("insert into hi1_order (id, agency_id, task_id, authorisation_id, liid, state, officer, warrant_id, created_at, updated_at) select 'x', agency_id, authorisation_id, authorisation_id, 'L-4', 'drafted', '%s', '%s', now(), now() from hi1_order where id = '%s'", o.ann.ID, foreign.ID, id),
		"hi1_order_task":                   fmt.Sprintf("insert into hi1_order (id, agency_id, task_id, authorisation_id, liid, state, created_at, updated_at) values ('x', '%s', '%s', '%s', 'L-4', 'received', now(), now())", o.agency.ID, hi1UUID(), order.Authorisation),
		"hi1_order_one_a_task":             fmt.Sprintf("insert into hi1_order (id, agency_id, task_id, authorisation_id, liid, state, created_at, updated_at) values ('x', '%s', '%s', '%s', 'L-4', 'received', now(), now())", o.agency.ID, order.Task, order.Authorisation),
		"hi1_order_liid_unique":            fmt.Sprintf("insert into hi1_order (id, agency_id, task_id, authorisation_id, liid, state, created_at, updated_at) values ('x', '%s', '%s', '%s', 'L-1', 'received', now(), now())", o.agency.ID, order.Authorisation, order.Authorisation),
		"hi1_order_becomes_a_draft":        fmt.Sprintf("update hi1_order set state = 'drafted', officer = '%s', warrant_id = '%s' where id = '%s'", o.ann.ID, foreign.ID, id),
		"hi1_order_immutable":              fmt.Sprintf("update hi1_order set state = 'withdrawn', liid = 'L-9' where id = '%s'", id),
		"hi1_order_decided_once":           fmt.Sprintf("update hi1_order set state = 'received' where id = '%s'", other),
		"hi1_order_drafted_has_warrant":    fmt.Sprintf("update hi1_order set state = 'withdrawn', warrant_id = '%s' where id = '%s'", foreign.ID, id),
		"hi1_order_person_decided":         fmt.Sprintf("update hi1_order set state = 'rejected', reason = 'r' where id = '%s'", id),
		"hi1_order_rejected_has_reason":    fmt.Sprintf("update hi1_order set state = 'rejected', officer = '%s' where id = '%s'", o.ann.ID, id),
		"hi1_order_state_known":            fmt.Sprintf("update hi1_order set state = 'active' where id = '%s'", id),
		"hi1_order_never_changes":          "delete from hi1_order",
		"hi1_order_document_never_changes": "delete from hi1_order_document",
		"hi1_notification_never_changes":   "update hi1_notification set state = 'x'",
		"hi1_order_document_object":        fmt.Sprintf("insert into hi1_order_document values ('%s', '%s', '%s')", id, o.agency.ID, hi1UUID()),
		"hi1_order_officer":                fmt.Sprintf("update hi1_order set state = 'rejected', reason = 'r', officer = 'nobody' where id = '%s'", id),
		"hi1_notification_order":           "insert into hi1_notification (agency_id, order_id, state, warrant, reason, at) values ('x', 'y', 'received', '', '', now())",
	} {
		_, err := o.pool.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != constraint {
			t.Errorf("%s: %v", constraint, err)
		}
	}
}

// Without its key an object does not open, nor in another's place.
func TestHI1ObjectsAreSealed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := newHI1(t, o, 1)
	_, order := received(t, o, h, "L-1")
	if _, err := h.Object(t.Context(), police(o), order.Task); err != nil {
		t.Fatal(err)
	}
	if _, err := newHI1(t, o, 2).Object(t.Context(), police(o), order.Task); err == nil {
		t.Error("another key opened it")
	}
	moved := hi1UUID()
	if _, err := o.pool.Exec(t.Context(), "insert into hi1_object select agency_id, $1, kind, content, mac, wish, created_at, changed_at from hi1_object where object_id = $2", moved, order.Task); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Object(t.Context(), police(o), moved); err == nil {
		t.Error("it opened in another's place")
	}
	if _, err := pgstore.NewHI1(pgstore.HI1Config{Store: o.Store, Key: make([]byte, 31)}); err == nil {
		t.Error("a short key was taken")
	}
}

// Take and Refuse of many people at once: each order is decided once.
func TestHI1OrderIsDecidedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := newHI1(t, o, 1)
	id, _ := received(t, o, h, "L-1")
	var done, ruled sync.Map
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = h.Take(t.Context(), o.ann, id, says(t, o, "L-1"))
			} else {
				err = h.Refuse(t.Context(), o.bob, id, "no")
			}
			var rule *warrant.RuleError
			switch {
			case err == nil:
				done.Store(i, true)
			case errors.As(err, &rule) && rule.Rule == warrant.RuleState:
				ruled.Store(i, true)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if length(&done) != 1 || length(&ruled) != 7 {
		t.Errorf("%d decided, %d refused", length(&done), length(&ruled))
	}
}

func length(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// A reader who goes on behind its cursor while many write misses nothing and sees
// nothing twice.
func TestHI1NotificationsMissNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := newHI1(t, o, 1)
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				received := pgstore.HI1Order{Task: hi1UUID(), Authorisation: hi1UUID(), LIID: li.LIID(strconv.Itoa(w*each + i))}
				objects := []hi1.Object{&hi1.Task{Common: hi1.Common{ID: received.Task}}, &hi1.Authorisation{Common: hi1.Common{ID: received.Authorisation}}}
				if err := h.DraftFromHI1(t.Context(), police(o), pgstore.HI1Intake{Objects: objects, Orders: []pgstore.HI1Order{received}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	seen, cursor := map[hi1.UUID]int{}, ""
	for last := false; ; {
		all, err := h.Notifications(t.Context(), police(o), pgstore.Page{After: cursor, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			seen[n.Task]++
			cursor = n.Cursor
		}
		if last && len(all) == 0 {
			break
		}
		select {
		case <-ended:
			last = true
		default:
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d of %d notifications seen", len(seen), writers*each)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s seen %d times", id, n)
		}
	}
}

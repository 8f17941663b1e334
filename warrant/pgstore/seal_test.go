package pgstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/sealing"
)

// columns gives each row of each table as text, octets in hexadecimal.
func columns(t *testing.T, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "select tablename from pg_tables where schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	all := map[string][]string{}
	for _, table := range tables {
		rows, err := pool.Query(t.Context(), "select lower(r::text) from "+pgx.Identifier{table}.Sanitize()+" r")
		if err != nil {
			t.Fatal(err)
		}
		if all[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// forms are the ways in which somebody would look for a target.
func forms(target string) []string {
	digits := strings.TrimPrefix(target, "+")
	var all []string
	for _, text := range []string{digits, "+" + digits, "tel:+" + digits, "sip:" + digits, `["` + target + `"]`} {
		sum := sha256.Sum256([]byte(text))
		all = append(all, strings.ToLower(text), hex.EncodeToString([]byte(text)), hex.EncodeToString(sum[:]),
			strings.ToLower(base64.StdEncoding.EncodeToString([]byte(text))), strings.ToLower(base64.StdEncoding.EncodeToString(sum[:])))
	}
	return all
}

// Whoever has the database alone learns no target of it, in no form, after a whole life.
func TestDatabaseNamesNoTarget(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.asApp(t)
	if _, err := o.CreateDraft(t.Context(), o.ann, o.order(t, "KEYED"), "key-1"); err != nil {
		t.Fatal(err)
	}
	p, err := o.Protect(t.Context(), o.ann, target(t, "+4930555077"), "lawyer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ConfirmProtected(t.Context(), o.bob, p.ID); err != nil {
		t.Fatal(err)
	}
	lawyer := o.order(t, "LAWYER")
	lawyer.Targets[0] = target(t, "+4930555077")
	if w, err := o.CreateDraft(t.Context(), o.ann, lawyer, ""); err != nil {
		t.Fatal(err)
	} else if w, err = o.Submit(t.Context(), o.ann, w.ID, w.Version); err != nil || !w.Protected {
		t.Fatalf("protected %t, %v", w.Protected, err)
	}
	w := o.provisional(t, "LIFE", time.Now().Add(30*time.Minute))
	wrong := warrant.Retyped{Targets: w.Targets[:1], Until: w.Until}
	sub := o.submitted(t, "MISTYPED")
	if _, err := o.Approve(t.Context(), o.bob, sub.ID, sub.Version, wrong); err == nil {
		t.Fatal("a mistyped target was approved")
	}
	if w, err = o.Narrow(t.Context(), o.ann, w.ID, w.Version, w.Targets[:1], 0, "court asked"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Revoke(t.Context(), o.ann, w.ID, w.Version, "stop tapping +4930555001"); err == nil {
		t.Fatal("a reason that names a target was taken")
	}
	o.document(t, w.ID)
	h := newHI1(t, o, 1)
	order := pgstore.HI1Order{Task: hi1UUID(), Authorisation: hi1UUID(), LIID: "HI1"}
	err = h.DraftFromHI1(t.Context(), police(o), pgstore.HI1Intake{
		Objects: []hi1.Object{
			&hi1.Task{Common: hi1.Common{ID: order.Task}, Reference: "HI1", Target: &hi1.Target{Values: []hi1.TargetValue{{Owner: "ETSI", Name: "InternationalE164", Value: hi1.NewValue("4930555001")}}}},
			&hi1.Authorisation{Common: hi1.Common{ID: order.Authorisation}},
		},
		Orders: []pgstore.HI1Order{order},
	})
	if err != nil {
		t.Fatal(err)
	}
	inbox, _, err := h.Inbox(t.Context(), o.ann, pgstore.HI1Received, pgstore.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Take(t.Context(), o.ann, inbox[0].ID, says(t, o, "HI1")); err != nil {
		t.Fatal(err)
	}
	if found, _, err := o.WarrantsOn(t.Context(), o.ann, target(t, "+4930555001"), "", pgstore.Page{}); err != nil || len(found) != 4 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	all := columns(t, o.pool)
	for _, wanted := range []string{"warrant", "warrant_version", "protected_number", "idempotency", "hi1_object", "audit_entry", "task"} {
		if len(all[wanted]) == 0 {
			t.Errorf("table %s is empty: the search proves nothing", wanted)
		}
	}
	for _, target := range []string{"+4930555001", "+4930555077", "sip:a@example.com", "a@example.com"} {
		for table, rows := range all {
			for _, row := range rows {
				for _, form := range forms(target) {
					if strings.Contains(row, form) {
						t.Errorf("table %s names a target as %s", table, form)
					}
				}
			}
		}
	}
}

// Exactly that target, in whatever state; the search leaves its trace, without target.
func TestSearchByTarget(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.submitted(t, "FIRST"), o.active(t, "SECOND")
	other := o.order(t, "OTHER")
	other.Targets = []li.Identity{target(t, "+49305550011")}
	if _, err := o.CreateDraft(t.Context(), o.ann, other, ""); err != nil {
		t.Fatal(err)
	}
	all, next, err := o.WarrantsOn(t.Context(), o.ann, target(t, "+4930555001"), "", pgstore.Page{Limit: 1})
	if err != nil || len(all) != 1 || all[0].ID != second.ID || next == "" {
		t.Fatalf("%d found, %v", len(all), err)
	}
	all, next, err = o.WarrantsOn(t.Context(), o.ann, target(t, "+4930555001"), "", pgstore.Page{Limit: 1, After: next})
	if err != nil || len(all) != 1 || all[0].ID != first.ID || next != "" || len(all[0].Targets) != 0 {
		t.Fatalf("%d found, %v", len(all), err)
	}
	if all, _, err = o.WarrantsOn(t.Context(), o.aud, target(t, "sip:a@example.com"), "active", pgstore.Page{}); err != nil || len(all) != 1 {
		t.Errorf("%d found, %v", len(all), err)
	}
	if all, _, err = o.WarrantsOn(t.Context(), o.ann, target(t, "+493055500"), "", pgstore.Page{}); err != nil || len(all) != 0 {
		t.Errorf("%d found by a part of a number, %v", len(all), err)
	}
	if _, _, err = o.WarrantsOn(t.Context(), o.root1, target(t, "+4930555001"), "", pgstore.Page{}); !errors.Is(err, warrant.ErrForbidden) {
		t.Errorf("a system administrator searches: %v", err)
	}
	var done, refused int
	err = o.pool.QueryRow(t.Context(), `select count(*) filter (where position('done'::bytea in record) > 0), count(*) filter (where position('refused'::bytea in record) > 0)
		from audit_entry where action = 'warrant.search'`).Scan(&done, &refused)
	if err != nil || done != 4 || refused != 1 {
		t.Errorf("%d and %d entries, %v", done, refused, err)
	}
}

// With another master key nothing is read, nothing is changed, and the error says so.
func TestWrongMasterKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.submitted(t, "L-1")
	before := columns(t, o.pool)
	o.with(t, func(cfg *pgstore.Config) { cfg.Master = pgtest.Master(t, 2) })
	for name, act := range map[string]func() error{
		"open":  func() error { return o.OpenKeys(t.Context()) },
		"read":  func() error { _, err := o.Warrant(t.Context(), o.ann, w.ID); return err },
		"draft": func() error { _, err := o.CreateDraft(t.Context(), o.ann, o.order(t, "L-2"), "k"); return err },
		"task":  func() error { _, err := o.WantedTasks(t.Context(), time.Now()); return err },
		"search": func() error {
			_, _, err := o.WarrantsOn(t.Context(), o.ann, w.Targets[0], "", pgstore.Page{})
			return err
		},
		"protect": func() error {
			_, err := o.Protect(t.Context(), o.ann, w.Targets[0], "press")
			return err
		},
		"rotate": func() error { _, err := o.Rotate(t.Context(), pgstore.Rotation{Rows: true}); return err },
		"approve": func() error {
			_, err := o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until})
			return err
		},
	} {
		if err := act(); !errors.Is(err, sealing.ErrMaster) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.with(t, func(cfg *pgstore.Config) { cfg.Master = nil })
	if err := o.OpenKeys(t.Context()); !errors.Is(err, pgstore.ErrNoMaster) {
		t.Errorf("without a master key: %v", err)
	}
	if after := columns(t, o.pool); !equalRows(before, after) {
		t.Error("something changed")
	}
}

func equalRows(a, b map[string][]string) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// A database that lost its key is not given another one.
func TestLostKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.submitted(t, "L-1")
	if _, err := o.pool.Exec(t.Context(), "delete from sealing_key"); err != nil {
		t.Fatal(err)
	}
	if err := o.OpenKeys(t.Context()); !errors.Is(err, pgstore.ErrKeyLost) {
		t.Errorf("got %v", err)
	}
}

// Rows that somebody moved or changed behind our back are not tapped, are alarmed, hold
// up nobody else, and can be stopped.
func TestTamperedTargets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	good, bad, swapped, hashed := o.active(t, "GOOD"), o.active(t, "BAD"), o.active(t, "SWAPPED"), o.active(t, "HASHED")
	conn, err := o.pool.Acquire(t.Context()) // what is set is of one session
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		"set session_replication_role = replica",
		"update warrant set targets_sealed = set_byte(targets_sealed, 40, get_byte(targets_sealed, 40) # 1) where id = '" + string(bad.ID) + "'",
		"update warrant set targets_sealed = (select targets_sealed from warrant where id = '" + string(good.ID) + "') where id = '" + string(swapped.ID) + "'",
		"update warrant set targets_hash = targets_hash[1:1] where id = '" + string(hashed.ID) + "'",
		"set session_replication_role = origin",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if tasks, err := o.WantedTasks(t.Context(), time.Now()); err != nil || len(tasks) != 1 {
			t.Fatalf("%d tasks, %v", len(tasks), err)
		}
	}
	alarms, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{}, pgstore.Page{})
	if err != nil || len(alarms) != 3 {
		t.Errorf("%d alarms, %v", len(alarms), err)
	}
	if _, err := o.Warrant(t.Context(), o.ann, bad.ID); !errors.Is(err, sealing.ErrSealed) {
		t.Errorf("read: %v", err)
	}
	if _, err := o.Warrant(t.Context(), o.ann, hashed.ID); !errors.Is(err, pgstore.ErrTampered) {
		t.Errorf("hashes of other targets: %v", err)
	}
	if all, _, err := o.Warrants(t.Context(), o.ann, "", pgstore.Page{}); err != nil || len(all) != 4 {
		t.Errorf("%d listed, %v", len(all), err)
	}
	if w, err := o.Revoke(t.Context(), o.ann, bad.ID, bad.Version, "tampered with"); err != nil || w.State != warrant.Revoked {
		t.Errorf("%v, %v", w.State, err)
	}
	if err := o.Due(t.Context(), good.Until.Add(time.Second)); err != nil {
		t.Errorf("one changed row stops the others' end: %v", err)
	}
}

// targetsNow reads every warrant's targets, as text.
func (o *office) targetsNow(t *testing.T, ids ...warrant.ID) (all []string) {
	t.Helper()
	for _, id := range ids {
		for _, target := range o.read(t, id).Targets {
			all = append(all, target.Reveal())
		}
	}
	return all
}

func TestRotation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	running := *o // knows the key of before
	running.asApp(t)
	if _, err := o.Protect(t.Context(), o.ann, target(t, "+4930555077"), "press"); err != nil {
		t.Fatal(err)
	}
	w, draft := o.active(t, "L-1"), o.submitted(t, "L-2")
	want := strings.Join(o.targetsNow(t, w.ID, draft.ID), " ")
	used := byte(1)
	for name, r := range map[string]pgstore.Rotation{"master": {}, "rows": {Rows: true}, "hashes": {Rows: true, Hashes: true}} {
		before := columns(t, o.pool)
		next := pgtest.Master(t, used+1)
		var told bool
		r.Master = func(string) (*sealing.Master, error) { return next("") }
		r.Committed = func() error { told = true; return nil }
		o.with(t, func(cfg *pgstore.Config) { cfg.Master = pgtest.Master(t, used) })
		done, err := o.Rotate(t.Context(), r)
		if err != nil || !told || (done.Rows > 0) != r.Rows {
			t.Fatalf("%s: %+v, %v", name, done, err)
		}
		used++
		o.with(t, func(cfg *pgstore.Config) { cfg.Master = next })
		if got := strings.Join(o.targetsNow(t, w.ID, draft.ID), " "); got != want {
			t.Errorf("%s: targets changed", name)
		}
		after := columns(t, o.pool)
		if before["sealing_key"][0] == after["sealing_key"][0] || (before["warrant"][0] != after["warrant"][0]) != r.Rows {
			t.Errorf("%s: the rotation changed too much or too little", name)
		}
		running.with(t, func(cfg *pgstore.Config) { cfg.Master = next })
		for _, s := range []*office{o, &running} {
			if found, _, err := s.WarrantsOn(t.Context(), o.ann, target(t, "+4930555001"), "", pgstore.Page{}); err != nil || len(found) != 2 {
				t.Errorf("%s: %d found, %v", name, len(found), err)
			}
		}
	}
	if _, err := o.Protect(t.Context(), o.ann, target(t, "+4930555077"), "press"); !errors.Is(err, warrant.ErrExists) {
		t.Errorf("a protected number is not found again: %v", err)
	}
	if w, err := o.Narrow(t.Context(), o.ann, w.ID, w.Version, w.Targets[:1], 0, "court asked"); err != nil || len(w.Targets) != 1 {
		t.Errorf("after all: %v", err)
	}
	var n int
	if err := o.pool.QueryRow(t.Context(), "select count(*) from audit_entry where action = 'secrets.rotate'").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d entries, %v", n, err)
	}
	running.asApp(t)
	running.with(t, func(cfg *pgstore.Config) { cfg.Pool, cfg.Master = pgtest.AsApp(t, o.pool), pgtest.Master(t, used) })
	if _, err := running.Rotate(t.Context(), pgstore.Rotation{Rows: true}); err == nil {
		t.Error("the application's role rotates")
	}
}

// Acts go on while keys change, and one key holds for each.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	rotated := make(chan error, 1)
	go func() {
		defer close(rotated)
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := o.Rotate(t.Context(), pgstore.Rotation{Rows: true, Hashes: n%2 == 1}); err != nil {
				rotated <- err
				return
			}
		}
	}()
	for _, liid := range []li.LIID{"L-1", "L-2", "L-3", "L-4", "L-5", "L-6"} {
		o.active(t, liid)
	}
	stop()
	if err := <-rotated; err != nil {
		t.Fatal(err)
	}
	found, _, err := o.WarrantsOn(t.Context(), o.ann, target(t, "+4930555001"), "active", pgstore.Page{})
	if err != nil || len(found) != 6 {
		t.Errorf("%d found, %v", len(found), err)
	}
	if tasks, err := o.WantedTasks(t.Context(), time.Now()); err != nil || len(tasks) != 6 {
		t.Errorf("%d tasks, %v", len(tasks), err)
	}
}

// A rotation whose connection dies after any number of rows leaves all as it was, and
// can be had again.
func TestRotationDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var ids []warrant.ID
	for _, liid := range []li.LIID{"L-1", "L-2", "L-3"} {
		ids = append(ids, o.submitted(t, liid).ID)
	}
	want := strings.Join(o.targetsNow(t, ids...), " ")
	for _, sql := range []string{
		"create sequence dies", "create table dies_at (n int)", "insert into dies_at values (0)",
		`create function die() returns trigger language plpgsql as $$ begin
			if nextval('dies') = (select n from dies_at) then perform pg_terminate_backend(pg_backend_pid()); end if; return new; end $$`,
		"create trigger die after update on warrant for each row execute function die()",
		"create trigger die after update on warrant_version for each row execute function die()",
		"create trigger die after update on sealing_key for each row execute function die()",
	} {
		if _, err := o.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []int{1, 2, 3, 5, 9, 10} { // 3 warrants, 6 versions, the key
		if _, err := o.pool.Exec(t.Context(), "select setval('dies', 1, false)"); err != nil {
			t.Fatal(err)
		}
		if _, err := o.pool.Exec(t.Context(), "update dies_at set n = $1", at); err != nil {
			t.Fatal(err)
		}
		before := columns(t, o.pool)["sealing_key"][0]
		if _, err := o.Rotate(t.Context(), pgstore.Rotation{Rows: true, Hashes: true}); err == nil {
			t.Fatalf("died at %d and says nothing", at)
		}
		o.with(t, func(*pgstore.Config) {}) // a new process
		if got := strings.Join(o.targetsNow(t, ids...), " "); got != want || columns(t, o.pool)["sealing_key"][0] != before {
			t.Errorf("died at %d: not as it was", at)
		}
	}
	if _, err := o.pool.Exec(t.Context(), "update dies_at set n = 0"); err != nil {
		t.Fatal(err)
	}
	if done, err := o.Rotate(t.Context(), pgstore.Rotation{Rows: true}); err != nil || done.Rows != 9 {
		t.Errorf("%+v, %v", done, err)
	}
	if got := strings.Join(o.targetsNow(t, ids...), " "); got != want {
		t.Error("targets changed")
	}
}

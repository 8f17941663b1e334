package pgstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// office is a store with its people and one confirmed agency.
type office struct {
	*pgstore.Store
	pool                              *pgxpool.Pool
	log                               *audit.Log
	ann, bob, carl, aud, root1, root2 warrant.Actor // drafter, two approvers, auditor, two system administrators
	agency                            warrant.Agency
}

func cert(c string) string { return strings.Repeat(c, 64) }

// emptyOffice is a store that knows nobody.
func emptyOffice(t *testing.T) *office {
	t.Helper()
	secret, _, err := audit.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{pool: server.Pool(t)}
	if o.log, err = audit.New(audit.Config{Origin: "test", Signer: signer}); err != nil {
		t.Fatal(err)
	}
	if o.Store, err = pgstore.New(pgstore.Config{Pool: o.pool, Audit: o.log, Master: pgtest.Master(t, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := o.OpenKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := emptyOffice(t)
	people, err := o.EnrolFirst(t.Context(), []warrant.Person{
		{Name: "Ann", Role: warrant.Drafter, Cert: cert("1")},
		{Name: "Bob", Role: warrant.Approver, Cert: cert("2")},
		{Name: "Carl", Role: warrant.Approver, Cert: cert("3")},
		{Name: "Aud", Role: warrant.Auditor, Cert: cert("4")},
		{Name: "Root1", Role: warrant.Sysadmin, Cert: cert("5")},
		{Name: "Root2", Role: warrant.Sysadmin, Cert: cert("6")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []*warrant.Actor{&o.ann, &o.bob, &o.carl, &o.aud, &o.root1, &o.root2} {
		*a = warrant.Actor{Person: people[i], Source: "127.0.0.1"}
	}
	if o.agency, err = o.AddAgency(t.Context(), o.root1, warrant.Agency{
		Name: "Police", Country: "DE", Recipients: []string{"age1test"}, People: []warrant.AgencyUser{{Name: "Ina", Cert: cert("a")}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmAgency(t.Context(), o.root2, o.agency.ID); err != nil {
		t.Fatal(err)
	}
	return o
}

func target(t *testing.T, s string) li.Identity {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (o *office) order(t *testing.T, liid li.LIID) warrant.Order {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	return warrant.Order{
		LIID: liid, Authority: "District court", Reference: "12 Gs 34/26", LegalBasis: "100a", AgencyID: o.agency.ID,
		Targets: []li.Identity{target(t, "+4930555001"), target(t, "sip:a@example.com")}, Scope: warrant.IRIAndCC,
		From: now.Add(-time.Minute), Until: now.Add(time.Hour),
	}
}

// submitted is a warrant that waits for its approver.
func (o *office) submitted(t *testing.T, liid li.LIID) warrant.Warrant {
	t.Helper()
	w, err := o.CreateDraft(t.Context(), o.ann, o.order(t, liid), "")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.Submit(t.Context(), o.ann, w.ID, w.Version); err != nil {
		t.Fatal(err)
	}
	return w
}

func (o *office) active(t *testing.T, liid li.LIID) warrant.Warrant {
	t.Helper()
	w := o.submitted(t, liid)
	w, err := o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Due(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Warrant(t.Context(), o.ann, w.ID); err != nil || w.State != warrant.Active {
		t.Fatalf("state %v, %v", w.State, err)
	}
	return w
}

func TestWholeLife(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	tasks, err := o.WantedTasks(t.Context(), time.Now())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("%d tasks, %v", len(tasks), err)
	}
	content, ok := tasks[0].(li.ContentTask)
	if !ok || len(content.Targets) != 2 || content.Targets[0] != target(t, "+4930555001") || !content.Until.Equal(w.Until) {
		t.Errorf("task %+v", tasks[0])
	}
	info, err := o.TaskInfo(t.Context(), content.XID)
	if err != nil || info.LIID != "LIID-1" || !info.Media || info.Recipients[0] != "age1test" || !info.StoppedAt.IsZero() {
		t.Errorf("task info %+v, %v", info, err)
	}
	for _, on := range []bool{true, true, false} {
		if err := o.ConfirmTask(t.Context(), content.XID, "gw-1", on, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if w, err = o.Suspend(t.Context(), o.ann, w.ID, w.Version, "court asked"); err != nil || w.State != warrant.Suspended {
		t.Fatal(err)
	}
	if tasks, _ = o.WantedTasks(t.Context(), time.Now()); len(tasks) != 0 {
		t.Error("a suspended warrant is tasked")
	}
	if w, err = o.Resume(t.Context(), o.carl, w.ID, w.Version, "court asked"); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted"); err != nil || w.State != warrant.Revoked {
		t.Fatal(err)
	}
	if info, err = o.TaskInfo(t.Context(), content.XID); err != nil || info.StoppedAt.IsZero() {
		t.Errorf("after revocation: %+v, %v", info, err)
	}
	if w, err = o.RequestPurge(t.Context(), o.bob, w.ID, w.Version, "retention over"); err != nil {
		t.Fatal(err)
	}
	if _, err = o.Purge(t.Context(), o.bob, w.ID, w.Version, "retention over"); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("one person purged: %v", err)
	}
	if w, err = o.Purge(t.Context(), o.carl, w.ID, w.Version, "retention over"); err != nil || w.State != warrant.Purged {
		t.Error(err)
	}
	var actions []string
	records, _, err := o.log.Entries(t.Context(), o.pool, audit.Filter{Warrant: "LIID-1", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Entry.Action != "warrant.read" {
			actions = append(actions, r.Entry.Action+":"+r.Entry.Result)
		}
	}
	want := "warrant.draft:done warrant.submit:done warrant.approve:done warrant.start:done tap.started:done tap.stopped:done " +
		"warrant.suspend:done warrant.resume:done warrant.revoke:done warrant.purge.request:done warrant.purge:refused warrant.purge:done"
	if got := strings.Join(actions, " "); got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
}

func isRule(err error, r warrant.Rule) bool {
	var broken *warrant.RuleError
	return errors.As(err, &broken) && broken.Rule == r
}

func TestRefusalsChangeNothingAndAreLogged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.submitted(t, "LIID-1")
	typed := warrant.Retyped{Targets: w.Targets, Until: w.Until}
	approve := func(by warrant.Actor, typed warrant.Retyped) error {
		_, err := o.Approve(t.Context(), by, w.ID, w.Version, typed)
		return err
	}
	oneDigit := warrant.Retyped{Targets: []li.Identity{target(t, "+4930555002"), target(t, "sip:a@example.com")}, Until: w.Until}
	for name, tt := range map[string]struct {
		err  error
		rule warrant.Rule
	}{
		"one digit differs":   {approve(o.bob, oneDigit), warrant.RuleRetyped},
		"one target missing":  {approve(o.bob, warrant.Retyped{Targets: w.Targets[:1], Until: w.Until}), warrant.RuleRetyped},
		"end date differs":    {approve(o.bob, warrant.Retyped{Targets: w.Targets, Until: w.Until.Add(time.Second)}), warrant.RuleRetyped},
		"unconfirmed person":  {approve(warrant.Actor{Person: warrant.Person{ID: "x", Role: warrant.Approver}}, typed), warrant.RuleNotEnrolled},
		"resume of submitted": {second(o.Resume(t.Context(), o.bob, w.ID, w.Version, "r")), warrant.RuleState},
		"revoke no reason":    {second(o.Revoke(t.Context(), o.bob, w.ID, w.Version, "")), warrant.RuleReason},
	} {
		if !isRule(tt.err, tt.rule) {
			t.Errorf("%s: %v, want rule %s", name, tt.err, tt.rule)
		}
	}
	for name, err := range map[string]error{
		"drafter approves":    approve(o.ann, typed),
		"auditor approves":    approve(o.aud, typed),
		"sysadmin reads":      second(o.Warrant(t.Context(), o.root1, w.ID)),
		"auditor adds person": second(o.AddPerson(t.Context(), o.aud, warrant.Person{Name: "X", Role: warrant.Drafter, Cert: cert("9")})),
	} {
		if !errors.Is(err, warrant.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Approve(t.Context(), o.bob, w.ID, w.Version-1, typed); !errors.Is(err, warrant.ErrVersion) {
		t.Errorf("old version: %v", err)
	}
	if now, err := o.Warrant(t.Context(), o.ann, w.ID); err != nil || now.Version != w.Version || now.State != warrant.Submitted {
		t.Errorf("warrant changed: %+v, %v", now, err)
	}
	records, _, err := o.log.Entries(t.Context(), o.pool, audit.Filter{Action: "warrant.approve"})
	if err != nil || len(records) != 6 {
		t.Fatalf("%d entries of refused approvals, %v; want 6", len(records), err)
	}
	for _, r := range records {
		if r.Entry.Result != "refused" || r.Entry.Detail["rule"] == "" || strings.Contains(r.Entry.Reason, "555") {
			t.Errorf("entry %+v", r.Entry)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// An approver who drafted cannot approve: four eyes, not two hats.
func TestApproverCannotApproveOwnDraft(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, err := o.CreateDraft(t.Context(), o.bob, o.order(t, "LIID-1"), "")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.Submit(t.Context(), o.bob, w.ID, w.Version); err != nil {
		t.Fatal(err)
	}
	if _, err = o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until}); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("got %v", err)
	}
}

func TestIdempotentDraft(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	order := o.order(t, "LIID-1")
	a, err := o.CreateDraft(t.Context(), o.ann, order, "key")
	if err != nil {
		t.Fatal(err)
	}
	b, err := o.CreateDraft(t.Context(), o.ann, order, "key")
	if err != nil || a.ID != b.ID {
		t.Errorf("again: %v, %v", b.ID, err)
	}
	order.Reference = "other"
	if _, err := o.CreateDraft(t.Context(), o.ann, order, "key"); !errors.Is(err, warrant.ErrIdempotency) {
		t.Errorf("other order: %v", err)
	}
	if _, err := o.CreateDraft(t.Context(), o.ann, order, ""); !errors.Is(err, warrant.ErrExists) {
		t.Errorf("same LIID: %v", err)
	}
}

func TestExpiryAndPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, liid := range []li.LIID{"A", "B", "C"} {
		o.active(t, liid)
	}
	later := time.Now().Add(2 * time.Hour)
	if next, err := o.NextDeadline(t.Context(), time.Now()); err != nil || next.After(later) || next.IsZero() {
		t.Errorf("next deadline %v, %v", next, err)
	}
	if err := o.Due(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	page, next, err := o.Warrants(t.Context(), o.aud, "expired", pgstore.Page{Limit: 2})
	if err != nil || len(page) != 2 || page[0].LIID != "C" || next == "" {
		t.Fatalf("%d warrants, next %q, %v", len(page), next, err)
	}
	page, next, err = o.Warrants(t.Context(), o.aud, "expired", pgstore.Page{Limit: 2, After: next})
	if err != nil || len(page) != 1 || page[0].LIID != "A" || next != "" {
		t.Errorf("%d warrants, next %q, %v", len(page), next, err)
	}
	mine, _, err := o.WarrantsOfAgency(t.Context(), o.agency.ID, pgstore.Page{})
	if err != nil || len(mine) != 3 || mine[0].LIID != "A" {
		t.Errorf("agency's: %d, %v", len(mine), err)
	}
	if _, err := o.WarrantByLIID(t.Context(), "other", "A"); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("foreign: %v", err)
	}
}

func TestPeopleNeedTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p, err := o.AddPerson(t.Context(), o.root1, warrant.Person{Name: "Eve", Role: warrant.Approver, Cert: cert("e")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.PersonByCert(t.Context(), cert("e")); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("unconfirmed person is known: %v", err)
	}
	if err := o.ConfirmPerson(t.Context(), o.root1, p.ID); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("confirmed by who added: %v", err)
	}
	if err := o.ConfirmPerson(t.Context(), o.root2, p.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := o.PersonByCert(t.Context(), cert("e")); err != nil || got.Role != warrant.Approver {
		t.Errorf("confirmed: %+v, %v", got, err)
	}
	if _, err := o.EnrolFirst(t.Context(), []warrant.Person{{Name: "A", Role: warrant.Sysadmin, Cert: cert("b")}, {Name: "B", Role: warrant.Sysadmin, Cert: cert("c")}}); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("second ceremony: %v", err)
	}
}

// Whoever holds the database connection meets the same law, each rule by name.
func TestDatabaseHoldsTheLaw(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sub, act := o.submitted(t, "SUB"), o.active(t, "ACT")
	draft, err := o.CreateDraft(t.Context(), o.ann, o.order(t, "DRAFT"), "")
	if err != nil {
		t.Fatal(err)
	}
	own, err := o.CreateDraft(t.Context(), o.bob, o.order(t, "OWN"), "") // drafted by an approver
	if err != nil {
		t.Fatal(err)
	}
	if own, err = o.Submit(t.Context(), o.bob, own.ID, own.Version); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ sql, id, constraint string }{
		{"update warrant set state = 'approved', version = version + 1, approver = drafter where id = $1", string(own.ID), "warrant_four_eyes"},
		{"update warrant set state = 'approved', version = version + 1 where id = $1", string(sub.ID), "warrant_approver_confirmed"},
		{"update warrant set state = 'approved', version = version + 1, approver = '" + string(o.root1.ID) + "' where id = $1", string(sub.ID), "warrant_approver_confirmed"},
		{"update warrant set state = 'active', version = version + 1, approver = '" + string(o.bob.ID) + "' where id = $1", string(sub.ID), "warrant_legal_step"},
		{"update warrant set state = 'active', version = version + 1, approver = '" + string(o.bob.ID) + "' where id = $1", string(draft.ID), "warrant_legal_step"},
		{"update warrant set targets_hash = array[sha256('+49301')], version = version + 1 where id = $1", string(act.ID), "warrant_only_narrows"},
		{"update warrant set valid_until = valid_until + interval '1 day', version = version + 1 where id = $1", string(act.ID), "warrant_order_immutable"},
		{"update warrant set approver = '" + string(o.carl.ID) + "', version = version + 1 where id = $1", string(act.ID), "warrant_approver_immutable"},
		{"update warrant set liid = 'X', version = version + 1 where id = $1", string(act.ID), "warrant_identity_immutable"},
		{"update warrant set notes = 'x' where id = $1", string(draft.ID), "warrant_version_follows"},
		{"delete from warrant where id = $1", string(draft.ID), "warrant_never_deleted"},
		{"delete from warrant_version where warrant_id = $1", string(act.ID), "warrant_version_never_changes"},
		{"update warrant_version set by = 'x' where warrant_id = $1", string(act.ID), "warrant_version_never_changes"},
		{"update task set xid = gen_random_uuid() where warrant_id = $1", string(act.ID), "task_never_changes"},
		{"insert into warrant_step values ('draft', $1)", "active", "warrant_step_never_changes"},
		{"update agency set recipients = '{age1mine}' where id = $1", string(o.agency.ID), "agency_immutable"},
		{"insert into agency_user values ($1, 'Mallory', '" + cert("f") + "')", string(o.agency.ID), "agency_immutable"},
		{"update person set cert = '" + cert("f") + "' where id = $1", string(o.bob.ID), "person_immutable"},
		{"update person set role = 'approver' where id = $1", string(o.ann.ID), "person_immutable"},
		{"insert into person values ('m', 'M', 'approver', '" + cert("f") + "', $1, $1, now())", string(o.root1.ID), "person_confirmed_by_another"},
	} {
		_, err := o.pool.Exec(t.Context(), tt.sql, tt.id)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != tt.constraint {
			t.Errorf("%s:\n got %v, want %s", tt.sql, err, tt.constraint)
		}
	}
}

func TestAlarmsOpenOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 2 {
		if err := o.OpenAlarm(t.Context(), "rogue_tap", "gw-1 x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.CloseAlarm(t.Context(), "rogue_tap", "other"); err != nil {
		t.Fatal(err)
	}
	if all, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{}, pgstore.Page{}); err != nil || len(all) != 1 || all[0].ClosedAt != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

package admf_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/admf"
	"github.com/ligate/ligate/warrant/pgstore"
)

// soon is within what a rogue tap must be found, frozen, removed and alarmed.
const soon = time.Minute

var hashKey = []byte("a key that the database does not have")

// active approves the office's warrant and returns its Task.
func (o *office) active(t *testing.T) (warrant.Warrant, li.Task) {
	t.Helper()
	w, err := o.Approve(t.Context(), o.approver, o.submitted.ID, o.submitted.Version, warrant.Retyped{Targets: o.submitted.Targets, Until: o.submitted.Until})
	must(t, err)
	must(t, o.Due(t.Context(), time.Now()))
	tasks, err := o.WantedTasks(t.Context(), time.Now())
	must(t, err)
	if len(tasks) != 1 {
		t.Fatalf("got %d tasks, want the warrant's", len(tasks))
	}
	w, err = o.Warrant(t.Context(), o.drafter, w.ID)
	must(t, err)
	return w, tasks[0]
}

// orphan waits for the record of a tap that was frozen and removed.
func (o *office) orphan(t *testing.T, xid li.XID, kind warrant.OrphanKind) warrant.Orphan {
	t.Helper()
	var found warrant.Orphan
	poll(t, func() bool {
		all, err := o.Orphans(t.Context())
		must(t, err)
		i := slices.IndexFunc(all, func(f warrant.Orphan) bool { return f.XID == xid && (!f.RemovedAt.IsZero() || f.Gateway == "") })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	if found.Kind != kind || time.Since(found.FoundAt) > soon {
		t.Errorf("frozen as %s at %v, want %s and now", found.Kind, found.FoundAt, kind)
	}
	return found
}

// alarmed waits for an open alarm.
func (o *office) alarmed(t *testing.T, kind, object string) {
	t.Helper()
	poll(t, func() bool {
		all, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{Kind: kind, State: "open"}, pgstore.Page{})
		must(t, err)
		return slices.ContainsFunc(all, func(a pgstore.Alarm) bool { return a.Object == object && a.FollowUp })
	})
}

// frozenFirst fails unless the audit log has the freezing before the removal.
func (o *office) frozenFirst(t *testing.T, object string) {
	t.Helper()
	var order []string
	for _, r := range o.entries() {
		if r.Entry != nil && r.Entry.Object == object && (r.Entry.Action == "tap.frozen" || r.Entry.Action == "tap.removed") {
			order = append(order, r.Entry.Action)
		}
	}
	if !slices.Equal(order, []string{"tap.frozen", "tap.removed"}) {
		t.Errorf("%s: the audit log says %v, want frozen, then removed", object, order)
	}
}

func (o *office) run(t *testing.T, nodes ...*node) *admf.ADMF {
	t.Helper()
	return run(t, admf.Config{Store: o.Store, ReconcileEvery: time.Second, ProbeEvery: 200 * time.Millisecond, HashKey: hashKey}, nodes...)
}

// Somebody who has the ADMF's key tasks the gateway by X1.
func TestRoguePlantedByX1(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	_, good := o.active(t)
	o.run(t, n)
	n.wait(patience, "filling", good)
	rogue := content(t, "+4930999999")
	must(t, n.client().Activate(t.Context(), x1.ActivateTask{Task: rogue}))
	n.wait(patience, "removal of the rogue", good)
	got := o.orphan(t, rogue.XID, warrant.OrphanRogue)
	if !got.Media || got.Gateway != "gw-1" || got.Since.IsZero() || got.Until.Sub(rogue.Until).Abs() > time.Millisecond ||
		!slices.Equal(got.Targets, []string{admf.HashTarget(hashKey, rogue.Targets[0])}) {
		t.Errorf("frozen: %+v", got)
	}
	if got.Targets[0] == admf.HashTarget([]byte("another key"), rogue.Targets[0]) {
		t.Error("the hash does not depend on the key")
	}
	object := "gw-1 " + rogue.XID.String()
	o.alarmed(t, admf.AlarmRogueTap, object)
	o.frozenFirst(t, object)
}

// plant writes past the rules, as a database administrator could.
func (o *office) plant(t *testing.T, sql string, args ...any) {
	t.Helper()
	tx, err := o.pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), "set local session_replication_role = replica") // no trigger, no foreign key
	must(t, err)
	_, err = tx.Exec(t.Context(), sql, args...)
	must(t, err)
	must(t, tx.Commit(t.Context()))
}

// A warrant that stands in the tables and was never approved is not tapped, and one that
// was tapped is removed once its row is altered.
func TestRoguePlantedBySQL(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	w, good := o.active(t)
	a := o.run(t, n)
	n.wait(patience, "filling", good)

	// A draft of the drafter's, so that its targets are sealed as they ought to be.
	draft, err := o.CreateDraft(t.Context(), o.drafter, warrant.Order{
		LIID: "LI-PLANTED", Authority: w.Authority, Reference: w.Reference, LegalBasis: w.LegalBasis, AgencyID: w.AgencyID,
		Targets: content(t, "+4930999999").Targets, Scope: w.Scope, From: w.From, Until: w.Until,
	}, "")
	must(t, err)
	planted := li.NewXID()
	o.plant(t, `with w as (update warrant set state = 'active', previous_state = 'active', approver = (select approver from warrant where id = $1)
			where id = $3 returning id)
		insert into task (xid, warrant_id, created_at) select $2, id, now() from w`, string(w.ID), planted.String(), string(draft.ID))
	if _, err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.orphan(t, planted, warrant.OrphanUnproven)
	o.alarmed(t, admf.AlarmUnproven, planted.String())
	n.wait(0, "a warrant without approval", good)

	o.plant(t, "update warrant set version = version + 1, valid_until = valid_until + interval '1 day' where id = $1", string(w.ID))
	if _, err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.wait(patience, "an altered warrant")
	xid := good.Signalling().XID
	o.orphan(t, xid, warrant.OrphanUnproven)
	o.alarmed(t, admf.AlarmUnproven, xid.String())
}

// A forged entry beside the planted warrant proves nothing: the tree does not have it.
func TestForgedApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, good := o.active(t)
	xid := good.Signalling().XID
	if wrong, err := o.Unproven(t.Context(), []li.XID{xid}); err != nil || len(wrong) != 0 {
		t.Fatalf("the good warrant: got %v, %v", wrong, err)
	}
	o.plant(t, "update audit_entry set record = overlay(record placing 'X'::bytea from 60) where action = 'warrant.approve'")
	if wrong, err := o.Unproven(t.Context(), []li.XID{xid}); err != nil || len(wrong) != 1 {
		t.Errorf("an approval that was altered in the log: got %v, %v", wrong, err)
	}
}

// hiding is a gateway's table that does not show one Task, as somebody who tampered
// with its memory would have it.
type hiding struct {
	*tasking.Index
	xid *atomic.Pointer[li.XID]
}

func (h hiding) hides(xid li.XID) bool { x := h.xid.Load(); return x != nil && *x == xid }

func (h hiding) Taps() []*tasking.Tap {
	return slices.DeleteFunc(h.Index.Taps(), func(tap *tasking.Tap) bool { return h.hides(tap.XID()) })
}

func (h hiding) Tap(xid li.XID) *tasking.Tap {
	if h.hides(xid) {
		return nil
	}
	return h.Index.Tap(xid)
}

func (h hiding) Deactivate(xid li.XID) error {
	if h.hides(xid) {
		return tasking.ErrUnknown
	}
	return h.Index.Deactivate(xid)
}

// A tap that the call path finds and the table denies.
func TestRogueInMemory(t *testing.T) {
	t.Parallel()
	o, xid := newOffice(t), &atomic.Pointer[li.XID]{}
	n := newNode(t, "gw-1")
	n.stop()
	n.server = func(cfg *tasking.ServerConfig) { cfg.Tasks = hiding{n.index, xid} }
	n.start()
	_, good := o.active(t)
	o.run(t, n)
	n.wait(patience, "filling", good)
	rogue := iri(t, "+4930999999")
	xid.Store(&rogue.XID)
	must(t, n.index.Activate(rogue))
	tap := n.index.Match(rogue.Targets[0])[0]
	tap.Count(false, 700, time.Now())
	n.wait(patience, "removal of the rogue", good)
	if got := o.orphan(t, rogue.XID, warrant.OrphanUnlisted); got.X2 != 700 || got.LastIntercept.IsZero() || tap.Live() {
		t.Errorf("frozen: %+v, live %v; want what it copied, and it dead", got, tap.Live())
	}
	object := "gw-1 " + rogue.XID.String()
	o.alarmed(t, admf.AlarmRogueTap, object)
	o.frozenFirst(t, object)
}

// A gateway that comes back from an old image taps what was revoked meanwhile, and not
// what was ordered since.
func TestStaleRestart(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	w, old := o.active(t)
	o.run(t, n)
	n.wait(patience, "filling", old)
	_, err := o.Revoke(t.Context(), o.drafter, w.ID, w.Version, "order withdrawn")
	must(t, err)
	n.wait(patience, "revocation")
	o.waitAudit(t, "tap.stopped") // the ADMF knows: it is not that an answer was lost
	n.stop()
	n.seed = []li.Task{old}
	n.start()
	n.wait(patience, "removal of the stale tap")
	xid := old.Signalling().XID
	o.orphan(t, xid, warrant.OrphanRogue)
	o.alarmed(t, admf.AlarmRogueTap, "gw-1 "+xid.String())
	o.frozenFirst(t, "gw-1 "+xid.String())
}

// A gateway whose clocks stand still keeps a tap past its end. Its own answers show that
// its clock is off.
func TestSteppedClock(t *testing.T) {
	t.Parallel()
	s := newStore()
	n := newNode(t, "gw-1")
	n.stop()
	frozen := time.Now()
	n.clock = tasking.Config{Wall: func() time.Time { return frozen }, Elapsed: func() time.Duration { return 0 }}
	n.start()
	task := content(t, "+4930123456")
	task.Until = frozen.Add(4 * time.Second)
	s.want(task)
	run(t, admf.Config{Store: s, ProbeEvery: 100 * time.Millisecond, ReconcileEvery: time.Second, HashKey: hashKey}, n)
	n.wait(patience, "filling", task)
	n.wait(10*time.Second, "removal after the end")
	if late := time.Since(task.Until); late > 2*time.Second || late < 0 {
		t.Errorf("removed %v after its end, want at once", late)
	}
	object := "gw-1 " + task.XID.String()
	s.wait(t, "open clock_skew gw-1", "open expired_tap "+object, "freeze "+object+" expired", "removed "+object)
}

// A tap that is missing is placed again.
func TestMissingTap(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	_, good := o.active(t)
	a := o.run(t, n)
	n.wait(patience, "filling", good)
	poll(t, func() bool { // until the ADMF has seen it in place
		f, err := a.Reconcile(t.Context())
		must(t, err)
		return f[0].Up && f[0].Running == 1 && f[0].Placed == 0
	})
	must(t, n.client().Deactivate(t.Context(), good.Signalling().XID))
	n.wait(soon, "the tap that was removed behind our back", good)
	poll(t, func() bool {
		all, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{Kind: admf.AlarmTapsLost}, pgstore.Page{})
		must(t, err)
		return len(all) == 1
	})
}

// On demand the comparison is made now and says what it found; a gateway that does not
// answer is told as such.
func TestReconcileOnDemand(t *testing.T) {
	t.Parallel()
	n, dead, s := newNode(t, "gw-1"), newNode(t, "gw-2"), newStore()
	dead.stop()
	task := iri(t, "+4930123456")
	a := run(t, admf.Config{Store: s, ProbeEvery: time.Hour, ReconcileEvery: time.Hour}, n, dead)
	poll(t, func() bool { return a.Gateways()[0].Up })
	s.want(task)
	rogue := iri(t, "+4930999999")
	must(t, n.index.Activate(rogue))
	got, err := a.Reconcile(t.Context())
	must(t, err)
	if len(got) != 2 || !got[0].Up || got[0].Ordered != 1 || got[1].Up {
		t.Fatalf("got %+v", got)
	}
	n.wait(0, "after the demand", task)
	if s.count("open rogue_tap gw-1 "+rogue.XID.String()) != 1 {
		t.Error("the rogue was not alarmed")
	}
}

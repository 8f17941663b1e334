package pgstore_test

import (
	"testing"
	"time"

	"github.com/ligate/ligate/li"
)

// What an element confirmed once was given to it, for ever, and to nobody else.
func TestTaskGiven(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	tasks, err := o.WantedTasks(t.Context(), time.Now())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("%d tasks, %v", len(tasks), err)
	}
	xid := tasks[0].Signalling().XID
	expect := func(when string, xid li.XID, element string, wantGiven, wantSoon bool) {
		t.Helper()
		given, soon, err := o.TaskGiven(t.Context(), xid, element)
		if err != nil || given != wantGiven || soon != wantSoon {
			t.Errorf("%s: %t, %t, %v; want %t, %t", when, given, soon, err, wantGiven, wantSoon)
		}
	}
	expect("ordered, not confirmed", xid, "sbc-1", false, true)
	expect("of nobody", li.NewXID(), "sbc-1", false, false)
	confirm := func(on bool) {
		t.Helper()
		if err := o.ConfirmTask(t.Context(), xid, "sbc-1", on, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	confirm(true)
	expect("confirmed", xid, "sbc-1", true, true)
	expect("confirmed by another", xid, "sbc-2", false, true)
	if _, err := o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted"); err != nil {
		t.Fatal(err)
	}
	confirm(false)
	expect("over", xid, "sbc-1", true, false)
	expect("over, at another", xid, "sbc-2", false, false)
}

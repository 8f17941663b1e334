package admf_test

import (
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/admf"
	"github.com/ligate/ligate/warrant/pgstore"
)

// A narrowed warrant's Task, under the same XID, is at the gateway within a second, without
// a moment in which what remains is not tapped, and nobody is alarmed.
func TestNarrowedWarrantReachesTheGateway(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	tasker := run(t, admf.Config{Store: o.Store, ProbeEvery: 200 * time.Millisecond, ReconcileEvery: time.Hour}, n)
	w, err := o.Approve(t.Context(), o.approver, o.submitted.ID, o.submitted.Version, warrant.Retyped{Targets: o.submitted.Targets, Until: o.submitted.Until})
	must(t, err)
	tasker.Nudge()
	poll(t, func() bool { return len(n.index.Tasks()) == 1 })
	before := n.index.Tasks()[0]
	w, err = o.Warrant(t.Context(), o.drafter, w.ID)
	must(t, err)
	_, err = o.Narrow(t.Context(), o.drafter, w.ID, w.Version, nil, warrant.IRIOnly, "court asked")
	must(t, err)
	gap := make(chan bool)
	done := make(chan struct{})
	go func() {
		tapped := true
		for more := true; more; {
			tapped = tapped && len(n.index.Match(before.Signalling().Targets[0])) > 0
			select {
			case <-done:
				more = false
			default:
			}
		}
		gap <- !tapped
	}()
	tasker.Nudge()
	narrowed := time.Now()
	poll(t, func() bool {
		all := n.index.Tasks()
		if len(all) != 1 {
			return false
		}
		_, signalling := all[0].(li.IRITask)
		return signalling && all[0].Signalling().XID == before.Signalling().XID
	})
	close(done)
	if <-gap {
		t.Error("what remains was not tapped for a while")
	}
	if took := time.Since(narrowed); took > within {
		t.Errorf("took %v, want at most %v", took, within)
	}
	alarms, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{}, pgstore.Page{})
	if err != nil || len(alarms) != 0 {
		t.Errorf("alarms %+v, %v", alarms, err)
	}
}

package admf_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/admf"
	"github.com/ligate/ligate/warrant/pgstore"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// office is the real warrant store with two people of compliance and one warrant
// that waits for its approval.
type office struct {
	*pgstore.Store
	pool              *pgxpool.Pool
	entries           func() []audit.Record
	drafter, approver warrant.Actor
	submitted         warrant.Warrant
}

func newOffice(t *testing.T) *office {
	t.Helper()
	secret, _, err := audit.NewKey("admf-test")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	log, err := audit.New(audit.Config{Origin: "admf-test", Signer: signer})
	must(t, err)
	pool := server.Pool(t)
	o := &office{pool: pool, entries: func() []audit.Record {
		records, _, err := log.Entries(t.Context(), pool, audit.Filter{Limit: 200})
		must(t, err)
		return records
	}}
	o.Store, err = pgstore.New(pgstore.Config{Pool: pool, Audit: log, Master: pgtest.Master(t, 1)})
	must(t, err)
	must(t, o.OpenKeys(t.Context()))
	cert := func(digit string) string { return strings.Repeat(digit, 64) }
	people, err := o.EnrolFirst(t.Context(), []warrant.Person{
		{Name: "D", Role: warrant.Drafter, Cert: cert("1")},
		{Name: "A", Role: warrant.Approver, Cert: cert("2")},
		{Name: "S", Role: warrant.Sysadmin, Cert: cert("3")},
		{Name: "T", Role: warrant.Sysadmin, Cert: cert("4")},
	})
	must(t, err)
	o.drafter, o.approver = warrant.Actor{Person: people[0]}, warrant.Actor{Person: people[1]}
	agency, err := o.AddAgency(t.Context(), warrant.Actor{Person: people[2]}, warrant.Agency{
		Name: "Police", Country: "DE", Recipients: []string{"age1test"}, People: []warrant.AgencyUser{{Name: "I", Cert: cert("a")}},
	})
	must(t, err)
	must(t, o.ConfirmAgency(t.Context(), warrant.Actor{Person: people[3]}, agency.ID))
	now := time.Now()
	w, err := o.CreateDraft(t.Context(), o.drafter, warrant.Order{
		LIID: "LI-1", Authority: "District court", Reference: "12 Gs 34/26", LegalBasis: "100a", AgencyID: agency.ID,
		Targets: iri(t, "+4930123456").Targets, Scope: warrant.IRIAndCC, From: now.Add(-time.Minute), Until: now.Add(time.Hour),
	}, "")
	must(t, err)
	o.submitted, err = o.Submit(t.Context(), o.drafter, w.ID, w.Version)
	must(t, err)
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitAudit waits for an entry with the action.
func (o *office) waitAudit(t *testing.T, action string) audit.Entry {
	t.Helper()
	var found audit.Entry
	poll(t, func() bool {
		for _, r := range o.entries() {
			if r.Entry != nil && r.Entry.Action == action {
				found = *r.Entry
				return true
			}
		}
		return false
	})
	return found
}

// From the approver's word to the tap, and from the revocation to its end, with the
// real store in one process and its notification as the only signal.
func TestWithTheRealStore(t *testing.T) {
	t.Parallel()
	n, o := newNode(t, "gw-1"), newOffice(t)
	wake, listening := make(chan struct{}, 1), make(chan struct{}, 8)
	background(t, func(ctx context.Context) error {
		return o.Listen(ctx, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
			select {
			case listening <- struct{}{}:
			default:
			}
		})
	})
	<-listening
	run(t, admf.Config{Store: o.Store, Wake: wake, ProbeEvery: 200 * time.Millisecond, ReconcileEvery: time.Hour}, n)
	n.wait(0, "before the approval")

	w, err := o.Approve(t.Context(), o.approver, o.submitted.ID, o.submitted.Version, warrant.Retyped{Targets: o.submitted.Targets, Until: o.submitted.Until})
	must(t, err)
	tasks := func() []li.Task {
		tasks, err := o.WantedTasks(t.Context(), time.Now())
		must(t, err)
		return tasks
	}
	approved := time.Now()
	poll(t, func() bool { return len(n.index.Tasks()) == 1 })
	if took := time.Since(approved); took > within {
		t.Errorf("approval took %v, want at most %v", took, within)
	}
	n.wait(0, "approval", tasks()...)
	if e := o.waitAudit(t, "tap.started"); e.Warrant != "LI-1" || e.Object != "gw-1" {
		t.Errorf("got entry for %q at %q", e.Warrant, e.Object)
	}

	rogue := content(t, "+4930999999")
	must(t, n.index.Activate(rogue))
	n.wait(3*time.Second, "removal of the rogue", tasks()...)
	o.waitAudit(t, "alarm.open")
	alarms, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{}, pgstore.Page{})
	must(t, err)
	if len(alarms) != 1 || alarms[0].Kind != admf.AlarmRogueTap || alarms[0].Object != "gw-1 "+rogue.XID.String() || alarms[0].ClosedAt != nil {
		t.Errorf("got alarms %+v, want the rogue's, open", alarms)
	}

	w, err = o.Warrant(t.Context(), o.drafter, w.ID)
	must(t, err)
	tap := n.index.Match(w.Targets[0])[0]
	_, err = o.Revoke(t.Context(), o.drafter, w.ID, w.Version, "order withdrawn")
	must(t, err)
	n.wait(within, "revocation")
	if tap.Live() {
		t.Error("the tap outlived its revocation")
	}
	o.waitAudit(t, "tap.stopped")
}

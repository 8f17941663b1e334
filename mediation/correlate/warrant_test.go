package correlate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// The warrants' own store says what is allowed: a call is stored while the warrant
// runs, and refused before it was approved and after it was revoked.
func TestWarrantDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	warrants, err := pgstore.New(pgstore.Config{Pool: w.pool, Audit: w.log, Master: pgtest.Master(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := warrants.OpenKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	certificate := func(c string) string { return strings.Repeat(c, 64) }
	people, err := warrants.EnrolFirst(t.Context(), []warrant.Person{
		{Name: "Ann", Role: warrant.Drafter, Cert: certificate("1")},
		{Name: "Bob", Role: warrant.Approver, Cert: certificate("2")},
		{Name: "Carl", Role: warrant.Approver, Cert: certificate("3")},
		{Name: "Aud", Role: warrant.Auditor, Cert: certificate("4")},
		{Name: "Root1", Role: warrant.Sysadmin, Cert: certificate("5")},
		{Name: "Root2", Role: warrant.Sysadmin, Cert: certificate("6")},
	})
	must(err)
	by := func(i int) warrant.Actor { return warrant.Actor{Person: people[i], Source: "127.0.0.1"} }
	agency, err := warrants.AddAgency(t.Context(), by(4), warrant.Agency{
		Name: "Police", Country: "DE", Recipients: []string{w.key.Recipient().String()}, People: []warrant.AgencyUser{{Name: "Ina", Cert: certificate("a")}},
	})
	must(err)
	must(warrants.ConfirmAgency(t.Context(), by(5), agency.ID))
	target, err := li.NumberPlan{}.ParseTarget("+4930555001")
	must(err)
	now := time.Now().UTC()
	order, err := warrants.CreateDraft(t.Context(), by(0), warrant.Order{
		LIID: "LIID-1", Authority: "District court", Reference: "12 Gs 34/26", LegalBasis: "100a", AgencyID: agency.ID,
		Targets: []li.Identity{target}, Scope: warrant.IRIAndCC, From: now.Add(-time.Minute), Until: now.Add(time.Hour),
	}, "")
	must(err)
	order, err = warrants.Submit(t.Context(), by(0), order.ID, order.Version)
	must(err)
	order, err = warrants.Approve(t.Context(), by(1), order.ID, order.Version, warrant.Retyped{Targets: order.Targets, Until: order.Until})
	must(err)
	must(warrants.Due(t.Context(), time.Now()))
	running, err := warrants.WantedTasks(t.Context(), time.Now())
	must(err)
	info := warrant.TaskInfo{XID: running[0].(li.ContentTask).XID}

	cfg := w.quick()
	cfg.Tasks, cfg.Alarms = warrants, warrants
	w.mediate(cfg)
	early := newLine(info, 1)
	early.at = now.Add(-time.Second)
	w.publish(x2x3.X2, early.sip(sipevent.Begin, "INVITE", 0))
	l := newLine(info, 2)
	l.at = time.Now().UTC()
	w.call(l, 3)
	doc := w.closed("LIID-1", 1)
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(30)) || doc.Missing != 0 {
		t.Errorf("packets %v", c.taps())
	}
	order, err = warrants.Warrant(t.Context(), by(0), order.ID)
	must(err)
	_, err = warrants.Revoke(t.Context(), by(0), order.ID, order.Version, "court asked")
	must(err)
	after := newLine(info, 3)
	after.at = time.Now().UTC().Add(2 * time.Second)
	w.publish(x2x3.X3, after.media(10))
	w.drained()
	docs, _, err := w.store.Sessions(t.Context(), "LIID-1", evidence.Page{})
	if err != nil || len(docs) != 1 {
		t.Errorf("%d sessions, %v, want 1", len(docs), err)
	}
	alarms, _, err := warrants.Alarms(t.Context(), pgstore.AlarmFilter{}, pgstore.Page{})
	if err != nil || len(alarms) != 1 || alarms[0].Kind != "mediation_pdu_refused" {
		t.Errorf("alarms %+v, %v", alarms, err)
	}
}

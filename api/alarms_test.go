package api_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

type alarmList struct {
	Items []struct {
		ID       int64
		Kind     string
		State    string
		AckedBy  string     `json:"acknowledged_by"`
		ClosedBy string     `json:"closed_by"`
		ClosedAt *time.Time `json:"closed_at"`
		FollowUp bool       `json:"follow_up"`
	}
	Next string
}

func (o *office) alarms(query string) alarmList {
	o.t.Helper()
	var list alarmList
	a := o.do("ann", "GET", "/admin/v1/alarms"+query, "")
	if a.status != 200 {
		o.t.Fatalf("list: %d %s", a.status, a.body)
	}
	o.must(json.Unmarshal(a.body, &list))
	return list
}

// An alarm is raised, acknowledged by a person, and closed by one with a note; each on
// the audit log.
func TestAlarmsLife(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must(o.store.OpenAlarm(t.Context(), "rogue_tap", "gw-1 x"))
	id := o.alarms("").Items[0].ID
	ack, end := fmt.Sprintf("/admin/v1/alarms/%d/ack", id), fmt.Sprintf("/admin/v1/alarms/%d/close", id)
	for _, step := range []struct {
		who, path, body string
		want            int
	}{
		{"root1", ack, `{}`, 403},
		{"aud", ack, `{}`, 403},
		{"ann", "/admin/v1/alarms/999/ack", `{}`, 404},
		{"bob", ack, `{"note": "looking into it"}`, 200},
		{"ann", ack, `{}`, 409},
		{"root1", end, `{"note": "n"}`, 403},
		{"ann", end, `{}`, 422},
		{"ann", end, `{"note": "test of the gateway"}`, 200},
		{"ann", end, `{"note": "again"}`, 409},
		{"ann", ack, `{}`, 409},
	} {
		if a := o.do(step.who, "POST", step.path, step.body); a.status != step.want {
			t.Errorf("%s at %s with %s: %d %s, want %d", step.who, step.path, step.body, a.status, a.body, step.want)
		}
	}
	got := o.alarms("?state=closed").Items
	if len(got) != 1 || got[0].AckedBy == "" || got[0].ClosedBy == "" || !got[0].FollowUp || got[0].ClosedAt == nil {
		t.Errorf("got %+v", got)
	}
	if all := o.entries("alarm.acknowledge"); len(all) != 5 || all[2].Entry.Result != "done" || all[2].Entry.Reason != "looking into it" || all[2].Entry.Object != "gw-1 x" {
		t.Errorf("log of acknowledgements %+v", all)
	}
	done := 0
	for _, e := range o.entries("alarm.settle") {
		if e.Entry.Result == "done" && e.Entry.Reason == "test of the gateway" && e.Entry.Detail["kind"] == "rogue_tap" {
			done++
		}
	}
	if done != 1 {
		t.Errorf("%d entries of the closing, want one", done)
	}
}

func TestAlarmsPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 5 {
		o.must(o.store.OpenAlarm(t.Context(), "gateway_unreachable", fmt.Sprintf("gw-%d", i)))
	}
	o.must(o.store.OpenAlarm(t.Context(), "clock_skew", "gw-1"))
	o.must(o.store.CloseAlarm(t.Context(), "gateway_unreachable", "gw-2"))
	seen, cursor := map[int64]bool{}, ""
	for range 4 {
		list := o.alarms("?limit=2&cursor=" + cursor)
		for _, a := range list.Items {
			if seen[a.ID] {
				t.Errorf("alarm %d came twice", a.ID)
			}
			seen[a.ID] = true
		}
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 6 || cursor != "" {
		t.Errorf("%d alarms over the pages, want 6 and an end", len(seen))
	}
	if n := len(o.alarms("?kind=gateway_unreachable&state=open").Items); n != 4 {
		t.Errorf("%d open of the kind, want 4", n)
	}
	if a := o.do("ann", "GET", "/admin/v1/alarms?cursor=x", ""); a.status != 400 {
		t.Errorf("bad cursor: %d", a.status)
	}
	if a := o.do("ann", "GET", "/admin/v1/alarms?state=asleep", ""); a.status != 422 {
		t.Errorf("bad state: %d", a.status)
	}
}

// What was frozen is shown to compliance without a target; the comparison on demand is
// theirs too, and on the log.
func TestOrphansAndReconcile(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	xid := li.NewXID()
	o.must(o.store.FreezeTap(t.Context(), warrant.Orphan{
		Gateway: "gw-1", XID: xid, Kind: warrant.OrphanRogue, Media: true, Targets: []string{"ab12"}, FoundAt: time.Now(), X3: 7,
	}))
	var list struct {
		Items []struct {
			XID       string
			Kind      string
			Targets   []string
			Until     *time.Time
			RemovedAt *time.Time `json:"removed_at"`
		}
	}
	o.must(json.Unmarshal(o.do("aud", "GET", "/admin/v1/orphans", "").body, &list))
	if len(list.Items) != 1 || list.Items[0].XID != xid.String() || list.Items[0].Kind != "rogue" || list.Items[0].Until != nil || list.Items[0].RemovedAt != nil {
		t.Errorf("got %+v", list.Items)
	}
	for who, want := range map[string]int{"ann": 200, "bob": 200, "aud": 403, "root1": 403, "ina": 403} {
		if a := o.do(who, "POST", "/admin/v1/reconcile", ""); a.status != want {
			t.Errorf("%s: %d %s, want %d", who, a.status, a.body, want)
		}
	}
	if n := len(o.entries("reconcile.demand")); n != 2 {
		t.Errorf("%d entries, want one a demand", n)
	}
}

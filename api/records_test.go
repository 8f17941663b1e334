package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/warrant/profile"
)

// An incident is opened, acted on and closed by two; then nothing changes any more.
func TestIncidentIsClosedByTwo(t *testing.T) {
	t.Parallel()
	law, err := profile.Load("uk")
	if err != nil {
		t.Fatal(err)
	}
	o := newOfficeUnder(t, law)
	found := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	open := fmt.Sprintf(`{"found_at": %q, "found_how": "no signalling came", "what": "one digit was wrong", "warrants": ["L-1"],
		"intrusion": "not yet known", "actions": ["tap stopped"]}`, found.Format(time.RFC3339))
	if a := o.want(o.do("ann", "POST", "/admin/v1/incidents", strings.Replace(open, "not yet known", "yes", 1)), 422); !strings.Contains(a.field("detail"), "unauthorised") {
		t.Errorf("intrusion without numbers: %s", a.body)
	}
	a := o.want(o.do("ann", "POST", "/admin/v1/incidents", open), 201)
	path := "/admin/v1/incidents/" + a.field("id")
	due := law.NoticeDue(law.NoticesOn("incident")[0], found)
	if !strings.Contains(string(a.body), due.Format(time.RFC3339)) || !strings.Contains(string(a.body), "First report of an incident") {
		t.Errorf("it does not say who must be told until %v: %s", due, a.body)
	}
	o.want(o.do("bob", "POST", path+"/acts", `{"kind": "told", "text": "the commissioner"}`), 201)
	o.want(o.do("bob", "POST", path+"/confirm-close", ""), 409)
	const findings = `{"intrusion": "yes", "unauthorised": ["+4930555010"], "root_cause": "typed from a bad copy", "prevention": "typed twice"}`
	o.want(o.do("ann", "POST", path+"/close", strings.Replace(findings, `["+4930555010"]`, `[]`, 1)), 422)
	o.want(o.do("ann", "POST", path+"/close", findings), 200)
	o.want(o.do("ann", "POST", path+"/confirm-close", ""), 403)
	o.want(o.do("bob", "POST", path+"/acts", `{"kind": "action", "text": "looked again"}`), 201)
	o.want(o.do("bob", "POST", path+"/confirm-close", ""), 409) // what came between took the first word back
	o.want(o.do("bob", "POST", path+"/close", findings), 200)
	closed := o.want(o.do("ann", "POST", path+"/confirm-close", ""), 200)
	for _, want := range []string{`"closed":true`, "typed from a bad copy", "the commissioner", o.ids["ann"], o.ids["bob"], "Report of an incident"} {
		if !strings.Contains(string(closed.body), want) {
			t.Errorf("the last report lacks %q: %s", want, closed.body)
		}
	}
	o.want(o.do("bob", "POST", path+"/acts", `{"kind": "action", "text": "more"}`), 409)
	o.want(o.do("bob", "POST", "/admin/v1/incidents/none/close", findings), 404)
	for action, want := range map[string]int{"incident.open": 2, "incident.told": 1, "incident.action": 2, "incident.close": 3, "incident.confirm-close": 4} {
		if got := o.entries(action); len(got) != want {
			t.Errorf("%d entries of %s, want %d", len(got), action, want)
		}
	}
	if l := o.want(o.do("aud", "GET", "/admin/v1/incidents", ""), 200); strings.Contains(string(l.body), "555010") {
		t.Errorf("the list names a number: %s", l.body)
	}
}

// Each agency is told of an outage, and of its end, about its own measures only.
func TestOutageTellsEachAgencyItsOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.activated("L-1", "")
	o.approved("L-2") // does not run yet
	began := time.Now().Add(-30 * time.Second).UTC()
	body := fmt.Sprintf(`{"kind": "a disk failed", "effect": "content is late", "began": %q, "expected_end": %q, "contact": "+49 30 1"}`,
		began.Format(time.RFC3339Nano), began.Add(time.Hour).Format(time.RFC3339Nano))
	o.want(o.do("aud", "POST", "/admin/v1/outages", body), 403)
	o.want(o.do("ann", "POST", "/admin/v1/outages", strings.Replace(body, began.Add(time.Hour).Format(time.RFC3339Nano), began.Format(time.RFC3339Nano), 1)), 422)
	a := o.want(o.do("ann", "POST", "/admin/v1/outages", body), 201)
	path := "/admin/v1/outages/" + a.field("id")
	o.want(o.do("ann", "POST", path+"/recovery", fmt.Sprintf(`{"recovered_at": %q, "missing": "nothing"}`, began.Add(-time.Hour).Format(time.RFC3339))), 422)
	o.want(o.do("ann", "POST", path+"/recovery", fmt.Sprintf(`{"recovered_at": %q, "missing": "CIN 4"}`, time.Now().UTC().Format(time.RFC3339Nano))), 200)
	o.want(o.do("ann", "POST", path+"/recovery", fmt.Sprintf(`{"recovered_at": %q, "missing": "nothing"}`, time.Now().UTC().Format(time.RFC3339Nano))), 409)
	var shown struct {
		Missing string
		Notices []struct {
			Name, Text string
			AgencyID   string `json:"agency_id"`
		}
	}
	o.must(json.Unmarshal(o.want(o.do("aud", "GET", path, ""), 200).body, &shown))
	if shown.Missing != "CIN 4" || len(shown.Notices) != 2 || shown.Notices[0].Name != "outage_notice" || shown.Notices[1].Name != "recovery_notice" {
		t.Fatalf("outage: %+v", shown)
	}
	for _, n := range shown.Notices {
		if n.AgencyID != o.agencies["Police"] || !strings.Contains(n.Text, "L-1") || strings.Contains(n.Text, "L-2") || !strings.Contains(n.Text, "Police") {
			t.Errorf("notice: %+v", n)
		}
	}
	o.want(o.do("ann", "POST", "/admin/v1/outages/none/recovery", `{"recovered_at": "2026-01-01T00:00:00Z", "missing": "nothing"}`), 404)
}

// When a tap was allowed, what the agency confirmed, and what a purge left of it.
func TestRecordsOfAWarrant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.activated("L-1", "")
	o.sealed()
	path := "/admin/v1/warrants/" + id
	const session = "/handover/v1/intercepts/L-1/sessions/1"
	head := o.do("ina", "GET", session, "").field("chain_head")
	o.want(o.do("ina", "POST", session+"/ack", fmt.Sprintf(`{"chain_head": %q}`, head)), 200)
	if a := o.want(o.do("aud", "GET", path+"/receipts", ""), 200); !strings.Contains(string(a.body), head) || !strings.Contains(string(a.body), `"person":"ina"`) {
		t.Errorf("receipts: %s", a.body)
	}
	if a := o.want(o.do("aud", "GET", path+"/tap-intervals", ""), 200); strings.Count(string(a.body), `"ended":null`) != 1 {
		t.Errorf("intervals of a running tap: %s", a.body)
	}
	o.want(o.do("aud", "GET", path+"/purge-record", ""), 404)
	o.want(o.post("ann", id, "suspend", `{"reason": "court asked"}`), 200)
	o.want(o.post("bob", id, "resume", `{"reason": "court asked"}`), 200)
	o.want(o.post("ann", id, "revoke", `{"reason": "lifted"}`), 200)
	if a := o.want(o.do("aud", "GET", path+"/tap-intervals", ""), 200); strings.Count(string(a.body), `"began"`) != 2 || strings.Contains(string(a.body), "null") {
		t.Errorf("intervals: %s", a.body)
	}
	o.want(o.post("ann", id, "purge", `{"reason": "rule 7"}`), 200)
	o.want(o.post("bob", id, "purge", `{"reason": "rule 7, second"}`), 200)
	var sum string
	o.must(o.pool.QueryRow(t.Context(), "select encode(sha256, 'hex') from segment").Scan(&sum))
	record := string(o.want(o.do("aud", "GET", path+"/purge-record", ""), 200).body)
	for _, want := range []string{o.ids["ann"], o.ids["bob"], `"rule 7"`, "rule 7, second", head, sum} {
		if !strings.Contains(record, want) {
			t.Errorf("the purge record lacks %q: %s", want, record)
		}
	}
	if a := o.want(o.do("aud", "GET", path+"/retention", ""), 200); a.field("items") != "[]" || a.field("tap_ended") == "<nil>" {
		t.Errorf("retention without a profile: %s", a.body)
	}
	if a := o.want(o.do("ann", "POST", "/admin/v1/certifications", fmt.Sprintf(`{"warrant_id": %q, "type": "FISA", "officer": "o", "signer": "s"}`, id)), 201); !strings.Contains(a.field("text"), "sip:a@example.com") {
		t.Errorf("certificate: %s", a.field("text"))
	}
}

// Names and texts that no database keeps are the caller's fault, not ours.
func TestRecordsWithStrangeTexts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, path := range []string{
		"/incidents/%00", "/incidents/%ff", "/outages/%00", "/certifications/%00", "/reviews/%00", "/certifications?warrant=%00",
		"/warrants/%00/retention", "/warrants/%ff/receipts", "/reviews/2026-Q9",
	} {
		if a := o.do("aud", "GET", "/admin/v1"+path, ""); a.status >= 500 || a.status == 200 && !strings.Contains(path, "?") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for path, body := range map[string]string{
		"/certifications": `{"type": "FISA", "reference": "a\u0000", "circumstances": "c", "numbers": ["1"], "start": "2026-01-01T00:00:00Z"}`,
		"/incidents":      `{"found_at": "2026-01-01T00:00:00Z", "found_how": "a\u0000", "what": "w", "intrusion": "no", "actions": ["a"]}`,
		"/outages":        `{"kind": "a\u0000", "effect": "e", "began": "2026-01-01T00:00:00Z", "expected_end": "2026-01-02T00:00:00Z", "contact": "c"}`,
	} {
		o.want(o.do("ann", "POST", "/admin/v1"+path, body), 422)
	}
	o.want(o.do("aud", "POST", "/admin/v1/reviews", `{"quarter": "x\u0000"}`), 422)
}

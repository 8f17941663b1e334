package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/warrant"
)

// post acts on a warrant at the version that stands now, and returns the answer.
func (o *office) post(who, id, act, body string) answer {
	o.t.Helper()
	etag := o.do("aud", "GET", "/admin/v1/warrants/"+id, "").header.Get("ETag")
	return o.do(who, "POST", "/admin/v1/warrants/"+id+"/"+act, body, "If-Match: "+etag)
}

// activated is a warrant that runs, with more fields in its order.
func (o *office) activated(liid, more string) (id string) {
	o.t.Helper()
	from := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	body := strings.Replace(o.orderBody(liid), `"2098-06-01T00:00:00Z"`, fmt.Sprintf("%q%s", from, more), 1)
	body = strings.Replace(body, `"2099-01-01T00:00:00Z"`, fmt.Sprintf("%q", untilSoon()), 1)
	body = strings.Replace(body, `["030 555-001"]`, `["030 555-001", "sip:a@example.com"]`, 1)
	a := o.do("ann", "POST", "/admin/v1/warrants", body)
	if a.status != http.StatusCreated {
		o.t.Fatalf("draft: %d %s", a.status, a.body)
	}
	id = a.field("id")
	if a := o.post("ann", id, "submit", ""); a.status != http.StatusOK {
		o.t.Fatalf("submit: %d %s", a.status, a.body)
	}
	if a := o.post("bob", id, "approve", fmt.Sprintf(`{"targets": ["+4930555001", "sip:a@example.com"], "until": %q}`, untilSoon())); a.status != http.StatusOK {
		o.t.Fatalf("approve: %d %s", a.status, a.body)
	}
	o.must(o.store.Due(o.t.Context(), time.Now()))
	return id
}

func untilSoon() string {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(48 * time.Hour).Format(time.RFC3339)
}

// What was taken under a provisional order is not there for the agency until the
// original came.
func TestQuarantineUntilTheOriginal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	due := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	id := o.activated("L-1", fmt.Sprintf(`, "provisional": true, "original_due": %q`, due))
	o.sealed()
	const base = "/handover/v1/intercepts/L-1"
	if a := o.do("ina", "GET", base, ""); a.field("quarantined") != "true" {
		t.Errorf("the agency is not told: %s", a.body)
	}
	if a := o.do("ina", "GET", base+"/sessions", ""); a.status != 200 || a.field("items") != "[]" {
		t.Errorf("sessions in quarantine: %d %s", a.status, a.body)
	}
	var sums struct{ Items []json.RawMessage }
	for _, path := range []string{"/sessions/1", "/sessions/1/cc/1"} {
		if a := o.do("ina", "GET", base+path, ""); a.status != 404 {
			t.Errorf("%s in quarantine: %d %s", path, a.status, a.body)
		}
	}
	o.must(json.Unmarshal(o.do("ina", "GET", base+"/sessions/1/cc", "").body, &sums))
	if len(sums.Items) != 0 {
		t.Error("segments in quarantine are listed")
	}
	var head string
	o.must(o.pool.QueryRow(t.Context(), "select encode(chain_head, 'hex') from session").Scan(&head))
	if a := o.do("ina", "POST", base+"/sessions/1/ack", fmt.Sprintf(`{"chain_head": %q}`, head)); a.status != 404 {
		t.Errorf("acknowledged in quarantine: %d %s", a.status, a.body)
	}
	sum := fmt.Sprintf(`{"sha256": %q}`, strings.Repeat("ab", 32))
	if a := o.post("ann", id, "confirm-original", sum); a.status != 403 {
		t.Errorf("the drafter confirmed the original: %d %s", a.status, a.body)
	}
	if a := o.post("bob", id, "confirm-original", sum); a.status != 200 || a.field("provisional") != "false" || a.field("original_sha256") != strings.Repeat("ab", 32) {
		t.Fatalf("confirm: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/sessions/1", "/sessions/1/cc/1"} {
		if a := o.do("ina", "GET", base+path, ""); a.status != 200 {
			t.Errorf("%s after the original: %d %s", path, a.status, a.body)
		}
	}
	if a := o.do("ina", "GET", base+"/sessions", ""); !strings.Contains(string(a.body), head) {
		t.Errorf("sessions after the original: %s", a.body)
	}
}

func TestNarrowAndHistoryOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.activated("L-1", "")
	for name, body := range map[string]string{
		"another target": `{"targets": ["+4930555002"], "reason": "r"}`,
		"nothing less":   `{"reason": "r"}`,
		"no target":      `{"targets": [], "reason": "r"}`,
		"names it":       `{"scope": "iri", "reason": "no content of 030/555001"}`,
	} {
		if a := o.post("ann", id, "narrow", body); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	a := o.post("ann", id, "narrow", `{"targets": ["sip:a@example.com"], "scope": "iri", "reason": "court asked"}`)
	if a.status != 200 || a.field("targets") != "[sip:a@example.com]" || a.field("scope") != "iri" || a.field("state") != "active" {
		t.Errorf("narrow: %d %s", a.status, a.body)
	}
	var history struct {
		Items []struct{ Act, By, Name, Role, Source, Reason, From, To string }
	}
	h := o.do("bob", "GET", "/admin/v1/warrants/"+id+"/history", "")
	o.must(json.Unmarshal(h.body, &history))
	var acts []string
	for _, e := range history.Items {
		acts = append(acts, e.Act)
		if e.By != "ligate" && (e.Name == "" || e.Role == "" || e.Source == "") {
			t.Errorf("act %+v", e)
		}
	}
	if got := strings.Join(acts, " "); got != "draft submit approve start narrow" {
		t.Errorf("history %s", got)
	}
	if strings.Contains(string(h.body), "555001") || strings.Contains(string(h.body), "example.com") {
		t.Errorf("the history names a target: %s", h.body)
	}
}

func TestDocumentsOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.approved("L-1")
	path := "/admin/v1/warrants/" + id + "/documents"
	pdf := "%PDF-1.7 " + strings.Repeat("an order ", 300_000) // more than other requests may be
	a := o.do("ann", "POST", path+"?kind=order&pages=3", pdf, "Content-Type: application/pdf")
	if a.status != 201 || a.field("pages") != "3" || len(a.field("sha256")) != 64 {
		t.Fatalf("add: %d %s", a.status, a.body)
	}
	for name, tt := range map[string]struct {
		who, body string
		status    int
	}{
		"the same again": {"bob", pdf, 409},
		"no PDF":         {"bob", "hello", 422},
		"too large":      {"bob", "%PDF-" + strings.Repeat("x", warrant.MaxDocument), 413},
		"an auditor":     {"aud", pdf, 403},
		"a stranger":     {"mallory", pdf, 401},
	} {
		if a := o.do(tt.who, "POST", path, tt.body, "Content-Type: application/pdf"); a.status != tt.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, tt.status)
		}
	}
	if l := o.do("aud", "GET", path, ""); !strings.Contains(string(l.body), a.field("sha256")) {
		t.Errorf("list: %s", l.body)
	}
	if s := o.do("aud", "GET", path+"/1", ""); s.status != 200 || !strings.HasPrefix(string(s.body), "age-encryption.org/v1\n") {
		t.Errorf("sealed: %d, %d octets", s.status, len(s.body))
	}
	if s := o.do("aud", "GET", path+"/2", ""); s.status != 404 {
		t.Errorf("a document that is none: %d", s.status)
	}
}

func TestHoldsAndProtectedNumbersOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.activated("L-1", "")
	if a := o.post("ann", id, "revoke", `{"reason": "lifted"}`); a.status != 200 {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if a := o.post("ann", id, "purge", `{"reason": "retention over"}`); a.status != 200 || a.field("purge_by") == "" {
		t.Fatalf("ask for the purge: %d %s", a.status, a.body)
	}
	holds := "/admin/v1/warrants/" + id + "/holds"
	hold := o.do("ann", "POST", holds, `{"reason": "trial runs"}`)
	if hold.status != 201 || hold.field("in_force") != "true" {
		t.Fatalf("hold: %d %s", hold.status, hold.body)
	}
	if a := o.post("bob", id, "purge", `{"reason": "retention over"}`); a.status != 409 || a.field("rule") != "legal-hold" {
		t.Errorf("purge under a hold: %d %s", a.status, a.body)
	}
	one := holds + "/" + hold.field("id")
	for _, tt := range []struct {
		who, act, body string
		status         int
	}{
		{"ann", "/confirm", "", 403},
		{"bob", "/confirm", "", 200},
		{"aud", "/release", `{"reason": "over"}`, 403},
		{"ann", "/release", `{"reason": "over"}`, 200},
		{"ann", "/confirm-release", "", 403},
		{"bob", "/confirm-release", "", 200},
	} {
		if a := o.do(tt.who, "POST", one+tt.act, tt.body); a.status != tt.status {
			t.Errorf("%s by %s: %d %s, want %d", tt.act, tt.who, a.status, a.body, tt.status)
		}
	}
	if a := o.post("bob", id, "purge", `{"reason": "retention over"}`); a.status != 200 || a.field("state") != "purged" {
		t.Errorf("purge: %d %s", a.status, a.body)
	}
	if a := o.post("bob", id, "purge", `{"reason": "again"}`); a.status != 200 {
		t.Errorf("what a crash left cannot be destroyed: %d %s", a.status, a.body)
	}
	p := o.do("ann", "POST", "/admin/v1/protected-numbers", `{"identity": "030 555-001", "kind": "lawyer"}`)
	if p.status != 201 {
		t.Fatalf("protect: %d %s", p.status, p.body)
	}
	confirm := "/admin/v1/protected-numbers/" + p.field("id") + "/confirm"
	if a := o.do("ann", "POST", confirm, ""); a.status != 403 {
		t.Errorf("confirmed by who added it: %d", a.status)
	}
	if a := o.do("bob", "POST", confirm, ""); a.status != 200 {
		t.Errorf("confirm: %d %s", a.status, a.body)
	}
	next, etag := o.submitted("L-2")
	a := o.do("bob", "POST", "/admin/v1/warrants/"+next+"/approve", typed, "If-Match: "+etag)
	if a.status != 200 || a.field("state") != "submitted" || a.field("protected") != "true" || a.field("targets") != "[]" {
		t.Errorf("one approval of a protected number: %d %s", a.status, a.body)
	}
	if a := o.do("bob", "POST", "/admin/v1/protected-numbers/"+p.field("id")+"/remove", ""); a.status != 200 || a.field("removal_confirmed_by") != "" {
		t.Errorf("remove: %d %s", a.status, a.body)
	}
	for _, r := range append(o.entries("protected.add"), o.entries("protected.confirm")...) {
		if strings.Contains(fmt.Sprintf("%+v", r.Entry), "555001") {
			t.Error("the audit log names a protected number")
		}
	}
}

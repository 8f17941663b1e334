package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// roles says who may call an operation at all: d drafter, p approver, a auditor,
// s system administrator, g agency, m a machine token with the auditor's role that
// names all operations, * everybody, without showing anything. What a person may do
// to one thing (four eyes, one's own warrant) is the domain's tests' business.
func roles() map[string]string {
	return map[string]string{
		"create-warrant": "dp", "list-warrants": "dpam", "get-warrant": "dpam", "update-warrant": "dp", "submit-warrant": "dp",
		"approve-warrant": "p", "extend-warrant": "dp", "purge-warrant": "dp", "reject-warrant": "p", "suspend-warrant": "dp",
		"resume-warrant": "p", "revoke-warrant": "dp",

		"narrow-warrant": "dp", "confirm-original": "p", "get-warrant-history": "dpam",
		"create-document": "dp", "list-documents": "dpam", "get-document": "dpam",
		"create-hold": "dp", "confirm-hold": "dp", "list-holds": "dpam", "release-hold": "dp", "confirm-release-hold": "dp",
		"create-protected-number": "dp", "confirm-protected-number": "dp", "list-protected-numbers": "dpam", "remove-protected-number": "dp",
		"list-tap-intervals": "dpam", "list-receipts": "dpam", "get-purge-record": "dpam", "get-retention": "dpam",
		"create-certification": "dp", "list-certifications": "dpam", "get-certification": "dpam",
		"create-incident": "dp", "list-incidents": "dpam", "get-incident": "dpam", "create-incident-act": "dp", "close-incident": "dp", "confirm-close-incident": "dp",
		"create-outage": "dp", "list-outages": "dpam", "get-outage": "dpam", "recover-outage": "dp",
		"create-review": "a", "list-reviews": "dpam", "get-review": "dpam", "create-review-result": "a", "close-review": "a",
		"list-inbox": "dpam", "get-inbox-order": "dpam", "get-inbox-document": "dpam", "create-draft-from-inbox": "dp", "refuse-inbox-order": "dp",
		"post-hi1-message": "g", "get-hi1-notifications": "g",

		"list-people": "sam", "create-person": "s", "confirm-person": "s", "disable-person": "s", "enable-person": "s",
		"create-enrolment": "s", "confirm-enrolment": "s", "create-clearance": "s", "confirm-clearance": "s",
		"list-person-sessions": "s", "revoke-person-sessions": "s", "revoke-person-passkeys": "s",
		"list-tokens": "sam", "create-token": "s", "confirm-token": "s", "revoke-token": "s",

		"list-agencies": "dpasm", "create-agency": "dps", "confirm-agency": "dps",
		"list-deliveries": "dpasm", "create-delivery": "dps", "confirm-delivery": "dps",
		"list-gateways": "dpasm", "list-alarms": "dpam", "acknowledge-alarm": "dp", "close-alarm": "dp",
		"reconcile": "dp", "list-orphans": "dpam",

		"list-intercepts": "g", "get-intercept": "g", "list-sessions": "g", "get-session": "g", "ack-session": "g",
		"get-bundle": "g", "list-iri": "g", "get-iri": "g", "list-cc": "g", "get-cc": "g", "prove-log-consistency": "g",

		"list-audit-entries": "am", "get-checkpoint": "am", "prove-inclusion": "am", "prove-consistency": "am", "export-log": "am",
		"get-log-checkpoint": "am", "get-log-tile": "am",
		"ask-unmask": "a", "confirm-unmask": "ap", "list-unmaskings": "apm", "get-unmask": "apm",
		"ask-erasure": "dp", "confirm-erasure": "p", "list-erasures": "dpam",
		"get-report": "am", "get-comparison": "am",

		"show-enrolment": "*", "begin-passkey": "*", "finish-passkey": "*", "begin-login": "*", "finish-login": "*",
		"begin-password": "*", "finish-password": "*", "login-password": "*", "begin-oidc": "*", "finish-oidc": "*",
		"get-signin": "dpas", "sign-out": "dpas", "list-signins": "dpas", "sign-out-everywhere": "dpas", "revoke-signin": "dpas",
		"begin-step-up": "dpas", "finish-step-up": "dpas", "begin-approval": "dpas", "finish-approval": "dpas", "list-approvals": "dpa",
	}
}

type operation struct {
	id, method, path string
	summary          string
	query            string
	params           []parameter
	body             map[string]any // schema; nil = none
}

// parameter is of a path, a query or a header.
type parameter struct {
	Name, In string
	Required bool
	Schema   map[string]any
}

// openAPI is the part of the OpenAPI document that the matrix walks.
type openAPI struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Parameters  []parameter
		RequestBody struct {
			Content map[string]struct{ Schema map[string]any }
		} `json:"requestBody"`
	}
	Components struct{ Schemas map[string]map[string]any }
}

func (o *office) operations() (openAPI, []operation) {
	o.t.Helper()
	var doc openAPI
	o.must(json.Unmarshal(o.do("", "GET", "/openapi.json", "").body, &doc))
	var all []operation
	for path, methods := range doc.Paths {
		for method, op := range methods {
			v := operation{id: op.OperationID, method: strings.ToUpper(method), path: path, summary: op.Summary, params: op.Parameters}
			for _, p := range op.Parameters {
				if p.In == "query" && p.Required {
					v.query += "&" + p.Name + "=1"
				}
			}
			if c, ok := op.RequestBody.Content["application/json"]; ok {
				v.body = c.Schema
			}
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return doc, all
}

// sample makes a value that a schema takes.
func (d openAPI) sample(t *testing.T, schema map[string]any) any {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		return d.sample(t, d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
	}
	if enum, ok := schema["enum"].([]any); ok {
		return enum[0]
	}
	switch schema["type"] {
	case "object":
		out := map[string]any{}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			out[name.(string)] = d.sample(t, schema["properties"].(map[string]any)[name.(string)].(map[string]any))
		}
		return out
	case "array":
		return []any{d.sample(t, schema["items"].(map[string]any))}
	case "integer":
		return 1
	case "boolean":
		return false
	case nil:
		return map[string]any{}
	}
	if schema["format"] == "date-time" {
		return time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	}
	switch pattern, _ := schema["pattern"].(string); {
	case strings.Contains(pattern, "[0-9a-f]{64}"):
		return strings.Repeat("a", 64)
	case strings.Contains(pattern, "[A-Z]{2}"):
		return "DE"
	}
	return "x"
}

// body is what an operation is sent: something that it takes.
func (o *office) body(doc openAPI, op operation, n int) string {
	o.t.Helper()
	liid := fmt.Sprintf("M-%d", n)
	switch op.id {
	case "create-warrant", "extend-warrant", "update-warrant":
		return o.orderBody(liid)
	case "approve-warrant":
		return typed
	case "create-agency":
		return fmt.Sprintf(`{"name": %q, "country": "DE", "recipients": ["age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"],
			"people": [{"name": "x", "certificate": "%064x"}]}`, liid, n)
	case "create-person":
		return fmt.Sprintf(`{"name": %q, "role": "drafter", "certificate": "%064x"}`, liid, n)
	case "create-token":
		return `{"name": "x", "role": "auditor", "operations": ["list-alarms"], "expires_at": "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	}
	schema := op.body
	if schema == nil {
		return ""
	}
	b, err := json.Marshal(doc.sample(o.t, schema))
	o.must(err)
	return string(b)
}

// fill puts things that exist into a path; they are new for each request.
func (o *office) fill(op operation, liid string) (path, etag string) {
	o.t.Helper()
	id := "none"
	switch {
	case op.id == "extend-warrant":
		id = o.approved(liid)
	case strings.HasPrefix(op.path, "/admin/v1/warrants/{id}"):
		id, etag = o.submitted(liid)
	case strings.HasPrefix(op.path, "/admin/v1/people/{id}"):
		root := warrant.Actor{Person: warrant.Person{ID: warrant.PersonID(o.ids["root1"]), Role: warrant.Sysadmin, Confirmed: true}}
		p, err := o.store.AddPerson(o.t.Context(), root, warrant.Person{Name: "P" + liid, Role: warrant.Drafter, SignIn: warrant.ByPasskey})
		o.must(err)
		id = string(p.ID)
	case strings.HasPrefix(op.path, "/admin/v1/agencies/{id}"):
		id = o.agencies["Police"]
	case strings.HasPrefix(op.path, "/admin/v1/alarms/{id}"):
		o.must(o.store.OpenAlarm(o.t.Context(), "rogue_tap", liid))
		var n int
		o.must(o.pool.QueryRow(o.t.Context(), "select id from alarm where object = $1", liid).Scan(&n))
		id = fmt.Sprint(n)
	}
	path = strings.NewReplacer("{id}", id, "{liid}", "L-1", "{cin}", "1", "{number}", "1", "{level}", "0", "{report}", "refused", "{quarter}", "2026-Q1", "*", "000", "{enrolment}", "none").Replace(op.path)
	return path + "?" + op.query, etag
}

// machine is a confirmed token of the auditor's role that names all that it may.
func (o *office) machine(all []operation) string {
	o.t.Helper()
	var names []string
	for _, op := range all {
		if signin.Reads(op.id) {
			names = append(names, op.id)
		}
	}
	b, err := json.Marshal(map[string]any{"name": "matrix", "role": "auditor", "operations": names, "expires_at": time.Now().Add(time.Hour).UTC()})
	o.must(err)
	a := o.want(o.do("root1", "POST", "/admin/v1/tokens", string(b)), 201)
	o.want(o.do("root2", "POST", "/admin/v1/tokens/"+a.field("id")+"/confirm", ""), 204)
	return a.field("token")
}

// Each role at each operation. A new operation needs a row.
func TestEveryOperationForEveryRole(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	doc, all := o.operations()
	table := roles()
	callers := map[byte]string{'d': "ann", 'p': "bob", 'a': "aud", 's': "root1", 'g': "ina", '-': "mallory"}
	bearer := "Authorization: Bearer " + o.machine(all)
	seen := map[string]bool{}
	n := 0
	for _, op := range all {
		may, known := table[op.id]
		if !known {
			t.Errorf("%s %s (%s) has no row: who may call it?", op.method, op.path, op.id)
			continue
		}
		seen[op.id] = true
		for _, role := range []byte("dpasg-m") {
			n++
			path, etag := o.fill(op, fmt.Sprintf("X-%d", n))
			headers := []string{"If-Match: " + etag}
			if role == 'm' {
				headers = append(headers, bearer)
			}
			a := o.do(callers[role], op.method, path, o.body(doc, op, n), headers...)
			if got, want := verdict(a), expected(may, role); got != want {
				t.Errorf("%c at %s: %s (%d %.200s), want %s", role, op.id, got, a.status, a.body, want)
			}
		}
	}
	for id := range table {
		if !seen[id] {
			t.Errorf("%s has a row and is no operation", id)
		}
	}
}

func expected(may string, role byte) string {
	switch {
	case may == "*" || strings.IndexByte(may, role) >= 0:
		return "in"
	case role == '-':
		return "unknown"
	}
	return "forbidden"
}

// verdict tells a role's refusal from all other answers.
func verdict(a answer) string {
	switch {
	case a.status >= 500:
		return "broken"
	case a.field("type") == "urn:ligate:problem:forbidden":
		return "forbidden"
	case a.status == 401 && a.field("detail") != "sign-in failed":
		return "unknown"
	}
	return "in"
}

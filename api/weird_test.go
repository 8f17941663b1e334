package api_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ligate/ligate/internal/pki"
)

// weird makes requests that come near what an operation takes, and miss it.
type weird struct {
	openAPI
	*rand.Rand
	t     *testing.T
	known []string // ids, LIIDs and the like that exist
}

// TestNoRequestIsAServerError sends each operation, as each role, requests that are
// almost right, wrong in one place or wrong altogether: whatever comes, the answer is no
// server error, and each refusal is a problem of a known type.
func TestNoRequestIsAServerError(t *testing.T) {
	t.Parallel()
	const seed, each = 1, 25
	o := newOffice(t)
	doc, all := o.operations()
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	active, _ := o.submitted("L-1")
	w := &weird{openAPI: doc, Rand: rand.New(rand.NewPCG(seed, 0)), t: t, known: []string{active, o.approved("L-2"), "L-1", "L-2", o.agencies["Police"], o.ids["aud"]}}
	clients := map[string]*http.Client{}
	for _, who := range []string{"ann", "bob", "aud", "root1", "ina", "mallory"} {
		transport := &http.Transport{TLSClientConfig: pki.Client(o.certs[who], pki.Fingerprint(o.own.Certificate[0]))}
		t.Cleanup(transport.CloseIdleConnections)
		clients[who] = &http.Client{Transport: transport}
	}
	who := []string{"ann", "bob", "aud", "root1", "ina", "mallory"}
	statuses := map[int]int{}
	for _, op := range all {
		if op.summary == "" {
			t.Errorf("%s says nothing of itself", op.id)
		}
		for range each {
			req, body := w.request(o.url, op)
			a := o.exchange(clients[who[w.IntN(len(who))]], req.WithContext(t.Context()))
			statuses[a.status]++
			if a.status >= 500 && op.id != "begin-oidc" || a.status >= 400 && !strings.HasPrefix(a.field("type"), "urn:ligate:problem:") {
				t.Errorf("%s %s %.300q: %d %s", req.Method, req.URL, body, a.status, a.body)
			}
		}
	}
	t.Logf("answers: %v", statuses)
	for _, status := range []int{200, 400, 401, 403, 404, 422} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %d: what is sent does not reach far", status)
		}
	}
}

func (w *weird) request(base string, op operation) (req *http.Request, body string) {
	w.t.Helper()
	var path strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(op.path, "/"), "/") {
		path.WriteByte('/')
		if strings.HasPrefix(part, "{") {
			part = url.PathEscape(w.text())
		}
		path.WriteString(part)
	}
	query := url.Values{}
	for _, p := range op.params {
		switch {
		case p.In != "query":
		case p.Required && w.IntN(10) > 0, w.IntN(3) == 0:
			query.Add(p.Name, fmt.Sprint(w.value(p.Schema, 0)))
		}
	}
	if op.body != nil {
		text, err := json.Marshal(w.value(op.body, 0))
		if err != nil {
			w.t.Fatal(err)
		}
		body = w.broken(string(text))
	}
	var err error
	req, err = http.NewRequest(op.method, base+path.String()+"?"+query.Encode(), strings.NewReader(body)) //nolint:noctx // the caller adds it
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", w.one("application/json", "application/json", "application/json", "text/plain", "application/xml", ""))
	}
	for _, h := range []string{"If-Match", "Idempotency-Key", "If-None-Match", "Range", "Last-Event-ID", "Origin"} {
		if w.IntN(3) == 0 {
			req.Header.Set(h, w.one(`"v1"`, `"v2"`, `"v99999999999"`, `"v-1"`, "*", "x", strings.Repeat("9", 300), "bytes=0-1", "https://evil.example"))
		}
	}
	return req, body
}

func (w *weird) one(of ...string) string { return of[w.IntN(len(of))] }

// text is something that exists, or not.
func (w *weird) text() string {
	if w.IntN(2) == 0 {
		return w.one(w.known...)
	}
	return w.one("x", "0", "1", "-1", "..", "a b", "a\x00b", "\u202e", "\U0001f512", "%", "'; drop table warrant; --", strings.Repeat("y", 65), strings.Repeat("ü", 1500), strings.Repeat("z", 5000),
		"4294967296", "9223372036854775808", "1e9", "+4930555001", "sip:a@example.com", "2026-01-01T00:00:00Z", "0000-00-00T00:00:00Z", strings.Repeat("a", 64))
}

// value is what a schema takes, or now and then something else.
func (w *weird) value(schema map[string]any, depth int) any {
	if w.IntN(12) == 0 {
		return w.wrong()
	}
	if ref, ok := schema["$ref"].(string); ok {
		return w.value(w.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], depth)
	}
	if enum, ok := schema["enum"].([]any); ok {
		return enum[w.IntN(len(enum))]
	}
	kind := schema["type"]
	if several, ok := kind.([]any); ok {
		kind = several[0]
	}
	switch {
	case kind == "object" && depth < 8:
		out := map[string]any{}
		required, _ := schema["required"].([]any)
		properties, _ := schema["properties"].(map[string]any)
		for name, of := range properties {
			if of, ok := of.(map[string]any); ok && (slices.Contains(required, any(name)) && w.IntN(20) > 0 || w.IntN(2) == 0) {
				out[name] = w.value(of, depth+1)
			}
		}
		return out
	case kind == "array" && depth < 8:
		items, _ := schema["items"].(map[string]any)
		out := []any{}
		for range w.IntN(3) {
			out = append(out, w.value(items, depth+1))
		}
		return out
	case kind == "integer", kind == "number":
		return w.IntN(5) - 1
	case kind == "boolean":
		return w.IntN(2) == 0
	case kind == "string" && w.IntN(3) > 0:
		return w.sample(w.t, schema)
	}
	return w.text()
}

func (w *weird) wrong() any {
	return []any{
		nil, true, -1, 1e300, 1 << 62, "", w.text(), []any{}, map[string]any{}, []any{[]any{[]any{nil}}}, map[string]any{"a": map[string]any{"b": 1}},
	}[w.IntN(11)]
}

// broken is a body that is now and then no JSON.
func (w *weird) broken(body string) string {
	switch w.IntN(20) {
	case 0:
		return body[:w.IntN(len(body))]
	case 1:
		return body + body
	case 2:
		return strings.Replace(body, "\"", "\xff", 1)
	case 3:
		return strings.Repeat("[", 10_000)
	case 4:
		return strings.Replace(body, "{", `{"reason": 1, "reason": "2", `, 1)
	}
	return body
}

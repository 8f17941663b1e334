package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob/memblob"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/api"
	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auditor"
	"github.com/ligate/ligate/api/handover"
	apihi1 "github.com/ligate/ligate/api/hi1"
	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/review"
	"github.com/ligate/ligate/internal/authtest"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/document"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/profile"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// office is the API with people who hold certificates, over real TLS and Postgres.
type office struct {
	t        *testing.T
	url      string
	own      tls.Certificate
	certs    map[string]tls.Certificate // by person
	pool     *pgxpool.Pool
	log      *audit.Log
	store    *pgstore.Store
	evidence *evidence.Store
	verifier string
	agencies map[string]string // ids by name
	ids      map[string]string // of staff, by name
	ahead    atomic.Int64      // how far the office's clock is ahead, in nanoseconds
	refusals *prometheus.Registry
	provider *authtest.Provider // the identity provider
}

func (o *office) now() time.Time { return time.Now().Add(time.Duration(o.ahead.Load())) }

func newOffice(t *testing.T) *office { return newOfficeUnder(t, nil) }

// newOfficeUnder is an office under a jurisdiction's profile; nil = none.
func newOfficeUnder(t *testing.T, law *profile.Profile) *office {
	t.Helper()
	o := &office{t: t, certs: map[string]tls.Certificate{}, pool: server.Pool(t), agencies: map[string]string{}, ids: map[string]string{}}
	secret, verifier, err := audit.NewKey("test")
	o.must(err)
	o.verifier = verifier
	signer, err := note.NewSigner(secret)
	o.must(err)
	o.log, err = audit.New(audit.Config{Origin: "test", Signer: signer})
	o.must(err)
	keepers, err := document.New([]string{recipient})
	o.must(err)
	cfg := pgstore.Config{Pool: o.pool, Audit: o.log, Seal: keepers.Seal, Now: o.now, Operator: "Test Telecom", Profile: law, Master: pgtest.Master(t, 1)}
	if law != nil {
		cfg.Limits = law.Limits(warrant.Limits{CountryCode: "49"})
	}
	o.store, err = pgstore.New(cfg)
	o.must(err)
	o.must(o.store.OpenKeys(t.Context()))
	statements, err := pki.LoadOrCreate(t.TempDir(), "evidence", pki.Spec{CommonName: "evidence"})
	o.must(err)
	o.evidence, err = evidence.New(evidence.Config{
		Pool: o.pool, Audit: o.log, Bucket: memblob.OpenBucket(nil), Signer: &statements, About: attest.Operator{ID: "op", Log: verifier},
	})
	o.must(err)
	reviews, err := review.New(review.Config{Pool: o.pool, Log: o.log, Now: o.now})
	o.must(err)
	for _, name := range []string{"ann", "bob", "aud", "root1", "root2", "ina", "otto", "mallory"} {
		o.certs[name], err = pki.LoadOrCreate(t.TempDir(), name, pki.Spec{CommonName: name})
		o.must(err)
	}
	o.own, err = pki.LoadOrCreate(t.TempDir(), "api", pki.Spec{CommonName: "api", Names: []string{"127.0.0.1"}})
	o.must(err)
	var people []warrant.Person
	for name, role := range map[string]warrant.Role{"ann": warrant.Drafter, "bob": warrant.Approver, "aud": warrant.Auditor, "root1": warrant.Sysadmin, "root2": warrant.Sysadmin} {
		people = append(people, warrant.Person{Name: name, Role: role, Cert: pki.Fingerprint(o.certs[name].Certificate[0])})
	}
	people, err = o.store.EnrolFirst(t.Context(), people)
	o.must(err)
	for _, p := range people {
		o.ids[p.Name] = string(p.ID)
	}
	orders, err := pgstore.NewHI1(pgstore.HI1Config{Store: o.store, Key: make([]byte, 32)})
	o.must(err)
	handler, err := api.New(api.Config{
		HI1:     &apihi1.Config{Store: orders, Plan: li.NumberPlan{CountryCode: "49", NationalPrefix: "0"}, Endpoint: operator()},
		Version: "test", People: o.store, Log: slog.New(slog.DiscardHandler), SignIn: o.signIn(), Metrics: o.refusals,
		Admin: admin.Config{
			Store: o.store, Plan: li.NumberPlan{CountryCode: "49", NationalPrefix: "0"}, Changed: func() {}, PurgeLIID: o.evidence.Purge, Records: o.evidence,
			Gateways: func() []admin.GatewayView { return []admin.GatewayView{{ID: "gw-1", Up: true}} },
			Reconcile: func(context.Context) ([]admin.FindingView, error) {
				return []admin.FindingView{{Gateway: "gw-1", Up: true}}, nil
			},
			CheckKeys: func(keys []string) error { _, err := segment.ParseRecipients(keys); return err },
		},
		Handover: handover.Config{Warrants: o.store, Evidence: o.evidence, Log: o.log.On(o.pool)}, Auditor: auditor.Config{Log: o.log.On(o.pool), Review: reviews},
	})
	o.must(err)
	srv := httptest.NewUnstartedServer(handler)
	srv.TLS = pki.ServerAsking(o.own)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	o.url = srv.URL
	o.agency("Police", "ina")
	o.agency("Customs", "otto")
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) field(name string) string {
	var m map[string]any
	_ = json.Unmarshal(a.body, &m)
	return fmt.Sprint(m[name])
}

// do asks as a person. Extra headers are "Name: value".
func (o *office) do(who, method, path, body string, headers ...string) answer {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, strings.NewReader(body))
	o.must(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	tlsConfig := pki.Client(o.certs[who], pki.Fingerprint(o.own.Certificate[0]))
	if who == "" { // no certificate
		tlsConfig.Certificates = nil
	}
	return o.exchange(&http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: true}}, req)
}

func (o *office) exchange(c *http.Client, req *http.Request) answer {
	o.t.Helper()
	resp, err := c.Do(req)
	o.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	o.must(err)
	if resp.StatusCode >= 400 {
		o.checkProblem(resp, b)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// checkProblem: every refusal is a problem document that quotes no target.
func (o *office) checkProblem(resp *http.Response, b []byte) {
	o.t.Helper()
	var p struct {
		Type, Title string
		Status      int
	}
	if err := json.Unmarshal(b, &p); err != nil || p.Status != resp.StatusCode || p.Title == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		o.t.Errorf("%d is no problem document: %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), b)
	}
}

func (o *office) agency(name, person string) {
	o.t.Helper()
	body := fmt.Sprintf(`{"name": %q, "country": "DE", "recipients": [%q], "people": [{"name": %q, "certificate": %q}]}`,
		name, recipient, person, pki.Fingerprint(o.certs[person].Certificate[0]))
	a := o.do("root1", "POST", "/admin/v1/agencies", body)
	if a.status != http.StatusCreated {
		o.t.Fatalf("add agency: %d %s", a.status, a.body)
	}
	o.agencies[name] = a.field("id")
	if a := o.do("root1", "POST", "/admin/v1/agencies/"+o.agencies[name]+"/confirm", ""); a.status != http.StatusForbidden {
		o.t.Errorf("who added the agency confirmed it: %d", a.status)
	}
	if a := o.do("root2", "POST", "/admin/v1/agencies/"+o.agencies[name]+"/confirm", ""); a.status != http.StatusNoContent {
		o.t.Fatalf("confirm agency: %d %s", a.status, a.body)
	}
}

const recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

const aTarget = "+4930555001"

func (o *office) orderBody(liid string) string {
	return fmt.Sprintf(`{"liid": %q, "authority": "Court", "reference": "1", "legal_basis": "100a", "agency_id": %q, "targets": ["030 555-001"],
		"scope": "iri+cc", "from": %q, "until": "2099-01-01T00:00:00Z"}`, liid, o.agencies["Police"], "2098-06-01T00:00:00Z")
}

// submitted drafts and submits a warrant; it returns id and ETag.
func (o *office) submitted(liid string) (id, etag string) {
	o.t.Helper()
	a := o.do("ann", "POST", "/admin/v1/warrants", o.orderBody(liid))
	if a.status != http.StatusCreated || a.header.Get("ETag") != `"v1"` {
		o.t.Fatalf("draft: %d %s", a.status, a.body)
	}
	id = a.field("id")
	if a = o.do("ann", "POST", "/admin/v1/warrants/"+id+"/submit", "", `If-Match: "v1"`); a.status != http.StatusOK {
		o.t.Fatalf("submit: %d %s", a.status, a.body)
	}
	return id, a.header.Get("ETag")
}

const typed = `{"targets": ["+49 30 555001"], "until": "2099-01-01T01:00:00+01:00"}`

func (o *office) approved(liid string) string {
	o.t.Helper()
	id, etag := o.submitted(liid)
	if a := o.do("bob", "POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+etag); a.status != http.StatusOK {
		o.t.Fatalf("approve: %d %s", a.status, a.body)
	}
	return id
}

func (o *office) entries(action string) []audit.Record {
	o.t.Helper()
	all, _, err := o.log.Entries(o.t.Context(), o.pool, audit.Filter{Action: action, Limit: 1000})
	o.must(err)
	return all
}

func TestDraftToApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, etag := o.submitted("L-1")
	shown := o.do("bob", "GET", "/admin/v1/warrants/"+id, "")
	if shown.status != 200 || shown.field("targets") != "[]" || shown.field("until") != "<nil>" || shown.header.Get("ETag") != etag {
		t.Errorf("the approver sees what is to be typed blind: %s", shown.body)
	}
	if a := o.do("bob", "GET", "/admin/v1/warrants", ""); strings.Contains(string(a.body), "2099-01-01") || strings.Contains(string(a.body), "555001") {
		t.Errorf("the list shows what is to be typed blind: %s", a.body)
	}
	a := o.do("bob", "POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+etag)
	if a.status != 200 || a.field("state") != "approved" || a.field("targets") != "["+aTarget+"]" {
		t.Errorf("approve: %d %s", a.status, a.body)
	}
	if a := o.do("ann", "POST", "/admin/v1/warrants/"+id+"/revoke", `{"reason": "lifted"}`, "If-Match: "+a.header.Get("ETag")); a.status != 200 || a.field("state") != "revoked" {
		t.Errorf("revoke: %d %s", a.status, a.body)
	}
}

// Bad input is refused with a problem that says what is wrong, and changes nothing.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, etag := o.submitted("L-1")
	w := "/admin/v1/warrants/" + id
	change := func(old, new string) string { return strings.Replace(o.orderBody("L-2"), old, new, 1) }
	for name, tt := range map[string]struct {
		who, method, path, body string
		headers                 []string
		status                  int
		problem                 string
	}{
		"not JSON":               {"ann", "POST", "/admin/v1/warrants", "{", nil, 400, ""},
		"unknown field":          {"ann", "POST", "/admin/v1/warrants", change(`"scope"`, `"colour": 1, "scope"`), nil, 422, ""},
		"missing field":          {"ann", "POST", "/admin/v1/warrants", change(`"authority": "Court", `, ``), nil, 422, ""},
		"wrong type":             {"ann", "POST", "/admin/v1/warrants", change(`"reference": "1"`, `"reference": 1`), nil, 422, ""},
		"no number":              {"ann", "POST", "/admin/v1/warrants", change("030 555-001", "hello"), nil, 422, "invalid"},
		"emergency number":       {"ann", "POST", "/admin/v1/warrants", change("030 555-001", "110"), nil, 422, "invalid"},
		"end before start":       {"ann", "POST", "/admin/v1/warrants", change("2099-01-01", "2097-01-01"), nil, 422, "invalid"},
		"LIID taken":             {"ann", "POST", "/admin/v1/warrants", o.orderBody("L-1"), nil, 409, "conflict"},
		"no such agency":         {"ann", "POST", "/admin/v1/warrants", change(o.agencies["Police"], "x"), nil, 422, "invalid"},
		"no If-Match":            {"bob", "POST", w + "/approve", typed, nil, 428, "if-match-required"},
		"bad If-Match":           {"bob", "POST", w + "/approve", typed, []string{"If-Match: x"}, 400, "bad-request"},
		"old If-Match":           {"bob", "POST", w + "/approve", typed, []string{`If-Match: "v1"`}, 412, "stale-version"},
		"drafter approves":       {"ann", "POST", w + "/approve", typed, []string{"If-Match: " + etag}, 403, "forbidden"},
		"one digit differs":      {"bob", "POST", w + "/approve", strings.Replace(typed, "555001", "555002", 1), []string{"If-Match: " + etag}, 422, "retyped-not-equal"},
		"end date differs":       {"bob", "POST", w + "/approve", strings.Replace(typed, "01:00:00+01", "01:00:01+01", 1), []string{"If-Match: " + etag}, 422, "retyped-not-equal"},
		"wrong state":            {"bob", "POST", w + "/resume", `{"reason": "r"}`, []string{"If-Match: " + etag}, 409, "wrong-state"},
		"no reason":              {"bob", "POST", w + "/reject", `{}`, []string{"If-Match: " + etag}, 422, ""},
		"edit of a submitted":    {"ann", "PATCH", w, o.orderBody("L-1"), []string{"If-Match: " + etag}, 409, "wrong-state"},
		"no such warrant":        {"ann", "GET", "/admin/v1/warrants/x", "", nil, 404, "not-found"},
		"bad cursor":             {"ann", "GET", "/admin/v1/warrants?cursor=x", "", nil, 400, "bad-request"},
		"unknown state":          {"ann", "GET", "/admin/v1/warrants?state=x", "", nil, 422, ""},
		"search for no number":   {"ann", "GET", "/admin/v1/warrants?target=abc", "", nil, 422, "invalid"},
		"recipient is no key":    {"root1", "POST", "/admin/v1/agencies", `{"name": "X", "country": "DE", "recipients": ["age1x"], "people": [{"name": "a", "certificate": "` + strings.Repeat("a", 64) + `"}]}`, nil, 422, "invalid"},
		"person without role":    {"root1", "POST", "/admin/v1/people", `{"name": "X", "role": "king", "certificate": "` + strings.Repeat("a", 64) + `"}`, nil, 422, ""},
		"proof past the end":     {"aud", "GET", "/audit/v1/proof/inclusion?index=5&size=100000", "", nil, 400, "bad-request"},
		"session that is none":   {"ina", "GET", "/handover/v1/intercepts/L-1/sessions/1", "", nil, 404, "not-found"},
		"method that is none":    {"ann", "DELETE", w, "", nil, 405, ""},
		"path that is none":      {"ann", "GET", "/admin/v1/nothing", "", nil, 404, ""},
		"body larger than 1 MiB": {"ann", "POST", "/admin/v1/warrants", change(`"Court"`, `"`+strings.Repeat("x", 2<<20)+`"`), nil, 413, ""},
	} {
		a := o.do(tt.who, tt.method, tt.path, tt.body, tt.headers...)
		if a.status != tt.status || tt.problem != "" && a.field("type") != "urn:ligate:problem:"+tt.problem {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, tt.status, tt.problem)
		}
	}
	if a := o.do("ann", "GET", w, ""); a.field("state") != "submitted" || a.header.Get("ETag") != etag {
		t.Errorf("the warrant changed: %s", a.body)
	}
	refused := 0
	for _, r := range o.entries("warrant.approve") {
		if r.Entry.Result == "refused" && r.Entry.Detail["rule"] != "" {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d refused approvals on the log, want 3", refused)
	}
}

// Who drafted and also holds the approver's role meets the rule by name.
func TestFourEyesNamed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.do("bob", "POST", "/admin/v1/warrants", o.orderBody("L-1"))
	id := a.field("id")
	a = o.do("bob", "POST", "/admin/v1/warrants/"+id+"/submit", "", `If-Match: "v1"`)
	a = o.do("bob", "POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+a.header.Get("ETag"))
	if a.status != 403 || a.field("type") != "urn:ligate:problem:four-eyes" || a.field("rule") != "four-eyes" {
		t.Errorf("%d %s", a.status, a.body)
	}
	all := o.entries("warrant.approve")
	if len(all) != 1 || all[0].Entry.Result != "refused" || all[0].Entry.Detail["rule"] != "four-eyes" {
		t.Errorf("log: %+v", all)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.do("ann", "POST", "/admin/v1/warrants", o.orderBody("L-1"), "Idempotency-Key: k")
	again := o.do("ann", "POST", "/admin/v1/warrants", o.orderBody("L-1"), "Idempotency-Key: k")
	if first.field("id") != again.field("id") || again.status != 201 {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	other := o.do("ann", "POST", "/admin/v1/warrants", o.orderBody("L-2"), "Idempotency-Key: k")
	if other.status != 422 || other.field("type") != "urn:ligate:problem:idempotency-key-reused" {
		t.Errorf("other body: %d %s", other.status, other.body)
	}
}

// Each role meets each door: what is not its own stays shut.
func TestRoleMatrix(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.approved("L-1")
	doors := []struct {
		path string
		open string // who gets 200
	}{
		{"/admin/v1/warrants", "ann bob aud"},
		{"/admin/v1/warrants/" + id, "ann bob aud"},
		{"/admin/v1/warrants/" + id + "/history", "ann bob aud"},
		{"/admin/v1/warrants/" + id + "/documents", "ann bob aud"},
		{"/admin/v1/warrants/" + id + "/holds", "ann bob aud"},
		{"/admin/v1/protected-numbers", "ann bob aud"},
		{"/admin/v1/people", "aud root1"},
		{"/admin/v1/agencies", "ann bob aud root1"},
		{"/admin/v1/gateways", "ann bob aud root1"},
		{"/admin/v1/alarms", "ann bob aud"},
		{"/admin/v1/orphans", "ann bob aud"},
		{"/handover/v1/intercepts", "ina otto"},
		{"/handover/v1/intercepts/L-1", "ina"},
		{"/handover/v1/intercepts/L-1/sessions", "ina"},
		{"/audit/v1/entries", "aud"},
		{"/audit/v1/checkpoint", "aud"},
		{"/audit/v1/export", "aud"},
		{"/audit/v1/proof/inclusion?index=0&size=1", "aud"},
		{"/audit/v1/proof/consistency?from=1&to=2", "aud"},
	}
	for _, d := range doors {
		for _, who := range []string{"ann", "bob", "aud", "root1", "ina", "otto"} {
			a := o.do(who, "GET", d.path, "")
			want := 403
			switch {
			case strings.Contains(" "+d.open+" ", " "+who+" "):
				want = 200
			case who == "otto" && strings.HasPrefix(d.path, "/handover"):
				want = 404 // another agency's is like none
			}
			if a.status != want {
				t.Errorf("%s at %s: %d, want %d", who, d.path, a.status, want)
			}
		}
		if a := o.do("mallory", "GET", d.path, ""); a.status != 401 {
			t.Errorf("a stranger at %s: %d", d.path, a.status)
		}
	}
	unknown, foreign := o.do("otto", "GET", "/handover/v1/intercepts/NONE", ""), o.do("otto", "GET", "/handover/v1/intercepts/L-1", "")
	if !bytes.Equal(unknown.body, foreign.body) {
		t.Errorf("an unknown LIID and another's differ:\n%s\n%s", unknown.body, foreign.body)
	}
	if a := o.do("mallory", "GET", "/openapi.json", ""); a.status != 200 || !strings.Contains(string(a.body), "approve-warrant") {
		t.Errorf("openapi: %d", a.status)
	}
}

// withSession stores a sealed session under L-1.
func (o *office) withSession() (octets []byte) {
	o.t.Helper()
	o.approved("L-1")
	return o.sealed()
}

// sealed stores a session of the warrant L-1.
func (o *office) sealed() (octets []byte) {
	o.t.Helper()
	ctx, xid := o.t.Context(), o.xid()
	p, err := o.evidence.Session(ctx, warrant.TaskInfo{XID: xid, LIID: "L-1", AgencyID: warrant.AgencyID(o.agencies["Police"])}, 7, time.Now().UTC())
	o.must(err)
	octets = bytes.Repeat([]byte("sealed "), 1000)
	blob, err := o.evidence.Put(ctx, p, octets)
	o.must(err)
	next := *p
	next.NextCC = 1
	o.must(o.evidence.Commit(ctx, p, next, evidence.Sealed{Kind: segment.KindCC, FirstTime: time.Now(), LastTime: time.Now(), Blob: blob}))
	return octets
}

func (o *office) xid() li.XID {
	o.t.Helper()
	var text string
	o.must(o.pool.QueryRow(o.t.Context(), "select xid::text from task limit 1").Scan(&text))
	xid, err := li.ParseXID(text)
	o.must(err)
	return xid
}

func TestFetchResumeAck(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	want := o.withSession()
	const base = "/handover/v1/intercepts/L-1/sessions/1"
	var list struct{ Items []segment.SegmentDoc }
	a := o.do("ina", "GET", base+"/cc", "")
	o.must(json.Unmarshal(a.body, &list))
	if len(list.Items) != 1 || list.Items[0].URL != base+"/cc/1" || list.Items[0].Bytes != int64(len(want)) {
		t.Fatalf("segments %s", a.body)
	}
	whole := o.do("ina", "GET", list.Items[0].URL, "")
	if whole.status != 200 || !bytes.Equal(whole.body, want) || whole.header.Get("ETag") != `"`+list.Items[0].SHA256+`"` {
		t.Errorf("whole: %d, %d octets, ETag %s", whole.status, len(whole.body), whole.header.Get("ETag"))
	}
	rest := o.do("ina", "GET", list.Items[0].URL, "", "Range: bytes=6000-")
	if rest.status != 206 || !bytes.Equal(rest.body, want[6000:]) || rest.header.Get("Content-Range") != "bytes 6000-6999/7000" {
		t.Errorf("rest: %d, %d octets, %s", rest.status, len(rest.body), rest.header.Get("Content-Range"))
	}
	if a := o.do("ina", "GET", list.Items[0].URL, "", "Range: bytes=7000-"); a.status != 416 {
		t.Errorf("range past the end: %d", a.status)
	}
	if a := o.do("otto", "GET", list.Items[0].URL, ""); a.status != 404 || bytes.Contains(a.body, want[:7]) {
		t.Errorf("another agency: %d", a.status)
	}
	if a := o.do("ina", "GET", base+"/iri/1", ""); a.status != 404 {
		t.Errorf("a CC segment as IRI: %d", a.status)
	}
	head := o.do("ina", "GET", base, "").field("chain_head")
	if a := o.do("ina", "POST", base+"/ack", `{"chain_head": "`+strings.Repeat("0", 64)+`"}`); a.status != 409 {
		t.Errorf("receipt for another head: %d", a.status)
	}
	if a := o.do("ina", "POST", base+"/ack", `{"chain_head": "`+head+`"}`); a.status != 200 || a.field("person") != "ina" {
		t.Errorf("receipt: %d %s", a.status, a.body)
	}
	fetched := 0
	for _, r := range o.entries("segment.fetch") {
		if r.Entry.Result == "done" && r.Entry.Actor == o.alias("ina") && r.Entry.Warrant == "L-1" {
			fetched++
		}
	}
	if fetched != 4 { // whole, rest, past the end, as IRI
		t.Errorf("%d fetches on the log, want 4", fetched)
	}
}

// No entry, no access: when the log cannot be written, nothing is served.
func TestNothingServedWithoutARecord(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	want := o.withSession()
	_, err := o.pool.Exec(t.Context(), "create function full_disk() returns trigger language plpgsql as $$ begin raise exception 'disk full'; end $$")
	o.must(err)
	_, err = o.pool.Exec(t.Context(), "create trigger full_disk before insert on audit_entry for each row execute function full_disk()")
	o.must(err)
	for _, path := range []string{"/handover/v1/intercepts", "/handover/v1/intercepts/L-1", "/handover/v1/intercepts/L-1/sessions/1/cc/1"} {
		if a := o.do("ina", "GET", path, ""); a.status != 500 || bytes.Contains(a.body, want[:7]) || strings.Contains(string(a.body), "disk") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := o.do("aud", "GET", "/audit/v1/entries", ""); a.status != 500 {
		t.Errorf("entries: %d", a.status)
	}
	if a := o.do("ann", "POST", "/admin/v1/warrants", o.orderBody("L-9")); a.status != 500 {
		t.Errorf("draft: %d", a.status)
	}
	var n int
	o.must(o.pool.QueryRow(t.Context(), "select count(*) from warrant where liid = 'L-9'").Scan(&n))
	if n != 0 {
		t.Error("a warrant was drafted without its entry")
	}
}

func TestExportVerifies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	a := o.do("aud", "GET", "/audit/v1/export", "")
	report, err := audit.Verify(bytes.NewReader(a.body), o.verifier)
	if err != nil || !report.OK() || report.Entries < 10 {
		t.Errorf("report %+v, %v", report, err)
	}
	if strings.Contains(string(a.body), "555001") {
		t.Error("the log names the target")
	}
	var page struct {
		Items []audit.Record
		Next  string
	}
	a = o.do("aud", "GET", "/audit/v1/entries?limit=3", "")
	o.must(json.Unmarshal(a.body, &page))
	if len(page.Items) != 3 || page.Next == "" {
		t.Errorf("page %s", a.body)
	}
	a = o.do("aud", "GET", "/audit/v1/entries?limit=3&cursor="+page.Next, "")
	page.Items = nil
	o.must(json.Unmarshal(a.body, &page))
	if len(page.Items) != 3 || page.Items[0].Index != 3 {
		t.Errorf("second page %s", a.body)
	}
}

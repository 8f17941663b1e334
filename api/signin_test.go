package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/api/auth/approval"
	"github.com/ligate/ligate/api/auth/login"
	"github.com/ligate/ligate/api/auth/oidc"
	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/internal/authtest"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

const origin = "https://li.example.net"

func testKey() []byte { return []byte("a key of 32 octets for the tests") }

// signIn is the office's sign-in beside certificates.
func (o *office) signIn() *login.Config {
	o.t.Helper()
	o.refusals = prometheus.NewRegistry()
	o.provider = authtest.NewProvider(o.t)
	rp, err := passkey.New(passkey.Config{Origin: origin})
	o.must(err)
	approvals, err := approval.New(approval.Config{Store: o.store, RP: rp, Key: testKey()})
	o.must(err)
	provider, err := oidc.New(oidc.Config{
		Issuer: o.provider.URL, ClientID: o.provider.ClientID, RedirectURL: origin + login.CallbackPath, HTTP: o.provider.Client,
	})
	o.must(err)
	return &login.Config{Store: o.store, RP: rp, Approvals: approvals, Provider: provider, SealKey: testKey(), Log: slog.New(slog.DiscardHandler), Now: o.now}
}

// browser is a person who is signed in by a cookie.
type browser struct {
	*office
	cookie string
	key    *authtest.Authenticator
	person string // id
}

const agent = "User-Agent: Test/1.0"

func (b *browser) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	return b.office.do("", method, path, body, append([]string{agent, "Origin: " + origin, "Cookie: " + b.cookie}, headers...)...)
}

func (o *office) want(a answer, status int) answer {
	o.t.Helper()
	if a.status != status {
		o.t.Fatalf("%d %s, want %d", a.status, a.body, status)
	}
	return a
}

// invite adds a person through both system administrators; it returns id and the
// link's token, which counts.
func (o *office) invite(name, role, way string) (id, token string) {
	o.t.Helper()
	id = o.want(o.do("root1", "POST", "/admin/v1/people", fmt.Sprintf(`{"name": %q, "role": %q, "signin": %q}`, name, role, way)), 201).field("id")
	o.want(o.do("root2", "POST", "/admin/v1/people/"+id+"/confirm", ""), 204)
	return id, o.link(id)
}

func (o *office) link(id string) string {
	o.t.Helper()
	a := o.want(o.do("root1", "POST", "/admin/v1/people/"+id+"/enrolments", ""), 201)
	o.want(o.do("root2", "POST", "/admin/v1/people/"+id+"/enrolments/"+a.field("id")+"/confirm", ""), 204)
	return tokenOf(a.field("link"))
}

func tokenOf(link string) string {
	_, token, _ := strings.Cut(link, "#")
	return token
}

func (a answer) raw(t *testing.T, name string) []byte {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return m[name]
}

func (o *office) register(token, name string, key *authtest.Authenticator) answer {
	o.t.Helper()
	begun := o.do("", "POST", "/auth/v1/passkey/register/begin", fmt.Sprintf(`{"token": %q, "name": %q}`, token, name))
	if begun.status != 200 {
		return begun
	}
	return o.do("", "POST", "/auth/v1/passkey/register/finish", finish(begun.field("ceremony"), key.Create(o.t, begun.raw(o.t, "options"))))
}

func finish(ceremony string, credential json.RawMessage) string {
	return fmt.Sprintf(`{"ceremony": %q, "credential": %s}`, ceremony, credential)
}

func (o *office) assert(key *authtest.Authenticator) answer {
	o.t.Helper()
	begun := o.want(o.do("", "POST", "/auth/v1/passkey/login/begin", ""), 200)
	return o.do("", "POST", "/auth/v1/passkey/login/finish", finish(begun.field("ceremony"), key.Get(o.t, begun.raw(o.t, "options"))), agent)
}

func cookieOf(a answer) string {
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie
}

// keyHolder is a person with a passkey, signed in.
func (o *office) keyHolder(name, role string) *browser {
	o.t.Helper()
	id, token := o.invite(name, role, "passkey")
	key := authtest.NewAuthenticator(o.t, origin)
	o.want(o.register(token, "", key), 200)
	o.ids[name] = id
	return &browser{office: o, cookie: cookieOf(o.want(o.assert(key), 200)), key: key, person: id}
}

func TestPasskeyFromLinkToSession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, token := o.invite("Petra", "drafter", "passkey")
	if a := o.do("", "POST", "/auth/v1/enrolment", `{"token": "`+token+`"}`); a.status != 200 || a.field("name") != "Petra" || a.field("signin") != "passkey" {
		t.Errorf("link: %d %s", a.status, a.body)
	}
	key := authtest.NewAuthenticator(t, origin)
	if a := o.register(token, "", key); a.status != 200 || a.field("person") != id || a.field("active") != "true" {
		t.Fatalf("register: %d %s", a.status, a.body)
	}
	if a := o.register(token, "", authtest.NewAuthenticator(t, origin)); a.status != 404 {
		t.Errorf("the link counts twice: %d", a.status)
	}
	a := o.assert(key)
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-ligate=lgs_", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if a.field("token") != "<nil>" || strings.Contains(cookie, "Domain") {
		t.Errorf("body %s, cookie %s", a.body, cookie)
	}
	petra := &browser{office: o, cookie: cookieOf(a), key: key, person: id}
	if a := petra.do("GET", "/auth/v1/session", ""); a.status != 200 || a.field("name") != "Petra" || a.field("role") != "drafter" {
		t.Errorf("session: %d %s", a.status, a.body)
	}
	if a := petra.do("POST", "/admin/v1/warrants", o.orderBody("L-1")); a.status != 201 {
		t.Errorf("draft: %d %s", a.status, a.body)
	}
	var stored int
	o.must(o.pool.QueryRow(t.Context(), "select count(*) from signin_session where encode(token_hash, 'escape') like '%lgs%' or token_hash = $1", signin.Hash(strings.TrimPrefix(petra.cookie, "__Host-ligate="))).Scan(&stored))
	if stored != 1 {
		t.Errorf("%d sessions by hash", stored)
	}
}

// Nothing enrols but a link that two confirmed, in time, unused, of somebody active.
func TestLinksThatDoNotCount(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.want(o.do("root1", "POST", "/admin/v1/people", `{"name": "P", "role": "auditor", "signin": "passkey"}`), 201).field("id")
	o.want(o.do("root2", "POST", "/admin/v1/people/"+id+"/confirm", ""), 204)
	issue := func() (string, string) {
		a := o.want(o.do("root1", "POST", "/admin/v1/people/"+id+"/enrolments", ""), 201)
		return a.field("id"), tokenOf(a.field("link"))
	}
	begin := func(token string) int {
		return o.do("", "POST", "/auth/v1/passkey/register/begin", `{"token": "`+token+`"}`).status
	}
	enrolment, token := issue()
	path := "/admin/v1/people/" + id + "/enrolments/" + enrolment + "/confirm"
	if got := begin(token); got != 404 {
		t.Errorf("unconfirmed: %d", got)
	}
	if a := o.do("root1", "POST", path, ""); a.status != 403 || a.field("rule") != "four-eyes" {
		t.Errorf("who issued it confirms: %d %s", a.status, a.body)
	}
	for _, who := range []string{"ann", "bob", "aud"} {
		if a := o.do(who, "POST", path, ""); a.status != 403 {
			t.Errorf("%s confirms: %d", who, a.status)
		}
		if a := o.do(who, "POST", "/admin/v1/people/"+id+"/enrolments", ""); a.status != 403 {
			t.Errorf("%s issues: %d", who, a.status)
		}
	}
	_, newer := issue()
	if a := o.do("root2", "POST", path, ""); a.status != 404 {
		t.Errorf("an older link is confirmed: %d", a.status)
	}
	if got := begin(newer); got != 404 {
		t.Errorf("newer, unconfirmed: %d", got)
	}
	token = o.link(id)
	o.ahead.Store(int64(signin.LinkValidity + time.Minute))
	if got := begin(token); got != 404 {
		t.Errorf("too old: %d", got)
	}
	o.ahead.Store(0)
	if got := begin(token); got != 200 {
		t.Errorf("good: %d", got)
	}
	o.want(o.do("root1", "POST", "/admin/v1/people/"+id+"/disable", `{"reason": "left"}`), 204)
	if got := begin(token); got != 404 {
		t.Errorf("disabled: %d", got)
	}
	if got := begin("lge_guess"); got != 404 {
		t.Errorf("guessed: %d", got)
	}
	if a := o.do("root1", "POST", "/admin/v1/people/"+o.ids["ann"]+"/enrolments", ""); a.status != 422 {
		t.Errorf("for who has a certificate: %d %s", a.status, a.body)
	}
}

func TestPasskeyLies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "drafter")
	begun := o.want(o.do("", "POST", "/auth/v1/passkey/login/begin", ""), 200)
	body := finish(begun.field("ceremony"), p.key.Get(t, begun.raw(t, "options")))
	o.want(o.do("", "POST", "/auth/v1/passkey/login/finish", body), 200)
	if a := o.do("", "POST", "/auth/v1/passkey/login/finish", body); a.status != 401 {
		t.Errorf("an answer counts twice: %d", a.status)
	}
	old := p.key.Copy()
	o.want(o.assert(p.key), 200)
	if a := o.assert(old); a.status != 401 {
		t.Errorf("a copied key signs in: %d", a.status)
	}
	if got := o.refused("counter"); got != 1 {
		t.Errorf("%d refusals of counters on the log", got)
	}
	if a := o.assert(authtest.NewAuthenticator(t, origin)); a.status != 401 {
		t.Errorf("a key that nobody enrolled: %d", a.status)
	}
	p.key.Unverified = true
	if a := o.assert(p.key); a.status != 401 {
		t.Errorf("without user verification: %d", a.status)
	}
	p.key.Unverified = false
	o.want(o.do("root1", "DELETE", "/admin/v1/people/"+p.person+"/passkeys", ""), 200)
	if a := o.assert(p.key); a.status != 401 {
		t.Errorf("a revoked key: %d", a.status)
	}
	if a := p.do("GET", "/auth/v1/session", ""); a.status != 401 {
		t.Errorf("the session outlives its key: %d", a.status)
	}
}

// refused counts the entries of refused accesses for a reason.
func (o *office) refused(rule string) int {
	n := 0
	for _, r := range o.entries("access") {
		if r.Entry.Result == "refused" && r.Entry.Detail["rule"] == rule {
			n++
		}
	}
	return n
}

func TestSessionsEndAndAreBound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "drafter")
	me := func() int { return p.do("GET", "/auth/v1/session", "").status }
	o.ahead.Store(int64(14 * time.Minute))
	if got := me(); got != 200 {
		t.Errorf("after 14 minutes: %d", got)
	}
	o.ahead.Store(int64(28 * time.Minute)) // 14 since the last request
	if got := me(); got != 200 {
		t.Errorf("used again: %d", got)
	}
	o.ahead.Store(int64(28*time.Minute + 15*time.Minute))
	if got := me(); got != 401 {
		t.Errorf("idle: %d", got)
	}
	o.ahead.Store(0)
	p.cookie = cookieOf(o.want(o.assert(p.key), 200))
	for at := time.Duration(0); at < 8*time.Hour; at += 14 * time.Minute {
		o.ahead.Store(int64(at))
		o.want(p.do("GET", "/auth/v1/session", ""), 200)
	}
	o.ahead.Store(int64(8*time.Hour + time.Second))
	if got := me(); got != 401 {
		t.Errorf("after eight hours: %d", got)
	}
	o.ahead.Store(0)
	p.cookie = cookieOf(o.want(o.assert(p.key), 200))
	stolen := o.do("", "GET", "/auth/v1/session", "", "User-Agent: Thief/1.0", "Cookie: "+p.cookie)
	if stolen.status != 401 || me() != 401 || o.refused("binding") != 1 {
		t.Errorf("from another browser: %d, then %d, %d refusals", stolen.status, me(), o.refused("binding"))
	}
}

// A session that began with a client certificate ends without it.
func TestSessionIsBoundToTheCertificate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "drafter")
	begun := o.want(o.do("", "POST", "/auth/v1/passkey/login/begin", ""), 200)
	in := o.want(o.do("mallory", "POST", "/auth/v1/passkey/login/finish", finish(begun.field("ceremony"), p.key.Get(t, begun.raw(t, "options"))), agent), 200)
	for _, tt := range []struct {
		cert string
		want int
	}{{"mallory", 200}, {"ann", 401}, {"mallory", 401}} {
		if a := o.do(tt.cert, "GET", "/auth/v1/session", "", agent, "Cookie: "+cookieOf(in)); a.status != tt.want || a.status == 200 && a.field("name") != "Petra" {
			t.Errorf("with the certificate of %s: %d %s, want %d", tt.cert, a.status, a.body, tt.want)
		}
	}
}

func TestSignOutHereThereEverywhere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "auditor")
	other := &browser{office: o, key: p.key, person: p.person}
	other.cookie = cookieOf(o.want(o.assert(p.key), 200))
	var list struct {
		Items []struct {
			ID      string
			Current bool
		}
	}
	o.must(json.Unmarshal(p.do("GET", "/auth/v1/sessions", "").body, &list))
	if len(list.Items) != 2 || !list.Items[0].Current || list.Items[1].Current {
		t.Fatalf("sessions %+v", list)
	}
	q := o.keyHolder("Quentin", "auditor")
	if a := q.do("DELETE", "/auth/v1/sessions/"+list.Items[1].ID, ""); a.status != 404 {
		t.Errorf("another's session: %d", a.status)
	}
	o.want(p.do("DELETE", "/auth/v1/sessions/"+list.Items[1].ID, ""), 204)
	if a := other.do("GET", "/auth/v1/session", ""); a.status != 401 {
		t.Errorf("revoked: %d", a.status)
	}
	other.cookie = cookieOf(o.want(o.assert(p.key), 200))
	if a := p.do("DELETE", "/auth/v1/sessions", ""); a.status != 200 || a.field("ended") != "2" {
		t.Errorf("everywhere: %d %s", a.status, a.body)
	}
	for _, b := range []*browser{p, other} {
		if a := b.do("GET", "/auth/v1/session", ""); a.status != 401 {
			t.Errorf("after everywhere: %d", a.status)
		}
	}
	if a := o.do("aud", "DELETE", "/admin/v1/people/"+q.person+"/sessions", ""); a.status != 403 {
		t.Errorf("an auditor signs another out: %d", a.status)
	}
	if a := o.do("root1", "DELETE", "/admin/v1/people/"+q.person+"/sessions", ""); a.status != 200 || a.field("ended") != "1" {
		t.Errorf("by the system administrator: %d %s", a.status, a.body)
	}
	p.cookie = cookieOf(o.want(o.assert(p.key), 200))
	o.want(p.do("DELETE", "/auth/v1/session", ""), 204)
	if a := p.do("GET", "/auth/v1/session", ""); a.status != 401 {
		t.Errorf("signed out: %d", a.status)
	}
}

// A cookie alone changes nothing: the browser says that the page is ours.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "drafter")
	for name, tt := range map[string]struct {
		headers []string
		want    int
	}{
		"own page":               {[]string{"Sec-Fetch-Site: same-origin"}, 201},
		"own page, old browser":  {[]string{"Origin: " + origin}, 201},
		"another site":           {[]string{"Sec-Fetch-Site: cross-site", "Origin: " + origin}, 403},
		"same site":              {[]string{"Sec-Fetch-Site: same-site"}, 403},
		"typed address":          {[]string{"Sec-Fetch-Site: none"}, 403},
		"another site, old":      {[]string{"Origin: https://evil.example"}, 403},
		"nothing said":           {nil, 403},
		"origin of a sandbox":    {[]string{"Origin: null"}, 403},
		"origin with other port": {[]string{"Origin: " + origin + ":444"}, 403},
	} {
		a := o.do("", "POST", "/admin/v1/warrants", o.orderBody("L-"+strings.ReplaceAll(name, " ", "-")[:4]+fmt.Sprint(len(name))), append([]string{agent, "Cookie: " + p.cookie}, tt.headers...)...)
		if a.status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, tt.want)
		}
	}
	if a := o.do("", "POST", "/auth/v1/passkey/login/begin", "", "Sec-Fetch-Site: cross-site"); a.status != 403 {
		t.Errorf("sign-in begun by another site: %d", a.status)
	}
	if o.refused("cross-site") == 0 {
		t.Error("nothing on the log")
	}
}

// sign is the approver's signature over a version.
func (b *browser) sign(id string, version int) answer {
	b.t.Helper()
	begun := b.do("POST", "/auth/v1/approvals/begin", fmt.Sprintf(`{"warrant": %q, "version": %d}`, id, version))
	if begun.status != 200 {
		return begun
	}
	return b.do("POST", "/auth/v1/approvals/finish", finish(begun.field("ceremony"), b.key.Get(b.t, begun.raw(b.t, "options"))))
}

func TestApprovalIsSigned(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	paul := o.keyHolder("Paul", "approver")
	id, etag := o.submitted("L-1")
	approve := "/admin/v1/warrants/" + id + "/approve"
	if a := paul.do("POST", approve, typed, "If-Match: "+etag); a.status != 403 || a.field("type") != "urn:ligate:problem:four-eyes" {
		t.Errorf("unsigned: %d %s", a.status, a.body)
	}
	if a := paul.sign(id, 1); a.status != 412 {
		t.Errorf("an older version: %d %s", a.status, a.body)
	}
	signed := paul.sign(id, 2)
	if signed.status != 200 {
		t.Fatalf("sign: %d %s", signed.status, signed.body)
	}
	if a := paul.sign(id, 2); a.status != 409 {
		t.Errorf("signed twice: %d %s", a.status, a.body)
	}
	if a := paul.do("POST", approve, typed, "If-Match: "+etag); a.status != 200 || a.field("state") != "approved" {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	enrolled, sealed := o.entries("passkey.enrol"), o.entries("approval.sign")
	if len(enrolled) != 1 || len(sealed) != 1 || sealed[0].Entry.Detail["public_key"] != enrolled[0].Entry.Detail["public_key"] || sealed[0].Entry.Warrant != "L-1" {
		t.Errorf("the log does not tie the signature to the key: %+v %+v", enrolled, sealed)
	}
	record := o.record(id)
	w, err := o.store.Warrant(t.Context(), warrant.Actor{Person: warrant.Person{ID: "x", Role: warrant.Auditor, Confirmed: true}}, warrant.ID(id))
	o.must(err)
	if err := approval.VerifyOrder(record, testKey(), w.Order); err != nil {
		t.Errorf("the auditor finds: %v", err)
	}
	record.Version++
	if approval.Verify(record) == nil {
		t.Error("the signature holds for another version")
	}
}

// record is what the auditor reads over the API.
func (o *office) record(id string) signin.Approval {
	o.t.Helper()
	var list struct{ Items []approval.Signature }
	o.must(json.Unmarshal(o.want(o.do("aud", "GET", "/auth/v1/approvals/"+id, ""), 200).body, &list))
	if len(list.Items) != 1 {
		o.t.Fatalf("%d signatures", len(list.Items))
	}
	return list.Items[0].Approval()
}

// Who drafted, who is no approver, and who signed another version sign nothing that
// counts.
func TestApprovalsThatAreNotSigned(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	paul, dora := o.keyHolder("Paul", "approver"), o.keyHolder("Dora", "drafter")
	id, _ := o.submitted("L-1")
	if a := dora.sign(id, 2); a.status != 403 {
		t.Errorf("a drafter signs: %d", a.status)
	}
	if a := o.do("bob", "POST", "/auth/v1/approvals/begin", fmt.Sprintf(`{"warrant": %q, "version": 2}`, id)); a.status != 409 {
		t.Errorf("who has no passkey signs: %d", a.status)
	}
	own := paul.do("POST", "/admin/v1/warrants", o.orderBody("L-2")).field("id")
	o.want(paul.do("POST", "/admin/v1/warrants/"+own+"/submit", "", `If-Match: "v1"`), 200)
	if a := paul.sign(own, 2); a.status != 403 || a.field("rule") != "four-eyes" {
		t.Errorf("who drafted signs: %d %s", a.status, a.body)
	}
	begun := paul.do("POST", "/auth/v1/approvals/begin", fmt.Sprintf(`{"warrant": %q, "version": 2}`, id))
	thief := dora.key.Get(t, begun.raw(t, "options"))
	if a := paul.do("POST", "/auth/v1/approvals/finish", finish(begun.field("ceremony"), thief)); a.status != 401 {
		t.Errorf("another's key signs: %d %s", a.status, a.body)
	}
	begun = paul.do("POST", "/auth/v1/approvals/begin", fmt.Sprintf(`{"warrant": %q, "version": 2}`, id))
	if a := dora.do("POST", "/auth/v1/approvals/finish", finish(begun.field("ceremony"), paul.key.Get(t, begun.raw(t, "options")))); a.status != 401 {
		t.Errorf("another finishes: %d %s", a.status, a.body)
	}
	var n int
	o.must(o.pool.QueryRow(t.Context(), "select count(*) from approval_signature").Scan(&n))
	if n != 0 {
		t.Errorf("%d signatures are kept", n)
	}
}

// Approving and purging ask for a second factor that is minutes old at most.
func TestFreshSecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	paul := o.keyHolder("Paul", "approver")
	id, etag := o.submitted("L-1")
	o.want(paul.sign(id, 2), 200)
	o.ahead.Store(int64(6 * time.Minute))
	a := paul.do("POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+etag)
	if a.status != 403 || a.field("type") != "urn:ligate:problem:second-factor-required" || o.refused("second-factor") != 1 {
		t.Errorf("stale: %d %s", a.status, a.body)
	}
	if a := paul.do("POST", "/admin/v1/warrants/"+id+"/purge", `{"reason": "r"}`, "If-Match: "+etag); a.field("type") != "urn:ligate:problem:second-factor-required" {
		t.Errorf("purge: %d %s", a.status, a.body)
	}
	begun := o.want(paul.do("POST", "/auth/v1/step-up/begin", ""), 200)
	o.want(paul.do("POST", "/auth/v1/step-up/finish", finish(begun.field("ceremony"), paul.key.Get(t, begun.raw(t, "options")))), 204)
	o.want(paul.do("POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+etag), 200)
}

package api_test

import (
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/api/auth/password"
	"github.com/ligate/ligate/internal/authtest"
	"github.com/ligate/ligate/warrant/signin"
)

const secretWords = "nobody guesses these words"

// passwordPerson is a person with password and TOTP.
type passwordPerson struct {
	*office
	id, name string
	secret   []byte
	used     int64 // newest step that was shown
}

func (o *office) passwordPerson(name, role string) *passwordPerson {
	o.t.Helper()
	id, token := o.invite(name, role, "password")
	begun := o.want(o.do("", "POST", "/auth/v1/password/enrol/begin", fmt.Sprintf(`{"token": %q, "password": %q}`, token, secretWords)), 200)
	u, err := url.Parse(begun.field("uri"))
	o.must(err)
	p := &passwordPerson{office: o, id: id, name: name}
	p.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	o.must(err)
	o.want(o.do("", "POST", "/auth/v1/password/enrol/finish", fmt.Sprintf(`{"ceremony": %q, "code": %q}`, begun.field("ceremony"), p.code())), 200)
	return p
}

// code is the next code that was not shown yet; time passes for it.
func (p *passwordPerson) code() string {
	step := password.StepAt(p.now())
	if step <= p.used {
		p.ahead.Add(int64(time.Duration(p.used+1-step) * 30 * time.Second))
		step = p.used + 1
	}
	p.used = step
	return password.Code(p.secret, step)
}

// next is a code that counts now and was not shown yet; no time passes.
func (p *passwordPerson) next() string { return password.Code(p.secret, password.StepAt(p.now())+1) }

func (o *office) logIn(name, words, code string) answer {
	o.t.Helper()
	return o.do("", "POST", "/auth/v1/password/login", fmt.Sprintf(`{"name": %q, "password": %q, "code": %q, "bearer": true}`, name, words, code), agent)
}

func TestPasswordAndTOTP(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.passwordPerson("Pia", "auditor")
	code := p.code()
	a := o.logIn("Pia", secretWords, code)
	if a.status != 200 || !strings.HasPrefix(a.field("token"), signin.SessionPrefix) || strings.Contains(a.header.Get("Set-Cookie"), "lgs_") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	bearer := "Authorization: Bearer " + a.field("token")
	if a := o.do("", "GET", "/audit/v1/checkpoint", "", agent, bearer); a.status != 200 {
		t.Errorf("checkpoint: %d", a.status)
	}
	if a := o.logIn("Pia", secretWords, code); a.status != 401 {
		t.Errorf("a code counts twice: %d", a.status)
	}
	var hash string
	var totp []byte
	o.must(o.pool.QueryRow(t.Context(), "select hash, totp from person_password").Scan(&hash, &totp))
	if strings.Contains(hash, secretWords) || strings.Contains(string(totp), string(p.secret)) {
		t.Error("a secret is kept in clear")
	}
}

// No password for who approves; no weak one for anybody.
func TestPasswordsThatAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if a := o.do("root1", "POST", "/admin/v1/people", `{"name": "X", "role": "approver", "signin": "password"}`); a.status != 422 {
		t.Errorf("an approver by password: %d %s", a.status, a.body)
	}
	_, token := o.invite("Pia", "sysadmin", "password")
	for _, weak := range []string{"short", "elevenchars", "aaaaaaaaaaaaaaaa"} {
		if a := o.do("", "POST", "/auth/v1/password/enrol/begin", fmt.Sprintf(`{"token": %q, "password": %q}`, token, weak)); a.status != 422 {
			t.Errorf("%q: %d", weak, a.status)
		}
	}
	_, keyToken := o.invite("Kim", "approver", "passkey")
	if a := o.do("", "POST", "/auth/v1/password/enrol/begin", fmt.Sprintf(`{"token": %q, "password": %q}`, keyToken, secretWords)); a.status != 409 {
		t.Errorf("a password through a passkey's link: %d", a.status)
	}
	if a := o.register(token, "", authtest.NewAuthenticator(t, origin)); a.status != 409 {
		t.Errorf("a passkey through a password's link: %d", a.status)
	}
}

// Failures lock an account, twice as long each time, and a name that nobody has alike.
func TestLockout(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.passwordPerson("Pia", "auditor")
	for _, name := range []string{"Pia", "Nobody"} {
		for i := range signin.FreeAccountFailures {
			if a := o.logIn(name, "not these words at all", "000000"); a.status != 401 || a.field("detail") != "sign-in failed" {
				t.Fatalf("%s, failure %d: %d %s", name, i, a.status, a.body)
			}
		}
		if a := o.logIn(name, secretWords, p.next()); a.status != 429 {
			t.Errorf("%s after %d failures: %d", name, signin.FreeAccountFailures, a.status)
		}
	}
	o.ahead.Add(int64(16 * time.Second))
	if a := o.logIn("Pia", secretWords, "000000"); a.status != 401 {
		t.Errorf("after the delay: %d", a.status)
	}
	o.ahead.Add(int64(16 * time.Second))
	if a := o.logIn("Pia", secretWords, p.next()); a.status != 429 {
		t.Errorf("the delay did not double: %d", a.status)
	}
	o.ahead.Add(int64(31 * time.Second))
	if a := o.logIn("Pia", secretWords, p.code()); a.status != 200 {
		t.Errorf("after the second delay: %d %s", a.status, a.body)
	}
	byPia := 0
	for _, r := range o.entries("access") {
		if r.Entry.Actor == p.id && r.Entry.Result == "refused" {
			byPia++
		}
		if strings.Contains(fmt.Sprint(r.Entry), "Nobody") || strings.Contains(fmt.Sprint(r.Entry), "words") {
			t.Errorf("the log guesses an identity or quotes: %+v", r.Entry)
		}
	}
	if byPia != signin.FreeAccountFailures+1 {
		t.Errorf("%d failures of the account on the log", byPia)
	}
}

func TestAddressIsSlowedDown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	limited := 0
	for range 40 {
		if a := o.do("", "POST", "/auth/v1/passkey/login/begin", ""); a.status == 429 {
			limited++
		}
	}
	if limited < 8 || o.refused("rate") != 1 {
		t.Errorf("%d of 40 limited, %d entries", limited, o.refused("rate"))
	}
	if counted := o.counted("rate"); int(counted) != limited {
		t.Errorf("%v counted, %d limited", counted, limited)
	}
}

// What the domain refuses is counted too, once, and no text makes a server error.
func TestRefusalsOfTheDomainAreCounted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, etag := o.submitted("L-1")
	before := o.counted("rule")
	for range 3 {
		o.want(o.do("root1", "POST", "/admin/v1/warrants/"+id+"/revoke", `{"reason": "r"}`, "If-Match: "+etag), 403)
	}
	o.want(o.do("ann", "GET", "/audit/v1/checkpoint", ""), 403)
	if got := o.counted("rule") - before; got != 3 {
		t.Errorf("%v refusals by rules, want 3", got)
	}
	if got := o.counted("role"); got != 1 || o.refused("role") != 1 {
		t.Errorf("%v refusals of roles counted, %d on the log, want 1", got, o.refused("role"))
	}
	for _, a := range []answer{
		o.do("", "POST", "/auth/v1/password/login", `{"name": "a\u0000b", "password": "x", "code": "1"}`),
		o.do("", "POST", "/auth/v1/passkey/login/finish", `{"ceremony": "a\u0000b", "credential": {}}`),
		o.do("root1", "POST", "/admin/v1/people", `{"name": "a\u0000b", "role": "auditor", "signin": "passkey"}`),
		o.do("root1", "POST", "/admin/v1/people/%00/confirm", ""),
	} {
		if a.status >= 500 {
			t.Errorf("%v: %d %s", a.header, a.status, a.body)
		}
	}
}

// counted is a reason's figure.
func (o *office) counted(reason string) float64 {
	o.t.Helper()
	families, err := o.refusals.Gather()
	o.must(err)
	for _, f := range families {
		for _, m := range f.Metric {
			if len(m.Label) != 1 || m.Label[0].GetName() != "reason" {
				o.t.Errorf("metric %s has labels %v", f.GetName(), m.Label)
			}
			if m.Label[0].GetValue() == reason {
				return m.Counter.GetValue()
			}
		}
	}
	return -1
}

func TestMachineTokenReadsWhatItNames(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	make1 := func(operations string) answer {
		return o.do("root1", "POST", "/admin/v1/tokens", fmt.Sprintf(`{"name": "m", "role": "drafter", "operations": [%s], "expires_at": %q}`, operations, until))
	}
	for _, forbidden := range []string{`"approve-warrant"`, `"list-alarms", "purge-warrant"`, `"create-person"`, `"create-warrant"`} {
		if a := make1(forbidden); a.status != 422 {
			t.Errorf("%s: %d", forbidden, a.status)
		}
	}
	a := o.want(make1(`"list-alarms", "list-warrants"`), 201)
	bearer := "Authorization: Bearer " + a.field("token")
	get := func(path string) int { return o.do("", "GET", path, "", bearer).status }
	if got := get("/admin/v1/alarms"); got != 401 {
		t.Errorf("unconfirmed: %d", got)
	}
	path := "/admin/v1/tokens/" + a.field("id")
	if a := o.do("root1", "POST", path+"/confirm", ""); a.status != 403 {
		t.Errorf("who made it confirms: %d", a.status)
	}
	o.want(o.do("root2", "POST", path+"/confirm", ""), 204)
	for where, want := range map[string]int{"/admin/v1/alarms": 200, "/admin/v1/warrants": 200, "/admin/v1/gateways": 403, "/admin/v1/people": 403, "/auth/v1/session": 403} {
		if got := get(where); got != want {
			t.Errorf("%s: %d, want %d", where, got, want)
		}
	}
	if a := o.do("", "POST", "/admin/v1/warrants", o.orderBody("L-1"), bearer); a.status != 403 {
		t.Errorf("it drafts: %d", a.status)
	}
	if list := o.do("aud", "GET", "/admin/v1/tokens", ""); strings.Contains(string(list.body), "lgm_") {
		t.Error("the token is shown again")
	}
	o.want(o.do("root2", "DELETE", path, ""), 204)
	if got := get("/admin/v1/alarms"); got != 401 {
		t.Errorf("revoked: %d", got)
	}
	if a := o.do("root1", "POST", "/admin/v1/tokens", `{"name": "m", "role": "drafter", "operations": ["list-alarms"], "expires_at": "`+time.Now().Add(91*24*time.Hour).UTC().Format(time.RFC3339)+`"}`); a.status != 422 {
		t.Errorf("91 days: %d", a.status)
	}
}

// One stops, two start again; a clearance ends by itself.
func TestDisabledAndUncleared(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.keyHolder("Petra", "drafter")
	path := "/admin/v1/people/" + p.person
	if a := o.do("ann", "POST", path+"/disable", `{"reason": "r"}`); a.status != 403 {
		t.Errorf("a drafter disables: %d", a.status)
	}
	o.want(o.do("root1", "POST", path+"/disable", `{"reason": "left"}`), 204)
	if a := p.do("GET", "/auth/v1/session", ""); a.status != 401 {
		t.Errorf("her session: %d", a.status)
	}
	if a := o.assert(p.key); a.status != 401 {
		t.Errorf("her key: %d", a.status)
	}
	if a := o.do("root1", "POST", path+"/enable", ""); a.status != 200 || a.field("enabled") != "false" {
		t.Errorf("first: %d %s", a.status, a.body)
	}
	if a := o.do("root1", "POST", path+"/enable", ""); a.status != 403 || a.field("rule") != "four-eyes" {
		t.Errorf("the same twice: %d %s", a.status, a.body)
	}
	if a := o.do("root2", "POST", path+"/enable", ""); a.status != 200 || a.field("enabled") != "true" {
		t.Errorf("second: %d %s", a.status, a.body)
	}
	p.cookie = cookieOf(o.want(o.assert(p.key), 200))

	until := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
	number := o.want(o.do("root1", "POST", path+"/clearances", `{"until": "`+until+`"}`), 201).field("number")
	o.want(o.do("root2", "POST", path+"/clearances/"+number+"/confirm", ""), 204)
	o.want(p.do("GET", "/auth/v1/session", ""), 200)
	o.ahead.Store(int64(11 * time.Minute))
	if a := p.do("GET", "/auth/v1/session", ""); a.status != 401 {
		t.Errorf("past her clearance: %d", a.status)
	}
	o.want(o.do("root1", "POST", "/admin/v1/people/"+o.ids["ann"]+"/disable", `{"reason": "r"}`), 204)
	if a := o.do("ann", "GET", "/admin/v1/warrants", ""); a.status != 401 {
		t.Errorf("a disabled person's certificate: %d", a.status)
	}
}

// The identity provider's subject is pinned through a link, and nothing else signs in.
func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, token := o.invite("Olga", "drafter", "oidc")
	flow := func(token string, claims map[string]any) answer {
		begun := o.want(o.do("", "POST", "/auth/v1/oidc/begin", `{"token": "`+token+`"}`), 200)
		state, code := o.provider.Authorize(begun.field("url"), claims)
		return o.do("", "GET", "/auth/v1/oidc/callback?state="+state+"&code="+code, "", agent, "Cookie: "+cookieOf(begun))
	}
	who := map[string]any{"sub": "olga", "email": "olga@example.net"}
	if a := flow("", who); a.status != 401 {
		t.Errorf("before enrolment: %d", a.status)
	}
	if a := flow(token, who); a.status != 200 {
		t.Fatalf("enrolment: %d %s", a.status, a.body)
	}
	a := flow("", who)
	olga := &browser{office: o, cookie: cookieOf(a)}
	if a.status != 200 || olga.do("GET", "/auth/v1/session", "").field("name") != "Olga" {
		t.Fatalf("sign-in: %d %s", a.status, a.body)
	}
	old := time.Now().Add(-time.Hour).Unix()
	for name, claims := range map[string]map[string]any{
		"another subject with her address": {"sub": "mallory", "email": "olga@example.net"},
		"another audience":                 {"sub": "olga", "aud": "other"},
		"another issuer":                   {"sub": "olga", "iss": "https://evil.example"},
		"another nonce":                    {"sub": "olga", "nonce": "x"},
		"expired":                          {"sub": "olga", "exp": old},
		"signed in an hour ago":            {"sub": "olga", "auth_time": old},
		"no time of sign-in":               {"sub": "olga", "auth_time": nil},
		"for another party":                {"sub": "olga", "azp": "other"},
		"no subject":                       {},
	} {
		if a := flow("", claims); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestIdentityProviderFlowIsBound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, token := o.invite("Olga", "approver", "oidc")
	begin := func(token string) answer {
		return o.want(o.do("", "POST", "/auth/v1/oidc/begin", `{"token": "`+token+`"}`), 200)
	}
	end := func(begun answer, claims map[string]any, cookie string) int {
		state, code := o.provider.Authorize(begun.field("url"), claims)
		return o.do("", "GET", "/auth/v1/oidc/callback?state="+state+"&code="+code, "", agent, "Cookie: "+cookie).status
	}
	strong := map[string]any{"sub": "olga", "amr": []string{"pwd", "hwk"}}
	begun := begin(token)
	if got := end(begun, strong, "__Host-ligate-flow=other"); got != 401 {
		t.Errorf("another browser: %d", got)
	}
	if got := end(begun, strong, cookieOf(begun)); got != 401 {
		t.Errorf("a flow counts twice: %d", got)
	}
	begun = begin(token)
	if got := end(begun, map[string]any{"sub": "olga", "amr": []string{"pwd"}}, cookieOf(begun)); got != 401 {
		t.Errorf("an approver by password at the provider: %d", got)
	}
	begun = begin(token)
	if got := end(begun, strong, cookieOf(begun)); got != 200 {
		t.Errorf("an approver by key: %d", got)
	}
}

package main

import (
	"crypto/tls"
	"encoding/base32"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/api/auth/password"
	"github.com/ligate/ligate/internal/authtest"
)

const pagesOrigin = "https://li.example.net"

// withSignIn turns sign-in beside certificates on.
func (st *story) withSignIn(t *testing.T) {
	t.Helper()
	path := st.path("operator", "ligate.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "reconcile_every: 5s}", `reconcile_every: 5s, sign_in: {origin: "`+pagesOrigin+`"}}`, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil || text == string(b) {
		t.Fatalf("config unchanged, %v", err)
	}
}

// newStoryOfNobody prepares a configuration; nobody is enrolled.
func newStoryOfNobody(t *testing.T) *story {
	t.Helper()
	st := &story{dir: demoDir(t), out: io.Discard, began: time.Now()}
	if err := os.MkdirAll(st.path("operator", "logs"), 0o711); err != nil {
		t.Fatal(err)
	}
	var err error
	if st.world.ports, err = freePorts(); err != nil {
		t.Fatal(err)
	}
	yaml := st.world.ports.yaml(st.dir, strings.Repeat("a", 64))
	if err := os.WriteFile(st.path("operator", "ligate.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := st.cli(t.Context(), "config", "certificates", st.path("operator", "ligate.yaml")); err != nil {
		t.Fatal(err)
	}
	return st
}

// enrolKey registers a passkey through a link at the running API.
func (st *story) enrolKey(t *testing.T, link, name string) (*authtest.Authenticator, error) {
	t.Helper()
	api := apiFlags{API: st.api, Server: st.server}.with(tls.Certificate{}, "")
	_, token, _ := strings.Cut(link, "#")
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/register/begin", map[string]any{"token": token, "name": name}, &begun); err != nil {
		return nil, err
	}
	key := authtest.NewAuthenticator(t, pagesOrigin)
	answer := map[string]any{"ceremony": begun.Ceremony, "credential": key.Create(t, begun.Options)}
	_, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/register/finish", answer, nil)
	return key, err
}

// signIn gives a session's token.
func (st *story) signIn(t *testing.T, key *authtest.Authenticator) *apiClient {
	t.Helper()
	api := apiFlags{API: st.api, Server: st.server}.with(tls.Certificate{}, "")
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/login/begin", nil, &begun); err != nil {
		t.Fatal(err)
	}
	var in struct{ Token string }
	answer := map[string]any{"ceremony": begun.Ceremony, "credential": key.Get(t, begun.Options), "bearer": true}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/login/finish", answer, &in); err != nil {
		t.Fatal(err)
	}
	api.token = in.Token
	return api
}

// A person from invitation to sign-out, and a machine's token, from a shell.
func TestPeopleFromAShell(t *testing.T) {
	st := newStory(t)
	st.withSignIn(t)
	st.inProcess(t)
	must := func(who string, args ...string) string {
		t.Helper()
		out, err := st.cli(t.Context(), st.as(who, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := must("root1", "people", "invite", "--name", "Petra", "--role", "auditor")
	id, link := field(out, "person"), field(out, "link")
	confirm := regexp.MustCompile(`people confirm \S+ --link (\S+)`).FindStringSubmatch(out)
	if !strings.HasPrefix(link, pagesOrigin+"/console/enrol#lge_") || confirm == nil {
		t.Fatalf("invitation:\n%s", out)
	}
	if _, err := st.enrolKey(t, link, ""); err == nil {
		t.Error("the link counts unconfirmed")
	}
	if _, err := st.cli(t.Context(), st.as("root1", "people", "confirm", id)...); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("who invited confirms: %v", err)
	}
	must("root2", "people", "confirm", id, "--link", confirm[1])
	key, err := st.enrolKey(t, link, "")
	if err != nil {
		t.Fatal(err)
	}
	petra := st.signIn(t, key)
	if _, err := petra.ask(t.Context(), http.MethodGet, "/audit/v1/checkpoint", nil); err != nil {
		t.Error(err)
	}
	if out := must("root1", "people", "sessions", id); strings.Count(out, "\n") != 2 || !strings.Contains(out, "passkey") {
		t.Errorf("sessions:\n%s", out)
	}
	if out := must("root2", "people", "revoke-sessions", id); out != "1 sessions ended\n" {
		t.Errorf("revoked: %s", out)
	}
	if _, err := petra.ask(t.Context(), http.MethodGet, "/auth/v1/session", nil); err == nil {
		t.Error("the session goes on")
	}
	must("root1", "people", "disable", id, "--reason", "left")
	if out := must("root1", "people", "list"); !regexp.MustCompile(id + ` +auditor +passkey +disabled`).MatchString(out) {
		t.Errorf("list:\n%s", out)
	}
	must("root1", "people", "enable", id)
	if out := must("root2", "people", "enable", id, "--json"); strings.TrimSpace(out) != `{"enabled":true}` {
		t.Errorf("enabled: %s", out)
	}
	st.machineFromAShell(t, must)
	st.passwordFromAShell(t, must)
}

// Who has a password signs in from a shell too.
func (st *story) passwordFromAShell(t *testing.T, must func(string, ...string) string) {
	t.Helper()
	out := must("root1", "people", "invite", "--name", "Pia", "--role", "auditor", "--sign-in", "password")
	must("root2", "people", "confirm", field(out, "person"), "--link", regexp.MustCompile(`--link (\S+)`).FindStringSubmatch(out)[1])
	api := apiFlags{API: st.api, Server: st.server}.with(tls.Certificate{}, "")
	_, token, _ := strings.Cut(field(out, "link"), "#")
	var begun struct{ Ceremony, URI string }
	words := map[string]any{"token": token, "password": "nobody guesses these words"}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/password/enrol/begin", words, &begun); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(begun.URI)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	if err != nil {
		t.Fatal(err)
	}
	step := password.StepAt(time.Now())
	first := map[string]any{"ceremony": begun.Ceremony, "code": password.Code(secret, step)}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/password/enrol/finish", first, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(st.path("secret"), []byte("nobody guesses these words\n"+password.Code(secret, step+1)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := []string{"people", "login", "--name", "Pia", "--secret", st.path("secret"), "--out", st.path("pia"), "--api", st.api, "--server", st.server}
	if _, err := st.cli(t.Context(), login...); err != nil {
		t.Fatal(err)
	}
	if _, err := st.cli(t.Context(), "people", "list", "--api", st.api, "--server", st.server, "--token", st.path("pia")); err != nil {
		t.Error(err)
	}
	if _, err := st.cli(t.Context(), append(login[:7:7], st.path("pia2"), "--api", st.api, "--server", st.server)...); err == nil {
		t.Error("a code counts twice")
	}
	if _, err := os.Stat(st.path("pia2")); err == nil {
		t.Error("a file is left where no token is")
	}
}

func (st *story) machineFromAShell(t *testing.T, must func(string, ...string) string) {
	t.Helper()
	out := must("root1", "people", "token", "add", "--name", "monitor", "--role", "auditor", "--operation", "list-people")
	must("root2", "people", "token", "confirm", field(out, "id"))
	file := st.path("token")
	if err := os.WriteFile(file, []byte(field(out, "token")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := []string{"--api", st.api, "--server", st.server, "--token", file}
	if out, err := st.cli(t.Context(), append([]string{"people", "list"}, with...)...); err != nil || !strings.Contains(out, "passkey") || strings.Contains(out, "Petra") {
		t.Errorf("by token, without the names that auditors do not see: %v\n%s", err, out)
	}
	if _, err := st.cli(t.Context(), append([]string{"people", "token", "list"}, with...)...); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("what it does not name: %v", err)
	}
	must("root1", "people", "token", "revoke", field(out, "id"))
	if _, err := st.cli(t.Context(), append([]string{"people", "list"}, with...)...); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("revoked: %v", err)
	}
}

// An approver signs with a passkey and approves from a shell; the auditor checks the
// signature without us.
func TestSignedApprovalIsCheckedOffline(t *testing.T) {
	st := newStory(t)
	st.withSignIn(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := st.cli(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := must(st.as("root1", "people", "invite", "--name", "Paul", "--role", "approver")...)
	must(st.as("root2", "people", "confirm", field(out, "person"), "--link", regexp.MustCompile(`--link (\S+)`).FindStringSubmatch(out)[1])...)
	key, err := st.enrolKey(t, field(out, "link"), "")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	out = must(st.as("ann", "warrant", "draft", "--liid", "L-1", "--authority", "Court", "--reference", "1", "--legal-basis", "test",
		"--agency", st.agencyID, "--scope", "iri", "--until", until, "--target", aliceNumber)...)
	id := field(out, "id")
	must(st.as("ann", "warrant", "submit", id)...)
	paul := st.signIn(t, key)
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if _, err := paul.do(t.Context(), http.MethodPost, "/auth/v1/approvals/begin", map[string]any{"warrant": id, "version": 2}, &begun); err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{"ceremony": begun.Ceremony, "credential": key.Get(t, begun.Options)}
	if _, err := paul.do(t.Context(), http.MethodPost, "/auth/v1/approvals/finish", answer, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(st.path("token"), []byte(paul.token), 0o600); err != nil {
		t.Fatal(err)
	}
	must("warrant", "approve", id, "--until", until, "--target", aliceNumber, "--api", st.api, "--server", st.server, "--token", st.path("token"))
	aud, err := st.client("aud")
	if err != nil {
		t.Fatal(err)
	}
	record, err := aud.ask(t.Context(), http.MethodGet, "/auth/v1/approvals/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		record string
		good   bool
	}{"as it came": {string(record), true}, "changed": {strings.Replace(string(record), `"version":2`, `"version":3`, 1), false}} {
		if err := os.WriteFile(st.path("approvals.json"), []byte(tt.record), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := st.cli(t.Context(), "people", "verify", st.path("approvals.json")); (err == nil) != tt.good || strings.Contains(out, "holds") != tt.good {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// The first start of a fresh installation shows the link of the first two, once; who
// uses it first can do nothing alone.
func TestBootstrapLink(t *testing.T) {
	st := newStoryOfNobody(t)
	st.withSignIn(t)
	links := regexp.MustCompile(`https://\S+#lge_\S+`)
	ended := func(c child) string {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, c.err)
		}
		return c.err.String()
	}
	link := links.FindString(ended(st.spawn(t)))
	if b, err := os.ReadFile(st.path("operator", "logs", "ligate.log")); err != nil || link == "" || strings.Contains(string(b), "lge_") {
		t.Fatalf("link %q; the log has it or is not there: %v", link, err)
	}
	second := st.spawn(t)
	defer func() {
		if links.MatchString(ended(second)) {
			t.Error("a second link is shown while the first counts")
		}
	}()
	first, err := st.enrolKey(t, link, "One")
	if err != nil {
		t.Fatal(err)
	}
	api := apiFlags{API: st.api, Server: st.server}.with(tls.Certificate{}, "")
	var begun struct {
		Ceremony string
		Options  json.RawMessage
	}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/login/begin", nil, &begun); err != nil {
		t.Fatal(err)
	}
	alone := map[string]any{"ceremony": begun.Ceremony, "credential": first.Get(t, begun.Options)}
	if _, err := api.do(t.Context(), http.MethodPost, "/auth/v1/passkey/login/finish", alone, nil); err == nil {
		t.Error("one alone signs in")
	}
	if _, err := st.enrolKey(t, link, "Two"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.enrolKey(t, link, "Three"); err == nil {
		t.Error("a third enrols")
	}
	if _, err := st.signIn(t, first).ask(t.Context(), http.MethodGet, peoplePath, nil); err != nil {
		t.Error(err)
	}
}

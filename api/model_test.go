package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/crowd"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// Random people do random things to a few warrants over the API, with real TLS and
// Postgres: among them who may not, who is not confirmed, an agency, and who is not known.
func TestRandomPeopleOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := &byRequests{office: o, clients: map[string]*http.Client{}, orders: map[warrant.ID]warrant.Order{}}
	c := &crowd.Crowd{
		Acts: a, Store: o.store, Pool: o.pool, Log: o.log, Agency: warrant.AgencyID(o.agencies["Police"]), Now: func() time.Time { return o.now().UTC() },
		Wait: func(d time.Duration) { o.ahead.Add(int64(d)) }, Beside: []string{"warrant.read", "evidence.purge"},
	}
	for name, role := range map[string]warrant.Role{"ann": warrant.Drafter, "bob": warrant.Approver, "aud": warrant.Auditor, "root1": warrant.Sysadmin} {
		c.People = append(c.People, a.actor(name, role, true))
	}
	for name, role := range map[string]warrant.Role{"carl": warrant.Approver, "dora": warrant.Drafter} {
		o.join(name, role)
		c.People = append(c.People, a.actor(name, role, true))
	}
	o.propose("eve", warrant.Approver) // nobody confirms her
	c.People = append(c.People, a.actor("eve", warrant.Approver, false), a.actor("ina", 0, false), a.actor("mallory", 0, false))
	p := o.do("ann", "POST", "/admin/v1/protected-numbers", `{"identity": "+4930555009", "kind": "lawyer"}`)
	if p = o.do("bob", "POST", "/admin/v1/protected-numbers/"+p.field("id")+"/confirm", ""); p.status != http.StatusOK {
		t.Fatalf("protect: %d %s", p.status, p.body)
	}
	c.Run(t)
}

// invite adds a person whom somebody else has to confirm.
func (o *office) propose(name string, role warrant.Role) {
	o.t.Helper()
	var err error
	o.certs[name], err = pki.LoadOrCreate(o.t.TempDir(), name, pki.Spec{CommonName: name})
	o.must(err)
	body := fmt.Sprintf(`{"name": %q, "role": %q, "certificate": %q}`, name, role.String(), pki.Fingerprint(o.certs[name].Certificate[0]))
	added := o.do("root1", "POST", "/admin/v1/people", body)
	if added.status != http.StatusCreated {
		o.t.Fatalf("add %s: %d %s", name, added.status, added.body)
	}
	o.ids[name] = added.field("id")
}

func (o *office) join(name string, role warrant.Role) {
	o.t.Helper()
	o.propose(name, role)
	if a := o.do("root2", "POST", "/admin/v1/people/"+o.ids[name]+"/confirm", ""); a.status >= 300 {
		o.t.Fatalf("confirm %s: %d %s", name, a.status, a.body)
	}
}

// byRequests does what people do by requests.
type byRequests struct {
	*office
	clients map[string]*http.Client
	orders  map[warrant.ID]warrant.Order // as they stand: the API does not show them to all
}

// actor is a person of the office; the Name finds the certificate.
func (a *byRequests) actor(name string, role warrant.Role, confirmed bool) warrant.Actor {
	t := &http.Transport{TLSClientConfig: pki.Client(a.certs[name], pki.Fingerprint(a.own.Certificate[0]))}
	a.t.Cleanup(t.CloseIdleConnections)
	a.clients[name] = &http.Client{Transport: t}
	return warrant.Actor{Person: warrant.Person{ID: warrant.PersonID(a.ids[name]), Name: name, Role: role, Confirmed: confirmed}}
}

// send asks and gives the answer's body, or what a refusal means.
func (a *byRequests) send(ctx context.Context, by warrant.Actor, method, path string, version int, body any) (answer, error) {
	text, err := json.Marshal(body)
	a.must(err)
	req, err := http.NewRequestWithContext(ctx, method, a.url+"/admin/v1/warrants"+path, strings.NewReader(string(text)))
	a.must(err)
	req.Header.Set("Content-Type", "application/json")
	if version > 0 {
		req.Header.Set("If-Match", fmt.Sprintf(`"v%d"`, version))
	}
	got := a.exchange(a.clients[by.Name], req)
	kind := strings.TrimPrefix(got.field("type"), "urn:ligate:problem:")
	switch {
	case got.status < 300:
		return got, nil
	case got.status == http.StatusUnauthorized, !by.Confirmed && got.status == http.StatusForbidden:
		return got, crowd.ErrStranger
	case kind == "stale-version":
		return got, warrant.ErrVersion
	case got.status == http.StatusForbidden:
		return got, warrant.ErrForbidden
	case got.status == http.StatusConflict, got.status == http.StatusUnprocessableEntity:
		return got, &warrant.RuleError{Reason: kind}
	}
	return got, fmt.Errorf("%s %s: %d %s", method, path, got.status, got.body)
}

// warrant is an answer's, with the order as it stands.
func (a *byRequests) warrant(got answer) warrant.Warrant {
	var v struct {
		ID          string
		Version     int
		State       string
		Provisional bool
	}
	a.must(json.Unmarshal(got.body, &v))
	w := warrant.Warrant{ID: warrant.ID(v.ID), Version: v.Version, Order: a.orders[warrant.ID(v.ID)]}
	w.Provisional = v.Provisional
	var err error
	w.State, err = warrant.ParseState(v.State)
	a.must(err)
	return w
}

func orderOf(o warrant.Order) map[string]any {
	body := map[string]any{
		"liid": o.LIID, "authority": o.Authority, "reference": o.Reference, "legal_basis": o.LegalBasis, "agency_id": o.AgencyID,
		"targets": numbers(o.Targets), "scope": o.Scope.String(), "from": o.From, "until": o.Until,
	}
	if o.Provisional {
		body["provisional"], body["original_due"] = true, o.OriginalDue
	}
	return body
}

func numbers(ids []li.Identity) []string {
	var all []string
	for _, id := range ids {
		all = append(all, "+"+id.Reveal())
	}
	return all
}

func (a *byRequests) CreateDraft(ctx context.Context, by warrant.Actor, o warrant.Order, _ string) (warrant.Warrant, error) {
	got, err := a.send(ctx, by, "POST", "", 0, orderOf(o))
	if err != nil {
		return warrant.Warrant{}, err
	}
	a.orders[warrant.ID(got.field("id"))] = o
	return a.warrant(got), nil
}

func (a *byRequests) Update(ctx context.Context, by warrant.Actor, id warrant.ID, version int, o warrant.Order) (warrant.Warrant, error) {
	o.LIID = a.orders[id].LIID // never changes
	got, err := a.send(ctx, by, "PATCH", "/"+string(id), version, orderOf(o))
	if err != nil {
		return warrant.Warrant{}, err
	}
	a.orders[id] = o
	return a.warrant(got), nil
}

// act is an act on a warrant.
func (a *byRequests) act(ctx context.Context, by warrant.Actor, id warrant.ID, version int, verb string, body any) (warrant.Warrant, error) {
	got, err := a.send(ctx, by, "POST", "/"+string(id)+"/"+verb, version, body)
	if err != nil {
		return warrant.Warrant{}, err
	}
	return a.warrant(got), nil
}

func why(reason string) map[string]any { return map[string]any{"reason": reason} }

func (a *byRequests) Submit(ctx context.Context, by warrant.Actor, id warrant.ID, version int) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "submit", map[string]any{})
}

func (a *byRequests) Approve(ctx context.Context, by warrant.Actor, id warrant.ID, version int, typed warrant.Retyped) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "approve", map[string]any{"targets": numbers(typed.Targets), "until": typed.Until})
}

func (a *byRequests) Reject(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "reject", why(reason))
}

func (a *byRequests) Suspend(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "suspend", why(reason))
}

func (a *byRequests) Resume(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "resume", why(reason))
}

func (a *byRequests) Revoke(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "revoke", why(reason))
}

func (a *byRequests) Narrow(ctx context.Context, by warrant.Actor, id warrant.ID, version int, keep []li.Identity, scope warrant.Scope, reason string) (warrant.Warrant, error) {
	body := why(reason)
	o := a.orders[id]
	if keep != nil {
		body["targets"], o.Targets = numbers(keep), keep
	}
	if scope != 0 {
		body["scope"], o.Scope = scope.String(), scope
	}
	w, err := a.act(ctx, by, id, version, "narrow", body)
	if err == nil {
		a.orders[id], w.Targets, w.Scope = o, o.Targets, o.Scope
	}
	return w, err
}

func (a *byRequests) ConfirmOriginal(ctx context.Context, by warrant.Actor, id warrant.ID, version int, sha256 string) (warrant.Warrant, error) {
	return a.act(ctx, by, id, version, "confirm-original", map[string]any{"sha256": sha256})
}

func (a *byRequests) RequestPurge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	var before string
	a.must(a.pool.QueryRow(ctx, "select state from warrant where id = $1", id).Scan(&before))
	w, err := a.act(ctx, by, id, version, "purge", why(reason))
	if err == nil && before == warrant.Purged.String() {
		return w, crowd.ErrNothing
	}
	return w, err
}

func (a *byRequests) Purge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error) {
	return a.RequestPurge(ctx, by, id, version, reason)
}

// held is an act on a hold.
func (a *byRequests) held(ctx context.Context, by warrant.Actor, path string, body any) (warrant.Hold, error) {
	got, err := a.send(ctx, by, "POST", path, 0, body)
	if err != nil {
		return warrant.Hold{}, err
	}
	var v struct {
		ID               string `json:"id"`
		SetBy            string `json:"set_by"`
		ConfirmedBy      string `json:"confirmed_by"`
		ReleasedBy       string `json:"released_by"`
		ReleaseConfirmer string `json:"release_confirmed_by"`
		InForce          bool   `json:"in_force"`
	}
	a.must(json.Unmarshal(got.body, &v))
	h := warrant.Hold{
		ID: v.ID, SetBy: warrant.PersonID(v.SetBy), ConfirmedBy: warrant.PersonID(v.ConfirmedBy), ReleasedBy: warrant.PersonID(v.ReleasedBy),
		ReleaseConfirmer: warrant.PersonID(v.ReleaseConfirmer),
	}
	if h.InForce() != v.InForce {
		a.t.Errorf("a hold in force %t: %s", h.InForce(), got.body)
	}
	return h, nil
}

func (a *byRequests) SetHold(ctx context.Context, by warrant.Actor, id warrant.ID, reason string) (warrant.Hold, error) {
	return a.held(ctx, by, "/"+string(id)+"/holds", why(reason))
}

func (a *byRequests) ConfirmHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error) {
	return a.held(ctx, by, "/"+string(id)+"/holds/"+hold+"/confirm", map[string]any{})
}

func (a *byRequests) ReleaseHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold, reason string) (warrant.Hold, error) {
	return a.held(ctx, by, "/"+string(id)+"/holds/"+hold+"/release", why(reason))
}

func (a *byRequests) ConfirmRelease(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error) {
	return a.held(ctx, by, "/"+string(id)+"/holds/"+hold+"/confirm-release", map[string]any{})
}

package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

type personView struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Role         string     `json:"role"`
	SignIn       string     `json:"signin"`
	Certificate  string     `json:"certificate,omitempty"`
	Confirmed    bool       `json:"confirmed"`
	Disabled     bool       `json:"disabled"`
	ClearedUntil *time.Time `json:"cleared_until" doc:"null = no end"`
	CreatedAt    time.Time  `json:"created_at"`
}

func viewPerson(p warrant.Person) personView {
	v := personView{
		ID: string(p.ID), Name: p.Name, Role: p.Role.String(), SignIn: string(p.SignIn), Certificate: p.Cert, Confirmed: p.Confirmed,
		Disabled: p.Disabled, CreatedAt: p.CreatedAt,
	}
	if !p.ClearedUntil.IsZero() {
		v.ClearedUntil = &p.ClearedUntil
	}
	return v
}

type agencyPerson struct {
	Name        string `json:"name" minLength:"1" maxLength:"200"`
	Certificate string `json:"certificate" pattern:"^[0-9a-f]{64}$" doc:"SHA-256 of the DER certificate"`
}

type agencyView struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Country    string         `json:"country"`
	Recipients []string       `json:"recipients"`
	People     []agencyPerson `json:"people"`
	Confirmed  bool           `json:"confirmed"`
	CreatedAt  time.Time      `json:"created_at"`
}

func viewAgency(a warrant.Agency) agencyView {
	v := agencyView{ID: string(a.ID), Name: a.Name, Country: a.Country, Recipients: a.Recipients, Confirmed: a.Confirmed, CreatedAt: a.CreatedAt}
	for _, u := range a.People {
		v.People = append(v.People, agencyPerson{Name: u.Name, Certificate: u.Cert})
	}
	return v
}

type idInput struct {
	ID string `path:"id" maxLength:"64"`
}

type personOutput struct{ Body personView }

type peopleOutput struct {
	Body struct {
		Items []personView `json:"items"`
	}
}

type agencyOutput struct{ Body agencyView }

type agenciesOutput struct {
	Body struct {
		Items []agencyView `json:"items"`
	}
}

type newPerson struct {
	Body struct {
		Name         string    `json:"name" minLength:"1" maxLength:"200"`
		Role         string    `json:"role" enum:"drafter,approver,auditor,sysadmin"`
		SignIn       string    `json:"signin,omitempty" enum:"certificate,passkey,password,oidc" doc:"the one way in which this person signs in; default certificate"`
		Certificate  string    `json:"certificate,omitempty" pattern:"^([0-9a-f]{64})?$" doc:"SHA-256 of the DER certificate; for signin certificate only"`
		ClearedUntil time.Time `json:"cleared_until,omitzero" doc:"may not sign in from then on; default no end"`
	}
}

type newAgency struct {
	Body struct {
		Name       string         `json:"name" minLength:"1" maxLength:"200"`
		Country    string         `json:"country" pattern:"^[A-Z]{2}$"`
		Recipients []string       `json:"recipients" minItems:"1" maxItems:"10" doc:"age recipients"`
		People     []agencyPerson `json:"people" minItems:"1" maxItems:"100"`
	}
}

func (h *handlers) registerPeople(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/people", "list-people", "The operator's staff"), h.listPeople)
	huma.Register(api, op(http.MethodPost, "/people", "create-person", "Add a person; another system administrator confirms"), h.addPerson)
	huma.Register(api, op(http.MethodPost, "/people/{id}/confirm", "confirm-person", "Confirm a person as the second system administrator"), h.confirmPerson)
	huma.Register(api, op(http.MethodGet, "/agencies", "list-agencies", "Agencies and their keys"), h.listAgencies)
	huma.Register(api, op(http.MethodPost, "/agencies", "create-agency", "Add an agency; another person confirms"), h.addAgency)
	huma.Register(api, op(http.MethodPost, "/agencies/{id}/confirm", "confirm-agency", "Confirm an agency as the second person"), h.confirmAgency)
}

func (h *handlers) listPeople(ctx context.Context, _ *struct{}) (*peopleOutput, error) {
	c, err := auth.Require(ctx, auth.Sysadmin, auth.Auditor)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(actor(c), "people.read")); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.People(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &peopleOutput{}
	out.Body.Items = make([]personView, len(all))
	for i, p := range all {
		out.Body.Items[i] = viewPerson(p)
		if c.Role == auth.Auditor { // sees pseudonyms; POST /audit/v1/unmask tells a name
			out.Body.Items[i].Name, out.Body.Items[i].Certificate = "", ""
		}
	}
	return out, nil
}

func (h *handlers) addPerson(ctx context.Context, in *newPerson) (*personOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	role, err := warrant.ParseRole(in.Body.Role)
	if err != nil {
		return nil, problem.From(err)
	}
	p, err := h.cfg.Store.AddPerson(ctx, by, warrant.Person{
		Name: in.Body.Name, Role: role, SignIn: warrant.SignIn(in.Body.SignIn), Cert: in.Body.Certificate, ClearedUntil: in.Body.ClearedUntil.UTC(),
	})
	if err != nil {
		return nil, problem.From(err)
	}
	return &personOutput{Body: viewPerson(p)}, nil
}

func (h *handlers) confirmPerson(ctx context.Context, in *idInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmPerson(ctx, by, warrant.PersonID(in.ID)))
}

func (h *handlers) listAgencies(ctx context.Context, _ *struct{}) (*agenciesOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(by, "agencies.read")); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.Agencies(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &agenciesOutput{}
	out.Body.Items = make([]agencyView, len(all))
	for i, a := range all {
		out.Body.Items[i] = viewAgency(a)
		if by.Role == warrant.Auditor {
			for n := range out.Body.Items[i].People {
				out.Body.Items[i].People[n].Name = ""
			}
		}
	}
	return out, nil
}

func (h *handlers) addAgency(ctx context.Context, in *newAgency) (*agencyOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.CheckKeys(in.Body.Recipients); err != nil {
		return nil, problem.New(http.StatusUnprocessableEntity, problem.Invalid, "recipients: want age recipients as ligate agency keygen prints them")
	}
	a := warrant.Agency{Name: in.Body.Name, Country: in.Body.Country, Recipients: in.Body.Recipients}
	for _, p := range in.Body.People {
		a.People = append(a.People, warrant.AgencyUser{Name: p.Name, Cert: p.Certificate})
	}
	a, err = h.cfg.Store.AddAgency(ctx, by, a)
	if err != nil {
		return nil, problem.From(err)
	}
	return &agencyOutput{Body: viewAgency(a)}, nil
}

func (h *handlers) confirmAgency(ctx context.Context, in *idInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmAgency(ctx, by, warrant.AgencyID(in.ID)))
}

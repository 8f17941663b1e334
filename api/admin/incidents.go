package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

func (h *handlers) registerIncidents(api huma.API) {
	const incident = "/incidents/{id}"
	huma.Register(api, acting(api, http.MethodPost, "/incidents", "create-incident", "Open an incident: an error, an unauthorised interception, a leak"), h.openIncident)
	huma.Register(api, op(http.MethodGet, "/incidents", "list-incidents", "Incidents, newest first"), h.incidents)
	huma.Register(api, op(http.MethodGet, incident, "get-incident", "An incident with its report, and who must be told until when"), h.incident)
	huma.Register(api, acting(api, http.MethodPost, incident+"/acts", "create-incident-act", "What was done about an incident, or who was told"), h.actOnIncident)
	huma.Register(api, acting(api, http.MethodPost, incident+"/close", "close-incident", "Close an incident with its cause, as the first of two"), h.closeIncident)
	huma.Register(api, acting(api, http.MethodPost, incident+"/confirm-close", "confirm-close-incident", "Close an incident as the second person"), h.confirmClose)
}

type dueView struct {
	To     string    `json:"to"`
	Within string    `json:"within"`
	Due    time.Time `json:"due"`
	Form   string    `json:"form"`
	Source string    `json:"source" doc:"statute and section"`
}

func showDue(all []pgstore.DueNotice) []dueView {
	views := make([]dueView, len(all))
	for i, d := range all {
		views[i] = dueView(d)
	}
	return views
}

type actView struct {
	Number int       `json:"number"`
	Kind   string    `json:"kind" enum:"action,told,close,confirm-close"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	MadeAt time.Time `json:"made_at"`
}

type incidentView struct {
	ID       string    `json:"id"`
	Closed   bool      `json:"closed"`
	FoundAt  time.Time `json:"found_at"`
	What     string    `json:"what"`
	OpenedBy string    `json:"opened_by"`
	OpenedAt time.Time `json:"opened_at"`
	Acts     []actView `json:"acts"`
	Due      []dueView `json:"due" doc:"who must be told, by the profile"`
	Report   *formView `json:"report,omitempty" doc:"of one incident, not in lists"`
}

func (h *handlers) showIncident(i warrant.Incident) incidentView {
	v := incidentView{
		ID: i.ID, Closed: i.Closed(), FoundAt: i.FoundAt, What: i.What, OpenedBy: string(i.OpenedBy), OpenedAt: i.OpenedAt,
		Acts: make([]actView, len(i.Acts)), Due: showDue(h.cfg.Store.IncidentNotices(i)),
	}
	for n, a := range i.Acts {
		v.Acts[n] = actView{Number: a.Number, Kind: string(a.Kind), Text: a.Text, At: a.At.UTC(), By: string(a.By), MadeAt: a.MadeAt.UTC()}
	}
	return v
}

func (h *handlers) answerIncident(i warrant.Incident, err error) (*one[incidentView], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	v := h.showIncident(i)
	report, err := showForm(h.cfg.Store.IncidentForm(i))
	v.Report = &report
	return oneOf(v, err)
}

type incidentInput struct {
	Body struct {
		FoundAt      time.Time `json:"found_at"`
		FoundHow     string    `json:"found_how" minLength:"1" maxLength:"2000"`
		What         string    `json:"what" minLength:"1" maxLength:"2000" doc:"what happened, and how"`
		Warrants     []string  `json:"warrants,omitempty" maxItems:"1000" doc:"LIIDs"`
		Intrusion    string    `json:"intrusion" enum:"yes,no,not yet known"`
		Unauthorised []string  `json:"unauthorised,omitempty" maxItems:"1000" doc:"numbers, if there was intrusion"`
		Actions      []string  `json:"actions" minItems:"1" maxItems:"100" doc:"what was done at once"`
	}
}

func (h *handlers) openIncident(ctx context.Context, in *incidentInput) (*one[incidentView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	i := warrant.Incident{FoundAt: b.FoundAt, FoundHow: b.FoundHow, What: b.What, Intrusion: b.Intrusion, Unauthorised: b.Unauthorised}
	for _, l := range b.Warrants {
		i.Warrants = append(i.Warrants, li.LIID(l))
	}
	return h.answerIncident(h.cfg.Store.OpenIncident(ctx, by, i, b.Actions))
}

func (h *handlers) incidents(ctx context.Context, _ *struct{}) (*list[incidentView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Incidents(ctx, by)
	return listOf(all, err, h.showIncident)
}

func (h *handlers) incident(ctx context.Context, in *idInput) (*one[incidentView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return h.answerIncident(h.cfg.Store.Incident(ctx, by, in.ID))
}

type incidentActInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Kind string    `json:"kind" enum:"action,told"`
		Text string    `json:"text" minLength:"1" maxLength:"2000" doc:"what was done, or who was told"`
		At   time.Time `json:"at,omitempty" doc:"when; left out: now"`
	}
}

func (h *handlers) actOnIncident(ctx context.Context, in *incidentActInput) (*one[incidentView], error) {
	return h.act(ctx, in.ID, warrant.IncidentAct{Kind: warrant.IncidentActKind(in.Body.Kind), Text: in.Body.Text, At: in.Body.At})
}

type closeIncidentInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Intrusion    string   `json:"intrusion" enum:"yes,no"`
		Unauthorised []string `json:"unauthorised,omitempty" maxItems:"1000" doc:"numbers, if there was intrusion"`
		RootCause    string   `json:"root_cause" minLength:"1" maxLength:"2000"`
		Prevention   string   `json:"prevention" minLength:"1" maxLength:"2000"`
	}
}

func (h *handlers) closeIncident(ctx context.Context, in *closeIncidentInput) (*one[incidentView], error) {
	b := in.Body
	return h.act(ctx, in.ID, warrant.IncidentAct{
		Kind: warrant.IncidentClose, Intrusion: b.Intrusion, Unauthorised: b.Unauthorised, RootCause: b.RootCause, Prevention: b.Prevention,
	})
}

func (h *handlers) confirmClose(ctx context.Context, in *idInput) (*one[incidentView], error) {
	return h.act(ctx, in.ID, warrant.IncidentAct{Kind: warrant.IncidentConfirmClose})
}

func (h *handlers) act(ctx context.Context, id string, a warrant.IncidentAct) (*one[incidentView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return h.answerIncident(h.cfg.Store.ActOnIncident(ctx, by, id, a))
}

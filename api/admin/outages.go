package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant/pgstore"
)

func (h *handlers) registerOutages(api huma.API) {
	huma.Register(api, acting(api, http.MethodPost, "/outages", "create-outage", "Declare an outage; makes a notice for each agency whose measures suffer"), h.declareOutage)
	huma.Register(api, op(http.MethodGet, "/outages", "list-outages", "Outages, newest first"), h.outages)
	huma.Register(api, op(http.MethodGet, "/outages/{id}", "get-outage", "An outage with the text of its notices, which an officer sends"), h.outage)
	huma.Register(api, acting(api, http.MethodPost, "/outages/{id}/recovery", "recover-outage", "End an outage; makes the second notice for each agency"), h.recoverOutage)
}

type noticeView struct {
	Number   int       `json:"number"`
	AgencyID string    `json:"agency_id"`
	MadeAt   time.Time `json:"made_at"`
	formView
}

type outageView struct {
	ID          string       `json:"id"`
	Kind        string       `json:"kind"`
	Effect      string       `json:"effect"`
	Began       time.Time    `json:"began"`
	ExpectedEnd time.Time    `json:"expected_end"`
	Recovered   *time.Time   `json:"recovered" doc:"null: it lasts"`
	Missing     string       `json:"missing"`
	DeclaredBy  string       `json:"declared_by"`
	DeclaredAt  time.Time    `json:"declared_at"`
	Due         []dueView    `json:"due" doc:"who must be told, by the profile"`
	Notices     []noticeView `json:"notices,omitempty" doc:"of one outage, not in lists"`
}

func (h *handlers) showOutage(o pgstore.Outage) outageView {
	return outageView{
		ID: o.ID, Kind: o.Kind, Effect: o.Effect, Began: o.Began, ExpectedEnd: o.ExpectedEnd, Recovered: utc(o.Recovered), Missing: o.Missing,
		DeclaredBy: string(o.DeclaredBy), DeclaredAt: o.DeclaredAt, Due: showDue(h.cfg.Store.OutageNotices(o)),
	}
}

func (h *handlers) answerOutage(o pgstore.Outage, err error) (*one[outageView], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	v := h.showOutage(o)
	for _, n := range o.Notices {
		f, err := n.Form()
		if err != nil {
			return nil, problem.From(err)
		}
		shown, err := showForm(f)
		if err != nil {
			return nil, problem.From(err)
		}
		v.Notices = append(v.Notices, noticeView{Number: n.Number, AgencyID: string(n.AgencyID), MadeAt: n.MadeAt.UTC(), formView: shown})
	}
	return oneOf(v, nil)
}

type outageInput struct {
	Body struct {
		Kind        string    `json:"kind" minLength:"1" maxLength:"2000" doc:"of the fault, or the reason of the interruption"`
		Effect      string    `json:"effect" minLength:"1" maxLength:"2000" doc:"on running measures"`
		Began       time.Time `json:"began"`
		ExpectedEnd time.Time `json:"expected_end"`
		Contact     string    `json:"contact" minLength:"1" maxLength:"2000" doc:"whom the agencies reach"`
	}
}

func (h *handlers) declareOutage(ctx context.Context, in *outageInput) (*one[outageView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	return h.answerOutage(h.cfg.Store.DeclareOutage(ctx, by, pgstore.Outage{
		Kind: b.Kind, Effect: b.Effect, Began: b.Began, ExpectedEnd: b.ExpectedEnd, Contact: b.Contact,
	}))
}

func (h *handlers) outages(ctx context.Context, _ *struct{}) (*list[outageView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Outages(ctx, by)
	return listOf(all, err, h.showOutage)
}

func (h *handlers) outage(ctx context.Context, in *idInput) (*one[outageView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return h.answerOutage(h.cfg.Store.Outage(ctx, by, in.ID))
}

type recoveryInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		RecoveredAt time.Time `json:"recovered_at"`
		Missing     string    `json:"missing" minLength:"1" maxLength:"2000" doc:"what was not delivered, or: nothing"`
	}
}

func (h *handlers) recoverOutage(ctx context.Context, in *recoveryInput) (*one[outageView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return h.answerOutage(h.cfg.Store.RecoverOutage(ctx, by, in.ID, in.Body.RecoveredAt, in.Body.Missing))
}

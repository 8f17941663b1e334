package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

func (h *handlers) registerHolds(api huma.API) {
	const hold = "/warrants/{id}/holds/{hold}"
	huma.Register(api, op(http.MethodPost, "/warrants/{id}/holds", "create-hold", "Keep a warrant from being purged, from now on"), h.setHold)
	huma.Register(api, op(http.MethodGet, "/warrants/{id}/holds", "list-holds", "Legal holds of a warrant"), h.holds)
	huma.Register(api, acting(api, http.MethodPost, hold+"/confirm", "confirm-hold", "Confirm a hold as the second person"), h.confirmHold)
	huma.Register(api, acting(api, http.MethodPost, hold+"/release", "release-hold", "Ask for the release of a hold; it stays in force"), h.releaseHold)
	huma.Register(api, acting(api, http.MethodPost, hold+"/confirm-release", "confirm-release-hold", "Release a hold as the second person"), h.confirmRelease)
}

type holdView struct {
	ID               string    `json:"id"`
	InForce          bool      `json:"in_force"`
	Reason           string    `json:"reason"`
	SetBy            string    `json:"set_by"`
	SetAt            time.Time `json:"set_at"`
	ConfirmedBy      string    `json:"confirmed_by"`
	ReleasedBy       string    `json:"released_by"`
	ReleaseReason    string    `json:"release_reason"`
	ReleaseConfirmer string    `json:"release_confirmed_by"`
}

func showHold(h warrant.Hold) holdView {
	return holdView{
		ID: h.ID, InForce: h.InForce(), Reason: h.Reason, SetBy: string(h.SetBy), SetAt: h.SetAt.UTC(), ConfirmedBy: string(h.ConfirmedBy),
		ReleasedBy: string(h.ReleasedBy), ReleaseReason: h.ReleaseReason, ReleaseConfirmer: string(h.ReleaseConfirmer),
	}
}

// ReasonBody says why.
type ReasonBody struct {
	Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"stands on the audit log; never a target"`
}

type setHoldInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body ReasonBody
}

type holdInput struct {
	ID   string `path:"id" maxLength:"64"`
	Hold string `path:"hold" maxLength:"64"`
}

type releaseHoldInput struct {
	ID   string `path:"id" maxLength:"64"`
	Hold string `path:"hold" maxLength:"64"`
	Body ReasonBody
}

type holdOutput struct{ Body holdView }

func answerHold(hold warrant.Hold, err error) (*holdOutput, error) {
	if err != nil {
		return nil, problem.From(err)
	}
	return &holdOutput{Body: showHold(hold)}, nil
}

func (h *handlers) setHold(ctx context.Context, in *setHoldInput) (*holdOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerHold(h.cfg.Store.SetHold(ctx, by, warrant.ID(in.ID), in.Body.Reason))
}

func (h *handlers) confirmHold(ctx context.Context, in *holdInput) (*holdOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerHold(h.cfg.Store.ConfirmHold(ctx, by, warrant.ID(in.ID), in.Hold))
}

func (h *handlers) releaseHold(ctx context.Context, in *releaseHoldInput) (*holdOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerHold(h.cfg.Store.ReleaseHold(ctx, by, warrant.ID(in.ID), in.Hold, in.Body.Reason))
}

func (h *handlers) confirmRelease(ctx context.Context, in *holdInput) (*holdOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerHold(h.cfg.Store.ConfirmRelease(ctx, by, warrant.ID(in.ID), in.Hold))
}

type holdsOutput struct {
	Body struct {
		Items []holdView `json:"items"`
	}
}

func (h *handlers) holds(ctx context.Context, in *idInput) (*holdsOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Holds(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &holdsOutput{}
	out.Body.Items = make([]holdView, len(all))
	for i, hold := range all {
		out.Body.Items[i] = showHold(hold)
	}
	return out, nil
}

package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

func (h *handlers) registerProtected(api huma.API) {
	huma.Register(api, acting(api, http.MethodPost, "/protected-numbers", "create-protected-number", "Protect a number: a warrant on it takes a third approval"), h.protect)
	huma.Register(api, op(http.MethodGet, "/protected-numbers", "list-protected-numbers", "Protected numbers"), h.protected)
	huma.Register(api, acting(api, http.MethodPost, "/protected-numbers/{id}/confirm", "confirm-protected-number", "Confirm a protected number as the second person"), h.confirmProtected)
	huma.Register(api, acting(api, http.MethodPost, "/protected-numbers/{id}/remove", "remove-protected-number", "Remove a protected number; takes two people, one after the other"), h.unprotect)
}

type protectedView struct {
	ID             string    `json:"id"`
	Identity       string    `json:"identity"`
	Kind           string    `json:"kind"`
	AddedBy        string    `json:"added_by"`
	AddedAt        time.Time `json:"added_at"`
	ConfirmedBy    string    `json:"confirmed_by"`
	RemovedBy      string    `json:"removed_by"`
	RemovalConfirm string    `json:"removal_confirmed_by"`
}

func showProtected(p warrant.ProtectedNumber) protectedView {
	return protectedView{
		ID: p.ID, Identity: reveal(p.Identity), Kind: p.Kind, AddedBy: string(p.AddedBy), AddedAt: p.AddedAt.UTC(), ConfirmedBy: string(p.ConfirmedBy),
		RemovedBy: string(p.RemovedBy), RemovalConfirm: string(p.RemovalConfirm),
	}
}

type protectInput struct {
	Body struct {
		Identity string `json:"identity" minLength:"1" maxLength:"500" doc:"E.164 number or SIP URI"`
		Kind     string `json:"kind" enum:"lawyer,press,clergy,own,other"`
	}
}

type protectedOutput struct{ Body protectedView }

func answerProtected(p warrant.ProtectedNumber, err error) (*protectedOutput, error) {
	if err != nil {
		return nil, problem.From(err)
	}
	return &protectedOutput{Body: showProtected(p)}, nil
}

func (h *handlers) protect(ctx context.Context, in *protectInput) (*protectedOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := h.targets([]string{in.Body.Identity})
	if err != nil {
		return nil, problem.From(err)
	}
	return answerProtected(h.cfg.Store.Protect(ctx, by, ids[0], in.Body.Kind))
}

func (h *handlers) confirmProtected(ctx context.Context, in *idInput) (*protectedOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerProtected(h.cfg.Store.ConfirmProtected(ctx, by, in.ID))
}

func (h *handlers) unprotect(ctx context.Context, in *idInput) (*protectedOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerProtected(h.cfg.Store.Unprotect(ctx, by, in.ID))
}

type protectedListOutput struct {
	Body struct {
		Items []protectedView `json:"items"`
	}
}

func (h *handlers) protected(ctx context.Context, _ *struct{}) (*protectedListOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.ProtectedNumbers(ctx, by)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &protectedListOutput{}
	out.Body.Items = make([]protectedView, len(all))
	for i, p := range all {
		out.Body.Items[i] = showProtected(p)
	}
	return out, nil
}

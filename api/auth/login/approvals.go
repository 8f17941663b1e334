package login

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth/approval"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

func (h *handlers) registerApprovals(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/approvals/begin", "begin-approval", "Begin to sign the version of a warrant that waits for approval"), h.beginApproval)
	huma.Register(api, op(http.MethodPost, "/approvals/finish", "finish-approval", "Sign it with your passkey; approve it then"), h.finishApproval)
	huma.Register(api, op(http.MethodGet, "/approvals/{id}", "list-approvals", "Signatures over a warrant's versions, to be checked offline"), h.approvals)
}

type beginApprovalInput struct {
	Body struct {
		Warrant string `json:"warrant" maxLength:"64"`
		Version int    `json:"version" minimum:"1" maximum:"2147483647" doc:"the version that you read"`
	}
}

func (h *handlers) beginApproval(ctx context.Context, in *beginApprovalInput) (*ceremonyOutput, error) {
	_, by, err := h.keyHolder(ctx)
	if err != nil {
		return nil, err
	}
	id, options, err := h.cfg.Approvals.Begin(ctx, by, warrant.ID(in.Body.Warrant), in.Body.Version)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &ceremonyOutput{}
	out.Body.Ceremony, out.Body.Options = id, options
	return out, nil
}

type approvalOutput struct{ Body approval.Signature }

func (h *handlers) finishApproval(ctx context.Context, in *finishInput) (*approvalOutput, error) {
	c, by, err := h.keyHolder(ctx)
	if err != nil {
		return nil, err
	}
	a, err := h.cfg.Approvals.Finish(ctx, by, c.SessionID, in.Body.Ceremony, in.Body.Credential)
	if err != nil {
		return nil, h.refusedKey(ctx, err, by.ID, "finish-approval")
	}
	return &approvalOutput{Body: approval.NewSignature(a)}, nil
}

type approvalsInput struct {
	ID string `path:"id" maxLength:"64"`
}

type approvalsOutput struct {
	Body struct {
		Items []approval.Signature `json:"items"`
	}
}

func (h *handlers) approvals(ctx context.Context, in *approvalsInput) (*approvalsOutput, error) {
	_, by, err := person(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Approvals(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &approvalsOutput{}
	out.Body.Items = make([]approval.Signature, len(all))
	for i, a := range all {
		out.Body.Items[i] = approval.NewSignature(a)
	}
	return out, nil
}

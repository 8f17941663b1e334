package login

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

func (h *handlers) registerApprovals(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/approvals/begin", "begin-approval", "Begin to sign the version of a warrant that waits for approval"), h.beginApproval)
	huma.Register(api, op(http.MethodPost, "/approvals/finish", "finish-approval", "Sign it with your passkey; approve it then"), h.finishApproval)
	huma.Register(api, op(http.MethodGet, "/approvals/{id}", "list-approvals", "Signatures over a warrant's versions, to be checked offline"), h.approvals)
}

type beginApprovalInput struct {
	Body struct {
		Warrant string `json:"warrant" maxLength:"64"`
		Version int    `json:"version" minimum:"1" doc:"the version that you read"`
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

type approvalBody struct {
	Warrant           string    `json:"warrant"`
	Version           int       `json:"version"`
	Person            string    `json:"person"`
	OrderHash         string    `json:"order_hash" doc:"HMAC-SHA-256, hexadecimal"`
	Nonce             string    `json:"nonce" doc:"hexadecimal"`
	RPID              string    `json:"rp_id"`
	Origin            string    `json:"origin"`
	CredentialID      string    `json:"credential_id" doc:"base64url, as the rest"`
	PublicKey         string    `json:"public_key" doc:"COSE"`
	AuthenticatorData string    `json:"authenticator_data"`
	ClientData        string    `json:"client_data"`
	Signature         string    `json:"signature"`
	CreatedAt         time.Time `json:"created_at"`
}

func viewApproval(a signin.Approval) approvalBody {
	b64 := base64.RawURLEncoding.EncodeToString
	return approvalBody{
		Warrant: string(a.WarrantID), Version: a.Version, Person: string(a.PersonID), OrderHash: hex.EncodeToString(a.OrderHash),
		Nonce: hex.EncodeToString(a.Nonce), RPID: a.RPID, Origin: a.Origin, CredentialID: b64(a.CredentialID), PublicKey: b64(a.PublicKey),
		AuthenticatorData: b64(a.AuthenticatorData), ClientData: b64(a.ClientData), Signature: b64(a.Signature), CreatedAt: a.CreatedAt,
	}
}

type approvalOutput struct{ Body approvalBody }

func (h *handlers) finishApproval(ctx context.Context, in *finishInput) (*approvalOutput, error) {
	c, by, err := h.keyHolder(ctx)
	if err != nil {
		return nil, err
	}
	a, err := h.cfg.Approvals.Finish(ctx, by, c.SessionID, in.Body.Ceremony, in.Body.Credential)
	if err != nil {
		return nil, h.refusedKey(ctx, err, by.ID, "finish-approval")
	}
	return &approvalOutput{Body: viewApproval(a)}, nil
}

type approvalsInput struct {
	ID string `path:"id" maxLength:"64"`
}

type approvalsOutput struct {
	Body struct {
		Items []approvalBody `json:"items"`
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
	out.Body.Items = make([]approvalBody, len(all))
	for i, a := range all {
		out.Body.Items[i] = viewApproval(a)
	}
	return out, nil
}

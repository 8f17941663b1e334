package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

func (h *handlers) registerTokens(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/tokens", "list-tokens", "Machine tokens, newest first"), h.listTokens)
	huma.Register(api, op(http.MethodPost, "/tokens", "create-token", "Make a machine token that reads what it names; another system administrator confirms"), h.addToken)
	huma.Register(api, op(http.MethodPost, "/tokens/{id}/confirm", "confirm-token", "Confirm a machine token as the second system administrator"), h.confirmToken)
	huma.Register(api, op(http.MethodDelete, "/tokens/{id}", "revoke-token", "End a machine token at once; one system administrator suffices"), h.revokeToken)
}

type tokenView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Operations []string   `json:"operations"`
	Confirmed  bool       `json:"confirmed"`
	AddedBy    string     `json:"added_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Token      string     `json:"token,omitempty" doc:"for Authorization: Bearer; shown once, when it is made"`
}

func viewToken(t signin.MachineToken) tokenView {
	v := tokenView{
		ID: t.ID, Name: t.Name, Role: t.Role.String(), Operations: t.Operations, Confirmed: t.Confirmed, AddedBy: string(t.AddedBy),
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
	}
	if !t.RevokedAt.IsZero() {
		v.RevokedAt = &t.RevokedAt
	}
	return v
}

type newToken struct {
	Body struct {
		Name       string    `json:"name" minLength:"1" maxLength:"200"`
		Role       string    `json:"role" enum:"drafter,auditor,sysadmin" doc:"it reads at most what this role reads"`
		Operations []string  `json:"operations" minItems:"1" maxItems:"200" doc:"operation ids that begin with list, get, prove or export"`
		ExpiresAt  time.Time `json:"expires_at" doc:"within 90 days"`
	}
}

type tokenOutput struct{ Body tokenView }

type tokensOutput struct {
	Body struct {
		Items []tokenView `json:"items"`
	}
}

func (h *handlers) listTokens(ctx context.Context, _ *struct{}) (*tokensOutput, error) {
	c, err := auth.Require(ctx, auth.Sysadmin, auth.Auditor)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(actor(c), "tokens.read")); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.MachineTokens(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &tokensOutput{}
	out.Body.Items = make([]tokenView, len(all))
	for i, t := range all {
		out.Body.Items[i] = viewToken(t)
	}
	return out, nil
}

func (h *handlers) addToken(ctx context.Context, in *newToken) (*tokenOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	role, err := warrant.ParseRole(in.Body.Role)
	if err != nil {
		return nil, problem.From(err)
	}
	text, hash := signin.NewSecret(signin.MachinePrefix)
	t, err := h.cfg.Store.AddMachineToken(ctx, by, signin.MachineToken{
		Name: in.Body.Name, Role: role, Operations: in.Body.Operations, ExpiresAt: in.Body.ExpiresAt,
	}, hash)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &tokenOutput{Body: viewToken(t)}
	out.Body.Token = text
	return out, nil
}

func (h *handlers) confirmToken(ctx context.Context, in *idInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmMachineToken(ctx, by, in.ID))
}

func (h *handlers) revokeToken(ctx context.Context, in *idInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.RevokeMachineToken(ctx, by, in.ID))
}

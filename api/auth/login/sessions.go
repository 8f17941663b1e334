package login

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

func (h *handlers) registerSessions(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/session", "get-signin", "Who you are"), h.whoAmI)
	huma.Register(api, op(http.MethodDelete, "/session", "sign-out", "End this session"), h.signOut)
	huma.Register(api, op(http.MethodGet, "/sessions", "list-signins", "Your sessions"), h.sessions)
	huma.Register(api, op(http.MethodDelete, "/sessions", "sign-out-everywhere", "End all your sessions"), h.everywhere)
	huma.Register(api, op(http.MethodDelete, "/sessions/{id}", "revoke-signin", "End one of your sessions"), h.revoke)
	huma.Register(api, op(http.MethodPost, "/step-up/begin", "begin-step-up", "Begin to show your passkey again"), h.beginStepUp)
	huma.Register(api, op(http.MethodPost, "/step-up/finish", "finish-step-up", "Show your passkey again: the second factor is fresh"), h.finishStepUp)
}

// person admits the operator's people, not machines.
func person(ctx context.Context) (auth.Caller, warrant.Actor, error) {
	c, err := auth.Require(ctx, auth.Drafter, auth.Approver, auth.Auditor, auth.Sysadmin)
	if err == nil && c.Scope != nil {
		err = problem.New(http.StatusForbidden, problem.Forbidden, "a machine has no sessions")
	}
	return c, warrant.Actor{Person: c.Person, Source: c.Source}, err
}

type whoOutput struct {
	Body struct {
		Person  string `json:"person"`
		Name    string `json:"name"`
		Role    string `json:"role"`
		SignIn  string `json:"signin"`
		Session string `json:"session,omitempty" doc:"empty for who shows a certificate"`
	}
}

func (h *handlers) whoAmI(ctx context.Context, _ *struct{}) (*whoOutput, error) {
	c, _, err := person(ctx)
	if err != nil {
		return nil, err
	}
	out := &whoOutput{}
	out.Body.Person, out.Body.Name, out.Body.Role = string(c.Person.ID), c.Name, string(c.Role)
	out.Body.SignIn, out.Body.Session = string(c.Person.SignIn), c.SessionID
	return out, nil
}

type goneOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (h *handlers) signOut(ctx context.Context, _ *struct{}) (*goneOutput, error) {
	c, by, err := person(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.EndSession(ctx, by, by.ID, c.SessionID); err != nil {
		return nil, problem.From(err)
	}
	return &goneOutput{SetCookie: gone()}, nil
}

type sessionsOutput struct {
	Body struct {
		Items []sessionBody `json:"items"`
	}
}

func (h *handlers) sessions(ctx context.Context, _ *struct{}) (*sessionsOutput, error) {
	c, by, err := person(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Sessions(ctx, by.ID, h.cfg.Idle)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &sessionsOutput{}
	out.Body.Items = make([]sessionBody, len(all))
	for i, s := range all {
		out.Body.Items[i] = viewSession(s, c.SessionID)
	}
	return out, nil
}

type endedOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      struct {
		Ended int `json:"ended"`
	}
}

func (h *handlers) everywhere(ctx context.Context, _ *struct{}) (*endedOutput, error) {
	_, by, err := person(ctx)
	if err != nil {
		return nil, err
	}
	n, err := h.cfg.Store.EndSessions(ctx, by, by.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &endedOutput{SetCookie: gone()}
	out.Body.Ended = n
	return out, nil
}

type revokeInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (h *handlers) revoke(ctx context.Context, in *revokeInput) (*struct{}, error) {
	_, by, err := person(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.EndSession(ctx, by, by.ID, in.ID))
}

// again is what a step-up remembers.
type again struct {
	State     json.RawMessage `json:"state"`
	SessionID string          `json:"session"`
}

func (h *handlers) beginStepUp(ctx context.Context, _ *struct{}) (*ceremonyOutput, error) {
	c, by, err := h.keyHolder(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := h.cfg.Store.Passkeys(ctx, by.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	options, state, err := h.cfg.RP.Begin(by.Person, keys, nil)
	if err != nil {
		return nil, problem.From(err)
	}
	return h.begin(ctx, "step-up", again{State: state, SessionID: c.SessionID}, options)
}

// keyHolder admits who is signed in by passkey.
func (h *handlers) keyHolder(ctx context.Context) (auth.Caller, warrant.Actor, error) {
	c, by, err := person(ctx)
	if err == nil && (c.SessionID == "" || by.SignIn != warrant.ByPasskey) {
		err = problem.New(http.StatusConflict, problem.Conflict, "only who is signed in by passkey has one to show")
	}
	return c, by, err
}

func (h *handlers) finishStepUp(ctx context.Context, in *finishInput) (*struct{}, error) {
	const operation = "finish-step-up"
	c, by, err := h.keyHolder(ctx)
	if err != nil {
		return nil, err
	}
	var a again
	if err := h.end(ctx, "step-up", in.Body.Ceremony, &a); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLogin, by.ID, operation)
	}
	if a.SessionID != c.SessionID {
		return nil, h.failed(ctx, auth.BadLogin, by.ID, operation)
	}
	keys, err := h.cfg.Store.Passkeys(ctx, by.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	signed, err := h.cfg.RP.Finish(by.Person, keys, a.State, in.Body.Credential)
	if err != nil {
		return nil, h.refusedKey(ctx, err, by.ID, operation)
	}
	return nil, problem.From(h.cfg.Store.Proved(ctx, by, c.SessionID, signed.Key))
}

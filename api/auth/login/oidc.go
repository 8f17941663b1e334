package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/auth/oidc"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// flowCookie binds a flow to the browser in which it began. It comes back from the
// provider's site, so it cannot be Strict; it is worth nothing without the flow.
const flowCookie = "__Host-ligate-flow"

// CallbackPath is where the identity provider sends the browser back.
const CallbackPath = "/auth/v1/oidc/callback"

func (h *handlers) registerOIDC(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/oidc/begin", "begin-oidc", "Begin to sign in, or with a link to enrol, at the identity provider"), h.beginOIDC)
	huma.Register(api, op(http.MethodGet, "/oidc/callback", "finish-oidc", "Where the identity provider sends the browser back"), h.finishOIDC)
}

type beginOIDCInput struct {
	Body struct {
		Token string `json:"token,omitempty" maxLength:"100" doc:"of an enrolment link; empty signs in"`
	}
}

type beginOIDCOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      struct {
		URL string `json:"url" doc:"send the browser there"`
	}
}

// flow is what a sign-in at the provider remembers.
type flow struct {
	oidc.Flow

	Browser   []byte           `json:"browser"` // hash of the cookie
	Enrolment string           `json:"enrolment,omitempty"`
	PersonID  warrant.PersonID `json:"person,omitempty"`
}

func (h *handlers) beginOIDC(ctx context.Context, in *beginOIDCInput) (*beginOIDCOutput, error) {
	f := flow{Flow: oidc.NewFlow()}
	if in.Body.Token != "" {
		en, p, err := h.link(ctx, in.Body.Token, "begin-oidc")
		if err != nil {
			return nil, err
		}
		if p.SignIn != warrant.ByOIDC {
			if p.ID == "" {
				p.SignIn = warrant.ByPasskey // the bootstrap link
			}
			return nil, anotherWay(p)
		}
		f.Enrolment, f.PersonID = en.ID, p.ID
	}
	cookie, hash := signin.NewSecret("")
	f.Browser = hash
	begun, err := h.begin(ctx, "oidc", f, nil)
	if err != nil {
		return nil, err
	}
	out := &beginOIDCOutput{}
	if out.Body.URL, err = h.cfg.Provider.URL(ctx, f.Flow, begun.Body.Ceremony); err != nil {
		return nil, away(err)
	}
	out.SetCookie = http.Cookie{
		Name: flowCookie, Value: cookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(ceremonyValid / time.Second),
	}
	return out, nil
}

func away(err error) error {
	if errors.Is(err, oidc.ErrAway) {
		return problem.New(http.StatusServiceUnavailable, problem.Unavailable, "the identity provider does not answer: try again later")
	}
	return problem.From(err)
}

type finishOIDCInput struct {
	State  string `query:"state" maxLength:"100"`
	Code   string `query:"code" maxLength:"4000"`
	Cookie string `cookie:"__Host-ligate-flow"`
}

func (h *handlers) finishOIDC(ctx context.Context, in *finishOIDCInput) (*signedInOutput, error) {
	const operation = "finish-oidc"
	if err := h.notLocked(ctx, operation); err != nil {
		return nil, err
	}
	var f flow
	if err := h.end(ctx, "oidc", in.State, &f); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLogin, "", operation)
	}
	if subtle.ConstantTimeCompare(signin.Hash(in.Cookie), f.Browser) != 1 {
		return nil, h.failed(ctx, auth.BadBinding, "", operation)
	}
	id, err := h.cfg.Provider.Finish(ctx, f.Flow, in.Code)
	if errors.Is(err, oidc.ErrRefused) {
		return nil, h.failed(ctx, auth.BadLogin, f.PersonID, operation)
	}
	if err != nil {
		return nil, away(err)
	}
	p, err := h.subject(ctx, f, id)
	if err != nil {
		return nil, h.notFound(ctx, err, auth.BadLogin, f.PersonID, operation)
	}
	if p.Role == warrant.Approver && !id.Strong {
		return nil, h.failed(ctx, auth.StaleFactor, p.ID, operation)
	}
	out, err := h.open(ctx, p, warrant.ByOIDC, nil, false)
	return out, problem.From(err)
}

// subject finds who an identity is. With a link the subject is pinned first.
func (h *handlers) subject(ctx context.Context, f flow, id oidc.Identity) (warrant.Person, error) {
	if f.Enrolment == "" {
		return h.cfg.Store.PersonBySubject(ctx, id.Issuer, id.Subject)
	}
	p, err := h.cfg.Store.ActivePerson(ctx, f.PersonID)
	if err != nil {
		return p, err
	}
	if p.Role == warrant.Approver && !id.Strong {
		return p, nil // refused by the caller; the link stays
	}
	return p, h.cfg.Store.EnrolSubject(ctx, p, f.Enrolment, id.Issuer, id.Subject, auth.ClientFrom(ctx).Source)
}

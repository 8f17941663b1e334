// Package login is /auth/v1: how staff enrol, sign in, show themselves again, sign
// approvals, and look after their sessions. JSON only; pages are the console's.
//
// Invariants:
//   - Nothing is enrolled but through a link that one system administrator issued and
//     another confirmed, once, in time; or through the bootstrap link, while nobody is
//     known.
//   - An answer does not tell whether an account exists.
//   - A ceremony counts once, whatever came of it.
//   - Each refusal is counted and recorded; what proves somebody never is.
package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/auth/approval"
	"github.com/ligate/ligate/api/auth/oidc"
	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/api/auth/password"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/signin"
)

// Config is what the sign-in API needs; fields without a default are required.
type Config struct {
	Store     *pgstore.Store
	RP        *passkey.RP
	Approvals *approval.Service
	Provider  *oidc.Provider // nil = no identity provider
	SealKey   []byte         // of TOTP secrets: 32 octets
	Idle      time.Duration  // default 15m
	Absolute  time.Duration  // default 8h, at most 24h
	Log       *slog.Logger
	Now       func() time.Time // default time.Now

	Refusals *auth.Refusals // set by package api
}

const (
	sealKeyBytes  = 32
	ceremonyValid = 5 * time.Minute
)

// Validate checks the configuration and fills in defaults.
func (c *Config) Validate() error {
	if c.Store == nil || c.RP == nil || c.Approvals == nil || c.Log == nil || len(c.SealKey) != sealKeyBytes {
		return errors.New("login: Store, RP, Approvals, Log and a SealKey of 32 octets are required")
	}
	if c.Idle == 0 {
		c.Idle = signin.DefaultIdle
	}
	if c.Absolute == 0 {
		c.Absolute = signin.DefaultAbsolute
	}
	if c.Idle < 0 || c.Absolute < c.Idle || c.Absolute > signin.MaxAbsolute {
		return errors.New("login: want 0 < Idle <= Absolute <= 24h")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

type handlers struct {
	cfg    Config
	hasher *password.Hasher
}

// Register adds the operations: those that need no session to open, the others to
// guarded. cfg was validated.
func Register(open, guarded huma.API, cfg Config) {
	h := &handlers{cfg: cfg, hasher: password.NewHasher()}
	h.registerPasskeys(open)
	h.registerPasswords(open)
	if cfg.Provider != nil {
		h.registerOIDC(open)
	}
	h.registerSessions(guarded)
	h.registerApprovals(guarded)
}

func op(method, path, id, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: "/auth/v1" + path, OperationID: id, Summary: summary, Tags: []string{"auth"}}
}

// refuse counts and records a refusal at a door; who is empty unless the account is
// known to exist.
func (h *handlers) refuse(ctx context.Context, why auth.Reason, who warrant.PersonID, operation string) {
	h.cfg.Refusals.Refuse(ctx, auth.Refused{Why: why, Who: string(who), Object: operation, Source: auth.ClientFrom(ctx).Source})
}

func addressSubject(source string) string { return "address:" + source }

// notLocked refuses who failed too often, from an address or on an account.
func (h *handlers) notLocked(ctx context.Context, operation string, subjects ...string) error {
	until, err := h.cfg.Store.LockedUntil(ctx, append(subjects, addressSubject(auth.ClientFrom(ctx).Source))...)
	if err != nil {
		return problem.From(err)
	}
	if until.IsZero() {
		return nil
	}
	h.refuse(ctx, auth.Locked, "", operation)
	return problem.New(http.StatusTooManyRequests, problem.TooMany, "too many failures: wait, at most an hour")
}

// failed counts a failure and answers it: all look alike.
func (h *handlers) failed(ctx context.Context, why auth.Reason, who warrant.PersonID, operation string, account ...string) error {
	h.refuse(ctx, why, who, operation)
	if err := h.cfg.Store.Failed(ctx, addressSubject(auth.ClientFrom(ctx).Source), signin.FreeAddressFailures); err != nil {
		return problem.From(err)
	}
	for _, a := range account {
		if err := h.cfg.Store.Failed(ctx, a, signin.FreeAccountFailures); err != nil {
			return problem.From(err)
		}
	}
	if why == auth.BadLink {
		return problem.New(http.StatusNotFound, problem.NotFound, "this link does not count: it is used, too old, or a second system administrator has yet to confirm it")
	}
	return problem.New(http.StatusUnauthorized, problem.Unauthorised, "sign-in failed")
}

// link finds the enrolment whose token somebody shows.
func (h *handlers) link(ctx context.Context, token, operation string) (signin.Enrolment, warrant.Person, error) {
	if err := h.notLocked(ctx, operation); err != nil {
		return signin.Enrolment{}, warrant.Person{}, err
	}
	en, err := h.cfg.Store.EnrolmentByToken(ctx, signin.Hash(token))
	if errors.Is(err, warrant.ErrNotFound) {
		return en, warrant.Person{}, h.failed(ctx, auth.BadLink, "", operation)
	}
	if err != nil || en.PersonID == "" {
		return en, warrant.Person{}, problem.From(err)
	}
	p, err := h.cfg.Store.ActivePerson(ctx, en.PersonID)
	return en, p, problem.From(err)
}

// anotherWay is the answer to who enrols what is not theirs.
func anotherWay(p warrant.Person) error {
	return problem.New(http.StatusConflict, problem.Conflict, "this link enrols for sign-in by "+string(p.SignIn))
}

type sessionBody struct {
	ID           string    `json:"id"`
	Method       string    `json:"method"`
	Source       string    `json:"source"`
	CreatedAt    time.Time `json:"created_at"`
	SeenAt       time.Time `json:"seen_at"`
	ExpiresAt    time.Time `json:"expires_at" doc:"the absolute end; without requests it ends earlier"`
	SecondFactor time.Time `json:"second_factor_at"`
	Current      bool      `json:"current"`
}

func viewSession(s signin.Session, current string) sessionBody {
	return sessionBody{
		ID: s.ID, Method: string(s.Method), Source: s.Source, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt, ExpiresAt: s.ExpiresAt,
		SecondFactor: s.SecondFactorAt, Current: s.ID == current,
	}
}

type signedInOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      struct {
		Session sessionBody `json:"session"`
		Person  string      `json:"person"`
		Role    string      `json:"role"`
		Token   string      `json:"token,omitempty" doc:"for Authorization: Bearer, where that was asked for; shown once"`
	}
}

// open keeps a sign-in. With bearer the token is in the body, else in a cookie that
// no script reads. ErrNotFound means that the key was used or revoked meanwhile.
func (h *handlers) open(ctx context.Context, p warrant.Person, method warrant.SignIn, key *signin.Passkey, bearer bool) (*signedInOutput, error) {
	token, hash := signin.NewSecret(signin.SessionPrefix)
	client := auth.ClientFrom(ctx)
	s, err := h.cfg.Store.OpenSession(ctx, pgstore.SignedIn{
		Session:   signin.Session{PersonID: p.ID, Method: method, AgentHash: client.AgentHash, Cert: client.Cert, Source: client.Source},
		TokenHash: hash, Role: p.Role, Passkey: key,
	}, h.cfg.Absolute)
	if err != nil {
		return nil, err
	}
	out := &signedInOutput{}
	out.Body.Session, out.Body.Person, out.Body.Role = viewSession(s, s.ID), p.Name, p.Role.String()
	if bearer {
		out.Body.Token, out.SetCookie = token, gone()
		return out, nil
	}
	out.SetCookie = http.Cookie{
		Name: auth.CookieName, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(h.cfg.Absolute / time.Second),
	}
	return out, nil
}

// gone is the cookie that removes ours.
func gone() http.Cookie {
	return http.Cookie{Name: auth.CookieName, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1}
}

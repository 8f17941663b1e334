// Package oidc asks the operator's identity provider who somebody is: OpenID Connect,
// authorization code with PKCE. It is the only door to go-oidc.
//
// Invariants:
//   - An identity is issuer and subject, never an address or a name.
//   - The ID token was issued for us, for this very flow (nonce), signed with an
//     asymmetric algorithm, and after the person showed themselves, not from an older
//     sign-in at the provider.
//   - An error is one of this package's and quotes nothing of what was sent.
//
// Provider is safe for concurrent use.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ligate/ligate/warrant/signin"
)

// Errors of sign-in.
var (
	ErrRefused = errors.New("oidc: the provider's answer does not hold")
	ErrAway    = errors.New("oidc: the provider cannot be reached")
)

// Config is what a Provider needs; fields without a default are required.
type Config struct {
	Issuer      string
	ClientID    string
	Secret      string // empty for a public client: PKCE holds the flow together either way
	RedirectURL string // our /auth/v1/oidc/callback

	// What an approver's ID token must say: one of these acr values, or one of these amr
	// values. With neither, amr hwk or mfa.
	ApproverACR []string
	ApproverAMR []string

	HTTP *http.Client     // default one with a timeout
	Now  func() time.Time // default time.Now
}

// Provider is the operator's identity provider.
type Provider struct {
	cfg Config

	mu    sync.Mutex     // guards found, while the provider is asked too
	found *oidc.Provider // nil = not asked yet
}

const (
	askFor   = 10 * time.Second
	maxAge   = 5 * time.Minute // since the person showed themselves to the provider
	skew     = time.Minute
	maxAgeIs = "300"
)

// New validates the configuration. The provider is asked at the first sign-in.
func New(cfg Config) (*Provider, error) {
	if cfg.Issuer == "" || cfg.ClientID == "" || cfg.RedirectURL == "" {
		return nil, errors.New("oidc: Issuer, ClientID and RedirectURL are required")
	}
	if len(cfg.ApproverACR) == 0 && len(cfg.ApproverAMR) == 0 {
		cfg.ApproverAMR = []string{"hwk", "mfa"}
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: askFor}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Provider{cfg: cfg}, nil
}

// Issuer is the provider's name.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// discover asks the provider for its keys and endpoints, once.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// Keys are fetched later with this context's client too, so it must not end here.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.cfg.HTTP), p.cfg.Issuer)
	if err != nil {
		return nil, ErrAway
	}
	p.found = found
	return found, nil
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.Secret, Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL, Scopes: []string{oidc.ScopeOpenID},
	}
}

// Flow is what one sign-in remembers.
type Flow struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // PKCE
}

// NewFlow makes the secrets of one sign-in.
func NewFlow() Flow {
	nonce, _ := signin.NewSecret("")
	return Flow{Nonce: nonce, Verifier: oauth2.GenerateVerifier()}
}

// URL is where the browser goes. state names the flow when it comes back.
func (p *Provider) URL(ctx context.Context, f Flow, state string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth(found).AuthCodeURL(state, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier),
		oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", maxAgeIs)), nil
}

// Identity is who the provider says it is.
type Identity struct {
	Issuer  string
	Subject string
	Strong  bool // acr or amr suffice for an approver
}

// Finish exchanges the code and checks the ID token.
func (p *Provider) Finish(ctx context.Context, f Flow, code string) (Identity, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.cfg.HTTP)
	token, err := p.oauth(found).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return Identity{}, ErrRefused
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.Verifier(&oidc.Config{
		ClientID: p.cfg.ClientID, Now: p.cfg.Now, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA},
	}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 || id.Subject == "" {
		return Identity{}, ErrRefused
	}
	return p.identity(id)
}

func (p *Provider) identity(id *oidc.IDToken) (Identity, error) {
	var claims struct {
		ACR      string   `json:"acr"`
		AMR      []string `json:"amr"`
		AuthTime int64    `json:"auth_time"`
		AZP      string   `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return Identity{}, ErrRefused
	}
	if len(id.Audience) > 1 && claims.AZP != p.cfg.ClientID || claims.AZP != "" && claims.AZP != p.cfg.ClientID {
		return Identity{}, ErrRefused // OpenID Connect Core 3.1.3.7, steps 4 and 5
	}
	shown := p.cfg.Now().Sub(time.Unix(claims.AuthTime, 0))
	if claims.AuthTime == 0 || shown > maxAge+skew || shown < -skew {
		return Identity{}, ErrRefused // we sent max_age: step 13
	}
	strong := slices.Contains(p.cfg.ApproverACR, claims.ACR) && claims.ACR != ""
	for _, m := range claims.AMR {
		strong = strong || slices.Contains(p.cfg.ApproverAMR, m)
	}
	return Identity{Issuer: id.Issuer, Subject: id.Subject, Strong: strong}, nil
}

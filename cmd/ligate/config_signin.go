package main

import (
	"net/url"
	"time"

	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/warrant/signin"
)

// signInConfig is how staff sign in beside certificates.
type signInConfig struct {
	Origin      string     `yaml:"origin"`       // https://HOST[:PORT] of the pages; empty = certificates only
	Idle        duration   `yaml:"idle"`         // default 15m
	Absolute    duration   `yaml:"absolute"`     // default 8h, at most 24h
	DeviceBound bool       `yaml:"device_bound"` // refuse passkeys that can be copied between devices
	OIDC        oidcConfig `yaml:"oidc"`
}

// oidcConfig is the operator's identity provider.
type oidcConfig struct {
	Issuer      string   `yaml:"issuer"` // empty = none
	ClientID    string   `yaml:"client_id"`
	SecretFile  string   `yaml:"secret_file"`  // empty for a public client
	ApproverACR []string `yaml:"approver_acr"` // what an approver's ID token must say: one of these,
	ApproverAMR []string `yaml:"approver_amr"` // or one of these; default hwk or mfa
}

func (s *signInConfig) setDefaults() {
	if s.Idle == 0 {
		s.Idle = duration(signin.DefaultIdle)
	}
	if s.Absolute == 0 {
		s.Absolute = duration(signin.DefaultAbsolute)
	}
}

func (c checker) checkSignIn(s signInConfig) {
	idle, absolute := time.Duration(s.Idle), time.Duration(s.Absolute)
	c.want(idle >= time.Minute && idle <= absolute, "admin.sign_in.idle", "want at least 1m and no more than absolute")
	c.want(absolute <= signin.MaxAbsolute, "admin.sign_in.absolute", "want up to 24h")
	if s.Origin == "" {
		c.want(s.OIDC.Issuer == "", "admin.sign_in.origin", "required with oidc: https://HOST of the pages")
		return
	}
	_, err := passkey.New(passkey.Config{Origin: s.Origin})
	c.want(err == nil, "admin.sign_in.origin", "want https://HOST or https://HOST:PORT with a host name, as browsers see the pages")
	if s.OIDC.Issuer == "" {
		return
	}
	u, err := url.Parse(s.OIDC.Issuer)
	c.want(err == nil && u.Scheme == "https" && u.Host != "", "admin.sign_in.oidc.issuer", "want https://…")
	c.want(s.OIDC.ClientID != "", "admin.sign_in.oidc.client_id", "required with issuer")
}

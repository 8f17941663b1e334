package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auth/approval"
	"github.com/ligate/ligate/api/auth/login"
	"github.com/ligate/ligate/api/auth/oidc"
	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// signIn is how staff sign in beside certificates; nil = they do not.
func (n *node) signIn() (*login.Config, error) {
	s := n.cfg.Admin.SignIn
	if s.Origin == "" {
		return nil, nil //nolint:nilnil // nil is the answer: certificates only
	}
	rp, err := passkey.New(passkey.Config{Origin: s.Origin, DeviceBound: s.DeviceBound})
	if err != nil {
		return nil, err
	}
	approvalKey, err := n.cfg.secrets().approvalKey()
	if err != nil {
		return nil, err
	}
	approvals, err := approval.New(approval.Config{Store: n.db.warrants, RP: rp, Key: approvalKey})
	if err != nil {
		return nil, err
	}
	cfg := &login.Config{Store: n.db.warrants, RP: rp, Approvals: approvals, Idle: time.Duration(s.Idle), Absolute: time.Duration(s.Absolute), Log: n.log}
	if cfg.SealKey, err = n.cfg.secrets().signInKey(); err != nil {
		return nil, err
	}
	cfg.Provider, err = s.provider()
	return cfg, err
}

// provider is the operator's identity provider; nil = none.
func (s signInConfig) provider() (*oidc.Provider, error) {
	if s.OIDC.Issuer == "" {
		return nil, nil //nolint:nilnil // nil is the answer: none
	}
	var secret []byte
	if s.OIDC.SecretFile != "" {
		var err error
		if secret, err = os.ReadFile(s.OIDC.SecretFile); err != nil {
			return nil, errors.New("admin.sign_in.oidc.secret_file cannot be read")
		}
	}
	return oidc.New(oidc.Config{
		Issuer: s.OIDC.Issuer, ClientID: s.OIDC.ClientID, Secret: strings.TrimSpace(string(secret)), RedirectURL: s.Origin + login.CallbackPath,
		ApproverACR: s.OIDC.ApproverACR, ApproverAMR: s.OIDC.ApproverAMR,
	})
}

// bootstrap tells who starts a fresh installation how its first two people enrol.
func (n *node) bootstrap(ctx context.Context) error {
	if !n.has(roleAdmin) || n.welcome == nil || n.cfg.Admin.SignIn.Origin == "" {
		return nil
	}
	awaits, err := n.db.warrants.AwaitsBootstrap(ctx)
	if err != nil || !awaits {
		return err
	}
	return bootstrapLink(ctx, n.welcome, n.cfg, n.db)
}

// bootstrapLink makes the link and prints it, once. It goes to the terminal of who
// stands at the machine, never to the log.
func bootstrapLink(ctx context.Context, out io.Writer, cfg *config, db *database) error {
	token, hash := signin.NewSecret(signin.LinkPrefix)
	en, err := db.warrants.Bootstrap(ctx, hash)
	var rule *warrant.RuleError
	if errors.As(err, &rule) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "The first two system administrators enrol here, both at this machine, each with a passkey of their own, before %s:\n  %s\nIt is shown once and void after the second. Neither may act before.\n",
		en.ExpiresAt.Format(time.RFC3339), cfg.Admin.SignIn.Origin+admin.EnrolPath+token)
	return err
}

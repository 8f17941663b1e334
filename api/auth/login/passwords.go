package login

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/auth/password"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/signin"
)

func (h *handlers) registerPasswords(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/password/enrol/begin", "begin-password", "Choose a password with an enrolment link; answers the TOTP secret"), h.beginPassword)
	huma.Register(api, op(http.MethodPost, "/password/enrol/finish", "finish-password", "Show the first TOTP code: the link is used"), h.finishPassword)
	huma.Register(api, op(http.MethodPost, "/password/login", "login-password", "Sign in by password and TOTP"), h.loginPassword)
}

type beginPasswordInput struct {
	Body struct {
		Token    string `json:"token" maxLength:"100"`
		Password string `json:"password" maxLength:"1000" doc:"12 to 200 characters"`
	}
}

type beginPasswordOutput struct {
	Body struct {
		Ceremony string `json:"ceremony"`
		URI      string `json:"uri" doc:"otpauth:// for an authenticator app; shown once"`
	}
}

// choice is what the enrolment of a password remembers.
type choice struct {
	Enrolment string           `json:"enrolment"`
	PersonID  warrant.PersonID `json:"person"`
	Hash      string           `json:"hash"`
	TOTP      []byte           `json:"totp"` // sealed
}

func (h *handlers) beginPassword(ctx context.Context, in *beginPasswordInput) (*beginPasswordOutput, error) {
	en, p, err := h.link(ctx, in.Body.Token, "begin-password")
	if err != nil {
		return nil, err
	}
	if p.SignIn != warrant.ByPassword || p.Role == warrant.Approver {
		if p.ID == "" {
			p.SignIn = warrant.ByPasskey // the bootstrap link
		}
		return nil, anotherWay(p)
	}
	if err := password.Check(in.Body.Password, p.Name); err != nil {
		return nil, problem.New(http.StatusUnprocessableEntity, problem.Invalid, err.Error())
	}
	secret := password.NewSecret()
	c := choice{Enrolment: en.ID, PersonID: p.ID}
	if c.Hash, err = h.hasher.Hash(ctx, in.Body.Password); err != nil {
		return nil, problem.From(err)
	}
	if c.TOTP, err = password.Seal(h.cfg.SealKey, secret, string(p.ID)); err != nil {
		return nil, problem.From(err)
	}
	begun, err := h.begin(ctx, "password", c, nil)
	if err != nil {
		return nil, err
	}
	out := &beginPasswordOutput{}
	out.Body.Ceremony, out.Body.URI = begun.Body.Ceremony, password.URI(secret, p.Name)
	return out, nil
}

type finishPasswordInput struct {
	Body struct {
		Ceremony string `json:"ceremony" maxLength:"100"`
		Code     string `json:"code" maxLength:"10"`
	}
}

func (h *handlers) finishPassword(ctx context.Context, in *finishPasswordInput) (*enrolledOutput, error) {
	const operation = "finish-password"
	if err := h.notLocked(ctx, operation); err != nil {
		return nil, err
	}
	var c choice
	if err := h.end(ctx, "password", in.Body.Ceremony, &c); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
	}
	p, err := h.cfg.Store.ActivePerson(ctx, c.PersonID)
	if err != nil {
		return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
	}
	secret, err := password.Open(h.cfg.SealKey, c.TOTP, string(p.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	step, ok := password.Match(secret, in.Body.Code, h.cfg.Now())
	if !ok {
		return nil, h.failed(ctx, auth.BadLogin, p.ID, operation)
	}
	if err := h.cfg.Store.EnrolPassword(ctx, p, c.Enrolment, pgstore.Password{Hash: c.Hash, TOTP: c.TOTP}, auth.ClientFrom(ctx).Source); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
	}
	if err := h.cfg.Store.TakeStep(ctx, p.ID, step); err != nil {
		return nil, problem.From(err)
	}
	return h.enrolled(ctx, p)
}

type loginPasswordInput struct {
	Body struct {
		Name     string `json:"name" maxLength:"200"`
		Password string `json:"password" maxLength:"1000"`
		Code     string `json:"code" maxLength:"10" doc:"TOTP"`
		Bearer   bool   `json:"bearer,omitempty" doc:"answer the token in the body instead of a cookie"`
	}
}

func (h *handlers) loginPassword(ctx context.Context, in *loginPasswordInput) (*signedInOutput, error) {
	const operation = "login-password"
	p, account, pw, err := h.account(ctx, in.Body.Name)
	if err != nil {
		return nil, problem.From(err)
	}
	if err := h.notLocked(ctx, operation, account); err != nil {
		return nil, err
	}
	right, err := h.hasher.Verify(ctx, pw.Hash, in.Body.Password)
	if err != nil {
		return nil, problem.From(err)
	}
	if right, err = h.code(ctx, p, pw, in.Body.Code, right); err != nil {
		return nil, problem.From(err)
	}
	if !right {
		return nil, h.failed(ctx, auth.BadLogin, p.ID, operation, account)
	}
	out, err := h.open(ctx, p, warrant.ByPassword, nil, in.Body.Bearer)
	return out, problem.From(err)
}

// account finds who signs in by password under a name, and under what failures are
// counted. A name that nobody has is locked like one that somebody has.
func (h *handlers) account(ctx context.Context, name string) (p warrant.Person, subject string, pw pgstore.Password, err error) {
	subject = "name:" + hex.EncodeToString(signin.Hash(name))
	p, err = h.cfg.Store.ActiveByName(ctx, name)
	if errors.Is(err, warrant.ErrNotFound) || err == nil && (p.SignIn != warrant.ByPassword || p.Role == warrant.Approver) {
		return warrant.Person{}, subject, pw, nil
	}
	if err != nil {
		return p, subject, pw, err
	}
	pw, err = h.cfg.Store.Password(ctx, p.ID)
	if errors.Is(err, warrant.ErrNotFound) {
		err = nil
	}
	return p, "person:" + string(p.ID), pw, err
}

// code checks the TOTP code of who showed the right password, and uses it up.
func (h *handlers) code(ctx context.Context, p warrant.Person, pw pgstore.Password, code string, right bool) (bool, error) {
	if !right {
		return false, nil
	}
	secret, err := password.Open(h.cfg.SealKey, pw.TOTP, string(p.ID))
	if err != nil {
		return false, err
	}
	step, ok := password.Match(secret, code, h.cfg.Now())
	if !ok {
		return false, nil
	}
	err = h.cfg.Store.TakeStep(ctx, p.ID, step)
	if errors.Is(err, warrant.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

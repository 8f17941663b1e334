package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/signin"
)

type ceremonyOutput struct {
	Body struct {
		Ceremony string          `json:"ceremony" doc:"names this ceremony when it is finished"`
		Options  json.RawMessage `json:"options" doc:"for navigator.credentials, as parseCreationOptionsFromJSON or parseRequestOptionsFromJSON take it"`
	}
}

type answerBody struct {
	Ceremony   string          `json:"ceremony" maxLength:"100"`
	Credential json.RawMessage `json:"credential" doc:"PublicKeyCredential.toJSON()"`
}

func (h *handlers) registerPasskeys(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/enrolment", "show-enrolment", "For whom a link is and what it enrols"), h.showEnrolment)
	huma.Register(api, op(http.MethodPost, "/passkey/register/begin", "begin-passkey", "Begin to register a passkey with an enrolment link"), h.beginPasskey)
	huma.Register(api, op(http.MethodPost, "/passkey/register/finish", "finish-passkey", "Finish registering a passkey: the link is used"), h.finishPasskey)
	huma.Register(api, op(http.MethodPost, "/passkey/login/begin", "begin-login", "Begin to sign in by passkey"), h.beginLogin)
	huma.Register(api, op(http.MethodPost, "/passkey/login/finish", "finish-login", "Sign in by passkey"), h.finishLogin)
}

type linkInput struct {
	Body struct {
		Token string `json:"token" maxLength:"100" doc:"what stands after # in the link"`
	}
}

type enrolmentOutput struct {
	Body struct {
		Bootstrap bool      `json:"bootstrap" doc:"the first two system administrators enrol: send a name"`
		Name      string    `json:"name,omitempty"`
		Role      string    `json:"role"`
		SignIn    string    `json:"signin"`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

func (h *handlers) showEnrolment(ctx context.Context, in *linkInput) (*enrolmentOutput, error) {
	en, p, err := h.link(ctx, in.Body.Token, "show-enrolment")
	if err != nil {
		return nil, err
	}
	out := &enrolmentOutput{}
	out.Body.Bootstrap, out.Body.ExpiresAt = en.PersonID == "", en.ExpiresAt
	out.Body.Name, out.Body.Role, out.Body.SignIn = p.Name, p.Role.String(), string(p.SignIn)
	if out.Body.Bootstrap {
		out.Body.Role, out.Body.SignIn = warrant.Sysadmin.String(), string(warrant.ByPasskey)
	}
	return out, nil
}

type beginPasskeyInput struct {
	Body struct {
		Token string `json:"token" maxLength:"100"`
		Name  string `json:"name,omitempty" maxLength:"200" doc:"with the bootstrap link only: your name, as it shall stand in the records"`
	}
}

// registration is what a registration remembers.
type registration struct {
	State     json.RawMessage  `json:"state"`
	Enrolment string           `json:"enrolment"`
	PersonID  warrant.PersonID `json:"person"`
	Name      string           `json:"name"`
	Bootstrap bool             `json:"bootstrap"`
}

func (h *handlers) beginPasskey(ctx context.Context, in *beginPasskeyInput) (*ceremonyOutput, error) {
	en, p, err := h.link(ctx, in.Body.Token, "begin-passkey")
	if err != nil {
		return nil, err
	}
	r := registration{Enrolment: en.ID, PersonID: p.ID, Name: p.Name, Bootstrap: en.PersonID == ""}
	switch {
	case r.Bootstrap && strings.TrimSpace(in.Body.Name) == "":
		return nil, problem.New(http.StatusUnprocessableEntity, problem.Invalid, "name: the bootstrap link asks for it")
	case r.Bootstrap:
		r.PersonID, r.Name = warrant.PersonID(uuid.NewString()), in.Body.Name
	case p.SignIn != warrant.ByPasskey:
		return nil, anotherWay(p)
	}
	keys, err := h.cfg.Store.Passkeys(ctx, r.PersonID)
	if err != nil {
		return nil, problem.From(err)
	}
	options, state, err := h.cfg.RP.BeginRegistration(r.PersonID, r.Name, keys)
	if err != nil {
		return nil, problem.From(err)
	}
	r.State = state
	return h.begin(ctx, "register", r, options)
}

// begin keeps what a ceremony remembers and answers its options.
func (h *handlers) begin(ctx context.Context, kind string, remember any, options json.RawMessage) (*ceremonyOutput, error) {
	data, err := json.Marshal(remember)
	if err != nil {
		return nil, problem.From(err)
	}
	id, err := h.cfg.Store.BeginCeremony(ctx, pgstore.Challenge{Kind: kind, Data: data}, ceremonyValid)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &ceremonyOutput{}
	out.Body.Ceremony, out.Body.Options = id, options
	return out, nil
}

// end takes a ceremony back; one that is none, or over, is a failure.
func (h *handlers) end(ctx context.Context, kind, id string, remembered any) error {
	data, err := h.cfg.Store.EndCeremony(ctx, kind, id)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, remembered)
}

type finishInput struct{ Body answerBody }

type enrolledOutput struct {
	Body struct {
		Person string `json:"person"`
		Name   string `json:"name"`
		Active bool   `json:"active" doc:"false for the first of two with the bootstrap link: until the second has enrolled"`
	}
}

func (h *handlers) finishPasskey(ctx context.Context, in *finishInput) (*enrolledOutput, error) {
	const operation = "finish-passkey"
	if err := h.notLocked(ctx, operation); err != nil {
		return nil, err
	}
	var r registration
	if err := h.end(ctx, "register", in.Body.Ceremony, &r); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
	}
	key, err := h.cfg.RP.FinishRegistration(r.PersonID, r.State, in.Body.Credential)
	if err != nil {
		return nil, h.failed(ctx, auth.BadLogin, "", operation)
	}
	key.EnrolmentID = r.Enrolment
	p := warrant.Person{ID: r.PersonID, Name: r.Name, Role: warrant.Sysadmin}
	if !r.Bootstrap {
		if p, err = h.cfg.Store.ActivePerson(ctx, r.PersonID); err != nil {
			return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
		}
	}
	if err := h.cfg.Store.EnrolPasskey(ctx, key, p, auth.ClientFrom(ctx).Source); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLink, "", operation)
	}
	return h.enrolled(ctx, p)
}

func (h *handlers) enrolled(ctx context.Context, p warrant.Person) (*enrolledOutput, error) {
	out := &enrolledOutput{}
	out.Body.Person, out.Body.Name = string(p.ID), p.Name
	_, err := h.cfg.Store.ActivePerson(ctx, p.ID)
	if err != nil && !errors.Is(err, warrant.ErrNotFound) {
		return nil, problem.From(err)
	}
	out.Body.Active = err == nil
	return out, nil
}

// notFound turns what is not there into a refusal at a door, and leaves other errors.
func (h *handlers) notFound(ctx context.Context, err error, why auth.Reason, who warrant.PersonID, operation string) error {
	if errors.Is(err, warrant.ErrNotFound) {
		return h.failed(ctx, why, who, operation)
	}
	return problem.From(err)
}

func (h *handlers) beginLogin(ctx context.Context, _ *struct{}) (*ceremonyOutput, error) {
	options, state, err := h.cfg.RP.BeginLogin()
	if err != nil {
		return nil, problem.From(err)
	}
	return h.begin(ctx, "assert", state, options)
}

type loginInput struct {
	Body struct {
		Ceremony   string          `json:"ceremony" maxLength:"100"`
		Credential json.RawMessage `json:"credential" doc:"PublicKeyCredential.toJSON()"`
		Bearer     bool            `json:"bearer,omitempty" doc:"answer the token in the body instead of a cookie"`
	}
}

func (h *handlers) finishLogin(ctx context.Context, in *loginInput) (*signedInOutput, error) {
	const operation = "finish-login"
	if err := h.notLocked(ctx, operation); err != nil {
		return nil, err
	}
	var state json.RawMessage
	if err := h.end(ctx, "assert", in.Body.Ceremony, &state); err != nil {
		return nil, h.notFound(ctx, err, auth.BadLogin, "", operation)
	}
	var p warrant.Person
	signed, err := h.cfg.RP.FinishLogin(state, in.Body.Credential, func(id warrant.PersonID) (keys []signin.Passkey, err error) {
		if p, err = h.cfg.Store.ActivePerson(ctx, id); err != nil {
			return nil, err
		}
		return h.cfg.Store.Passkeys(ctx, id)
	})
	if err != nil {
		return nil, h.refusedKey(ctx, err, p.ID, operation)
	}
	out, err := h.open(ctx, p, warrant.ByPasskey, &signed.Key, in.Body.Bearer)
	if err != nil {
		return nil, h.notFound(ctx, err, auth.BadCounter, p.ID, operation)
	}
	return out, nil
}

// refusedKey answers an assertion that does not hold.
func (h *handlers) refusedKey(ctx context.Context, err error, who warrant.PersonID, operation string) error {
	switch {
	case errors.Is(err, passkey.ErrCopied):
		return h.failed(ctx, auth.BadCounter, who, operation)
	case errors.Is(err, passkey.ErrRefused), errors.Is(err, warrant.ErrNotFound):
		return h.failed(ctx, auth.BadLogin, who, operation)
	}
	return problem.From(err)
}

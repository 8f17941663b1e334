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

// EnrolPath is the page of an enrolment link. The link's token stands after a #, so
// that no server sees it in an address.
const EnrolPath = "/console/enrol#"

func (h *handlers) registerAccess(api huma.API) {
	const one = "/people/{id}"
	huma.Register(api, op(http.MethodPost, one+"/disable", "disable-person", "End a person's access at once; one system administrator suffices"), h.disable)
	huma.Register(api, op(http.MethodPost, one+"/enable", "enable-person", "Enable a disabled person again; takes two system administrators, one after the other"), h.enable)
	huma.Register(api, op(http.MethodPost, one+"/enrolments", "create-enrolment", "Issue a one-time link by which a person enrols; another system administrator confirms"), h.addEnrolment)
	huma.Register(api, op(http.MethodPost, one+"/enrolments/{enrolment}/confirm", "confirm-enrolment", "Confirm a link as the second system administrator"), h.confirmEnrolment)
	huma.Register(api, op(http.MethodPost, one+"/clearances", "create-clearance", "Say until when a person is cleared; another system administrator confirms"), h.addClearance)
	huma.Register(api, op(http.MethodPost, one+"/clearances/{number}/confirm", "confirm-clearance", "Confirm a clearance as the second system administrator"), h.confirmClearance)
	huma.Register(api, op(http.MethodGet, one+"/sessions", "list-person-sessions", "A person's sessions"), h.personSessions)
	huma.Register(api, op(http.MethodDelete, one+"/sessions", "revoke-person-sessions", "Sign a person out everywhere"), h.revokeSessions)
	huma.Register(api, op(http.MethodDelete, one+"/passkeys", "revoke-person-passkeys", "End all passkeys and sessions of a person"), h.revokePasskeys)
}

type disableInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

func (h *handlers) disable(ctx context.Context, in *disableInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.DisablePerson(ctx, by, warrant.PersonID(in.ID), in.Body.Reason))
}

type enableOutput struct {
	Body struct {
		Enabled bool `json:"enabled" doc:"false: another system administrator has to call this too"`
	}
}

func (h *handlers) enable(ctx context.Context, in *idInput) (*enableOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	out := &enableOutput{}
	out.Body.Enabled, err = h.cfg.Store.EnablePerson(ctx, by, warrant.PersonID(in.ID))
	return out, problem.From(err)
}

type newEnrolmentOutput struct {
	Body struct {
		ID        string    `json:"id"`
		Link      string    `json:"link" doc:"for the person; shown once"`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

func (h *handlers) addEnrolment(ctx context.Context, in *idInput) (*newEnrolmentOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	token, hash := signin.NewSecret(signin.LinkPrefix)
	en, err := h.cfg.Store.IssueEnrolment(ctx, by, warrant.PersonID(in.ID), hash)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &newEnrolmentOutput{}
	out.Body.ID, out.Body.Link, out.Body.ExpiresAt = en.ID, h.cfg.Origin+EnrolPath+token, en.ExpiresAt
	return out, nil
}

type enrolmentInput struct {
	ID        string `path:"id" maxLength:"64"`
	Enrolment string `path:"enrolment" maxLength:"64"`
}

func (h *handlers) confirmEnrolment(ctx context.Context, in *enrolmentInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmEnrolment(ctx, by, warrant.PersonID(in.ID), in.Enrolment))
}

type newClearance struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Until time.Time `json:"until" doc:"may not sign in from then on"`
	}
}

type clearanceOutput struct {
	Body struct {
		Number int `json:"number"`
	}
}

func (h *handlers) addClearance(ctx context.Context, in *newClearance) (*clearanceOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	out := &clearanceOutput{}
	out.Body.Number, err = h.cfg.Store.AddClearance(ctx, by, warrant.PersonID(in.ID), in.Body.Until.UTC())
	return out, problem.From(err)
}

type clearanceInput struct {
	ID     string `path:"id" maxLength:"64"`
	Number int    `path:"number" minimum:"1" maximum:"2147483647"`
}

func (h *handlers) confirmClearance(ctx context.Context, in *clearanceInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmClearance(ctx, by, warrant.PersonID(in.ID), in.Number))
}

type personSession struct {
	ID        string    `json:"id"`
	Method    string    `json:"method"`
	Source    string    `json:"source"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type personSessionsOutput struct {
	Body struct {
		Items []personSession `json:"items"`
	}
}

func (h *handlers) personSessions(ctx context.Context, in *idInput) (*personSessionsOutput, error) {
	c, err := auth.Require(ctx, auth.Sysadmin)
	if err != nil {
		return nil, err
	}
	e := read(actor(c), "sessions.read")
	e.Object = in.ID
	if err := h.cfg.Store.Record(ctx, e); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.Sessions(ctx, warrant.PersonID(in.ID), h.cfg.Idle)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &personSessionsOutput{}
	out.Body.Items = make([]personSession, len(all))
	for i, s := range all {
		out.Body.Items[i] = personSession{ID: s.ID, Method: string(s.Method), Source: s.Source, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt, ExpiresAt: s.ExpiresAt}
	}
	return out, nil
}

type endedOutput struct {
	Body struct {
		Ended int `json:"ended"`
	}
}

func (h *handlers) revokeSessions(ctx context.Context, in *idInput) (*endedOutput, error) {
	c, err := auth.Require(ctx, auth.Sysadmin)
	if err != nil {
		return nil, err
	}
	out := &endedOutput{}
	out.Body.Ended, err = h.cfg.Store.EndSessions(ctx, actor(c), warrant.PersonID(in.ID))
	return out, problem.From(err)
}

func (h *handlers) revokePasskeys(ctx context.Context, in *idInput) (*endedOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	out := &endedOutput{}
	out.Body.Ended, err = h.cfg.Store.RevokePasskeys(ctx, by, warrant.PersonID(in.ID))
	return out, problem.From(err)
}

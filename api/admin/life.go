package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

func (h *handlers) registerLife(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/warrants/{id}/narrow", "narrow-warrant", "Tap less at once: fewer targets, or signalling only"), h.narrow)
	original := op(http.MethodPost, "/warrants/{id}/confirm-original", "confirm-original", "The original of a provisional order came")
	original.Middlewares = auth.Only(api, auth.Approver)
	huma.Register(api, original, h.confirmOriginal)
	huma.Register(api, op(http.MethodGet, "/warrants/{id}/history", "get-warrant-history", "Every act on a warrant: who, what, when, why, from where; never a target"), h.history)
	h.registerDocuments(api)
	h.registerHolds(api)
	h.registerProtected(api)
}

type narrowInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Targets []string `json:"targets,omitempty" maxItems:"50" doc:"those that stay; left out: all"`
		Scope   string   `json:"scope,omitempty" enum:"iri,iri+cc" doc:"iri takes content away; left out: as it is"`
		Reason  string   `json:"reason" minLength:"1" maxLength:"2000" doc:"stands on the audit log; never a target"`
	}
}

func (h *handlers) narrow(ctx context.Context, in *narrowInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	var keep []li.Identity
	if in.Body.Targets != nil {
		if keep, err = h.targets(in.Body.Targets); err != nil {
			return nil, problem.From(err)
		}
	}
	var scope warrant.Scope
	if in.Body.Scope != "" {
		if scope, err = warrant.ParseScope(in.Body.Scope); err != nil {
			return nil, problem.From(err)
		}
	}
	w, err := h.cfg.Store.Narrow(ctx, by, warrant.ID(in.ID), v, keep, scope, in.Body.Reason)
	return h.answer(w, by, err)
}

type originalInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		SHA256 string `json:"sha256" minLength:"64" maxLength:"64" doc:"of the original, lower-case hexadecimal"`
	}
}

func (h *handlers) confirmOriginal(ctx context.Context, in *originalInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.ConfirmOriginal(ctx, by, warrant.ID(in.ID), v, in.Body.SHA256)
	return h.answer(w, by, err)
}

type eventView struct {
	At      time.Time `json:"at"`
	Act     string    `json:"act"`
	Version int       `json:"version,omitempty"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	By      string    `json:"by" doc:"ligate: the system itself"`
	Name    string    `json:"name,omitempty"`
	Role    string    `json:"role,omitempty"`
	Source  string    `json:"source,omitempty" doc:"network address"`
	Reason  string    `json:"reason,omitempty"`
	Object  string    `json:"object,omitempty" doc:"a document's SHA-256, a hold's id"`
}

type historyOutput struct {
	Body struct {
		Items []eventView `json:"items"`
	}
}

func (h *handlers) history(ctx context.Context, in *idInput) (*historyOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.History(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &historyOutput{}
	out.Body.Items = make([]eventView, len(all))
	for i, e := range all {
		out.Body.Items[i] = eventView{
			At: e.At.UTC(), Act: e.Act, Version: e.Version, From: e.From, To: e.To, By: string(e.By), Name: e.Name, Role: e.Role,
			Source: e.Source, Reason: e.Reason, Object: e.Object,
		}
		if by.Role == warrant.Auditor { // sees pseudonyms
			out.Body.Items[i].Name = ""
		}
	}
	return out, nil
}

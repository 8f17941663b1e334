package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Inbox is where agencies' electronic orders wait for an officer; all fields are
// required.
type Inbox struct {
	Store *pgstore.HI1
	Order func(warrant.AgencyID, *hi1.Authorisation, *hi1.Task) (warrant.Order, error)
}

// inboxView shows an order without targets and end date: whoever looks may be the one
// to type them blind. They stand in the signed order, among the documents.
type inboxView struct {
	ID              string      `json:"id"`
	AgencyID        string      `json:"agency_id"`
	LIID            string      `json:"liid"`
	State           string      `json:"state" enum:"received,drafted,rejected,withdrawn"`
	Reason          string      `json:"reason"`
	Officer         string      `json:"officer" doc:"who took or refused it"`
	WarrantID       string      `json:"warrant_id"`
	WarrantState    string      `json:"warrant_state" doc:"how far the warrant got: approved or later means accepted"`
	Desired         string      `json:"desired" doc:"Cancelled where the agency asked for that"`
	TaskID          string      `json:"task_id"`
	AuthorisationID string      `json:"authorisation_id"`
	DocumentIDs     []string    `json:"document_ids"`
	CreatedAt       time.Time   `json:"created_at"`
	UpdatedAt       time.Time   `json:"updated_at"`
	Order           *inboxFacts `json:"order,omitempty" doc:"of one order, not in lists"`
}

type inboxFacts struct {
	Authority    string    `json:"authority"`
	Reference    string    `json:"reference"`
	LegalBasis   string    `json:"legal_basis"`
	Scope        string    `json:"scope"`
	From         time.Time `json:"from"`
	Priority     string    `json:"priority"`
	Flags        []string  `json:"flags" doc:"such as IsEmergency, IsTest"`
	Jurisdiction string    `json:"jurisdiction"`
}

func inboxViewOf(o pgstore.InboxOrder) inboxView {
	v := inboxView{
		ID: o.ID, AgencyID: string(o.AgencyID), LIID: string(o.LIID), State: string(o.State), Reason: o.Reason, Officer: string(o.Officer),
		WarrantID: string(o.WarrantID), WarrantState: o.WarrantState, Desired: o.Wish, TaskID: string(o.TaskID), AuthorisationID: string(o.Authorisation), DocumentIDs: []string{},
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
	}
	for _, d := range o.Documents {
		v.DocumentIDs = append(v.DocumentIDs, string(d))
	}
	return v
}

type inboxListInput struct {
	State  string `query:"state" enum:"received,drafted,rejected,withdrawn"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"100"`
}

type inboxListOutput struct {
	Body struct {
		Items []inboxView `json:"items"`
		Next  string      `json:"next"`
	}
}

type inboxOutput struct{ Body inboxView }

type inboxInput struct {
	ID string `path:"id" maxLength:"64"`
}

type inboxDocumentInput struct {
	ID       string `path:"id" maxLength:"64"`
	Document string `path:"document" maxLength:"36"`
}

type inboxDocumentOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	SHA256      string `header:"Ligate-SHA256" doc:"of the body"`
	Body        []byte
}

type inboxRefuseInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"is told to the agency and stands on the audit log; never a target"`
	}
}

func (h *handlers) registerInbox(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/inbox", "list-inbox", "Orders that agencies sent electronically, newest first"), h.listInbox)
	huma.Register(api, op(http.MethodGet, "/inbox/{id}", "get-inbox-order", "One order, without target and end date"), h.getInbox)
	huma.Register(api, op(http.MethodGet, "/inbox/{id}/documents/{document}", "get-inbox-document", "A document of an order, as the agency sent it"), h.getInboxDocument)
	huma.Register(api, op(http.MethodPost, "/inbox/{id}/take", "create-draft-from-inbox", "Make an order your own draft"), h.takeInbox)
	huma.Register(api, op(http.MethodPost, "/inbox/{id}/refuse", "refuse-inbox-order", "Reject an order, with a reason for the agency"), h.refuseInbox)
}

func (h *handlers) listInbox(ctx context.Context, in *inboxListInput) (*inboxListOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, next, err := h.cfg.Inbox.Store.Inbox(ctx, by, pgstore.HI1State(in.State), pgstore.Page{Limit: in.Limit, After: in.Cursor})
	if err != nil {
		return nil, problem.From(err)
	}
	out := &inboxListOutput{}
	out.Body.Items, out.Body.Next = make([]inboxView, len(all)), next
	for i, o := range all {
		out.Body.Items[i] = inboxViewOf(o)
	}
	return out, nil
}

func (h *handlers) getInbox(ctx context.Context, in *inboxInput) (*inboxOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	o, authorisation, task, err := h.cfg.Inbox.Store.InboxOrder(ctx, by, in.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	says, err := h.cfg.Inbox.Order(o.AgencyID, authorisation, task)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &inboxOutput{Body: inboxViewOf(o)}
	out.Body.Order = &inboxFacts{
		Authority: says.Authority, Reference: says.Reference, LegalBasis: says.LegalBasis, Scope: says.Scope.String(), From: says.From,
		Flags: []string{}, Jurisdiction: authorisation.Jurisdiction,
	}
	if authorisation.Priority != nil {
		out.Body.Order.Priority = authorisation.Priority.Value
	}
	for _, f := range append(authorisation.Flags, task.Flags...) {
		out.Body.Order.Flags = append(out.Body.Order.Flags, f.Value)
	}
	return out, nil
}

// getInboxDocument sends the octets as a download of no type that a browser opens.
func (h *handlers) getInboxDocument(ctx context.Context, in *inboxDocumentInput) (*inboxDocumentOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	doc, err := h.cfg.Inbox.Store.InboxDocument(ctx, by, in.ID, hi1.UUID(in.Document))
	if err != nil {
		return nil, problem.From(err)
	}
	b := doc.Body.Contents.Reveal()
	sum := sha256.Sum256(b)
	return &inboxDocumentOutput{ContentType: "application/octet-stream", Disposition: "attachment", SHA256: hex.EncodeToString(sum[:]), Body: b}, nil
}

func (h *handlers) takeInbox(ctx context.Context, in *inboxInput) (*warrantOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Inbox.Store.Take(ctx, by, in.ID, h.cfg.Inbox.Order)
	return h.answer(w, by, err)
}

func (h *handlers) refuseInbox(ctx context.Context, in *inboxRefuseInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Inbox.Store.Refuse(ctx, by, in.ID, in.Body.Reason))
}

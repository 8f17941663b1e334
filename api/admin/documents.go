package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// documentTimeout is how long a paper may take to come.
const documentTimeout = 2 * time.Minute

func (h *handlers) registerDocuments(api huma.API) {
	add := acting(api, http.MethodPost, "/warrants/{id}/documents", "create-document", "Keep a paper of the warrant (PDF, at most 20 MiB), sealed")
	add.MaxBodyBytes, add.BodyReadTimeout = warrant.MaxDocument+1, documentTimeout
	huma.Register(api, add, h.addDocument)
	huma.Register(api, op(http.MethodGet, "/warrants/{id}/documents", "list-documents", "Papers of a warrant: hash, size, who, when"), h.documents)
	huma.Register(api, op(http.MethodGet, "/warrants/{id}/documents/{number}", "get-document", "A paper as it is sealed (age)"), h.document)
}

type documentView struct {
	Number  int       `json:"number"`
	Kind    string    `json:"kind"`
	SHA256  string    `json:"sha256" doc:"of the paper itself"`
	Bytes   int       `json:"bytes"`
	Pages   int       `json:"pages,omitempty"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
}

func showDocument(d warrant.Document) documentView {
	return documentView{
		Number: d.Number, Kind: string(d.Kind), SHA256: d.SHA256, Bytes: d.Bytes, Pages: d.Pages, AddedBy: string(d.AddedBy), AddedAt: d.AddedAt.UTC(),
	}
}

type addDocumentInput struct {
	ID      string `path:"id" maxLength:"64"`
	Kind    string `query:"kind" enum:"order,other" default:"order"`
	Pages   int    `query:"pages" minimum:"0" maximum:"100000"`
	RawBody []byte `contentType:"application/pdf"`
}

type documentOutput struct{ Body documentView }

func (h *handlers) addDocument(ctx context.Context, in *addDocumentInput) (*documentOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.cfg.Store.AddDocument(ctx, by, warrant.ID(in.ID), warrant.DocumentKind(in.Kind), in.Pages, in.RawBody)
	if err != nil {
		return nil, problem.From(err)
	}
	return &documentOutput{Body: showDocument(d)}, nil
}

type documentsOutput struct {
	Body struct {
		Items []documentView `json:"items"`
	}
}

func (h *handlers) documents(ctx context.Context, in *idInput) (*documentsOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Documents(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &documentsOutput{}
	out.Body.Items = make([]documentView, len(all))
	for i, d := range all {
		out.Body.Items[i] = showDocument(d)
	}
	return out, nil
}

type documentInput struct {
	ID     string `path:"id" maxLength:"64"`
	Number int    `path:"number" minimum:"1" maximum:"2147483647"`
}

type sealedOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (h *handlers) document(ctx context.Context, in *documentInput) (*sealedOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := h.cfg.Store.Document(ctx, by, warrant.ID(in.ID), in.Number)
	if err != nil {
		return nil, problem.From(err)
	}
	return &sealedOutput{ContentType: "application/octet-stream", Body: sealed}, nil
}

// Package auditor is /audit/v1: the audit log with its proofs, for the auditor.
// It changes nothing but the log itself, on which each look is recorded first.
package auditor

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/review"
)

// Config is what the auditor's API needs; all fields are required.
type Config struct {
	Log    Log
	Review *review.Store
}

// Log is the audit log with its database. Implementations are safe for concurrent
// use.
type Log interface {
	Record(ctx context.Context, e audit.Entry) error
	Entries(ctx context.Context, f audit.Filter) ([]audit.Record, string, error)
	Checkpoint(ctx context.Context) ([]byte, error)
	InclusionProof(ctx context.Context, index, size int64) ([]tlog.Hash, error)
	ConsistencyProof(ctx context.Context, older, newer int64) ([]tlog.Hash, error)
	Export(ctx context.Context, w io.Writer) error
	Witnessed(ctx context.Context) ([]byte, error)
	Tile(ctx context.Context, path string) ([]byte, error)
}

type handlers struct {
	log    Log
	review *review.Store
}

// Register adds the operations to the API.
func Register(api huma.API, cfg Config) {
	h := &handlers{log: cfg.Log, review: cfg.Review}
	h.registerRequests(api)
	h.registerReports(api)
	huma.Register(api, op("/entries", "list-audit-entries", "Entries in the order of the tree"), h.entries)
	huma.Register(api, op("/checkpoint", "get-checkpoint", "The newest signed tree head (C2SP tlog-checkpoint)"), h.checkpoint)
	huma.Register(api, op("/proof/inclusion", "prove-inclusion", "That an entry is in a tree (RFC 6962)"), h.inclusion)
	huma.Register(api, op("/proof/consistency", "prove-consistency", "That a tree begins with an older one (RFC 6962)"), h.consistency)
	huma.Register(api, op("/export", "export-log", "The whole log, for ligate audit verify"), h.export)
	huma.Register(api, op("/log/checkpoint", "get-log-checkpoint", "The newest witnessed tree head (C2SP tlog-tiles)"), h.logCheckpoint)
	huma.Register(api, op("/log/tile/{level}/*", "get-log-tile", "A tile of hashes, or of entries' commitments (C2SP tlog-tiles)"), h.tile)
}

func op(path, id, summary string) huma.Operation {
	return huma.Operation{Method: http.MethodGet, Path: "/audit/v1" + path, OperationID: id, Summary: summary, Tags: []string{"audit"}}
}

// look admits the auditor, or who has one of the roles, and records what is looked at.
func (h *handlers) look(ctx context.Context, action, object string, roles ...auth.Role) error {
	if len(roles) == 0 {
		roles = []auth.Role{auth.Auditor}
	}
	c, err := auth.Require(ctx, roles...)
	if err != nil {
		return err
	}
	return problem.From(h.log.Record(ctx, audit.Entry{
		Actor: string(c.Person.ID), Role: string(c.Role), Action: action, Object: object, Result: "done", Source: c.Source,
	}))
}

type entriesInput struct {
	Who     string    `query:"who" maxLength:"200"`
	What    string    `query:"what" maxLength:"200"`
	Warrant string    `query:"warrant" maxLength:"64"`
	From    time.Time `query:"from"`
	Until   time.Time `query:"until"`
	Limit   int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor  string    `query:"cursor" maxLength:"100"`
}

type entriesOutput struct {
	Body struct {
		Items []audit.Record `json:"items"`
		Next  string         `json:"next"`
	}
}

func (h *handlers) entries(ctx context.Context, in *entriesInput) (*entriesOutput, error) {
	if err := h.look(ctx, "audit.read", ""); err != nil {
		return nil, err
	}
	items, next, err := h.log.Entries(ctx, audit.Filter{
		Actor: in.Who, Action: in.What, Warrant: in.Warrant, From: in.From, Until: in.Until, Limit: in.Limit, After: in.Cursor,
	})
	if err != nil {
		return nil, problem.From(err)
	}
	out := &entriesOutput{}
	out.Body.Items, out.Body.Next = items, next
	if items == nil {
		out.Body.Items = []audit.Record{}
	}
	return out, nil
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (h *handlers) checkpoint(ctx context.Context, _ *struct{}) (*textOutput, error) {
	if err := h.look(ctx, "audit.checkpoint", ""); err != nil {
		return nil, err
	}
	note, err := h.log.Checkpoint(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	return &textOutput{ContentType: "text/plain; charset=utf-8", Body: note}, nil
}

type proofOutput struct {
	Body struct {
		Hashes []string `json:"hashes" doc:"base64, in the order of RFC 6962"`
	}
}

func proof(hashes []tlog.Hash, err error) (*proofOutput, error) {
	if err != nil {
		return nil, problem.From(err)
	}
	out := &proofOutput{}
	out.Body.Hashes = make([]string, len(hashes))
	for i, h := range hashes {
		out.Body.Hashes[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out, nil
}

type inclusionInput struct {
	Index int64 `query:"index" required:"true" minimum:"0"`
	Size  int64 `query:"size" required:"true" minimum:"1"`
}

func (h *handlers) inclusion(ctx context.Context, in *inclusionInput) (*proofOutput, error) {
	if err := h.look(ctx, "audit.proof", ""); err != nil {
		return nil, err
	}
	return proof(h.log.InclusionProof(ctx, in.Index, in.Size))
}

type consistencyInput struct {
	From int64 `query:"from" required:"true" minimum:"1"`
	To   int64 `query:"to" required:"true" minimum:"1"`
}

func (h *handlers) consistency(ctx context.Context, in *consistencyInput) (*proofOutput, error) {
	if err := h.look(ctx, "audit.proof", ""); err != nil {
		return nil, err
	}
	return proof(h.log.ConsistencyProof(ctx, in.From, in.To))
}

func (h *handlers) export(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	if err := h.look(ctx, "audit.export", ""); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/jsonl")
		// A failure midway cuts the stream: the export then lacks its checkpoints and
		// does not verify.
		_ = h.log.Export(ctx, hc.BodyWriter())
	}}, nil
}

// Package handover is /handover/v1: what an agency may fetch of its own
// intercepts, sealed to its key. What is not its own is answered like what does
// not exist.
//
// Invariant: each access is on the audit log before its first octet is sent.
package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Config is what the handover API needs; all fields are required.
type Config struct {
	Warrants *pgstore.Store
	Evidence *evidence.Store
	Log      log
}

// log is the audit log with its database.
type log interface {
	Witnessed(ctx context.Context) ([]byte, error)
	ConsistencyProof(ctx context.Context, older, newer int64) ([]tlog.Hash, error)
}

type handlers struct{ cfg Config }

const base = "/handover/v1/intercepts"

// Register adds the operations to the API.
func Register(api huma.API, cfg Config) {
	h := &handlers{cfg: cfg}
	session := base + "/{liid}/sessions/{cin}"
	huma.Register(api, h.op(http.MethodGet, base, "list-intercepts", "Your intercepts"), h.intercepts)
	huma.Register(api, h.op(http.MethodGet, base+"/{liid}", "get-intercept", "One intercept"), h.intercept)
	huma.Register(api, h.op(http.MethodGet, base+"/{liid}/sessions", "list-sessions", "Sessions (CINs) of an intercept"), h.sessions)
	huma.Register(api, h.op(http.MethodGet, session, "get-session", "One session"), h.session)
	huma.Register(api, h.op(http.MethodPost, session+"/ack", "ack-session", "Receipt for a session up to its chain head"), h.ack)
	huma.Register(api, h.op(http.MethodGet, session+"/bundle", "get-bundle", "The sealed bundle of a session that ended (zip): the operator's signed statement, proofs, sealed segments"), h.bundle)
	huma.Register(api, h.op(http.MethodGet, "/handover/v1/log/consistency", "prove-log-consistency", "That the audit log of a checkpoint begins with that of an older one"), h.consistency)
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		huma.Register(api, h.op(http.MethodGet, session+"/"+string(kind), "list-"+string(kind), "Sealed segments"), h.segments(kind))
		huma.Register(api, h.op(http.MethodGet, session+"/"+string(kind)+"/{number}", "get-"+string(kind), "One sealed segment (age)"), h.octets(kind))
	}
}

func (h *handlers) op(method, path, id, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{"handover"}, Middlewares: huma.Middlewares{h.tell}}
}

// enter admits an agency to one of its LIIDs and records the access. An unknown
// LIID and another agency's are the same to the caller.
func (h *handlers) enter(ctx context.Context, liid, action, object string) (auth.Caller, warrant.Warrant, error) {
	c, err := auth.Require(ctx, auth.Agency)
	if err != nil {
		return c, warrant.Warrant{}, err
	}
	w, err := h.cfg.Warrants.WarrantByLIID(ctx, c.Agency.ID, li.LIID(liid))
	e := entry(c, action, liid, object)
	if errors.Is(err, warrant.ErrNotFound) {
		e.Warrant, e.Result = "", "refused"
	} else if err != nil {
		return c, w, problem.From(err)
	}
	if recordErr := h.cfg.Warrants.Record(ctx, e); recordErr != nil {
		return c, w, problem.From(recordErr)
	}
	return c, w, problem.From(err)
}

func entry(c auth.Caller, action, liid, object string) audit.Entry {
	return audit.Entry{
		Actor: c.Actor(), Role: "agency", Action: action, Warrant: liid, Object: object, Result: "done",
		Source: c.Source, Detail: map[string]string{"certificate": c.Cert},
	}
}

type interceptView struct {
	LIID      string     `json:"liid"`
	State     string     `json:"state"`
	Scope     string     `json:"scope"`
	Reference string     `json:"reference"`
	From      time.Time  `json:"from"`
	Until     time.Time  `json:"until"`
	StoppedAt *time.Time `json:"stopped_at"`

	Quarantined bool `json:"quarantined,omitempty" doc:"the original order has not come: nothing is handed over until it does"`
}

func view(w warrant.Warrant) interceptView {
	v := interceptView{LIID: string(w.LIID), State: w.State.String(), Scope: w.Scope.String(), Reference: w.Reference, From: w.From, Until: w.Until, Quarantined: w.Quarantined()}
	if !w.StoppedAt.IsZero() {
		v.StoppedAt = &w.StoppedAt
	}
	return v
}

// PageInput is the part of a request that pages a listing.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"100"`
}

type page[T any] struct {
	Body struct {
		Items []T    `json:"items"`
		Next  string `json:"next"`
	}
}

func answer[T any](items []T, next string, err error) (*page[T], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	out := &page[T]{}
	out.Body.Items, out.Body.Next = items, next
	if items == nil {
		out.Body.Items = []T{}
	}
	return out, nil
}

func (h *handlers) intercepts(ctx context.Context, in *PageInput) (*page[interceptView], error) {
	c, err := auth.Require(ctx, auth.Agency)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Warrants.Record(ctx, entry(c, "intercepts.list", "", "")); err != nil {
		return nil, problem.From(err)
	}
	all, next, err := h.cfg.Warrants.WarrantsOfAgency(ctx, c.Agency.ID, pgstore.Page{Limit: in.Limit, After: in.Cursor})
	views := make([]interceptView, len(all))
	for i, w := range all {
		views[i] = view(w)
	}
	return answer(views, next, err)
}

// LIIDInput is the part of a path that names an intercept.
type LIIDInput struct {
	LIID string `path:"liid" maxLength:"25"`
}

type interceptOutput struct{ Body interceptView }

func (h *handlers) intercept(ctx context.Context, in *LIIDInput) (*interceptOutput, error) {
	_, w, err := h.enter(ctx, in.LIID, "intercept.read", "")
	if err != nil {
		return nil, err
	}
	return &interceptOutput{Body: view(w)}, nil
}

type sessionsInput struct {
	LIIDInput
	PageInput
}

func (h *handlers) sessions(ctx context.Context, in *sessionsInput) (*page[segment.SessionDoc], error) {
	_, w, err := h.enter(ctx, in.LIID, "sessions.list", "")
	if err != nil {
		return nil, err
	}
	return answer(h.cfg.Evidence.Sessions(ctx, w.LIID, evidence.Page{Limit: in.Limit, After: in.Cursor}))
}

// SessionInput is the part of a path that names a session.
type SessionInput struct {
	LIIDInput
	CIN uint32 `path:"cin"`
}

func (in SessionInput) object() string { return fmt.Sprintf("cin %d", in.CIN) }

type sessionOutput struct{ Body segment.SessionDoc }

func (h *handlers) session(ctx context.Context, in *SessionInput) (*sessionOutput, error) {
	_, w, err := h.enter(ctx, in.LIID, "session.read", in.object())
	if err != nil {
		return nil, err
	}
	d, err := h.cfg.Evidence.SessionByCIN(ctx, w.LIID, li.CIN(in.CIN))
	if err != nil {
		return nil, problem.From(err)
	}
	return &sessionOutput{Body: d}, nil
}

type segmentsInput struct {
	SessionInput
	PageInput
}

func (h *handlers) segments(kind segment.Kind) func(context.Context, *segmentsInput) (*page[segment.SegmentDoc], error) {
	return func(ctx context.Context, in *segmentsInput) (*page[segment.SegmentDoc], error) {
		_, w, err := h.enter(ctx, in.LIID, "segments.list", in.object()+" "+string(kind))
		if err != nil {
			return nil, err
		}
		all, next, err := h.cfg.Evidence.Segments(ctx, w.LIID, li.CIN(in.CIN), kind, evidence.Page{Limit: in.Limit, After: in.Cursor})
		for i := range all {
			all[i].URL = fmt.Sprintf("%s/%s/sessions/%d/%s/%d", base, w.LIID, in.CIN, kind, all[i].Number)
		}
		return answer(all, next, err)
	}
}

type segmentInput struct {
	SessionInput
	Number uint32 `path:"number" maximum:"2147483647"`
	Range  string `header:"Range"`
}

// octets sends a sealed segment, whole or from an offset ("Range: bytes=N-").
func (h *handlers) octets(kind segment.Kind) func(context.Context, *segmentInput) (*huma.StreamResponse, error) {
	return func(ctx context.Context, in *segmentInput) (*huma.StreamResponse, error) {
		_, w, err := h.enter(ctx, in.LIID, "segment.fetch", fmt.Sprintf("%s %s %d", in.object(), kind, in.Number))
		if err != nil {
			return nil, err
		}
		d, r, err := h.cfg.Evidence.OpenSegment(ctx, w.LIID, li.CIN(in.CIN), kind, in.Number)
		if err != nil {
			return nil, problem.From(err)
		}
		from, partial, err := offset(in.Range, d.Bytes)
		if err == nil {
			_, err = r.Seek(from, io.SeekStart)
		}
		if err != nil {
			_ = r.Close()
			return nil, problem.From(err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer r.Close()
			hc.SetHeader("Content-Type", "application/octet-stream")
			hc.SetHeader("ETag", strconv.Quote(d.SHA256))
			hc.SetHeader("Accept-Ranges", "bytes")
			hc.SetHeader("Content-Length", strconv.FormatInt(d.Bytes-from, 10))
			if partial {
				hc.SetHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, d.Bytes-1, d.Bytes))
				hc.SetStatus(http.StatusPartialContent)
			}
			_, _ = io.Copy(hc.BodyWriter(), r) // a client that goes away resumes later
		}}, nil
	}
}

// offset reads "bytes=N-", the only form that a resuming client needs.
func offset(header string, size int64) (from int64, partial bool, err error) {
	if header == "" {
		return 0, false, nil
	}
	if _, err := fmt.Sscanf(header, "bytes=%d-", &from); err != nil || from < 0 || from >= size {
		return 0, false, problem.New(http.StatusRequestedRangeNotSatisfiable, problem.BadRequest, "Range: want bytes=N- within the segment")
	}
	return from, true, nil
}

type ackInput struct {
	SessionInput
	Body struct {
		ChainHead string `json:"chain_head" pattern:"^[0-9a-f]{64}$" doc:"the chain head that you verified"`
	}
}

type ackOutput struct{ Body segment.AckDoc }

func (h *handlers) ack(ctx context.Context, in *ackInput) (*ackOutput, error) {
	c, w, err := h.enter(ctx, in.LIID, "session.ack.begin", in.object())
	if err != nil {
		return nil, err
	}
	d, err := h.cfg.Evidence.Ack(ctx, evidence.Ack{
		LIID: w.LIID, CIN: li.CIN(in.CIN), ChainHead: in.Body.ChainHead, Person: c.Name, Agency: string(c.Agency.ID), Cert: c.Cert, Source: c.Source,
	})
	if err != nil {
		return nil, problem.From(err)
	}
	return &ackOutput{Body: d}, nil
}

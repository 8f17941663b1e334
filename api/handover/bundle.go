package handover

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/attest"
)

type bundleInput struct {
	SessionInput
	Segments string `query:"segments" enum:"all,none" default:"all" doc:"none leaves the sealed segments out: who has them fetches the statement only"`
}

// bundle sends the sealed bundle of a closed session: the operator's statement, its
// signature and proofs, and the sealed segments. The body is a zip that breaks off
// where a segment cannot be read.
func (h *handlers) bundle(ctx context.Context, in *bundleInput) (*huma.StreamResponse, error) {
	_, w, err := h.enter(ctx, in.LIID, "bundle.fetch", in.object())
	if err != nil {
		return nil, err
	}
	statement, err := h.cfg.Evidence.Statement(ctx, w.LIID, li.CIN(in.CIN))
	if err != nil {
		return nil, problem.From(err)
	}
	files, err := statement.Files()
	if err != nil {
		return nil, problem.From(err)
	}
	man, err := attest.Decode(statement.Manifest)
	if err != nil {
		return nil, problem.From(err)
	}
	if in.Segments == "none" {
		man.Segments = nil
	} else if err := h.present(ctx, man); err != nil {
		return nil, problem.From(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/zip")
		if h.pack(hc.Context(), hc.BodyWriter(), files, man) != nil {
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	}}, nil
}

// present reports whether the segments are there still, which a purge takes away.
func (h *handlers) present(ctx context.Context, man attest.Manifest) error {
	if len(man.Segments) == 0 {
		return nil
	}
	d := man.Segments[0]
	_, r, err := h.cfg.Evidence.OpenSegment(ctx, man.Session.LIID, man.Session.CIN, d.Kind, d.Number)
	if err != nil {
		return err
	}
	return r.Close()
}

// pack writes the sealed bundle.
func (h *handlers) pack(ctx context.Context, w io.Writer, files []attest.File, man attest.Manifest) error {
	z := zip.NewWriter(w)
	add := func(name string, r io.Reader) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: man.Session.StartedAt})
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return err
	}
	for _, f := range files {
		if err := add(f.Name, f.Reader()); err != nil {
			return err
		}
	}
	for _, d := range man.Segments {
		_, r, err := h.cfg.Evidence.OpenSegment(ctx, man.Session.LIID, man.Session.CIN, d.Kind, d.Number)
		if err != nil {
			return err
		}
		err = add(fmt.Sprintf("segments/%06d.age", d.Number), r)
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return z.Close()
}

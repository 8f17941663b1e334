package handover

import (
	"context"
	"encoding/base64"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
)

// CheckpointHeader carries the newest witnessed checkpoint of the audit log, in base64,
// with each answer to an agency. An agency that keeps them notices when the log that it
// is shown is not the continuation of the one that it was shown before.
const CheckpointHeader = "Ligate-Checkpoint"

// tell adds the checkpoint to every answer, refusals too. An answer without one goes
// out all the same: evidence does not wait for the log's signature.
func (h *handlers) tell(hc huma.Context, next func(huma.Context)) {
	if auth.From(hc.Context()).Role == auth.Agency {
		if note, err := h.cfg.Log.Witnessed(hc.Context()); err == nil {
			hc.SetHeader(CheckpointHeader, base64.StdEncoding.EncodeToString(note))
		}
	}
	next(hc)
}

type consistencyInput struct {
	From int64 `query:"from" required:"true" minimum:"1"`
	To   int64 `query:"to" required:"true" minimum:"1"`
}

type consistencyOutput struct {
	Body struct {
		Hashes []string `json:"hashes" doc:"base64, in the order of RFC 6962"`
	}
}

// consistency proves to an agency that the log of one checkpoint begins with that of
// another. It tells nothing but hashes, so it is not recorded.
func (h *handlers) consistency(ctx context.Context, in *consistencyInput) (*consistencyOutput, error) {
	if _, err := auth.Require(ctx, auth.Agency); err != nil {
		return nil, err
	}
	hashes, err := h.cfg.Log.ConsistencyProof(ctx, in.From, in.To)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &consistencyOutput{}
	out.Body.Hashes = make([]string, len(hashes))
	for i, hash := range hashes {
		out.Body.Hashes[i] = base64.StdEncoding.EncodeToString(hash[:])
	}
	return out, nil
}

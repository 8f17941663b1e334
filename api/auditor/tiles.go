package auditor

import (
	"context"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
)

// logCheckpoint and tile serve C2SP tlog-tiles below /audit/v1/log. They hold sizes and
// hashes only, so reading them is not recorded: a monitor would fill the log with its
// own looks.
func (h *handlers) logCheckpoint(ctx context.Context, _ *struct{}) (*textOutput, error) {
	if _, err := auth.Require(ctx, auth.Auditor); err != nil {
		return nil, err
	}
	note, err := h.log.Witnessed(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	return &textOutput{ContentType: "text/plain; charset=utf-8", Body: note}, nil
}

type tileInput struct {
	Level string `path:"level" maxLength:"10" doc:"0 to 6, or entries"`
	Path  string `path:"*" maxLength:"100" doc:"N or N.p/W"`
}

func (h *handlers) tile(ctx context.Context, in *tileInput) (*textOutput, error) {
	if _, err := auth.Require(ctx, auth.Auditor); err != nil {
		return nil, err
	}
	b, err := h.log.Tile(ctx, in.Level+"/"+in.Path)
	if err != nil {
		return nil, problem.From(err)
	}
	return &textOutput{ContentType: "application/octet-stream", Body: b}, nil
}

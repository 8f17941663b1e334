package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// Remote is a witness somewhere else; all fields are required.
type Remote struct {
	URL      string // below which add-checkpoint is
	Verifier note.Verifier
	HTTP     *http.Client // with a timeout
}

// AddCheckpoint asks for a cosignature of a checkpoint of which the witness is thought
// to know the first old entries, and checks it.
func (r Remote) AddCheckpoint(ctx context.Context, old int64, proof []tlog.Hash, checkpoint []byte) (line []byte, err error) {
	body := request{old: old, proof: proof, checkpoint: checkpoint}.encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.URL, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("witness: bad URL")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("witness: ask: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("witness: read answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return r.pick(checkpoint, answer)
	case http.StatusConflict:
		text, ok := strings.CutSuffix(string(answer), "\n")
		size, ok := parseSize(text, ok)
		if !ok || resp.Header.Get("Content-Type") != sizeType {
			return nil, ErrAnswer
		}
		return nil, &ConflictError{Size: size}
	}
	return nil, &StatusError{Status: resp.StatusCode}
}

// pick finds the line that the witness's key made; others are not ours to keep.
func (r Remote) pick(checkpoint, answer []byte) ([]byte, error) {
	for line := range bytes.Lines(answer) {
		if _, err := audit.CosignedAt(append(bytes.Clone(checkpoint), line...), r.Verifier); err == nil {
			return line, nil
		}
	}
	return nil, ErrAnswer
}

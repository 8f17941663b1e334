package agency

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// Errors of the checkpoints that the operator sends along.
var (
	ErrFork = errors.New("pull: the operator's audit log is not the continuation of the one that you were shown before: it was rewritten, " +
		"forked or cut back. Keep DIR/log as it is, and tell your supervisor and the operator's auditor")
	ErrCheckpoint   = errors.New("pull: the operator's checkpoint is malformed or not signed by the key given with --log-key")
	ErrNoCheckpoint = errors.New("pull: the operator sends no checkpoints of its audit log any more")
)

const (
	checkpointHeader = "Ligate-Checkpoint"
	newestCheckpoint = "checkpoint"      // below DIR/log; every one is also kept as SIZE.checkpoint
	forkedCheckpoint = "checkpoint.fork" // what contradicted it
	maxCheckpoint    = 64 << 10
)

// checkpoint is a tree head that the operator signed.
type checkpoint struct {
	note []byte
	size int64
	root tlog.Hash
}

// note takes the checkpoint from an answer. Answers may arrive in another order than
// they were made, so that the largest one counts.
func (c *Client) note(h http.Header) error {
	text := h.Get(checkpointHeader)
	if text == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) > maxCheckpoint {
		return ErrCheckpoint
	}
	got, err := c.parse(raw)
	if err != nil {
		return err
	}
	if c.shown == nil || got.size > c.shown.size {
		c.shown = &got
		return nil
	}
	if got.size == c.shown.size && got.root != c.shown.root {
		return c.forked(got)
	}
	return nil
}

// parse reads a checkpoint; without a key its signature stays unchecked.
func (c *Client) parse(raw []byte) (checkpoint, error) {
	if c.cfg.LogKey != nil {
		size, root, err := audit.OpenCheckpoint(raw, c.cfg.LogKey)
		if err != nil {
			return checkpoint{}, ErrCheckpoint
		}
		return checkpoint{raw, size, root}, nil
	}
	lines := strings.SplitN(string(raw), "\n", 4)
	if len(lines) < 4 {
		return checkpoint{}, ErrCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || len(root) != tlog.HashSize {
		return checkpoint{}, ErrCheckpoint
	}
	return checkpoint{raw, size, tlog.Hash(root)}, nil
}

// CheckLog holds the newest checkpoint that came along against the one kept from the
// pull before, with a proof by the operator, and keeps it.
func (c *Client) CheckLog(ctx context.Context) error {
	kept, err := c.kept()
	if err != nil {
		return err
	}
	switch {
	case c.shown == nil && kept == nil:
		return nil // no checkpoint was made yet
	case c.shown == nil:
		return ErrNoCheckpoint
	case kept == nil:
		return c.keep(*c.shown)
	}
	older, newer := *kept, *c.shown
	if older.size > newer.size {
		older, newer = newer, older
	}
	if older.size == newer.size && older.root != newer.root {
		return c.forked(*c.shown)
	}
	if older.size > 0 && older.size < newer.size {
		proof, err := c.consistency(ctx, older.size, newer.size)
		if err != nil {
			return err
		}
		if proof == nil || tlog.CheckTree(proof, newer.size, newer.root, older.size, older.root) != nil {
			return c.forked(*c.shown)
		}
	}
	if newer.size == kept.size {
		return nil // an older one came late, and fits
	}
	return c.keep(*c.shown)
}

// consistency asks for the proof; nil says that the operator has none.
func (c *Client) consistency(ctx context.Context, from, to int64) (tlog.TreeProof, error) {
	query := url.Values{"from": {strconv.FormatInt(from, 10)}, "to": {strconv.FormatInt(to, 10)}}
	resp, err := c.request(ctx, http.MethodGet, "/handover/v1/log/consistency?"+query.Encode(), nil, nil)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return nil, nil // the log has not that many entries any more
	}
	if err != nil {
		return nil, err
	}
	var body struct {
		Hashes []string `json:"hashes"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxJSONBytes)).Decode(&body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("pull: read proof: %w", err)
	}
	proof := tlog.TreeProof{}
	for _, text := range body.Hashes {
		h, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(h) != tlog.HashSize {
			return nil, nil
		}
		proof = append(proof, tlog.Hash(h))
	}
	return proof, nil
}

func (c *Client) logFile(name string) string { return filepath.Join(c.cfg.Dir, "log", name) }

func (c *Client) kept() (*checkpoint, error) {
	raw, err := os.ReadFile(c.logFile(newestCheckpoint))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kept checkpoint: %w", err)
	}
	got, err := c.parse(raw)
	return &got, err
}

func (c *Client) keep(p checkpoint) error {
	if err := os.MkdirAll(c.logFile(""), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := replace(c.logFile(strconv.FormatInt(p.size, 10)+".checkpoint"), p.note); err != nil {
		return err
	}
	return replace(c.logFile(newestCheckpoint), p.note)
}

// forked keeps what contradicts beside what was kept.
func (c *Client) forked(p checkpoint) error {
	if err := os.MkdirAll(c.logFile(""), 0o700); err != nil {
		return errors.Join(ErrFork, err)
	}
	return errors.Join(ErrFork, replace(c.logFile(forkedCheckpoint), p.note))
}

// ParseLogKey reads the log's verifier key.
func ParseLogKey(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("pull: bad log key: want NAME+KEYID+KEY as the operator gave it (audit.pub)")
	}
	return v, nil
}

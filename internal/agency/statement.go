package agency

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// ErrStatement says that what the operator states is not readable, or about another session.
var ErrStatement = errors.New("pull: the operator's statement of a session cannot be read, or is about another one: ask the operator")

const maxStatementBytes = 1 << 30

// statement fetches what the operator states of an ended session, once for each state
// of it: asking again would only lengthen the custody trail.
func (c *Client) statement(ctx context.Context, dir string, s segment.SessionDoc) error {
	if s.EndedAt == nil || stated(dir, s) {
		return nil
	}
	resp, err := c.request(ctx, http.MethodGet, fmt.Sprintf("%s/%d/bundle?segments=none", sessionsPath(s.LIID), s.CIN), nil, nil)
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil // an operator that makes none, or an older session
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxStatementBytes))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("pull: receive statement: %w", err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return ErrStatement
	}
	files := map[string][]byte{}
	for _, name := range []string{attest.FileCustody, attest.FileProof, attest.FileSignature, attest.FileManifest} {
		if files[name], err = member(z, name); err != nil {
			return ErrStatement
		}
	}
	man, err := attest.Decode(files[attest.FileManifest])
	if err != nil || man.Session.LIID != s.LIID || man.Session.CIN != s.CIN {
		return ErrStatement
	}
	if man.Session.ChainHead != s.ChainHead { // a record came since the session was listed
		c.cfg.Log.WarnContext(ctx, "the session grew meanwhile: pull again for its statement")
		return nil
	}
	for _, name := range []string{attest.FileCustody, attest.FileProof, attest.FileSignature, attest.FileManifest} {
		if err := replace(filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
	}
	return nil
}

// stated reports whether the statement of this state of the session is there: its
// manifest is written last.
func stated(dir string, s segment.SessionDoc) bool {
	b, err := os.ReadFile(filepath.Join(dir, attest.FileManifest))
	if err != nil {
		return false
	}
	man, err := attest.Decode(b)
	return err == nil && man.Session.ChainHead == s.ChainHead
}

func member(z *zip.Reader, name string) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, attest.MaxManifest))
}

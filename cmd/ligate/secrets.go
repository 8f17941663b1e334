package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pki"
)

// secrets are the keys of one deployment. Each is a file in data_dir/secrets, made
// at the first start.
type secrets struct{ dir string }

func (c *config) secrets() secrets { return secrets{dir: filepath.Join(c.DataDir, "secrets")} }

func (s secrets) path(name string) string { return filepath.Join(s.dir, name) }

// api is the certificate that the three users see.
func (s secrets) api(names []string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "api", pki.Spec{CommonName: "ligate API", Names: names})
}

// auditKey is the log's signing key; its verifier key stands beside it for the
// auditor.
func (s secrets) auditKey(operator string) (note.Signer, error) {
	path := s.path("audit.key")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret, verifier, err := audit.NewKey(strings.ToLower(operator) + "/ligate")
		if err != nil {
			return nil, err
		}
		if err := errors.Join(pki.Keep(path, []byte(secret)), pki.Keep(s.path("audit.pub"), []byte(verifier+"\n"))); err != nil {
			return nil, err
		}
		b = []byte(secret)
	} else if err != nil {
		return nil, fmt.Errorf("read audit key: %w", err)
	}
	signer, err := note.NewSigner(string(b))
	if err != nil {
		return nil, errors.New("the audit key in the secrets folder is not readable")
	}
	return signer, nil
}

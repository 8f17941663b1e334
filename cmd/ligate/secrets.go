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
	"github.com/ligate/ligate/li/x1"
)

// admfID is our admfIdentifier on X1.
const admfID = "ligate-admf"

// secrets are the keys of one deployment. Each is a file in data_dir/secrets, made
// at the first start.
type secrets struct{ dir string }

func (c *config) secrets() secrets { return secrets{dir: filepath.Join(c.DataDir, "secrets")} }

func (s secrets) path(name string) string { return filepath.Join(s.dir, name) }

// busKey encrypts the bus's files.
func (s secrets) busKey() ([]byte, error) { return pki.Secret(s.path("bus.key"), 32) }

// dropKey names capture files so that their names tell nothing.
func (s secrets) dropKey() ([]byte, error) { return pki.Secret(s.path("drop.key"), 32) }

// signInKey seals TOTP secrets.
func (s secrets) signInKey() ([]byte, error) { return pki.Secret(s.path("signin.key"), 32) }

// approvalKey is the key of the order hashes that approvers sign. An auditor gets it
// together with the orders.
func (s secrets) approvalKey() ([]byte, error) { return pki.Secret(s.path("approval.key"), 32) }

// sipKey authenticates what the proxy writes into messages.
func (s secrets) sipKey() ([]byte, error) { return pki.Secret(s.path("sip.key"), 32) }

// hi1Key seals the orders that agencies send.
func (s secrets) hi1Key() ([]byte, error) { return pki.Secret(s.path("hi1.key"), 32) }

// tapKey keys the hashes of targets in the records of taps without an order.
func (s secrets) tapKey() ([]byte, error) { return pki.Secret(s.path("tap.key"), 32) }

// api is the certificate that the three users see.
func (s secrets) api(names []string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "api", pki.Spec{CommonName: "ligate API", Names: names})
}

// admf is our side of X1 as the ADMF.
func (s secrets) admf() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "x1-admf", pki.Spec{CommonName: "ligate ADMF", URI: x1.ADMFBinding(admfID)})
}

// ne is our side of X1 as the network element with that id.
func (s secrets) ne(id string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "x1-ne", pki.Spec{CommonName: "ligate gateway " + id, URI: x1.NEBinding(id)})
}

// busServer is the certificate of a gateway's bus towards a mediation elsewhere.
func (s secrets) busServer() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "bus-server", pki.Spec{CommonName: "ligate bus"})
}

// mdf is the mediation's certificate towards gateways elsewhere.
func (s secrets) mdf() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "mdf", pki.Spec{CommonName: "ligate MDF"})
}

// x2x3 is the certificate that network elements that are not ours see.
func (s secrets) x2x3(names []string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "x2x3", pki.Spec{CommonName: "ligate X2/X3", Names: names})
}

// export is the certificate that somebody else's mediation sees.
func (s secrets) export(id string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "export", pki.Spec{CommonName: "ligate gateway " + id, URI: x1.NEBinding(id)})
}

// handover is the certificate that LEMFs see.
func (s secrets) handover() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "handover", pki.Spec{CommonName: "ligate handover"})
}

// integrity is the key that signs integrity checks, with the certificate that
// agencies check them by.
func (s secrets) integrity() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "integrity", pki.Spec{CommonName: "ligate integrity checks"})
}

// evidence is the key that signs the statements of closed sessions, with the
// certificate that agencies and courts check them by.
func (s secrets) evidence() (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "evidence", pki.Spec{CommonName: "ligate evidence"})
}

// auditVerifier is the log's verifier key, which auditKey left beside the key.
func (s secrets) auditVerifier() (string, error) {
	b, err := os.ReadFile(s.path("audit.pub"))
	if err != nil {
		return "", fmt.Errorf("read the log's verifier key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// liMetrics is the certificate of the LI figures' listener.
func (s secrets) liMetrics(names []string) (tls.Certificate, error) {
	return pki.LoadOrCreate(s.dir, "li-metrics", pki.Spec{CommonName: "ligate LI metrics", Names: names})
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

package agency

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/ligate/ligate/internal/pki"
)

// The files of a person of an agency.
const (
	identityFile = "identity.txt"
	certFile     = "client.crt"
	keyFile      = "client.key"
)

// Keys are what the operator must be told to register an agency's person.
type Keys struct {
	Recipient   string // age recipient that content is sealed to
	Fingerprint string // of the client certificate
}

// Keygen makes an age identity and a client key with its certificate in dir. None
// of the files may exist. hybrid makes a post-quantum hybrid identity.
func Keygen(dir, person string, hybrid bool) (Keys, error) {
	if person == "" {
		return Keys{}, errors.New("keygen: a person's name is required")
	}
	secret, recipient, err := newIdentity(hybrid)
	if err != nil {
		return Keys{}, fmt.Errorf("keygen: %w", err)
	}
	text := "# public key: " + recipient + "\n" + secret + "\n"
	if err := pki.Keep(filepath.Join(dir, identityFile), []byte(text)); err != nil {
		return Keys{}, err
	}
	crt, key := filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	if err := pki.Create(crt, key, pki.Spec{CommonName: person}); err != nil {
		return Keys{}, err
	}
	pair, err := pki.Load(crt, key)
	if err != nil {
		return Keys{}, err
	}
	return Keys{Recipient: recipient, Fingerprint: pki.Fingerprint(pair.Certificate[0])}, nil
}

func newIdentity(hybrid bool) (secret, recipient string, err error) {
	if hybrid {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return "", "", err
		}
		return id.String(), id.Recipient().String(), nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", err
	}
	return id.String(), id.Recipient().String(), nil
}

// Identities reads the age identities of a key folder.
func Identities(dir string) ([]age.Identity, error) {
	b, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return nil, errors.New("no identity.txt in the key folder: run ligate agency keygen, or name the right folder")
	}
	ids, err := age.ParseIdentities(strings.NewReader(string(b)))
	if err != nil {
		return nil, errors.New("identity.txt holds no age identity")
	}
	return ids, nil
}

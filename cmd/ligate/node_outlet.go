package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/warrant"
)

// buildOutlet makes the way to the agencies' LEMFs.
func (n *node) buildOutlet() error {
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	own, err := n.cfg.secrets().handover()
	if err != nil {
		return err
	}
	integrity, err := n.cfg.secrets().integrity()
	if err != nil {
		return err
	}
	signer, err := ecdsaKey(integrity)
	if err != nil {
		return err
	}
	dropKey, err := n.cfg.secrets().dropKey()
	if err != nil {
		return err
	}
	// In a cluster several mediations share what waits for the LEMFs: one at a time has
	// an agency's connection.
	spools, hold := n.bus, (func(context.Context, string, func(context.Context) error) error)(nil)
	if n.cluster != nil {
		spools, hold = n.cluster, n.db.warrants.Hold
	}
	n.outlet, err = deliver.New(deliver.Config{
		Bus: spools, Hold: hold, Records: n.db.warrants, Outbox: store, Alarms: n.db.warrants, Log: n.log, LIReg: n.li,
		TLS: func(lemf string) *tls.Config { return lemfTLS(own, lemf) }, Signer: signer,
		Operator: n.cfg.Operator.ID, Element: n.cfg.Operator.Element, Key: n.cfg.Mediation.deliveryKey,
		Drop: deliver.Drop{
			Dir: cmp.Or(n.cfg.Mediation.DropDir, filepath.Join(n.cfg.DataDir, "drop")), Key: dropKey, Recipients: n.recipients,
			Keep: time.Duration(n.cfg.Mediation.DropKeep), Version: version,
		},
	})
	if err != nil {
		return err
	}
	n.add(part{name: "handover", run: n.outlet.Run})
	return nil
}

// recipients are the keys to which an agency's capture files are sealed.
func (n *node) recipients(ctx context.Context, id warrant.AgencyID) ([]string, error) {
	agency, err := n.db.warrants.Agency(ctx, id)
	return agency.Recipients, err
}

func ecdsaKey(c tls.Certificate) (*ecdsa.PrivateKey, error) {
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key that signs integrity checks is no ECDSA key")
	}
	return key, nil
}

// lemfTLS allows TLS 1.2: older LEMFs have no other (TS 102 232-1 clause 6.3.1).
func lemfTLS(own tls.Certificate, fingerprint string) *tls.Config {
	cfg := pki.Client(own, fingerprint)
	cfg.MinVersion = tls.VersionTLS12
	return cfg
}

// deliveryKey reads the key of an agency's encryption container.
func (m mediationConfig) deliveryKey(id warrant.AgencyID) ([]byte, error) {
	path, ok := m.Keys[string(id)]
	if !ok {
		return nil, fmt.Errorf("mediation.delivery_keys has no key of the agency")
	}
	return readContainerKey(path)
}

// readContainerKey reads the key of an encryption container. An error names no path.
func readContainerKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("the key of the encryption container cannot be read")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 24 && len(key) != 32 {
		return nil, errors.New("the key of the encryption container: want 24 or 32 octets in base64")
	}
	return key, nil
}

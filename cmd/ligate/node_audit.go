package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
	"github.com/ligate/ligate/internal/pki"
)

const witnessTimeout = 10 * time.Second

// buildWitnessing makes what signs checkpoints and has them cosigned.
func (n *node) buildWitnessing() error {
	key, err := os.ReadFile(n.cfg.secrets().path("audit.pub"))
	if err != nil {
		return fmt.Errorf("read audit key: %w", err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return fmt.Errorf("read audit key: %w", err)
	}
	var remotes []witness.Remote
	for _, w := range n.cfg.Audit.Witnesses {
		r, err := w.remote()
		if err != nil {
			return err
		}
		remotes = append(remotes, r)
	}
	pusher, err := witness.NewPusher(witness.PusherConfig{
		Source: n.db.log.On(n.db.pool), Verifier: verifier, Witnesses: remotes, Alarms: n.db.warrants, Log: n.log,
		Every: time.Duration(n.cfg.Audit.CheckpointEvery), Patience: time.Duration(n.cfg.Audit.UnwitnessedAlarm),
	})
	if err != nil {
		return err
	}
	n.add(part{name: "checkpoints", run: pusher.Run})
	return nil
}

func (w witnessConfig) remote() (witness.Remote, error) {
	v, err := audit.NewWitnessVerifier(w.Key)
	if err != nil {
		return witness.Remote{}, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13}
	if w.Certificate != "" {
		cfg = pki.Client(tls.Certificate{}, w.Certificate)
		cfg.Certificates = nil
	}
	return witness.Remote{URL: w.URL, Verifier: v, HTTP: &http.Client{Timeout: witnessTimeout, Transport: &http.Transport{TLSClientConfig: cfg}}}, nil
}

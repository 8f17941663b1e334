package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/pki"
)

type auditWitnessCmd struct {
	Listen string   `default:"127.0.0.1:8460" help:"Where logs ask for cosignatures (HTTPS)."`
	Key    string   `required:"" type:"path" help:"File with the witness's key; made under --name if it is not there."`
	Name   string   `help:"The witness's name in its key, such as auditor.example/w1; for a key that is not there yet."`
	Dir    string   `required:"" type:"path" help:"Folder for what was signed. Never lose it, never restore it from a backup."`
	Origin []string `required:"" sep:"none" help:"Verifier key NAME+KEYID+KEY of a log to witness (its audit.pub); several times for several logs."`
	Names  []string `default:"localhost,127.0.0.1" help:"DNS names and addresses in the TLS certificate, which is made in --dir."`
}

// Run witnesses until it is interrupted.
func (c *auditWitnessCmd) Run(ctx context.Context, s streams) (err error) {
	cosigner, err := c.cosigner()
	if err != nil {
		return err
	}
	var logs []note.Verifier
	for _, key := range c.Origin {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return usagef("--origin: want the log's verifier key NAME+KEYID+KEY, as in its audit.pub")
		}
		logs = append(logs, v)
	}
	w, err := witness.Open(witness.Config{Dir: c.Dir, Cosigner: cosigner, Origins: logs, Log: logging.New(s.err, slog.LevelInfo)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	cert, err := pki.LoadOrCreate(c.Dir, "witness", pki.Spec{CommonName: "ligate witness", Names: c.Names})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("bind witness: %w", err)
	}
	fmt.Fprintf(s.out, "witness      %s\ncertificate  %s\nlistens on   https://%s\n", cosigner.Verifier(), pki.Fingerprint(cert.Certificate[0]), l.Addr())
	return serveWitness(ctx, l, cert, w)
}

func (c *auditWitnessCmd) cosigner() (*audit.Cosigner, error) {
	b, err := os.ReadFile(c.Key)
	if errors.Is(err, fs.ErrNotExist) {
		if c.Name == "" {
			return nil, usagef("there is no key in --key yet: say --name, under which it is made")
		}
		secret, _, err := audit.NewCosignerKey(c.Name)
		if err != nil {
			return nil, usagef("--name: want a name without spaces and plus signs")
		}
		if err := pki.Keep(c.Key, []byte(secret+"\n")); err != nil {
			return nil, err
		}
		b = []byte(secret)
	} else if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return audit.NewCosigner(strings.TrimSpace(string(b)))
}

func serveWitness(ctx context.Context, l net.Listener, cert tls.Certificate, h http.Handler) error {
	srv := &http.Server{
		Handler: h, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}},
		ReadTimeout: headerTimeout, WriteTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.ServeTLS(l, "", "") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return srv.Shutdown(stop)
}

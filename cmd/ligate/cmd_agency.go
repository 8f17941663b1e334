package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/bundle"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

type agencyCmd struct {
	Keygen agencyKeygenCmd `cmd:"" help:"Make the keys of one of the agency's people."`
	Pull   agencyPullCmd   `cmd:"" help:"Fetch sealed sessions; goes on where it stopped."`
	Open   agencyOpenCmd   `cmd:"" help:"Verify and decrypt pulled sessions to WAV, pcapng and JSON lines, and make the evidence bundle of each that ended."`
	Listen agencyListenCmd `cmd:"" help:"Act as a LEMF: take HI2 and HI3 (TS 102 232-1), check and store them, show a live table."`
}

type agencyKeygenCmd struct {
	Person string `required:"" help:"The person's name, as it shall stand in the operator's records."`
	Keys   string `required:"" type:"path" help:"Folder for the keys; must not hold any yet."`
	Hybrid bool   `help:"Post-quantum hybrid identity."`
}

// Run makes the keys and prints what the operator must be told.
func (c *agencyKeygenCmd) Run(s streams) error {
	keys, err := agency.Keygen(c.Keys, c.Person, c.Hybrid)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Tell the operator, by a way you both trust:\nrecipient    %s\ncertificate  %s\n", keys.Recipient, keys.Fingerprint)
	return nil
}

// pullFlags are what fetching sealed sessions needs.
type pullFlags struct {
	API    string `env:"LIGATE_API" default:"https://127.0.0.1:8440" help:"Base URL of the operator's API."`
	Server string `env:"LIGATE_SERVER" required:"" help:"SHA-256 fingerprint of the API's certificate."`
	Keys   string `required:"" type:"existingdir" help:"Folder that keygen made."`
	Dir    string `required:"" type:"path" help:"Where sessions go: DIR/sealed, later DIR/opened."`
}

// client fetches; logKey may be nil.
func (f pullFlags) client(s streams, logKey note.Verifier) (*agency.Client, error) {
	if !validFingerprint(f.Server) {
		return nil, usagef("--server: want the SHA-256 of the API's certificate: 64 lower-case hexadecimal digits")
	}
	client, err := agency.New(agency.Config{URL: f.API, Server: f.Server, Keys: f.Keys, Dir: f.Dir, Log: logging.New(s.err, slog.LevelWarn), LogKey: logKey})
	if err != nil {
		return nil, &usageError{err}
	}
	return client, nil
}

type agencyPullCmd struct {
	pullFlags
	LIID   string `name:"liid" help:"Only this intercept; default all of yours."`
	LogKey string `type:"existingfile" help:"File with the operator's audit log key (audit.pub): then the checkpoints that come along must be signed by it."`
	Ack    bool   `help:"Verify each ended session with the keys and send the operator a receipt."`
}

// Run fetches what is not there yet.
func (c *agencyPullCmd) Run(ctx context.Context, s streams) error {
	var logKey note.Verifier
	if c.LogKey != "" {
		text, err := os.ReadFile(c.LogKey)
		if err != nil {
			return fmt.Errorf("read log key: %w", err)
		}
		if logKey, err = agency.ParseLogKey(string(text)); err != nil {
			return &usageError{err}
		}
	}
	client, err := c.client(s, logKey)
	if err != nil {
		return err
	}
	liids := []li.LIID{li.LIID(c.LIID)}
	if c.LIID == "" {
		if liids, err = client.LIIDs(ctx); err != nil {
			return err
		}
	}
	for _, liid := range liids {
		sessions, err := client.Pull(ctx, liid)
		if err != nil {
			return err
		}
		for _, session := range sessions {
			fmt.Fprintf(s.out, "%s session %d: %d segments\n", liid, session.CIN, session.Segments)
			if c.Ack && session.EndedAt != nil && session.Acked == nil {
				if err := c.ack(ctx, client, session); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ack verifies before it says that the session arrived.
func (c *agencyPullCmd) ack(ctx context.Context, client *agency.Client, s segment.SessionDoc) error {
	ids, err := agency.Identities(c.Keys)
	if err != nil {
		return err
	}
	if _, err := open.Verify(ctx, client.Sealed(s.LIID, s.CIN), ids); err != nil {
		return fmt.Errorf("session %d is not acknowledged: %w", s.CIN, err)
	}
	return client.Ack(ctx, s)
}

type agencyOpenCmd struct {
	Keys   string `required:"" type:"existingdir" help:"Folder that keygen made."`
	Dir    string `required:"" type:"existingdir" help:"The folder given to pull."`
	Redact string `enum:",iri,cc" default:"" help:"Leave these records out of the bundles: iri or cc (audio)."`
	Cert   string `type:"existingfile" help:"Your certificate (PEM): the bundles are sealed with it. Needs --key."`
	Key    string `type:"existingfile" help:"Its private key (PEM)."`
	TSA    string `name:"tsa" help:"URL of a time stamp authority (RFC 3161): the bundles are stamped."`
}

// Run opens every pulled session and makes the evidence bundle of each that ended.
func (c *agencyOpenCmd) Run(ctx context.Context, s streams) error {
	ids, err := agency.Identities(c.Keys)
	if err != nil {
		return &usageError{err}
	}
	cfg := bundle.Config{Out: filepath.Join(c.Dir, "bundles"), Identities: ids, Version: version, Without: segment.Kind(c.Redact), TSA: c.TSA}
	if (c.Cert == "") != (c.Key == "") {
		return usagef("--cert and --key go together")
	}
	if c.Cert != "" {
		own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return usagef("--cert, --key: want a certificate and its private key, in PEM")
		}
		cfg.Seal = &own
	}
	found, err := filepath.Glob(filepath.Join(c.Dir, "sealed", "liid-*", "*", open.SessionFile()))
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	if len(found) == 0 {
		return usagef("nothing was pulled into %s yet", c.Dir)
	}
	var failed error
	for _, doc := range found {
		cfg.Source = filepath.Dir(doc)
		if _, err := strconv.ParseUint(filepath.Base(cfg.Source), 10, 32); err != nil {
			continue // not a session of ours
		}
		if err := c.session(ctx, s, cfg); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", cfg.Source, err))
		}
	}
	return failed
}

// session opens one session and bundles it, if the operator stated that it is whole.
func (c *agencyOpenCmd) session(ctx context.Context, s streams, cfg bundle.Config) error {
	cin, name := filepath.Base(cfg.Source), filepath.Base(filepath.Dir(cfg.Source))
	out := filepath.Join(c.Dir, "opened", name, cin)
	if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	man, err := open.Session(ctx, open.Config{Source: cfg.Source, Out: out, Identities: cfg.Identities, Version: version})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s session %d opened: %s\n", man.LIID, man.CIN, out)
	if !man.Session.Ended {
		fmt.Fprintln(s.out, "  no bundle yet: the session has not ended")
		return nil
	}
	if _, err := os.Stat(filepath.Join(cfg.Source, attest.FileManifest)); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(s.out, "  no bundle: the operator gave no statement of this session")
		return nil
	}
	made, err := bundle.Build(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  bundle %s\n  SHA-256 of its tagmanifest-sha256.txt %s\n", made.Path, made.Hash)
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

type agencyCmd struct {
	Keygen agencyKeygenCmd `cmd:"" help:"Make the keys of one of the agency's people."`
	Pull   agencyPullCmd   `cmd:"" help:"Fetch sealed sessions; goes on where it stopped."`
	Open   agencyOpenCmd   `cmd:"" help:"Verify and decrypt pulled sessions to WAV, pcapng and JSON lines."`
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

type agencyPullCmd struct {
	API    string `env:"LIGATE_API" default:"https://127.0.0.1:8440" help:"Base URL of the operator's API."`
	Server string `env:"LIGATE_SERVER" required:"" help:"SHA-256 fingerprint of the API's certificate."`
	Keys   string `required:"" type:"existingdir" help:"Folder that keygen made."`
	Dir    string `required:"" type:"path" help:"Where sessions go: DIR/sealed, later DIR/opened."`
	LIID   string `name:"liid" help:"Only this intercept; default all of yours."`
	LogKey string `type:"existingfile" help:"File with the operator's audit log key (audit.pub): then the checkpoints that come along must be signed by it."`
	Ack    bool   `help:"Verify each ended session with the keys and send the operator a receipt."`
}

// Run fetches what is not there yet.
func (c *agencyPullCmd) Run(ctx context.Context, s streams) error {
	if !validFingerprint(c.Server) {
		return usagef("--server: want the SHA-256 of the API's certificate: 64 lower-case hexadecimal digits")
	}
	cfg := agency.Config{URL: c.API, Server: c.Server, Keys: c.Keys, Dir: c.Dir, Log: logging.New(s.err, slog.LevelWarn)}
	if c.LogKey != "" {
		text, err := os.ReadFile(c.LogKey)
		if err != nil {
			return fmt.Errorf("read log key: %w", err)
		}
		if cfg.LogKey, err = agency.ParseLogKey(string(text)); err != nil {
			return &usageError{err}
		}
	}
	client, err := agency.New(cfg)
	if err != nil {
		return &usageError{err}
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
	Keys string `required:"" type:"existingdir" help:"Folder that keygen made."`
	Dir  string `required:"" type:"existingdir" help:"The folder given to pull."`
}

// Run opens every pulled session that is not opened yet.
func (c *agencyOpenCmd) Run(ctx context.Context, s streams) error {
	ids, err := agency.Identities(c.Keys)
	if err != nil {
		return &usageError{err}
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
		source := filepath.Dir(doc)
		cin, name := filepath.Base(source), filepath.Base(filepath.Dir(source))
		if _, err := strconv.ParseUint(cin, 10, 32); err != nil {
			continue // not a session of ours
		}
		out := filepath.Join(c.Dir, "opened", name, cin)
		if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		man, err := open.Session(ctx, open.Config{Source: source, Out: out, Identities: ids, Version: version})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", source, err))
			continue
		}
		fmt.Fprintf(s.out, "%s session %d opened: %s\n", man.LIID, man.CIN, out)
	}
	return failed
}

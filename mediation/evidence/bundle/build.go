package bundle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Errors of building.
var (
	ErrConfig    = errors.New("bundle: a source folder, an output folder and at least one key are required")
	ErrStatement = errors.New("bundle: the operator's statement of this session is not there or does not fit: pull again after the call has ended")
	ErrRedaction = errors.New("bundle: what can be left out is iri or cc")
)

// Config is what building one bundle needs; fields without a default are required.
type Config struct {
	Source     string // folder of the pulled session
	Out        string // folder; the file's name follows from the session
	Identities []age.Identity
	Version    string           // of the tool; default "devel"
	Without    segment.Kind     // left out, for a redacted bundle; empty = nothing
	Seal       *tls.Certificate // of the person who opens; nil = no seal.p7s
	TSA        string           // URL of a time stamp authority (RFC 3161); empty = no seal.tsr
	HTTP       *http.Client     // asks the TSA; default http.DefaultClient
}

// Result is a bundle that stands.
type Result struct {
	Path string
	Hash string // SHA-256 of its tagmanifest-sha256.txt
}

// Build makes the bundle of a pulled session. An older one of that name is replaced;
// after an error nothing new stands.
func Build(ctx context.Context, cfg Config) (Result, error) {
	if cfg.Source == "" || cfg.Out == "" || len(cfg.Identities) == 0 {
		return Result{}, ErrConfig
	}
	if cfg.Without != "" && cfg.Without != segment.KindIRI && cfg.Without != segment.KindCC {
		return Result{}, ErrRedaction
	}
	if cfg.Version == "" {
		cfg.Version = "devel"
	}
	r, err := open.Load(ctx, cfg.Source, cfg.Identities)
	if err != nil {
		return Result{}, err
	}
	st, err := readStatement(cfg.Source)
	if err != nil || st.man.Session.ChainHead != r.Session().Session.ChainHead {
		return Result{}, ErrStatement
	}
	// From here on the session is what the operator signed.
	if r, err = open.FromPlaintexts(st.pulled(), r.Plaintexts()); err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(cfg.Out, 0o700); err != nil {
		return Result{}, fmt.Errorf("make folder: %w", err)
	}
	dir, err := os.MkdirTemp(cfg.Out, ".bundling-")
	if err != nil {
		return Result{}, fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return cfg.build(ctx, dir, r, st)
}

func (c Config) build(ctx context.Context, dir string, r *open.Records, st statement) (Result, error) {
	b := bag{records: r, statement: st, version: c.Version}
	names, err := b.fill(filepath.Join(dir, "whole"))
	if err != nil {
		return Result{}, err
	}
	final := filepath.Join(dir, "whole")
	if c.Without != "" {
		parent, err := fileHash(filepath.Join(final, fileTagTree))
		if err != nil {
			return Result{}, err
		}
		b.redacted = &open.Redaction{Without: c.Without, Parent: parent}
		if b.records, err = r.Without(c.Without); err != nil {
			return Result{}, err
		}
		final = filepath.Join(dir, "redacted")
		if names, err = b.fill(final); err != nil {
			return Result{}, err
		}
	}
	more, err := c.seal(ctx, final)
	if err != nil {
		return Result{}, err
	}
	res := Result{Path: filepath.Join(c.Out, b.name()+".zip")}
	if res.Hash, err = fileHash(filepath.Join(final, fileTagTree)); err != nil {
		return Result{}, err
	}
	return res, c.place(dir, final, &b, append(names, more...), res.Path)
}

// place writes the zip beside its final name and moves it there.
func (c Config) place(dir, from string, b *bag, names []string, path string) error {
	f, err := os.OpenFile(filepath.Join(dir, "zip"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write zip: %w", err)
	}
	defer f.Close()
	if err := pack(f, from, b.name(), names, b.at()); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), path)); err != nil {
		return fmt.Errorf("write zip: %w", err)
	}
	return nil
}

// seal signs and stamps the tag manifest, as ordered.
func (c Config) seal(ctx context.Context, dir string) (names []string, err error) {
	tags, err := os.ReadFile(filepath.Join(dir, fileTagTree))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	put := func(name string, b []byte, err error) error {
		if err != nil {
			return err
		}
		names = append(names, name)
		return write(dir, name, b)
	}
	if c.Seal != nil {
		b, err := attest.Sign(*c.Seal, tags)
		if err := put(fileSeal, b, err); err != nil {
			return nil, err
		}
	}
	if c.TSA != "" {
		b, err := c.stamp(ctx, tags)
		if err := put(fileStamp, b, err); err != nil {
			return nil, err
		}
	}
	return names, nil
}

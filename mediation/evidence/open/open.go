package open

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Config is what opening one session needs; all but Version is required.
type Config struct {
	Source     string         // folder of the pulled session: session.json, NNNNNN.age
	Out        string         // folder to write; its parent is made; an older opening is replaced
	Identities []age.Identity // the agency's keys; one that fits is enough
	Version    string         // of the tool, for the manifest; default "devel"
}

func (c *Config) defaults() error {
	if c.Source == "" || c.Out == "" || len(c.Identities) == 0 {
		return ErrConfig
	}
	c.Out = filepath.Clean(c.Out)
	if c.Version == "" {
		c.Version = "devel"
	}
	return nil
}

// Session verifies, decrypts and writes out one session. Whatever fails, nothing
// new stands under Out. Faults of one segment are *SegmentError.
func Session(ctx context.Context, cfg Config) (Manifest, error) {
	if err := cfg.defaults(); err != nil {
		return Manifest{}, err
	}
	c, err := load(ctx, cfg.Source, cfg.Identities)
	if err != nil {
		return Manifest{}, err
	}
	out, err := newStaging(cfg.Out)
	if err != nil {
		return Manifest{}, err
	}
	defer out.discard()
	man, err := write(out, c, cfg.Version)
	if err != nil {
		return Manifest{}, err
	}
	text, err := EncodeManifest(man)
	if err != nil {
		return Manifest{}, err
	}
	err = out.write(FileManifest, "", func(f *os.File) error {
		if _, err := f.Write(text); err != nil {
			return fmt.Errorf("write manifest.json: %w", err)
		}
		return nil
	})
	if err != nil {
		return Manifest{}, err
	}
	if err := ctx.Err(); err != nil {
		return Manifest{}, context.Cause(ctx)
	}
	if err := out.commit(man.LIID, man.CIN); err != nil {
		return Manifest{}, err
	}
	return man, nil
}

// Verify makes every check of Session and writes nothing.
func Verify(ctx context.Context, source string, identities []age.Identity) (segment.SessionDoc, error) {
	if source == "" || len(identities) == 0 {
		return segment.SessionDoc{}, ErrConfig
	}
	c, err := load(ctx, source, identities)
	if err != nil {
		return segment.SessionDoc{}, err
	}
	return c.doc.Session, nil
}

// Current reports whether out already holds the opening of a session at this chain
// head by this version, with every file as its manifest says.
func Current(out string, s segment.SessionDoc, version string) bool {
	man, err := ReadManifest(out)
	if err != nil || man.LIID != s.LIID || man.CIN != s.CIN || man.Session.ChainHead != s.ChainHead ||
		man.Tool.Version != version || man.Session.Ended != (s.EndedAt != nil) {
		return false
	}
	for _, f := range man.Files {
		if f.Role != Derived {
			continue
		}
		sum, err := fileSHA256(filepath.Join(out, filepath.Base(f.Name)))
		if err != nil || sum != f.SHA256 {
			return false
		}
	}
	return true
}

// write makes all files of a session in the staging folder but the manifest.
func write(out *staging, c *content, version string) (Manifest, error) {
	m := collect(c.cc, codecs{descriptions(c.iri)})
	t, fits := newTimeline(m.runs)
	err := out.write(FileIRI, "intercept related information, one JSON object a line",
		func(f *os.File) error { return writeIRI(f, c.iri) })
	if err != nil {
		return Manifest{}, err
	}
	err = out.write(FileCapture, "signalling and all media packets in order of time",
		func(f *os.File) error { return writeCapture(f, c, version) })
	if err != nil {
		return Manifest{}, err
	}
	if t != nil {
		s := c.doc.Session
		info := newBext("Target left, far party right", fmt.Sprintf("%s/%d", s.LIID, s.CIN), t.start)
		err := out.write(FileAudio, "Broadcast Wave, 16 bit PCM, 8 kHz, target left, far party right",
			func(f *os.File) error { return writeWAV(f, t, info) })
		if err != nil {
			return Manifest{}, err
		}
	}
	man := newManifest(c, m, t, version)
	man.notes(m, !fits)
	man.Files = append(masters(c.doc), out.files...)
	return man, nil
}

func masters(doc segment.Pulled) []File {
	files := make([]File, 0, len(doc.Segments))
	for _, s := range doc.Segments {
		files = append(files, File{
			Name: SegmentFile(s.Number), Role: Master, Bytes: s.Bytes, SHA256: s.SHA256, About: "sealed " + string(s.Kind) + " records",
		})
	}
	return files
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := f.WriteTo(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/bundle"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBundleIsTheSameTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.build(nil), w.build(nil)
	if !bytes.Equal(read(t, one.Path), read(t, two.Path)) || one.Hash != two.Hash {
		t.Error("the same session gave two different bundles")
	}
	if name := filepath.Base(one.Path); name != "ligate-LIID-1-1.zip" {
		t.Errorf("the file is called %s", name)
	}
	r := w.verify(one.Path)
	if !r.OK() || r.Hash != one.Hash || r.Operator != w.known().Operator {
		t.Errorf("%+v", r)
	}
	other := w.known()
	other.Operator = strings.Repeat("0", 64)
	if r, err := bundle.Verify(one.Path, other); err != nil || r.OK() {
		t.Errorf("another operator's certificate goes unnoticed: %v", err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Build(t.Context(), bundle.Config{Source: w.source, Out: t.TempDir(), Identities: []age.Identity{stranger}}); err == nil {
		t.Error("another key opens it")
	}
}

// A court has sha256sum, unzip, openssl and Wireshark.
func TestOrdinaryToolsAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	person := certificate(t, "investigator")
	tsa := newTSA(t)
	r := w.build(func(c *bundle.Config) { c.Seal, c.TSA = &person, tsa.url })
	if report := w.verify(r.Path); !report.OK() {
		t.Errorf("%q", report.Faults)
	}
	dir := t.TempDir()
	if out, err := run(t, dir, "unzip", "-q", r.Path); err != nil {
		t.Fatal(out)
	}
	dir = filepath.Join(dir, "ligate-LIID-1-1")
	for _, c := range [][]string{
		{"sha256sum", "--strict", "-c", "manifest-sha256.txt"},
		{"sha256sum", "--strict", "-c", "tagmanifest-sha256.txt"},
		{"openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "operator.p7s", "-content", "data/operator-manifest.json", "-CAfile", pemFile(t, w.cert), "-purpose", "any", "-out", "/dev/null"},
		{"openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "seal.p7s", "-content", "tagmanifest-sha256.txt", "-CAfile", pemFile(t, person), "-purpose", "any", "-out", "/dev/null"},
		{"openssl", "ts", "-verify", "-in", "seal.tsr", "-data", "tagmanifest-sha256.txt", "-CAfile", tsa.cert},
		{"tshark", "-r", "data/call.pcapng", "-q", "-z", "rtp,streams"},
	} {
		if out, err := run(t, dir, c[0], c[1:]...); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(c, " "), err, out)
		}
	}
	wav := read(t, filepath.Join(dir, "data", "call.wav"))
	wav[len(wav)-1] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "data", "call.wav"), wav, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, dir, "sha256sum", "-c", "manifest-sha256.txt"); err == nil {
		t.Error("sha256sum did not find the change")
	}
}

// What is said of losses stands in both manifests.
func TestGapsAreInBothManifests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	man, err := attest.Decode(read(t, filepath.Join(w.source, attest.FileManifest)))
	if err != nil {
		t.Fatal(err)
	}
	if len(man.Gaps) != 1 || man.Gaps[0].Segment != 3 || man.Gaps[0].Missing != 2 || man.Gaps[0].Cause != "bus_full" || man.Session.CCRecords != 20 {
		t.Errorf("operator manifest: %+v", man.Gaps)
	}
	b := member(t, w.build(nil).Path, "data/manifest.json")
	if !bytes.Contains(b, []byte(`"bus_full"`)) || !bytes.Contains(b, []byte(`"after_sequence": 2`)) {
		t.Errorf("manifest.json: %s", b)
	}
}

func TestRedactedBundle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := w.build(nil)
	for kind, gone := range map[segment.Kind][]string{
		segment.KindCC:  {"data/call.wav", "data/segments/000002.bin", "data/segments/000003.bin"},
		segment.KindIRI: {"data/segments/000001.bin"},
	} {
		r := w.build(func(c *bundle.Config) { c.Without = kind })
		report := w.verify(r.Path)
		if !report.OK() || r.Hash == whole.Hash || !strings.Contains(strings.Join(report.Notes, " "), whole.Hash) {
			t.Errorf("without %s: %q %q", kind, report.Faults, report.Notes)
		}
		names := names(t, r.Path)
		for _, name := range gone {
			if strings.Contains(names, name) {
				t.Errorf("without %s holds %s", kind, name)
			}
		}
		all := read(t, r.Path) // its files are stored as they are
		if kind == segment.KindIRI && bytes.Contains(all, []byte("b@example.com")) {
			t.Error("without iri names a party")
		}
	}
	if _, err := bundle.Build(t.Context(), bundle.Config{Source: w.source, Out: t.TempDir(), Identities: []age.Identity{w.key}, Without: "all"}); err == nil {
		t.Error("anything can be left out")
	}
}

// A late record makes another statement; the old one does not fit the new session.
func TestStatementFollowsLateRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := read(t, filepath.Join(w.source, attest.FileManifest))
	w.late()
	now := read(t, filepath.Join(w.source, attest.FileManifest))
	if bytes.Equal(old, now) {
		t.Fatal("the statement is still the old one")
	}
	if r := w.verify(w.build(nil).Path); !r.OK() {
		t.Errorf("%q", r.Faults)
	}
	w.write(attest.FileManifest, old)
	if _, err := bundle.Build(t.Context(), bundle.Config{Source: w.source, Out: t.TempDir(), Identities: []age.Identity{w.key}}); err == nil {
		t.Error("an old statement passes for the session as it is now")
	}
}

func pemFile(t *testing.T, c tls.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func member(t *testing.T, path, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(z.File[0].Name[:strings.Index(z.File[0].Name, "/")+1] + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(t *testing.T, path string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var all []string
	for _, f := range z.File {
		all = append(all, f.Name)
	}
	return strings.Join(all, "\n")
}

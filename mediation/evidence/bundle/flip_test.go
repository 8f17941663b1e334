package bundle_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/bundle"
)

// entry is one file of a zip.
type entry struct {
	header zip.FileHeader
	octets []byte
}

func entries(t *testing.T, path string) (all []entry) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		all = append(all, entry{zip.FileHeader{Name: f.Name, Method: zip.Store, Modified: f.Modified}, b})
	}
	return all
}

// zipped writes a well-formed zip with the name of a bundle.
func zipped(t *testing.T, all []entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ligate-LIID-1-1.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, e := range all {
		w, err := z.CreateHeader(&e.header)
		if err == nil {
			_, err = w.Write(e.octets)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func find(all []entry, name string) *entry {
	return &all[slices.IndexFunc(all, func(e entry) bool { return strings.HasSuffix(e.header.Name, "/"+name) })]
}

// rehash makes both manifests of BagIt right again, as whoever forges would.
func rehash(all []entry) []entry {
	for _, m := range []struct {
		name    string
		payload bool
	}{{"manifest-sha256.txt", true}, {"tagmanifest-sha256.txt", false}} {
		var b []byte
		for _, e := range all {
			_, name, _ := strings.Cut(e.header.Name, "/")
			if strings.HasPrefix(name, "data/") == m.payload && name != "tagmanifest-sha256.txt" && name != "seal.p7s" && name != "seal.tsr" {
				b = fmt.Appendf(b, "%s  %s\n", attest.SHA256(e.octets), name)
			}
		}
		find(all, m.name).octets = b
	}
	return all
}

// forgery is a change that somebody makes, and what must be said of it.
type forgery struct {
	class string
	edit  func([]entry) []entry
	want  string
}

func flip(name string, at func(b []byte) int) func([]entry) []entry {
	return func(all []entry) []entry {
		e := find(all, name)
		e.octets[at(e.octets)] ^= 1
		return all
	}
}

func middle(b []byte) int { return len(b) / 2 }
func end(b []byte) int    { return len(b) - 1 }
func start([]byte) int    { return 0 }

func drop(name string) func([]entry) []entry {
	return func(all []entry) []entry {
		return slices.DeleteFunc(all, func(e entry) bool { return strings.HasSuffix(e.header.Name, "/"+name) })
	}
}

func forgeries() []forgery {
	then := func(f func([]entry) []entry) func([]entry) []entry {
		return func(all []entry) []entry { return rehash(f(all)) }
	}
	add := func(name string) func([]entry) []entry {
		return func(all []entry) []entry {
			e := entry{all[0].header, []byte("x")}
			e.header.Name = "ligate-LIID-1-1/" + name
			return append(all, e)
		}
	}
	all := []forgery{
		{"WAV header", flip("data/call.wav", func([]byte) int { return 30 }), "data/call.wav: "},
		{"order of files", func(all []entry) []entry { all[3], all[4] = all[4], all[3]; return all }, "another order"},
		{"added file", add("data/extra.txt"), "data/extra.txt: added"},
		{"added tag file", add("extra.txt"), "extra.txt: added"},
		{"added file, hashes made anew", then(add("data/extra.txt")), "no part of this bundle"},
		{"file outside the folder", add("../evil"), "a name that no bundle has"},
		{"name twice", func(all []entry) []entry { return append(all, all[4]) }, "has one twice"},
		{"folder renamed", func(all []entry) []entry {
			for i := range all {
				all[i].header.Name = strings.Replace(all[i].header.Name, "LIID-1", "LIID-2", 1)
			}
			return all
		}, "folder in it has another name"},
		{"file renamed", func(all []entry) []entry {
			find(all, "data/iri.csv").header.Name += "x"
			return all
		}, "data/iri.csv: missing"},
		{"time of a file", func(all []entry) []entry {
			all[2].header.Modified = all[2].header.Modified.AddDate(1, 0, 0)
			return all
		}, "headers, times or names"},
		{"packed otherwise", func(all []entry) []entry { all[2].header.Method = zip.Deflate; return all }, "headers, times or names"},
		{"gap taken out, hashes made anew", then(func(all []entry) []entry {
			e := find(all, "data/manifest.json")
			e.octets = bytes.Replace(e.octets, []byte(`"missing": 2`), []byte(`"missing": 0`), 1)
			return all
		}), "data/manifest.json: is not what follows"},
		{"another version claimed, audio and hashes made anew", then(func(all []entry) []entry {
			e := find(all, "data/manifest.json")
			e.octets = bytes.Replace(e.octets, []byte(version), []byte("9.9.9"), 1)
			return flip("data/call.wav", end)(all)
		}), "data/call.wav: is not what this version"},
		{"custody cut, hashes made anew", then(func(all []entry) []entry {
			e := find(all, "custody.jsonl")
			e.octets = e.octets[bytes.IndexByte(e.octets, '\n')+1:]
			e.octets = bytes.Replace(e.octets, []byte("mediation"), []byte("mediatiom"), 1)
			return all
		}), "custody.jsonl: do not prove"},
	}
	for _, name := range []string{
		"data/call.wav", "data/call.pcapng", "data/ps-pdu.ber", "data/iri.jsonl", "data/iri.csv", "data/manifest.json",
		"data/operator-manifest.json", "data/segments/000001.bin", "data/segments/000003.bin", "operator.p7s", "custody.jsonl", "audit.tlog-proof",
		"bagit.txt", "bag-info.txt", "README.txt", "manifest-sha256.txt",
	} {
		all = append(all,
			forgery{"first octet of " + name, flip(name, start), name + ": "},
			forgery{"middle of " + name, flip(name, middle), name + ": "},
			forgery{"last octet of " + name, flip(name, end), name + ": "},
			forgery{"missing " + name, drop(name), name + ": missing"})
		if name != "manifest-sha256.txt" {
			all = append(all, forgery{"middle of " + name + ", hashes made anew", then(flip(name, middle)), ""})
		}
	}
	for _, name := range []string{"seal.p7s", "seal.tsr"} {
		all = append(all, forgery{"middle of " + name, flip(name, middle), name + ": "})
	}
	return append(all,
		forgery{"tagmanifest-sha256.txt", flip("tagmanifest-sha256.txt", middle), "tagmanifest-sha256.txt"},
		forgery{"missing tagmanifest-sha256.txt", drop("tagmanifest-sha256.txt"), "tagmanifest-sha256.txt: missing"},
		forgery{"hashes made anew under an old seal", then(flip("README.txt", middle)), "seal.p7s: does not sign"})
}

func TestEveryForgeryIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	person := certificate(t, "investigator")
	tsa := newTSA(t)
	r := w.build(func(c *bundle.Config) { c.Seal, c.TSA = &person, tsa.url })
	if same := zipped(t, entries(t, r.Path)); !bytes.Equal(read(t, same), read(t, r.Path)) {
		t.Fatal("what this test writes is not the form of a bundle")
	}
	for _, f := range forgeries() {
		report := w.verify(zipped(t, f.edit(entries(t, r.Path))))
		found := slices.IndexFunc(report.Faults, func(s string) bool { return strings.Contains(s, f.want) })
		if report.OK() || found < 0 {
			t.Errorf("%-55s NOT FOUND, want %q in %q", f.class, f.want, report.Faults)
			continue
		}
		t.Logf("%-60s %s", f.class, report.Faults[found])
	}
}

// Octets of the zip itself: each that is no file's, and some of each file.
func TestEveryOctetOfTheZipCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.build(nil)
	whole := read(t, r.Path)
	path := filepath.Join(t.TempDir(), filepath.Base(r.Path))
	tried := 0
	for at := 0; at < len(whole); at += 211 {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := w.verify(path); report.OK() {
			t.Errorf("octet %d of %d: not found", at, len(whole))
		}
		tried++
	}
	for name, b := range map[string][]byte{"cut off": whole[:len(whole)-1], "gone on": append(bytes.Clone(whole), 0), "empty": nil, "put before": append([]byte{0}, whole...)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := w.verify(path); report.OK() {
			t.Errorf("%s: not found", name)
		}
	}
	t.Logf("%d octets of %d tried", tried, len(whole))
}

// The opener's signature is in no manifest: each of its octets must count by itself.
func TestEveryOctetOfASignatureCounts(t *testing.T) {
	t.Parallel()
	content := []byte("content")
	signature, err := attest.Sign(certificate(t, "person"), content)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Verify(content, signature); err != nil {
		t.Fatal(err)
	}
	unseen := 0
	for at := range signature {
		for bit := range 8 {
			b := bytes.Clone(signature)
			b[at] ^= 1 << bit
			if _, err := attest.Verify(content, b); err == nil {
				unseen++
				t.Errorf("octet %d bit %d: not found", at, bit)
			}
		}
	}
	t.Logf("%d octets, %d changes not found", len(signature), unseen)
}

package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// writeBig writes an export of n entries with a checkpoint each thousand.
func writeBig(t testing.TB, w io.Writer, n int64) {
	t.Helper()
	signer, err := note.NewSigner(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	put := func(l line) {
		if err := enc.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	put(line{Header: &exportHeader{Format: exportFormat, Origin: signer.Name()}})
	var hashes tlogHashes
	var notes []string
	for i := range n {
		e := sample()
		e.Time, e.Object = e.Time.Add(time.Duration(i)*time.Millisecond), fmt.Sprintf("cin %d", i)
		salt := bytes.Repeat([]byte{byte(i)}, saltBytes)
		commitment := commit(salt, e.canonical())
		more, err := tlog.StoredHashes(i, commitment, hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		put(line{Record: &Record{Index: i, Entry: &e, Salt: salt, Commitment: commitment}})
		if (i+1)%1000 == 0 || i+1 == n {
			root, err := tlog.TreeHash(i+1, hashes)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := note.Sign(&note.Note{Text: checkpointText(signer.Name(), i+1, root)}, signer)
			if err != nil {
				t.Fatal(err)
			}
			notes = append(notes, string(signed))
		}
	}
	for i := range notes {
		put(line{Checkpoint: &notes[i]})
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkVerify checks an export of a million entries and a thousand checkpoints
// offline, from a file.
func BenchmarkVerify(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "export.jsonl")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	writeBig(b, f, n)
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		in, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		r, err := Verify(in, testVerifier)
		if err != nil || !r.OK() || r.Entries != n || r.Signed != n {
			b.Fatalf("%+v, %v", r, err)
		}
		_ = in.Close()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

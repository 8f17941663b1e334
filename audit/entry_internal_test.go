package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A key for tests alone: constant, so that fuzzing processes share their inputs.
const (
	testSecret   = "PRIVATE+KEY+o+4f8ceadf+ARvTMV4mbX/DL4IXSUOojP/2x2ddf/K0fZ34WaF1lEFq"
	testVerifier = "o+4f8ceadf+ATJobyQ2KHQ73oHuvcPxBIaZ34ijT7CskaLCqBWT2i5F"
)

func sample() Entry {
	return Entry{Time: time.UnixMicro(1), Actor: "a", Action: "b", Result: "c", Detail: map[string]string{"k": "v", "l": ""}}
}

// The encoding is for ever: a change of it would break every log that exists.
func TestCanonicalIsFixed(t *testing.T) {
	t.Parallel()
	want := "ligate-audit-entry/1\n\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x01b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01c\x00\x00\x00\x00" +
		"\x00\x00\x00\x02\x00\x00\x00\x01k\x00\x00\x00\x01v\x00\x00\x00\x01l\x00\x00\x00\x00"
	if got := string(sample().canonical()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseCanonicalRefusesOtherForms(t *testing.T) {
	t.Parallel()
	good := string(sample().canonical())
	for name, b := range map[string]string{
		"empty":           "",
		"other magic":     strings.Replace(good, "/1", "/2", 1),
		"cut short":       good[:len(good)-1],
		"too long":        good + "\x00",
		"keys descending": strings.Replace(strings.Replace(good, "\x01k", "\x01m", 1), "\x01l", "\x01k", 1),
		"key doubled":     strings.Replace(good, "\x01l", "\x01k", 1),
		"no actor":        strings.Replace(good, "\x00\x00\x00\x01a", "\x00\x00\x00\x00", 1),
		"not UTF-8":       strings.Replace(good, "a", "\xff", 1),
		"NUL":             strings.Replace(good, "\x01a", "\x01\x00", 1),
	} {
		if e, err := parseCanonical([]byte(b)); err == nil {
			t.Errorf("%s was accepted as %+v", name, e)
		}
	}
}

func FuzzParseCanonical(f *testing.F) {
	f.Add(sample().canonical())
	f.Add(Entry{Time: time.UnixMicro(1), Actor: "a", Action: "b", Result: "c"}.canonical())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseCanonical(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.canonical(), b) {
			t.Fatal("two encodings of one entry")
		}
		if err := e.validate(); err != nil {
			t.Fatal("an entry was read that none could append")
		}
		// What an export makes of it is the same entry.
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Entry
		if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back.canonical(), b) || !maps.Equal(back.Detail, e.Detail) {
			t.Fatal("an export changes the entry")
		}
	})
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for want, indexes := range map[string][]int64{
		"0": {0}, "3-7,9": {3, 4, 5, 6, 7, 9}, "1,3,5-6": {1, 3, 5, 6},
	} {
		if got := formatSpans(indexes); got != want {
			t.Errorf("%v: got %q, want %q", indexes, got, want)
		}
		spans, ok := parseSpans(want, 10)
		var back []int64
		for _, s := range spans {
			for i := s.first; i <= s.last; i++ {
				back = append(back, i)
			}
		}
		if !ok || formatSpans(back) != want {
			t.Errorf("%q reads as %v, %v", want, spans, ok)
		}
	}
	for _, bad := range []string{"", ",", "1,", "-1", "1-", "2-1", "1-1", "01", "+1", "1,1", "3,1", "1-2,3", "10", "9-10", "1 ", "99999999999999999999"} {
		if spans, ok := parseSpans(bad, 10); ok {
			t.Errorf("%q reads as %v", bad, spans)
		}
	}
}

// exportOf writes an export without a database.
func exportOf(t testing.TB, entries []Entry, signAt ...int64) string {
	t.Helper()
	signer, err := note.NewSigner(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	put := func(l line) {
		if err := enc.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	put(line{Header: &exportHeader{Format: exportFormat, Origin: signer.Name()}})
	var hashes tlogHashes
	for i, e := range entries {
		salt := bytes.Repeat([]byte{byte(i)}, saltBytes)
		commitment := commit(salt, e.canonical())
		more, err := tlog.StoredHashes(int64(i), commitment, hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		put(line{Record: &Record{Index: int64(i), Entry: &e, Salt: salt, Commitment: commitment}})
	}
	for _, n := range signAt {
		root, err := tlog.TreeHash(n, hashes)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: checkpointText(signer.Name(), n, root)}, signer)
		if err != nil {
			t.Fatal(err)
		}
		text := string(signed)
		put(line{Checkpoint: &text})
	}
	return out.String()
}

func sampleExport(t testing.TB) string {
	t.Helper()
	second, third := sample(), sample()
	second.Reason, third.Detail = "<&>\u2028 \"quoted\"", nil
	return exportOf(t, []Entry{sample(), second, third}, 1, 3)
}

func TestSampleExportIsWhole(t *testing.T) {
	t.Parallel()
	r, err := Verify(strings.NewReader(sampleExport(t)), testVerifier)
	if err != nil || !r.OK() || r.Entries != 3 || r.Checkpoints != 2 || r.Signed != 3 {
		t.Errorf("report %+v, %v", r, err)
	}
}

// alone makes an erasure one of a single person.
func alone(e Entry) Entry {
	e.Detail[detailAskedBy] = e.Actor
	return e
}

// An erasure covers what it names and only what came before it.
func TestVerifyMatchesErasures(t *testing.T) {
	t.Parallel()
	erasure := func(entries string) Entry {
		e := sample()
		e.Action, e.Detail = ActionErase, map[string]string{detailEntries: entries, detailAskedBy: "somebody else"}
		return e
	}
	for name, tt := range map[string]struct {
		last Entry
		gone []int
		want string
	}{
		"named":            {erasure("0-1"), []int{0, 1}, ""},
		"one not named":    {erasure("0"), []int{0, 1}, "entry 1: the record is gone"},
		"no erasure":       {sample(), []int{2}, "entry 2: the record is gone"},
		"erasure taken":    {erasure("0-2"), []int{0, 3}, "entry 3: the record is gone"},
		"names the future": {erasure("0-3"), []int{0}, "entry 3: an erasure that does not say of what"},
		"named but there":  {erasure("0-2"), []int{1}, ""},
		"by one person":    {alone(erasure("0")), []int{0}, "entry 3: an erasure by one person"},
	} {
		lines := strings.SplitAfter(exportOf(t, []Entry{sample(), sample(), sample(), tt.last}, 4), "\n")
		for _, i := range tt.gone {
			var l line
			if err := json.Unmarshal([]byte(lines[1+i]), &l); err != nil {
				t.Fatal(err)
			}
			l.Record.Entry, l.Record.Salt = nil, nil
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			lines[1+i] = string(b) + "\n"
		}
		r, err := Verify(strings.NewReader(strings.Join(lines, "")), testVerifier)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(r.Faults, "\n"); r.OK() != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: faults %q, want one with %q", name, got, tt.want)
		}
	}
}

// Whatever passes holds, octet for octet, the header and records that were signed.
func FuzzVerify(f *testing.F) {
	whole := sampleExport(f)
	f.Add(whole)
	f.Add(strings.Replace(whole, `"actor":"a"`, `"actor":"A"`, 1))
	f.Add(strings.Replace(whole, `"actor":"a"`, `"ACTOR":"a"`, 1))
	lines := strings.SplitAfter(whole, "\n")
	f.Add(strings.Join(lines[:len(lines)-2], ""))
	f.Add(lines[0] + lines[1] + lines[4])
	records := func(s string) string {
		s, _, _ = strings.Cut(s, `{"checkpoint":`)
		return s
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Verify(strings.NewReader(s), testVerifier)
		if err != nil || !r.OK() {
			return
		}
		got := records(strings.ReplaceAll(s, "\r\n", "\n"))
		if r.Entries > 0 && !strings.HasPrefix(records(whole), got) {
			t.Fatal("an export passes that was never made")
		}
		if r.Entries > 0 && r.Signed != r.Entries {
			t.Fatal("entries pass without a signature")
		}
	})
}

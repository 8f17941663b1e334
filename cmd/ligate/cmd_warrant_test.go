package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// A compliance officer's whole duty from a shell, against a deployment: every act, its
// table and its JSON.
func TestWarrantCommands(t *testing.T) {
	st := newStory(t)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	st.reconfigure(t, "reconcile_every: 5s", "reconcile_every: 5s, documents: {recipients: ["+key.Recipient().String()+"], required: true}")
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	due := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	paper := filepath.Join(t.TempDir(), "order.pdf")
	if err := os.WriteFile(paper, []byte("%PDF-1.7 interception of "+aliceNumber), 0o600); err != nil {
		t.Fatal(err)
	}
	out := st.must(t, "ann", "warrant", "draft", "--liid", "LIFE-1", "--authority", "Prosecutor", "--reference", "1", "--legal-basis", "test", "--agency", st.agencyID,
		"--scope", "iri+cc", "--until", until, "--target", aliceNumber, "--target", "+4930555099", "--provisional", "--original-due", due)
	id := field(out, "id")
	st.fails(t, "attach the signed order", "ann", "warrant", "submit", id)
	st.says(t, "document 1", "ann", "warrant", "documents", "add", id, paper, "--pages", "2")
	st.says(t, "Court, 7 Gs 1", "ann", "warrant", "edit", id, "--authority", "Court", "--reference", "7 Gs 1")
	st.says(t, "LIFE-1 is submitted", "ann", "warrant", "submit", id)
	st.fails(t, "role", "ann", "warrant", "confirm-original", id, "--file", paper)
	st.says(t, "LIFE-1 is rejected", "bob", "warrant", "reject", id, "--reason", "a digit is wrong")
	st.says(t, "draft", "ann", "warrant", "edit", id, "--target", aliceNumber, "--target", "+4930555098")
	st.must(t, "ann", "warrant", "submit", id)
	st.says(t, "the original is due by "+due, "bob", "warrant", "approve", id, "--until", until, "--target", aliceNumber, "--target", "+4930555098")
	st.warrantID = id
	if err := st.awaitTap(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	st.says(t, "until it comes nothing is handed over", "aud", "warrant", "show", id)
	st.says(t, "is active", "bob", "warrant", "confirm-original", id, "--file", paper)
	st.says(t, "is active", "ann", "warrant", "narrow", id, "--keep", aliceNumber, "--iri-only", "--reason", "court asked")
	out = st.must(t, "ann", "warrant", "extend", id, "--liid", "LIFE-2", "--reference", "2", "--until", time.Now().Add(4*time.Hour).UTC().Format(time.RFC3339))
	if field(out, "scope") != "iri" || field(out, "from") != until || field(out, "extends") != id {
		t.Errorf("extension\n%s", out)
	}
	next := field(out, "id")
	later := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	st.says(t, "due by "+later, "ann", "warrant", "edit", next, "--provisional", "--original-due", later)
	if out := st.must(t, "ann", "warrant", "edit", next, "--no-provisional"); strings.Contains(out, "due by") {
		t.Errorf("still provisional:\n%s", out)
	}
	st.fails(t, "not before", "ann", "warrant", "edit", next, "--from", time.Now().UTC().Format(time.RFC3339))
	st.says(t, "extension  LIFE-2 (draft)", "ann", "warrant", "show", id)
	st.says(t, "is suspended", "ann", "warrant", "suspend", id, "--reason", "court asked")
	st.says(t, "is active", "bob", "warrant", "resume", id, "--reason", "court asked")
	st.says(t, "is revoked", "ann", "warrant", "revoke", id, "--reason", "order lifted")
	st.readsOf(t, id, key)
	st.endOf(t, id)
}

// readsOf holds what the reading commands print of the warrant.
func (st *story) readsOf(t *testing.T, id string, key *age.X25519Identity) {
	t.Helper()
	history := st.must(t, "aud", "warrant", "history", id)
	for _, act := range []string{"draft", "document", "edit", "submit", "reject", "approve", "start", "original", "narrow", "suspend", "resume", "revoke"} {
		if !strings.Contains(history, "  "+act+" ") {
			t.Errorf("the history lacks %s:\n%s", act, history)
		}
	}
	for _, args := range [][]string{{"history", id}, {"intervals", id}, {"receipts", id}, {"retention", id}, {"documents", "list", id}, {"list", "--state", "revoked"}, {"show", id}, {"hold", "list", id}, {"protected", "list"}} {
		var v map[string]any
		if err := json.Unmarshal([]byte(st.must(t, "aud", append(append([]string{"warrant"}, args...), "--json")...)), &v); err != nil || v["items"] == nil && v["id"] != id {
			t.Errorf("%v --json: %v, %v", args, v, err)
		}
	}
	if text := history + st.must(t, "aud", "warrant", "history", id, "--json"); strings.Contains(text, strings.TrimPrefix(aliceNumber, "+49")) {
		t.Error("the history names a target")
	}
	if text := st.must(t, "aud", "warrant", "intervals", id); strings.Count(text, "Z  ") != 2 || strings.Contains(text, "runs") {
		t.Errorf("intervals of a tap that was suspended once and revoked:\n%s", text)
	}
	st.says(t, "order  ", "aud", "warrant", "documents", "list", id)
	sealed := st.must(t, "aud", "warrant", "documents", "get", id, "1")
	r, err := age.Decrypt(strings.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := io.Copy(&plain, r); err != nil || !strings.Contains(plain.String(), aliceNumber) {
		t.Errorf("the paper opens to %d octets, %v", plain.Len(), err)
	}
}

// endOf takes the warrant through a hold to its purge, and protects a number.
func (st *story) endOf(t *testing.T, id string) {
	t.Helper()
	hold := strings.Fields(st.must(t, "ann", "warrant", "hold", "set", id, "--reason", "trial runs"))[1]
	st.says(t, "another person has to confirm the purge", "ann", "warrant", "purge", id, "--reason", "retention over")
	st.fails(t, "legal hold", "bob", "warrant", "purge", id, "--reason", "retention over")
	st.says(t, "is in force", "bob", "warrant", "hold", "confirm", id, hold)
	st.says(t, "release asked", "ann", "warrant", "hold", "release", id, hold, "--reason", "trial over")
	st.says(t, "is released", "bob", "warrant", "hold", "confirm-release", id, hold)
	st.says(t, "is purged", "bob", "warrant", "purge", id, "--reason", "retention over")
	number := strings.Fields(st.must(t, "ann", "warrant", "protected", "add", aliceNumber, "--kind", "lawyer"))[0]
	st.fails(t, "another person", "ann", "warrant", "protected", "confirm", number)
	st.says(t, "is protected", "bob", "warrant", "protected", "confirm", number)
	st.says(t, aliceNumber, "aud", "warrant", "protected", "list")
	st.says(t, "removal asked", "bob", "warrant", "protected", "remove", number)
}

// reconfigure changes the deployment's configuration before it starts.
func (st *story) reconfigure(t *testing.T, old, new string) {
	t.Helper()
	file := st.path("operator", "ligate.yaml")
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte(old)) {
		t.Fatalf("the configuration holds no %q, %v", old, err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// must runs a command as a person and returns what it printed.
func (st *story) must(t *testing.T, who string, args ...string) string {
	t.Helper()
	out, err := st.cli(t.Context(), st.as(who, args...)...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

// says holds that a command prints something.
func (st *story) says(t *testing.T, want, who string, args ...string) {
	t.Helper()
	if out := st.must(t, who, args...); !strings.Contains(out, want) {
		t.Errorf("%v printed\n%s\nwant %q", args, out, want)
	}
}

// fails holds that a command is refused and says why.
func (st *story) fails(t *testing.T, want, who string, args ...string) {
	t.Helper()
	if _, err := st.cli(t.Context(), st.as(who, args...)...); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v: %v, want %q", args, err, want)
	}
}

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/mediation/etsi"
)

// A call under a provisional order is taken and kept, and neither fetched nor pushed.
// Once the original came, the agency fetches it, and the next call is pushed.
func TestQuarantineIsNotPushed(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := st.lemfFor(t)
	l, _ := runLEMF(t, cfg)
	st.deliverTo(t, cfg, l, nil)
	until := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	st.warrantID = field(st.must(t, "ann", "warrant", "draft", "--liid", "PROV", "--authority", "Prosecutor", "--reference", "1", "--legal-basis", "test",
		"--agency", st.agencyID, "--scope", "iri+cc", "--until", until, "--target", aliceNumber,
		"--provisional", "--original-due", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), "id")
	st.must(t, "ann", "warrant", "submit", st.warrantID)
	st.must(t, "bob", "warrant", "approve", st.warrantID, "--until", until, "--target", aliceNumber)
	if err := st.awaitTap(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	call := func() {
		t.Helper()
		far := len(demo.PSTNSpeech()) / demo.FrameSamples
		h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
		if err != nil || h.Status != http.StatusOK {
			t.Fatalf("call: %+v, %v", h, err)
		}
	}
	call()
	if _, err := st.cli(t.Context(), "agency", "pull", "--api", st.api, "--server", st.server, "--keys", st.path("agency", "keys"), "--dir", st.path("agency"), "--liid", "PROV"); err != nil {
		t.Fatal(err)
	}
	if pulled, _ := filepath.Glob(st.path("agency", "sealed", "*", "*")); len(pulled) > 0 {
		t.Errorf("the agency pulled %d sessions in quarantine", len(pulled))
	}
	st.must(t, "bob", "warrant", "confirm-original", st.warrantID, "--sha256", strings.Repeat("ab", 32))
	st.awaitEnded(t, "PROV", 1)
	if iri, cc := count(st.pull(t, "PROV")["1"]); iri < 6 || cc == 0 {
		t.Errorf("%d SIP messages and %d media packets after the original came", iri, cc)
	}
	if err := st.awaitTap(t.Context(), true); err != nil { // its Task has another end now
		t.Fatal(err)
	}
	call()
	got := await(t, l, "end of the second session", func(s lemf.State) bool {
		return s.Sessions[lemf.Key{LIID: "PROV", CIN: 2, Kind: etsi.KindIRI}].Ended
	})
	for key := range got.Sessions {
		if key.LIID == "PROV" && key.CIN == 1 {
			t.Error("what was taken in quarantine was pushed")
		}
	}
}

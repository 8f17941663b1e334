package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// A warrant over signalling only yields signalling only: no media packet of the
// call is copied at all. A second warrant on the same line, over content, is another
// matter and does not change the first.
func TestSignallingOnlyCopiesNoMedia(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.orderScope(t, "IRI-ONLY", "iri", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	call := func() {
		t.Helper()
		h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(1), far)
		if err != nil || h.Status != http.StatusOK || h.CallerHeard != far {
			t.Fatalf("call: %+v, %v", h, err)
		}
	}
	call()
	st.awaitEnded(t, "IRI-ONLY", 1)
	iri, cc := count(st.pull(t, "IRI-ONLY")["1"])
	if iri < 6 || cc != 0 {
		t.Errorf("%d SIP messages and %d media packets, want at least 6 and none", iri, cc)
	}
	if n := st.metricKind(t, "ligate_tee_published_pdus_total", "x3"); n != 0 {
		t.Errorf("%v media packets were copied under a warrant over signalling", n)
	}
	st.order(t, "CONTENT", aliceNumber)
	call()
	st.awaitEnded(t, "CONTENT", 1)
	st.awaitEnded(t, "IRI-ONLY", 2)
	if _, cc := count(st.pull(t, "CONTENT")["1"]); cc < far {
		t.Errorf("%d media packets under the warrant over content, want at least %d", cc, far)
	}
	if _, cc := count(st.pull(t, "IRI-ONLY")["2"]); cc != 0 {
		t.Errorf("%d media packets reached the warrant over signalling", cc)
	}
}

func count(records []segment.Record) (iri, cc int) {
	for _, r := range records {
		if r.IRI != nil {
			iri++
		}
		if r.CC != nil {
			cc++
		}
	}
	return iri, cc
}

// Revocation in the middle of a call: the tap stops within a second, the call goes
// on as if nothing had happened.
func TestRevokedInTheMiddleOfACall(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "REVOKE", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	type result struct {
		heard demo.Heard
		err   error
	}
	called := make(chan result, 1)
	go func() {
		h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech(), far)
		called <- result{h, err}
	}()
	for st.metricKind(t, "ligate_tee_published_pdus_total", "x3") < 100 {
		time.Sleep(20 * time.Millisecond)
	}
	revoked := time.Now()
	if _, err := st.cli(t.Context(), st.as("ann", "warrant", "revoke", st.warrantID, "--reason", "lifted")...); err != nil {
		t.Fatal(err)
	}
	r := <-called
	if r.err != nil || r.heard.CallerHeard != far {
		t.Fatalf("the call noticed: %+v, %v", r.heard, r.err)
	}
	st.awaitEnded(t, "REVOKE", 1)
	last, cc := time.Time{}, 0
	for _, rec := range st.pull(t, "REVOKE")["1"] {
		if rec.CC != nil {
			last, cc = rec.CC.Time, cc+1
		}
	}
	if cc < 100 || cc >= 2*far {
		t.Errorf("%d media packets of a call of %d", cc, 2*far)
	}
	if late := last.Sub(revoked); late > time.Second {
		t.Errorf("the last copy was taken %v after the revocation", late)
	}
}

// A warrant that becomes active in the middle of a call takes it from there on,
// within a second, without a message of the call in between.
func TestOrderedInTheMiddleOfACall(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	began := time.Now()
	called := make(chan error, 1)
	go func() {
		_, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech(), far)
		called <- err
	}()
	for st.opsMetric(t, "ligate_media_packets_total") < 100 {
		time.Sleep(20 * time.Millisecond)
	}
	st.order(t, "LATE", aliceNumber)
	tapped := time.Now()
	if err := <-called; err != nil {
		t.Fatal(err)
	}
	st.awaitEnded(t, "LATE", 1)
	first, cc, ended := time.Time{}, 0, false
	for _, rec := range st.pull(t, "LATE")["1"] {
		switch {
		case rec.CC != nil:
			if cc++; first.IsZero() {
				first = rec.CC.Time
			}
		case rec.IRI != nil:
			ended = ended || rec.IRI.Type == "end"
		}
	}
	if cc == 0 || first.Sub(tapped) > time.Second || first.Before(began.Add(time.Second)) {
		t.Errorf("%d media packets, the first %v after the confirmed tap", cc, first.Sub(tapped))
	}
	if !ended {
		t.Error("the end of the call is missing")
	}
}

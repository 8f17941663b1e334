package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
)

// A warrant that loses its content in the middle of a call: the call notices nothing,
// no media is copied a second later, and its signalling is the agency's to the end.
func TestNarrowedInTheMiddleOfACall(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "LESS", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	called := make(chan error, 1)
	var heard demo.Heard
	go func() {
		var err error
		heard, err = st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech(), far)
		called <- err
	}()
	for st.metricKind(t, "ligate_tee_published_pdus_total", "x3") < 100 {
		time.Sleep(20 * time.Millisecond)
	}
	narrowed := time.Now()
	st.must(t, "ann", "warrant", "narrow", st.warrantID, "--iri-only", "--reason", "court asked")
	if err := <-called; err != nil || heard.CallerHeard != far {
		t.Fatalf("the call noticed: %+v, %v", heard, err)
	}
	st.awaitEnded(t, "LESS", 1)
	last, cc, ended := time.Time{}, 0, false
	for _, rec := range st.pull(t, "LESS")["1"] {
		if rec.CC != nil {
			last, cc = rec.CC.Time, cc+1
		}
		ended = ended || rec.IRI != nil && rec.IRI.Method == "BYE"
	}
	if cc < 100 || cc >= 2*far {
		t.Errorf("%d media packets of a call of %d", cc, 2*far)
	}
	if late := last.Sub(narrowed); late > time.Second {
		t.Errorf("the last copy was taken %v after the narrowing", late)
	}
	if !ended {
		t.Error("the end of the call is missing in the signalling")
	}
	aud, err := st.client("aud")
	if err != nil {
		t.Fatal(err)
	}
	var alarms struct{ Items []struct{ Kind string } }
	if _, err := aud.do(t.Context(), http.MethodGet, "/admin/v1/alarms", nil, &alarms); err != nil || len(alarms.Items) > 0 {
		t.Errorf("alarms %+v, %v: nothing was wrong", alarms.Items, err)
	}
}

package main

import (
	"log/slog"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
)

// Told to stop in the middle of a tapped call, the process says that it is not ready,
// carries the call to its end, stores every copy and ends without an error.
func TestStoppedInTheMiddleOfACall(t *testing.T) {
	st := newStory(t)
	first := st.spawn(t)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "DRAIN", aliceNumber)
	called := make(chan error, 1)
	go func() {
		_, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech(), 0)
		called <- err
	}()
	for st.metric(t, "ligate_tee_published_pdus_total") < 100 {
		time.Sleep(20 * time.Millisecond)
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, "http://"+st.world.ports.metrics+"/readyz", http.StatusServiceUnavailable)
	select {
	case err := <-called:
		t.Fatalf("the call had ended before the process drained: %v", err)
	default:
	}
	if err := <-called; err != nil {
		t.Fatalf("the call did not live: %v", err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, first.err)
	}
	st.spawn(t)
	st.awaitEnded(t, "DRAIN", 1)
	var iri, cc uint32
	ended := false
	for _, r := range st.pull(t, "DRAIN")["1"] {
		switch {
		case r.IRI != nil:
			if r.IRI.Seq != iri {
				t.Fatalf("IRI %d where %d is due", r.IRI.Seq, iri)
			}
			iri++
			ended = ended || r.IRI.Type == "end"
		case r.CC != nil:
			if r.CC.Seq != cc {
				t.Fatalf("CC %d where %d is due", r.CC.Seq, cc)
			}
			cc++
		case r.Gap != nil:
			t.Errorf("a gap: %+v", *r.Gap)
		}
	}
	if !ended || cc < 100 {
		t.Errorf("%d packets, ended %v", cc, ended)
	}
}

func awaitStatus(t *testing.T, url string, want int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == want {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not answer %d: %v", url, want, err)
		}
	}
}

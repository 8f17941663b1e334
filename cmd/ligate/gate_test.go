package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
)

// A gateway that restarts has its Tasks before it takes a call: the first one is copied
// from its first message on. Without an ADMF it takes calls after the grace.
func TestRestartedGatewayHasItsTasksFirst(t *testing.T) {
	const grace = 3 * time.Second
	st := newStory(t)
	ports := st.apart(t)
	reports, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	replaceIn(t, st.path("gateway.yaml"), "x1: {", fmt.Sprintf("x1: {admf: \"https://%s/X1/ADMF\", grace: %s, ", reports.x1, grace))
	replaceIn(t, st.path("center.yaml"), "reconcile_every: 5s", fmt.Sprintf("reconcile_every: 5s, x1: {listen: %q}", reports.x1))
	gateway := st.spawnRole(t, "gateway.yaml", "gateway", ports.metrics)
	middle := st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "GATE", aliceNumber)

	stop(t, gateway)
	began := time.Now()
	gateway = st.spawnRole(t, "gateway.yaml", "gateway", ports.metrics)
	if took := time.Since(began); took > grace {
		t.Errorf("the gateway took %v to serve, want it filled before the grace of %v is over", took, grace)
	}
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
	if err != nil || h.Status != http.StatusOK {
		t.Fatalf("call: %+v, %v", h, err)
	}
	st.awaitEnded(t, "GATE", 1)
	if iri, cc := count(st.pull(t, "GATE")["1"]); iri < 6 || cc != far+100 {
		t.Errorf("%d SIP messages and %d media packets of the first call, want at least 6 and %d", iri, cc, far+100)
	}

	stop(t, middle)
	stop(t, gateway)
	began = time.Now()
	st.spawnRole(t, "gateway.yaml", "gateway", ports.metrics)
	if took := time.Since(began); took < grace {
		t.Errorf("without an ADMF the gateway served after %v, want the grace of %v first", took, grace)
	}
}

func stop(t *testing.T, c child) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
}

// replaceIn changes the one place in a file.
func replaceIn(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(from)) {
		t.Fatalf("%s lacks %q", file, from)
	}
	write(t, file, bytes.Replace(text, []byte(from), []byte(to), 1))
}

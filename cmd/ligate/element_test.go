package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
)

// Each half does without our extension of X1, as if the other were somebody else's: the
// ADMF makes destinations and gives Tasks without an end, the gateway holds destinations
// against where it delivers and bounds the Tasks itself.
func TestElementWithoutOurExtension(t *testing.T) {
	st := newStory(t)
	ports := st.apart(t)
	gw, center := st.certificates(t, "gateway.yaml"), st.certificates(t, "center.yaml")
	st.rewrite(t, "gateway.yaml", `bus: \{.*\}\n`, fmt.Sprintf("  export: {x2: %q, x3: %q, certificate: %s}\n", ports.sip, ports.api, center["x2x3"]))
	st.rewrite(t, "gateway.yaml", `x1: \{`, "x1: {longest: 2h, ")
	st.rewrite(t, "center.yaml", `sources: \[.*\]\}`, fmt.Sprintf("x2x3: {listen: %q, listen_x3: %q}, elements: [{id: gw-1, certificate: %s, x2: true, x3: true}]}", ports.sip, ports.api, gw["export"]))
	st.rewrite(t, "center.yaml", `gateways: \[\{id: gw-1, `, fmt.Sprintf("gateways: [{id: gw-1, extension: none, destinations: {x2: %q, x3: %q}, ", ports.sip, ports.api))

	st.spawnRole(t, "gateway.yaml", "gateway", ports.metrics)
	st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "ELEMENT", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
	if err != nil || h.Status != http.StatusOK {
		t.Fatalf("call: %+v, %v", h, err)
	}
	st.awaitEnded(t, "ELEMENT", 1)
	if iri, cc := count(st.pull(t, "ELEMENT")["1"]); iri < 6 || cc != far+100 {
		t.Errorf("%d SIP messages and %d media packets, want at least 6 and %d", iri, cc, far+100)
	}
	for _, kind := range []string{"rogue_tap", "altered_tap", "task_refused", "rogue_destination"} {
		if st.alarmed(t, kind, "gw-1") {
			t.Errorf("the alarm %s is open", kind)
		}
	}
}

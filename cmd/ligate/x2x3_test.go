package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// A gateway exports over X2 and X3 to a mediation that knows it as a network element
// that is not its own: it gets Tasks there over X1, and is believed for those only. The
// mediation is away during the call; everything comes when it is back, once and in
// order, and what a message means is found out from the message alone.
func TestExportToAnotherMediation(t *testing.T) {
	st := newStory(t)
	ports := st.apart(t)
	gw, center := st.certificates(t, "gateway.yaml"), st.certificates(t, "center.yaml")
	st.rewrite(t, "gateway.yaml", `bus: \{.*\}\n`, fmt.Sprintf("  export: {x2: %q, x3: %q, certificate: %s}\n", ports.sip, ports.api, center["x2x3"]))
	st.rewrite(t, "center.yaml", `sources: \[.*\]\}`, fmt.Sprintf("x2x3: {listen: %q, listen_x3: %q}, elements: [{id: gw-1, certificate: %s, x2: true, x3: true}]}", ports.sip, ports.api, gw["export"]))

	st.spawnRole(t, "gateway.yaml", "gateway", ports.metrics)
	middle := st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "EXPORT", aliceNumber)
	if err := middle.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = middle.Wait()
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
	if err != nil || h.Status != http.StatusOK || h.CallerHeard != far {
		t.Fatalf("call: %+v, %v", h, err)
	}
	st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	st.awaitEnded(t, "EXPORT", 1)
	records := st.pull(t, "EXPORT")["1"]
	iri, cc := count(records)
	if iri < 6 || cc != far+100 {
		t.Errorf("%d SIP messages and %d media packets, want at least 6 and %d", iri, cc, far+100)
	}
	if types := typesOf(records); types[0] != "begin" || strings.Join(types, " ") != "begin"+strings.Repeat(" continue", iri-2)+" end" {
		t.Errorf("types of IRI %v", types)
	}
	if n := st.metric(t, "ligate_collect_refused_pdus_total"); n != 0 {
		t.Errorf("%v PDUs refused", n)
	}
}

func (st *story) rewrite(t *testing.T, file, pattern, with string) {
	t.Helper()
	b, err := os.ReadFile(st.path(file))
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(pattern)
	if !re.Match(b) {
		t.Fatalf("%s lacks %s", file, pattern)
	}
	write(t, st.path(file), re.ReplaceAllLiteral(b, []byte(with)))
}

func typesOf(records []segment.Record) (types []string) {
	for _, r := range records {
		if r.IRI != nil {
			types = append(types, r.IRI.Type)
		}
	}
	return types
}

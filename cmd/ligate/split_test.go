package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
)

// Gateway and the rest in two processes with folders and keys of their own: tasks
// go over X1, PDUs over the gateway's bus, each side pins the other. The gateway's
// process holds no warrant and no database, and what it could not hand over while
// mediation was away arrives afterwards.
func TestRolesApart(t *testing.T) {
	st := newStory(t)
	gwDir, gwMetrics := st.path("gateway"), st.apart(t).metrics
	st.spawnRole(t, "gateway.yaml", "gateway", gwMetrics)
	middle := st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "APART", aliceNumber)

	// Mediation and administration go away; the gateway taps on and keeps the copies.
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
	st.awaitEnded(t, "APART", 1)
	if iri, cc := count(st.pull(t, "APART")["1"]); iri < 6 || cc != far+100 {
		t.Errorf("%d SIP messages and %d media packets, want at least 6 and %d", iri, cc, far+100)
	}
	for _, name := range []string{"postgres", "evidence"} {
		if _, err := os.Stat(filepath.Join(gwDir, name)); err == nil {
			t.Errorf("the gateway's process has a folder %s", name)
		}
	}
}

// apart splits the story's configuration into gateway.yaml and center.yaml, in which
// mediation and administration stay together, and returns the ports that only the
// gateway's process has; its bus listens on sip.
func (st *story) apart(t *testing.T) *demoPorts {
	t.Helper()
	ports, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := os.ReadFile(st.path("operator", "ligate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	gwDir := st.path("gateway")
	if err := os.MkdirAll(filepath.Join(gwDir, "logs"), 0o711); err != nil {
		t.Fatal(err)
	}
	// Both begin from the demo's file; each keeps its part.
	gw := strings.NewReplacer(st.path("operator"), gwDir, `metrics: {listen: "`+st.world.ports.metrics, `metrics: {listen: "`+ports.metrics,
		st.world.ports.liMetrics, ports.liMetrics).Replace(string(yaml))
	gw = gw[:strings.Index(gw, "mediation:")]
	center := string(yaml)
	center = center[:strings.Index(center, "gateway:")] + center[strings.Index(center, "mediation:"):]
	write(t, st.path("gateway.yaml"), []byte(gw))
	write(t, st.path("center.yaml"), []byte(center))
	gwCerts, centerCerts := st.certificates(t, "gateway.yaml"), st.certificates(t, "center.yaml")
	gw = strings.Replace(gw, `x1: {listen: "`+st.world.ports.x1+`"}`, fmt.Sprintf(`x1: {listen: %q, certificate: %s}`, st.world.ports.x1, centerCerts["x1-admf"]), 1) +
		fmt.Sprintf("bus: {listen: %q, mediation_certificate: %s}\n", ports.sip, centerCerts["mdf"])
	center = strings.Replace(center, "mediation: {segment_every: 1s}",
		fmt.Sprintf("mediation: {segment_every: 1s, sources: [{addr: %q, certificate: %s}]}", ports.sip, gwCerts["bus"]), 1)
	center = strings.Replace(center, "reconcile_every: 5s}",
		fmt.Sprintf("reconcile_every: 5s, gateways: [{id: gw-1, url: \"https://%s/X1/NE\", certificate: %s}]}", st.world.ports.x1, gwCerts["x1-ne"]), 1)
	write(t, st.path("gateway.yaml"), []byte(gw))
	write(t, st.path("center.yaml"), []byte(center))
	return ports
}

// certificates reads what ligate config certificates prints.
func (st *story) certificates(t *testing.T, file string) map[string]string {
	t.Helper()
	out, err := st.cli(t.Context(), "config", "certificates", st.path(file))
	if err != nil {
		t.Fatal(err)
	}
	certs := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 2 {
			certs[f[0]] = f[1]
		}
	}
	return certs
}

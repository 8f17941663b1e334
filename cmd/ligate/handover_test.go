package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// lemfFor is the config of an agency's LEMF which knows the operator's certificates.
func (st *story) lemfFor(t *testing.T) lemf.Config {
	t.Helper()
	cfg, err := st.lemfConfig(st.path("lemf-keys"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// runLEMF runs a LEMF until the returned function or the test's end.
func runLEMF(t *testing.T, cfg lemf.Config) (l *lemf.LEMF, stop func()) {
	t.Helper()
	l, err := lemf.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	select {
	case <-l.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return l, stop
}

// deliverTo has two people say where the agency's records are pushed.
func (st *story) deliverTo(t *testing.T, cfg lemf.Config, l *lemf.LEMF, options map[string]any) {
	t.Helper()
	hi2, hi3 := l.Addrs()
	body := map[string]any{"hi2": hi2.String(), "hi3": hi3.String(), "certificate": pki.Fingerprint(cfg.TLS.Certificates[0].Certificate[0]), "hi1": true}
	maps.Copy(body, options)
	st.confirmDelivery(t, st.agencyID, body)
	st.awaitUp(t, 2)
}

// confirmDelivery has two people say how an agency's records are pushed.
func (st *story) confirmDelivery(t *testing.T, agencyID string, body map[string]any) {
	t.Helper()
	var made struct {
		Number int `json:"number"`
	}
	path := "/admin/v1/agencies/" + agencyID + "/deliveries"
	root1, err := st.client("root1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root1.do(t.Context(), http.MethodPost, path, body, &made); err != nil {
		t.Fatal(err)
	}
	confirm := fmt.Sprintf("%s/%d/confirm", path, made.Number)
	if _, err := root1.do(t.Context(), http.MethodPost, confirm, nil, nil); err == nil {
		t.Error("one person alone could say where content goes")
	}
	root2, err := st.client("root2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root2.do(t.Context(), http.MethodPost, confirm, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// awaitUp waits for n connections to LEMFs.
func (st *story) awaitUp(t *testing.T, n float64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if up, _ := st.metricIfThere(t, "ligate_deliver_up", ""); up == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection to the LEMF")
		}
	}
}

// await waits until a state of the LEMF is right.
func await(t *testing.T, l *lemf.LEMF, what string, right func(lemf.State) bool) lemf.State {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		st := l.State()
		if right(st) {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: sessions %v, faults %v, HI1 %v, messages %v", what, st.Sessions, st.Faults, st.HI1, st.Messages)
		}
	}
}

// Who adds a delivery cannot confirm it: one person alone would say where content goes.
func TestDeliveryTakesTwo(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	root1, err := st.client("root1")
	if err != nil {
		t.Fatal(err)
	}
	path := "/admin/v1/agencies/" + st.agencyID + "/deliveries"
	good := map[string]any{"hi2": "127.0.0.1:1", "certificate": strings.Repeat("a", 64)}
	if _, err := root1.do(t.Context(), http.MethodPost, path, good, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := root1.do(t.Context(), http.MethodPost, path+"/1/confirm", nil, nil); err == nil {
		t.Error("one person alone could say where content goes")
	}
	for name, bad := range map[string]map[string]any{
		"no certificate":          {"hi2": "127.0.0.1:1"},
		"content only":            {"hi3": "127.0.0.1:1", "certificate": strings.Repeat("a", 64)},
		"both at one address":     {"hi2": "127.0.0.1:1", "hi3": "127.0.0.1:1", "certificate": strings.Repeat("a", 64)},
		"no port":                 {"hi2": "127.0.0.1", "certificate": strings.Repeat("a", 64)},
		"a time that is no time":  {"hi2": "127.0.0.1:1", "certificate": strings.Repeat("a", 64), "lag_alarm": "soon"},
		"an unknown frame":        {"hi2": "127.0.0.1:1", "certificate": strings.Repeat("a", 64), "frame": "wav"},
		"a buffer of almost none": {"hi2": "127.0.0.1:1", "certificate": strings.Repeat("a", 64), "buffer_cc": 1},
	} {
		if _, err := root1.do(t.Context(), http.MethodPost, path, bad, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A call goes to the agency's LEMF as it is held, over HI2 and HI3: each record once,
// in order, under integrity checks that verify; and the sealed store holds the same.
func TestCallIsPushedToTheLEMF(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := st.lemfFor(t)
	l, _ := runLEMF(t, cfg)
	st.deliverTo(t, cfg, l, nil)
	st.order(t, "PUSH", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
	if err != nil || h.Status != http.StatusOK {
		t.Fatalf("call: %+v, %v", h, err)
	}
	iriKey, ccKey := lemf.Key{LIID: "PUSH", CIN: 1, Kind: etsi.KindIRI}, lemf.Key{LIID: "PUSH", CIN: 1, Kind: etsi.KindCC}
	got := await(t, l, "end of the session", func(s lemf.State) bool {
		iri, cc := s.Sessions[iriKey], s.Sessions[ccKey]
		return iri.Ended && cc.Ended && iri.Checked == iri.PDUs && cc.Checked == cc.PDUs && iri.Signed == iri.Checks && cc.Signed == cc.Checks
	})
	st.awaitEnded(t, "PUSH", 1)
	records := st.pull(t, "PUSH")["1"]
	iri, cc := count(records)
	if got.Sessions[iriKey].PDUs != uint64(iri) || got.Sessions[ccKey].PDUs != uint64(cc) || cc != far+100 || got.Total > 0 {
		t.Errorf("LEMF has %+v, store %d and %d, want %d; faults %v", got.Sessions, iri, cc, far+100, got.Faults)
	}
	if len(got.HI1) == 0 || got.HI1[0].What != etsi.HI1Activated || got.HI1[0].LIID != "PUSH" {
		t.Errorf("notices %+v, want that the tap is active", got.HI1)
	}
	st.comparePushed(t, records)
	t.Logf("lag: median %s, p99 %s", got.Lags.Quantile(.5), got.Lags.Quantile(.99))
}

// comparePushed holds what the LEMF wrote against what the agency opened.
func (st *story) comparePushed(t *testing.T, records []segment.Record) {
	t.Helper()
	for kind, name := range map[segment.Kind]string{segment.KindIRI: "iri.ber", segment.KindCC: "cc.ber"} {
		b, err := os.ReadFile(st.path("lemf", fmt.Sprintf("liid-%x", "PUSH"), "1", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.IRI == nil && r.CC == nil || (r.IRI != nil) != (kind == segment.KindIRI) {
				continue
			}
			p, n, err := etsi.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[n:]
			if r.IRI != nil && (len(p.IRIs) != 1 || p.Seq != r.IRI.Seq || string(p.IRIs[0].SIP) != string(r.IRI.SIP) || !p.Time.Equal(r.IRI.Time.Truncate(time.Microsecond))) {
				t.Errorf("IRI %d differs from the LEMF's %d", r.IRI.Seq, p.Seq)
			}
			if r.CC != nil && (len(p.CCs) != 1 || p.Seq != r.CC.Seq || string(p.CCs[0].Packet) != string(r.CC.Packet)) {
				t.Errorf("CC %d differs from the LEMF's %d", r.CC.Seq, p.Seq)
			}
		}
		if len(b) > 0 {
			t.Errorf("%s: the LEMF has %d octets more", name, len(b))
		}
	}
}

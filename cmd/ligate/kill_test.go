package main

import (
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// The whole process, gateway, mediation and all, is killed in the middle of a
// tapped call and started again: every PDU that the bus had acknowledged before is
// at the agency, once and in order.
func TestKilledInTheMiddleOfACall(t *testing.T) {
	st := newStory(t)
	first := st.spawn(t)
	if err := st.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "KILL", aliceNumber)
	called := make(chan error, 1)
	go func() {
		// The call outlives the gateway: its BYE goes through the one that comes after.
		_, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech(), 0)
		called <- err
	}()
	const enough = 200 // packets of both sides: some are sealed by then, some are not
	for st.metric(t, "ligate_tee_published_pdus_total") < enough {
		time.Sleep(20 * time.Millisecond)
	}
	acked := int(st.metric(t, "ligate_tee_published_pdus_total"))
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()

	st.spawn(t)
	if err := <-called; err != nil {
		t.Fatalf("the call did not survive the gateway: %v", err)
	}
	st.awaitEnded(t, "KILL", 1)
	records := st.pull(t, "KILL")["1"]
	pdus, nextIRI, nextCC := 0, uint32(0), uint32(0)
	type packet struct {
		ssrc uint32
		seq  uint16
	}
	seen := map[packet]bool{}
	ended := false
	for _, r := range records {
		switch {
		case r.IRI != nil:
			if r.IRI.Seq != nextIRI {
				t.Fatalf("IRI %d where %d is due", r.IRI.Seq, nextIRI)
			}
			nextIRI++
			pdus++
			ended = ended || r.IRI.Type == "end"
		case r.CC != nil:
			if r.CC.Seq != nextCC {
				t.Fatalf("CC %d where %d is due", r.CC.Seq, nextCC)
			}
			nextCC++
			pdus++
			p := parseRTP(t, r.CC)
			if key := (packet{p.SSRC, p.SequenceNumber}); seen[key] {
				t.Fatalf("a packet was delivered twice")
			} else {
				seen[key] = true
			}
		}
	}
	if pdus < acked {
		t.Errorf("%d PDUs at the agency, %d were acknowledged before the kill", pdus, acked)
	}
	if !ended {
		t.Error("the end of the call, after the restart, is not there")
	}
}

func parseRTP(t *testing.T, r *segment.CCRecord) *rtp.Packet {
	t.Helper()
	_, _, payload, err := x2x3.ParseDatagram(r.Packet, r.Format)
	if err != nil {
		t.Fatal(err)
	}
	p := &rtp.Packet{}
	if err := p.Unmarshal(payload); err != nil {
		t.Fatal(err)
	}
	return p
}

// awaitEnded waits until n sessions of a LIID have ended.
func (st *story) awaitEnded(t *testing.T, liid string, n int) {
	t.Helper()
	c, err := apiFlags{
		API: st.api, Server: st.server, Cert: st.path("agency", "keys", "client.crt"), Key: st.path("agency", "keys", "client.key"),
	}.client()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var page struct {
			Items []segment.SessionDoc `json:"items"`
		}
		if _, err := c.do(t.Context(), http.MethodGet, "/handover/v1/intercepts/"+liid+"/sessions?limit=200", nil, &page); err != nil {
			t.Fatal(err)
		}
		ended := 0
		for _, s := range page.Items {
			if s.EndedAt != nil {
				ended++
			}
		}
		if ended == n && len(page.Items) == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions, %d ended; want %d", len(page.Items), ended, n)
		}
	}
}

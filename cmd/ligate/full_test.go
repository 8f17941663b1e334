package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	fullCalls    = 20
	fullInterval = 20 * time.Millisecond
)

// prepareLoad gives the load's callers their numbers and the relay enough ports.
func (st *story) prepareLoad(t *testing.T) {
	t.Helper()
	st.editYAML(t, "operator/ligate.yaml", `numbers: ["`+aliceNumber+`"]`, `numbers: ["+49306660"]`, "min: 21000, max: 21999", "min: 33000, max: 36999")
}

func loadNumbers() (all []string) {
	for i := range loadTargets {
		all = append(all, loadNumber(i))
	}
	return all
}

// startLoad runs a load until the test ends.
func (st *story) startLoad(t *testing.T, calls int, interval, life time.Duration) *load {
	t.Helper()
	l := newLoad(t, st, calls, interval, life)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	l.resume()
	return l
}

// end lets all calls end and waits for it.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.finish()
	eventually(t, "the calls do not end", func() bool { _, alive := l.count(); return alive == 0 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// numbered is which numbers of which CIN there are.
type numbered map[uint32]map[uint32]bool

func (n numbered) put(cin, number uint32) (twice bool) {
	if n[cin] == nil {
		n[cin] = map[uint32]bool{}
	}
	twice = n[cin][number]
	n[cin][number] = true
	return twice
}

func (n numbered) count() (all int) {
	for _, numbers := range n {
		all += len(numbers)
	}
	return all
}

// An agency's LEMF is away until its buffer for content is full. From then on content
// goes to the sealed store only, which an alarm shows; another agency notices nothing.
// Once the LEMF is back it gets the rest, and learns by their numbers what it will
// never get: exactly what is missing there and stands in the store.
func TestFullBufferIsToldByNumbers(t *testing.T) {
	st := newStory(t)
	st.prepareLoad(t)
	st.spawn(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := st.enrol(t.Context(), "Customs", st.path("agency2", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	away := st.lemfFor(t)
	ports, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	away.HI2, away.HI3 = ports.sip, ports.x1
	there := away
	there.HI2, there.HI3, there.Dir = "127.0.0.1:0", "127.0.0.1:0", st.path("lemf2")
	second, _ := runLEMF(t, there)
	cert := pki.Fingerprint(away.TLS.Certificates[0].Certificate[0])
	st.confirmDelivery(t, st.agencyID, map[string]any{"hi2": away.HI2, "hi3": away.HI3, "certificate": cert, "buffer_cc": 1 << 20})
	hi2, hi3 := second.Addrs()
	st.confirmDelivery(t, other, map[string]any{"hi2": hi2.String(), "hi3": hi3.String(), "certificate": cert})
	st.awaitUp(t, 2)
	st.order(t, "FULL", loadNumbers()...)
	first := st.agencyID
	st.agencyID = other
	st.order(t, "OTHER", loadNumbers()...)
	st.agencyID = first

	l := st.startLoad(t, fullCalls, fullInterval, 5*time.Minute)
	eventually(t, "the buffer does not get full", func() bool {
		n, _ := st.metricIfThere(t, "ligate_deliver_not_buffered_total", "")
		return n > 3000
	})
	if !st.alarmed(t, "handover_buffer_full", "agency "+first+" hi3") || st.alarmed(t, "handover_buffer_full", "agency "+other) {
		t.Error("the full buffer is not alarmed, or the other agency's is")
	}
	back, _ := runLEMF(t, away)
	eventually(t, "the LEMF that is back does not get what waits", func() bool {
		n, _ := st.metricIfThere(t, "ligate_deliver_backlog_bytes", "")
		return n < 1<<19
	})
	time.Sleep(2 * time.Second) // what comes now goes to it again
	l.end(t)
	st.awaitEnded(t, "FULL", len(l.calls))
	for _, at := range []*lemf.LEMF{back, second} {
		await(t, at, "not all sessions ended", func(s lemf.State) bool {
			ended := 0
			for _, n := range s.Sessions {
				if n.Ended {
					ended++
				}
			}
			return ended == 2*len(l.calls)
		})
	}
	st.compareFull(t, back.State(), second.State())
}

// compareFull holds what the agency's LEMF got, and was told that it does not get,
// against what is stored, and the other agency's against that.
func (st *story) compareFull(t *testing.T, got, other lemf.State) {
	t.Helper()
	stored, arrived, told := numbered{}, numbered{}, numbered{}
	for cin, records := range st.pull(t, "FULL") {
		n, err := strconv.ParseUint(cin, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.CC != nil {
				stored.put(uint32(n), r.CC.Seq)
			}
		}
		for _, p := range st.atLEMF(t, "lemf", "FULL", cin, "cc.ber") {
			if arrived.put(uint32(n), p.Seq) {
				t.Errorf("session %s: number %d came twice", cin, p.Seq)
			}
		}
	}
	for _, m := range got.Messages {
		var cin, from, to uint32
		if _, err := fmt.Sscanf(m, "CIN %d cc: sequence numbers %d to %d were not buffered", &cin, &from, &to); err != nil {
			t.Fatalf("message %q: %v", m, err)
		}
		for number := from; number <= to; number++ {
			if told.put(cin, number) || arrived[cin][number] || !stored[cin][number] {
				t.Errorf("session %d: number %d is told as missing: twice, or it came, or it is not stored either", cin, number)
			}
		}
	}
	if stored.count() != arrived.count()+told.count() {
		t.Errorf("%d stored, %d arrived, %d told as missing", stored.count(), arrived.count(), told.count())
	}
	for _, f := range got.Faults {
		if strings.Contains(f, "integrity check") {
			t.Errorf("the checks cover what was not sent: %s", f)
		}
	}
	again := false // a number arrived after one that did not
	for cin, numbers := range told {
		for number := range numbers {
			again = again || arrived[cin][uint32(len(stored[cin])-1)] && number > 0
		}
	}
	if !again {
		t.Error("after the buffer was full nothing came any more: the test proves half")
	}
	whole := uint64(0)
	for k, n := range other.Sessions {
		if n.Missing > 0 || n.Checked != n.PDUs {
			t.Errorf("the other agency: %+v: %+v", k, n)
		}
		if k.Kind == etsi.KindCC {
			whole += n.PDUs
		}
	}
	if other.Total > 0 || len(other.Messages) > 0 || whole != uint64(stored.count()) {
		t.Errorf("the other agency has %d of %d, faults %v, messages %v", whole, stored.count(), other.Faults, other.Messages)
	}
	t.Logf("stored=%d arrived=%d told as missing=%d in %d messages", stored.count(), arrived.count(), told.count(), len(got.Messages))
}

// atLEMF reads a counter's file at a LEMF.
func (st *story) atLEMF(t *testing.T, dir, liid, cin, name string) (all []etsi.PDU) {
	t.Helper()
	b, err := os.ReadFile(st.path(dir, fmt.Sprintf("liid-%x", liid), cin, name))
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		p, n, err := etsi.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		all, b = append(all, p), b[n:]
	}
	return all
}

// alarmed reports whether an alarm of the kind about something that begins so is open.
func (st *story) alarmed(t *testing.T, kind, object string) bool {
	t.Helper()
	aud, err := st.client("aud")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Items []struct {
			Kind     string     `json:"kind"`
			Object   string     `json:"object"`
			ClosedAt *time.Time `json:"closed_at"`
		} `json:"items"`
	}
	if _, err := aud.do(t.Context(), http.MethodGet, "/admin/v1/alarms", nil, &all); err != nil {
		t.Fatal(err)
	}
	for _, a := range all.Items {
		if a.Kind == kind && strings.HasPrefix(a.Object, object) && a.ClosedAt == nil {
			return true
		}
	}
	return false
}

// awaitStill waits until nothing was added to a LIID's sessions for a while.
func (st *story) awaitStill(t *testing.T, liid string, still time.Duration) {
	t.Helper()
	c, err := apiFlags{
		API: st.api, Server: st.server, Cert: st.path("agency", "keys", "client.crt"), Key: st.path("agency", "keys", "client.key"),
	}.client()
	if err != nil {
		t.Fatal(err)
	}
	before, since := int64(-1), time.Now()
	eventually(t, "records come without end", func() bool {
		var page struct {
			Items []segment.SessionDoc `json:"items"`
		}
		if _, err := c.do(t.Context(), http.MethodGet, "/handover/v1/intercepts/"+liid+"/sessions?limit=200", nil, &page); err != nil {
			t.Fatal(err)
		}
		records := int64(0)
		for _, s := range page.Items {
			records += s.IRIRecords + s.CCRecords
		}
		if records != before {
			before, since = records, time.Now()
		}
		return time.Since(since) >= still
	})
}

// Mediation is away until the gateway's bus is full and the tap's ring behind it. What
// then finds no room is missing, and gap records say how many, exactly: sent = stored
// + missing, for each call.
func TestFullBusLeavesExactGaps(t *testing.T) {
	st := newStory(t)
	st.prepareLoad(t)
	gw := st.apart(t)
	st.editYAML(t, "gateway.yaml", "bus: {listen", "bus: {max_bytes: 2097152, listen")
	st.editYAML(t, "center.yaml", "segment_every: 1s", "segment_every: 3s") // fewer segments to pull
	st.spawnRole(t, "gateway.yaml", "gateway", gw.metrics)
	middle := st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "GAPS", loadNumbers()...)
	if err := middle.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = middle.Wait()
	l := st.startLoad(t, fullCalls, fullInterval, 5*time.Minute)
	w := &killWorld{story: st}
	tee := func(name string) float64 {
		n, err := w.figure(gw.liMetrics, "gateway", "ligate_tee_"+name+"_pdus_total")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "the bus does not get full", func() bool { return tee("dropped") > 500 })
	before := tee("published")
	st.spawnRole(t, "center.yaml", "mediation,admin", st.world.ports.metrics)
	eventually(t, "the tap does not recover", func() bool { return tee("published") > before+3000 })
	l.end(t)
	st.awaitEnded(t, "GAPS", len(l.calls))
	st.awaitStill(t, "GAPS", 6*time.Second) // a session may end before its content is collected
	total, lost := 0, 0
	for cin, records := range st.pull(t, "GAPS") {
		cc, gaps, first := 0, 0, uint32(0)
		for _, r := range records {
			switch {
			case r.CC != nil:
				if cc == 0 {
					_, _, p, err := x2x3.ParseDatagram(r.CC.Packet, r.CC.Format)
					if err != nil {
						t.Fatal(err)
					}
					first = binary.BigEndian.Uint32(p[8:])
				}
				cc++
			case r.Gap != nil && r.Gap.Kind == segment.KindCC:
				if r.Gap.Missing == 0 {
					t.Errorf("session %s: a gap of unknown size", cin)
				}
				gaps += int(r.Gap.Missing)
			}
		}
		call := l.calls[(first-1)/2]
		heard := 0
		for _, s := range call.streams {
			for _, at := range s.got {
				if !at.IsZero() {
					heard++
				}
			}
		}
		if heard != cc+gaps {
			t.Errorf("call %d: %d packets came through, %d are stored and %d missing by the gaps", call.n, heard, cc, gaps)
		}
		total, lost = total+heard, lost+gaps
	}
	if lost == 0 {
		t.Error("nothing was missing: the test proves nothing")
	}
	t.Logf("sent=%d, of those missing by the gaps %d", total, lost)
}

package export_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/export"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

const limit = 30 * time.Second // for what must happen

// start runs f until the returned function or the test's end.
func start(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.New(bus.Config{Dir: t.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start(t, b.Run)
	<-b.Ready()
	return b
}

// world is a gateway's bus with an exporter, and certificates.
type world struct {
	t            *testing.T
	bus          *bus.Bus
	own, mdfCert tls.Certificate
	reg, ops     *prometheus.Registry
	cfg          export.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, bus: newBus(t), own: pkitest.Certificate(t, "gw-1"), mdfCert: pkitest.Certificate(t, "mdf"), reg: prometheus.NewRegistry(), ops: prometheus.NewRegistry()}
	w.cfg = export.Config{
		Bus: w.bus, TLS: pki.Client(w.own, pkitest.Fingerprint(w.mdfCert)), Log: slog.New(slog.DiscardHandler), LIReg: w.reg, OpsReg: w.ops,
		MinRedial: time.Millisecond, MaxRedial: 20 * time.Millisecond,
	}
	return w
}

func (w *world) export() (stop func()) {
	w.t.Helper()
	e, err := export.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return start(w.t, e.Run)
}

func (w *world) publish(pdus ...x2x3.PDU) {
	w.t.Helper()
	var batches [2]bus.Batch
	for i := range pdus {
		p := &pdus[i]
		slot := &batches[p.Type-x2x3.X2][bus.Partition(p.XID, p.Correlation)]
		b, err := x2x3.AppendPDU(*slot, p)
		if err != nil {
			w.t.Fatal(err)
		}
		*slot = b
	}
	for i, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
		if err := w.bus.PublishAll(w.t.Context(), kind, &batches[i]); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not in time", what)
		}
	}
}

// drained waits until the bus may forget everything.
func (w *world) drained() {
	w.t.Helper()
	w.until("drain the bus", func() bool { return w.backlog() == 0 })
}

func (w *world) backlog() uint64 {
	w.t.Helper()
	n, _, err := w.bus.Backlog(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// figure sums a figure over its labels but for a reason, if one is given.
func figure(t *testing.T, reg *prometheus.Registry, name, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "ligate_export_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := reason == ""
			for _, pair := range m.GetLabel() {
				match = match || pair.GetName() == "reason" && pair.GetValue() == reason
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// mdf is somebody else's mediation: it keeps what comes and answers as the test wants.
type mdf struct {
	t        *testing.T
	addr     string
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	pdus   []x2x3.PDU
	answer func(conn int, seq uint32) []byte // nil = properly; by number of connection, from 1
	conns  int
	live   []net.Conn
}

func (w *world) newMDF(cert tls.Certificate, answer func(conn int, seq uint32) []byte) *mdf {
	w.t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", pki.Server(cert, pkitest.Fingerprint(w.own)))
	if err != nil {
		w.t.Fatal(err)
	}
	m := &mdf{t: w.t, addr: l.Addr().String(), listener: l, answer: answer}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { m.serve(c) })
		}
	})
	w.t.Cleanup(func() {
		_ = l.Close()
		m.cut()
		served.Wait()
	})
	return m
}

// cut breaks all connections.
func (m *mdf) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.live {
		_ = c.Close()
	}
	m.live = nil
}

func (m *mdf) serve(c net.Conn) {
	defer c.Close()
	m.mu.Lock()
	m.conns++
	number := m.conns
	m.live = append(m.live, c)
	m.mu.Unlock()
	m.converse(c, number)
}

func (m *mdf) converse(c net.Conn, number int) {
	in := x2x3.NewReader(c)
	for {
		p, err := in.Next()
		if err != nil {
			return
		}
		if p.Validate() != nil {
			m.t.Errorf("the exporter sent %+v", p)
		}
		if p.Type == x2x3.Keepalive {
			out := x2x3.AppendKeepaliveAck(nil, p.Sequence)
			if m.answer != nil {
				out = m.answer(number, p.Sequence)
			}
			if _, err := c.Write(out); err != nil {
				return
			}
			continue
		}
		p.Payload, p.Event = bytes.Clone(p.Payload), bytes.Clone(p.Event)
		m.mu.Lock()
		m.pdus = append(m.pdus, p)
		m.mu.Unlock()
	}
}

func (m *mdf) got() []x2x3.PDU {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]x2x3.PDU(nil), m.pdus...)
}

func (m *mdf) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conns
}

// pdu is one PDU of a call as our gateway writes it.
func pdu(kind x2x3.Type, xid li.XID, call uint64, seq uint32) x2x3.PDU {
	p := x2x3.PDU{
		Type: kind, Format: x2x3.FormatSIP, Direction: x2x3.FromTarget, XID: xid, Correlation: call, Sequence: seq, HasSequence: true,
		Time: time.Unix(1_800_000_000+int64(seq), 0).UTC(), NFID: "gw-1", Payload: fmt.Appendf(nil, "INFO sip:b@example.com SIP/2.0\r\nCSeq: %d INFO\r\n\r\n", seq),
	}
	if kind == x2x3.X3 {
		packet, format, err := x2x3.AppendDatagram(nil, from, to, append([]byte{0x80, 8, byte(seq >> 8), byte(seq), 0, 0, 0, 0, 1, 2, 3, 4}, make([]byte, 160)...))
		if err != nil {
			panic(err)
		}
		p.Format, p.Payload = format, packet
	}
	return p
}

type callKey struct {
	xid  li.XID
	call uint64
	kind x2x3.Type
}

// inOrder looks at one call after the other: what comes for the first time comes in
// order of its numbers, from 0, and what comes again is the same PDU. It returns how
// many there are of each, and how many came again.
func inOrder(t *testing.T, pdus []x2x3.PDU) (firsts map[callKey]uint32, again int) {
	t.Helper()
	firsts = map[callKey]uint32{}
	times := map[callKey][]time.Time{}
	for _, p := range pdus {
		k := callKey{p.XID, p.Correlation, p.Type}
		switch next := firsts[k]; {
		case p.Sequence == next:
			firsts[k]++
			times[k] = append(times[k], p.Time)
		case p.Sequence < next && p.Time.Equal(times[k][p.Sequence]):
			again++
		default:
			t.Fatalf("number %d of a call came after %d", p.Sequence, next)
		}
	}
	return firsts, again
}

var errRefused = errors.New("connection refused")

package export_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/export"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/collect"
)

var (
	from = netip.MustParseAddrPort("192.0.2.1:4000")
	to   = netip.MustParseAddrPort("192.0.2.2:4002")
)

// What the bus holds comes to the MDF as it is, each kind to its address, and the bus
// forgets it.
func TestEachKindGoesToItsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x2, x3 := w.newMDF(w.mdfCert, nil), w.newMDF(w.mdfCert, nil)
	w.cfg.X2, w.cfg.X3 = x2.addr, x3.addr
	xid := li.NewXID()
	w.export()
	want := map[x2x3.Type][]x2x3.PDU{}
	for seq := range uint32(20) {
		for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
			p := pdu(kind, xid, 1, seq)
			want[kind] = append(want[kind], p)
			w.publish(p)
		}
	}
	w.drained()
	for kind, got := range map[x2x3.Type][]x2x3.PDU{x2x3.X2: x2.got(), x2x3.X3: x3.got()} {
		if diff := cmp.Diff(want[kind], got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	if n := figure(t, w.reg, "confirmed_pdus_total", ""); n != 40 {
		t.Errorf("%v confirmed", n)
	}
	if n := figure(t, w.ops, "up", ""); n != 2 {
		t.Errorf("%v connections are up", n)
	}
	if families, _ := w.ops.Gather(); len(families) != 1 {
		t.Errorf("operations see %d figures, want one", len(families))
	}
}

// What only a ligate understands stays here, unless the MDF is one.
func TestPrivateAttributes(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{false, true} {
		w := newWorld(t)
		m := w.newMDF(w.mdfCert, nil)
		w.cfg.X2, w.cfg.X3, w.cfg.Private = m.addr, m.addr, private
		xid := li.NewXID()
		plain, told, opened, over := pdu(x2x3.X2, xid, 1, 0), pdu(x2x3.X2, xid, 1, 1), pdu(x2x3.X3, xid, 1, 0), pdu(x2x3.X2, xid, 1, 2)
		told.Event = sipevent.AppendEvent(nil, sipevent.Event{Stage: sipevent.Continue, Method: "INFO"})
		opened.Decrypted = true
		over.Event, over.Payload = sipevent.AppendEvent(nil, sipevent.Event{Stage: sipevent.End, Method: sipevent.NoMedia}), nil
		w.publish(plain, told, over, opened)
		w.publish(over) // a message of which nothing is left
		w.export()
		w.drained()
		var marks, events, empty int
		for _, p := range m.got() {
			if p.Decrypted {
				marks++
			}
			if len(p.Event) > 0 {
				events++
			}
			if len(p.Payload) == 0 {
				empty++
			}
		}
		got := fmt.Sprint(len(m.got()), marks, events, empty, figure(t, w.reg, "withheld_pdus_total", "event"))
		want := "3 0 0 0 2"
		if private {
			want = "5 1 3 2 0"
		}
		if got != want {
			t.Errorf("private %t: %s, want %s", private, got, want)
		}
	}
}

// The bus forgets nothing before an answer, and what was not answered comes first on
// the next connection.
func TestOnlyAnswersConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silent := func(conn int, seq uint32) []byte {
		if conn == 1 {
			return nil
		}
		return x2x3.AppendKeepaliveAck(nil, seq)
	}
	x2, x3 := w.newMDF(w.mdfCert, silent), w.newMDF(w.mdfCert, nil)
	w.cfg.X2, w.cfg.X3, w.cfg.Answer = x2.addr, x3.addr, 500*time.Millisecond
	xid := li.NewXID()
	w.publish(pdu(x2x3.X2, xid, 1, 0))
	w.export()
	w.until("send", func() bool { return len(x2.got()) == 1 })
	if w.backlog() != 1 {
		t.Error("forgotten without an answer")
	}
	w.publish(pdu(x2x3.X2, xid, 1, 1))
	w.drained()
	firsts, _ := inOrder(t, x2.got())
	if firsts[callKey{xid, 1, x2x3.X2}] != 2 || x2.connections() < 2 || figure(t, w.reg, "connections_ended_total", "unanswered") < 1 {
		t.Errorf("got %v over %d connections", firsts, x2.connections())
	}
}

// Whoever is not the MDF gets nothing; an MDF that answers nonsense is left.
func TestBadMDFs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stranger bool
		answer   func(conn int, seq uint32) []byte
		reason   string
	}{
		"another certificate": {true, nil, "handshake"},
		"no such question":    {false, func(_ int, seq uint32) []byte { return x2x3.AppendKeepaliveAck(nil, seq+7) }, "foreign"},
		"a question":          {false, func(_ int, seq uint32) []byte { return x2x3.AppendKeepalive(nil, seq) }, "foreign"},
		"garbage":             {false, func(int, uint32) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, "foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cert := w.mdfCert
			if tt.stranger {
				cert = pkitest.Certificate(t, "stranger")
			}
			m := w.newMDF(cert, tt.answer)
			w.cfg.X2, w.cfg.X3 = m.addr, m.addr
			w.publish(pdu(x2x3.X2, li.NewXID(), 1, 0))
			w.export()
			w.until("give up several times", func() bool { return figure(t, w.reg, "connections_ended_total", tt.reason) >= 4 })
			if w.backlog() != 1 {
				t.Error("the bus forgot what nobody confirmed")
			}
			if tt.stranger && len(m.got()) > 0 {
				t.Error("a stranger got PDUs")
			}
			if n := figure(t, w.ops, "up", ""); n != 0 {
				t.Errorf("%v connections are up", n)
			}
		})
	}
}

// A new process sends again what nobody confirmed to the old one.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.LIReg, w.cfg.OpsReg = nil, nil
	m := w.newMDF(w.mdfCert, nil)
	w.cfg.X2, w.cfg.X3 = m.addr, m.addr
	xid := li.NewXID()
	const rounds, each = 5, 50
	for round := range uint32(rounds) {
		for seq := range uint32(each) {
			w.publish(pdu(x2x3.X3, xid, 1, round*each+seq))
		}
		stop := w.export()
		w.until("send some", func() bool { return len(m.got()) > 0 })
		stop()
	}
	w.export()
	w.drained()
	if firsts, _ := inOrder(t, m.got()); firsts[callKey{xid, 1, x2x3.X3}] != rounds*each {
		t.Errorf("got %v", firsts)
	}
}

// chaos forwards to addr and breaks each connection after some octets, in either
// direction.
func chaos(t *testing.T, addr string, most int) (proxy string, cuts func() int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards dice and count
	dice, count := rand.New(rand.NewPCG(seed, 0)), 0
	var served sync.WaitGroup
	forward := func(a, b net.Conn) {
		mu.Lock()
		there, back := int64(dice.IntN(most)), int64(dice.IntN(most/20))
		count++
		mu.Unlock()
		var ways sync.WaitGroup
		for _, way := range []struct {
			to, from net.Conn
			n        int64
		}{{b, a, there}, {a, b, back}} {
			ways.Go(func() {
				_, _ = io.CopyN(way.to, way.from, way.n)
				_ = a.Close()
				_ = b.Close()
			})
		}
		ways.Wait()
	}
	served.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", addr)
			if err != nil {
				_ = a.Close()
				continue
			}
			served.Go(func() { forward(a, b) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return l.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

// allGiven knows every Task as given.
type allGiven struct{}

func (allGiven) TaskGiven(context.Context, li.XID, string) (given, soon bool, err error) {
	return true, true, nil
}

func (allGiven) Refuse(context.Context, li.XID, string) error    { return nil }
func (allGiven) OpenAlarm(_ context.Context, _, _ string) error  { return nil }
func (allGiven) CloseAlarm(_ context.Context, _, _ string) error { return nil }

// Over connections that break all the time, everything that a gateway copied comes to
// our own listener elsewhere: each call in order, and what comes twice is recognised.
func TestOurListenerThroughBreakingConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	far := newBus(t)
	w.cfg.Bus = w.bus
	c, err := collect.New(collect.Config{
		Bus: far, Tasks: allGiven{}, Refusals: allGiven{}, Alarms: allGiven{}, Log: slog.New(slog.DiscardHandler), Certificate: w.mdfCert,
		Listen: []collect.Listen{{Addr: "127.0.0.1:0", X2: true, X3: true}}, Backlog: 1 << 62, Skew: 100 * 365 * 24 * time.Hour, PerPeer: 100,
		Elements: []collect.Element{{ID: "gw-1", Certificate: pkitest.Fingerprint(w.own), X2: true, X3: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, c.Run)
	<-c.Ready()
	const calls, signalling, content = 20, 20, 300
	addr, cuts := chaos(t, c.Addrs()[0].String(), 200<<10)
	w.cfg.X2, w.cfg.X3 = addr, addr
	xid := li.NewXID()
	w.export()
	for seq := range uint32(content) {
		var round []x2x3.PDU
		for call := range uint64(calls) {
			if seq < signalling {
				round = append(round, pdu(x2x3.X2, xid, call, seq))
			}
			round = append(round, pdu(x2x3.X3, xid, call, seq))
		}
		w.publish(round...)
	}
	w.drained()

	var mu sync.Mutex // guards got
	var got []x2x3.PDU
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var parts sync.WaitGroup
	for partition := range bus.Partitions {
		parts.Go(func() {
			_ = far.Consume(ctx, partition, func(m bus.Message) {
				mu.Lock()
				defer mu.Unlock()
				for b := m.Data; len(b) > 0; {
					p, n, err := x2x3.DecodePDU(b)
					if err != nil {
						t.Error(err)
						return
					}
					got, b = append(got, p), b[n:]
				}
				_ = m.Ack()
			})
		})
	}
	w.until("take all", func() bool { n, _, err := far.Backlog(t.Context()); return err == nil && n == 0 })
	cancel()
	parts.Wait()
	firsts, again := inOrder(t, got)
	for k, n := range firsts {
		if want := map[x2x3.Type]uint32{x2x3.X2: signalling, x2x3.X3: content}[k.kind]; n != want {
			t.Errorf("call %d, kind %d: %d PDUs, want %d", k.call, k.kind, n, want)
		}
	}
	if len(firsts) != 2*calls || cuts() < 5 {
		t.Errorf("%d calls over %d connections", len(firsts), cuts())
	}
	t.Logf("%d PDUs, %d of them again, over %d connections", len(got), again, cuts())
}

// feeder is a bus of messages that stand ready, all of one partition.
type feeder struct {
	mu        sync.Mutex // guards acked
	acked     map[uint64]string
	rounds    [][]bus.Message
	handed    atomic.Int64
	partition int
}

func (f *feeder) Consume(ctx context.Context, partition int, handle func(bus.Message)) error {
	if partition == f.partition {
		for _, round := range f.rounds {
			for _, m := range round {
				handle(m)
				if ctx.Err() != nil {
					return nil
				}
				f.handed.Add(1)
			}
		}
	}
	<-ctx.Done()
	return nil
}

func (f *feeder) message(seq uint64, delivery string, p x2x3.PDU) bus.Message {
	b, err := x2x3.AppendPDU(nil, &p)
	if err != nil {
		panic(err)
	}
	return bus.Message{Stream: "s", Seq: seq, Kind: p.Type, Data: b, Ack: func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.acked[seq] += delivery
		return nil
	}}
}

func (f *feeder) forgotten() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.acked)
}

// counted counts writes.
type counted struct{ n *atomic.Int64 }

func (c counted) Write(b []byte) (int, error) {
	c.n.Add(1)
	return len(b), nil
}

// The MDF is away for an hour: it is dialled with patience, memory stays bounded, and
// afterwards everything comes, in order. While nothing happens, keep-alives do.
func TestMDFAwayForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const messages = 1000
		own, cert := pkitest.Certificate(t, "gw-1"), pkitest.Certificate(t, "mdf") // valid at the bubble's time
		f := &feeder{acked: map[uint64]string{}}
		xid := li.NewXID()
		var round []bus.Message
		for i := range messages {
			round = append(round, f.message(uint64(i+1), "a", pdu(x2x3.X3, xid, 1, uint32(i))))
		}
		f.rounds = [][]bus.Message{round}
		m := &mdf{t: t}
		var lines, dials, keepalives atomic.Int64
		began := time.Now()
		m.answer = func(_ int, seq uint32) []byte { keepalives.Add(1); return x2x3.AppendKeepaliveAck(nil, seq) }
		var served sync.WaitGroup
		dial := func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr != "x3" {
				return nil, errRefused
			}
			if dials.Add(1); time.Since(began) < time.Hour {
				return nil, errRefused
			}
			a, b := net.Pipe()
			served.Go(func() { m.serve(tls.Server(b, pki.Server(cert, pkitest.Fingerprint(own)))) })
			return a, nil
		}
		e, err := export.New(export.Config{
			Bus: f, X2: "x2", X3: "x3", TLS: pki.Client(own, pkitest.Fingerprint(cert)), Log: slog.New(slog.NewTextHandler(counted{&lines}, nil)), Dial: dial, MaxUnconfirmed: 20_000,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if n := dials.Load(); n < 100 || n > 150 || f.handed.Load() > 90 || f.forgotten() > 0 {
			t.Errorf("%d attempts, %d messages in memory, %d forgotten", n, f.handed.Load(), f.forgotten())
		}
		if n := lines.Load(); n > 130 {
			t.Errorf("%d lines of log for two destinations", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if firsts, again := inOrder(t, m.got()); firsts[callKey{xid, 1, x2x3.X3}] != messages || again != 0 || f.forgotten() != messages {
			t.Errorf("got %v, %d again, %d forgotten", firsts, again, f.forgotten())
		}
		before := keepalives.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := keepalives.Load() - before; n < 60 || n > 61 || m.connections() != 1 {
			t.Errorf("%d keep-alives in a quiet hour over %d connections", n, m.connections())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.cut()
		served.Wait()
	})
}

// What the bus hands out again, since it lost sight of its consumer, is sent once and
// answered the way it was asked last.
func TestBusHandsOutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hold := make(chan struct{})
	m := w.newMDF(w.mdfCert, func(_ int, seq uint32) []byte { <-hold; return x2x3.AppendKeepaliveAck(nil, seq) })
	xid := li.NewXID()
	f := &feeder{acked: map[uint64]string{}}
	var rounds [2][]bus.Message
	for i := range 10 {
		for j, delivery := range []string{"a", "b"} {
			rounds[j] = append(rounds[j], f.message(uint64(i+1), delivery, pdu(x2x3.X3, xid, 1, uint32(i))))
		}
	}
	f.rounds = rounds[:]
	w.cfg.Bus, w.cfg.X2, w.cfg.X3 = f, m.addr, m.addr
	w.export()
	w.until("send", func() bool { return len(m.got()) >= 10 })
	close(hold)
	w.until("confirm", func() bool { return f.forgotten() == 10 })
	if firsts, again := inOrder(t, m.got()); again != 0 || firsts[callKey{xid, 1, x2x3.X3}] != 10 {
		t.Errorf("got %v, %d again", firsts, again)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for seq, by := range f.acked {
		if !strings.HasSuffix(by, "b") {
			t.Errorf("message %d was acknowledged by %q", seq, by)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.X2, w.cfg.X3 = "a:1", "a:1"
	w.cfg.LIReg, w.cfg.OpsReg = nil, nil
	if _, err := export.New(w.cfg); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*export.Config){
		"no bus": func(c *export.Config) { c.Bus = nil }, "no X2": func(c *export.Config) { c.X2 = "" }, "no X3": func(c *export.Config) { c.X3 = "" },
		"no TLS": func(c *export.Config) { c.TLS = nil }, "time that runs back": func(c *export.Config) { c.Answer = -1 },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := export.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

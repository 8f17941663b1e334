package collect_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/collect"
)

const limit = 20 * time.Second // for what must happen

// world is a collector on a real bus, with elements sbc-1 and sbc-2.
type world struct {
	t      *testing.T
	bus    *bus.Bus
	tasks  *tasks
	office *office
	reg    *prometheus.Registry
	cfg    collect.Config
	addrs  []string
	stop   func()

	own        tls.Certificate
	sbc1, sbc2 tls.Certificate
	xid1, xid2 li.XID // given to sbc-1, to sbc-2
	thirdParty tls.Certificate
	logged     *lines
}

func newWorld(t *testing.T, change func(*collect.Config)) *world {
	t.Helper()
	w := &world{
		t: t, office: &office{open: map[string]bool{}}, reg: prometheus.NewRegistry(), xid1: li.NewXID(), xid2: li.NewXID(), logged: &lines{},
		own: pkitest.Certificate(t, "mdf"), sbc1: pkitest.Certificate(t, "sbc-1"), sbc2: pkitest.Certificate(t, "sbc-2"), thirdParty: pkitest.Certificate(t, "stranger"),
	}
	w.tasks = &tasks{given: map[string]bool{"sbc-1 " + w.xid1.String(): true, "sbc-2 " + w.xid2.String(): true}}
	var err error
	if w.bus, err = bus.New(bus.Config{Dir: t.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	start(t, w.bus.Run)
	<-w.bus.Ready()
	w.cfg = collect.Config{
		Bus: w.bus, Tasks: w.tasks, Refusals: w.office, Alarms: w.office, Log: slog.New(slog.NewTextHandler(w.logged, nil)), LIReg: w.reg, Certificate: w.own,
		Listen: []collect.Listen{{Addr: "127.0.0.1:0", X2: true, X3: true}},
		Elements: []collect.Element{
			{ID: "sbc-1", Certificate: pkitest.Fingerprint(w.sbc1), X2: true, X3: true},
			{ID: "sbc-2", Certificate: pkitest.Fingerprint(w.sbc2), X3: true},
		},
	}
	if change != nil {
		change(&w.cfg)
	}
	w.run()
	return w
}

// run starts a collector; the one before must have stopped.
func (w *world) run() {
	w.t.Helper()
	c, err := collect.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop = start(w.t, c.Run)
	select {
	case <-c.Ready():
	case <-time.After(limit):
		w.t.Fatal("it does not listen")
	}
	w.addrs = nil
	for _, a := range c.Addrs() {
		w.addrs = append(w.addrs, a.String())
	}
}

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

// lines is the log.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tasks stands for the database.
type tasks struct {
	mu    sync.Mutex // guards the fields below
	given map[string]bool
	soon  bool
	err   error
	asked int
	onAsk func(n int) // called without the lock
}

func (s *tasks) TaskGiven(_ context.Context, xid li.XID, element string) (given, soon bool, err error) {
	s.mu.Lock()
	s.asked++
	n, call := s.asked, s.onAsk
	given, soon, err = s.given[element+" "+xid.String()], s.soon, s.err
	s.mu.Unlock()
	if call != nil {
		call(n)
	}
	return given, soon, err
}

func (s *tasks) set(f func(*tasks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// office keeps refusals and alarms.
type office struct {
	mu      sync.Mutex // guards the fields below
	refused []string
	open    map[string]bool
}

func (o *office) Refuse(_ context.Context, xid li.XID, cause string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = append(o.refused, xid.String()+" "+cause)
	return nil
}

func (o *office) OpenAlarm(_ context.Context, kind, object string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[kind+" "+object] = true
	return nil
}

func (o *office) CloseAlarm(_ context.Context, kind, object string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, kind+" "+object)
	return nil
}

func (o *office) has(alarm string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open[alarm]
}

func (o *office) records() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.refused...)
}

// client is a network element that is not ours.
type client struct {
	t    *testing.T
	conn *tls.Conn
	in   *x2x3.Reader
	seq  uint32 // of keep-alives
}

func (w *world) dial(own tls.Certificate) *client { return w.dialPort(own, 0) }

func (w *world) dialPort(own tls.Certificate, port int) *client {
	w.t.Helper()
	c, err := w.tryDial(own, port, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) tryDial(own tls.Certificate, port int, change func(*tls.Config)) (*client, error) {
	cfg := pki.Client(own, pkitest.Fingerprint(w.own))
	cfg.MinVersion = tls.VersionTLS12
	if change != nil {
		change(cfg)
	}
	raw, err := net.DialTimeout("tcp", w.addrs[port], limit)
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { _ = raw.Close() })
	conn := tls.Client(raw, cfg)
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	return &client{t: w.t, conn: conn, in: x2x3.NewReader(conn)}, conn.Handshake()
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(pdus ...x2x3.PDU) {
	c.t.Helper()
	c.write(encode(c.t, pdus...))
}

func encode(t *testing.T, pdus ...x2x3.PDU) (b []byte) {
	t.Helper()
	var err error
	for i := range pdus {
		if b, err = x2x3.AppendPDU(b, &pdus[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// settle sends a keep-alive and waits for its answer: all before it is settled.
func (c *client) settle() {
	c.t.Helper()
	c.seq++
	c.write(x2x3.AppendKeepalive(nil, c.seq))
	c.answer()
}

func (c *client) answer() {
	c.t.Helper()
	p, err := c.in.Next()
	if err != nil || p.Validate() != nil || p.Type != x2x3.KeepaliveAck || p.Sequence != c.seq {
		c.t.Fatalf("answer %+v, %v", p, err)
	}
}

// ended waits until the other side closed the connection.
func (c *client) ended() {
	c.t.Helper()
	for {
		if _, err := c.in.Next(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				c.t.Fatal("the connection stays")
			}
			return
		}
	}
}

// stored takes n PDUs off the bus, which must be all, a list a call and kind.
func (w *world) stored(n int) map[string][]x2x3.PDU {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	var mu sync.Mutex
	all, count := map[string][]x2x3.PDU{}, 0
	var parts sync.WaitGroup
	for partition := range bus.Partitions {
		parts.Go(func() {
			err := w.bus.Consume(ctx, partition, func(m bus.Message) {
				mu.Lock()
				defer mu.Unlock()
				for b := m.Data; len(b) > 0; {
					p, used, err := x2x3.DecodePDU(b)
					if err != nil || p.Type != m.Kind || bus.Partition(p.XID, p.Correlation) != partition {
						w.t.Errorf("in partition %d, kind %d: %+v, %v", partition, m.Kind, p, err)
						cancel()
						return
					}
					b = b[used:]
					key := callOf(p)
					all[key] = append(all[key], p)
					count++
				}
				if err := m.Ack(); err != nil {
					w.t.Error(err)
				}
			})
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	w.until("take what is stored", func() bool {
		messages, _, err := w.bus.Backlog(ctx)
		mu.Lock()
		defer mu.Unlock()
		return err == nil && messages == 0 && count >= n || ctx.Err() != nil
	})
	cancel()
	parts.Wait()
	if count != n {
		w.t.Fatalf("%d PDUs on the bus, want %d", count, n)
	}
	return all
}

func callOf(p x2x3.PDU) string { return fmt.Sprintf("%s %d %d", p.XID, p.Correlation, p.Type) }

// figure reads a figure with these labels, such as `reason="clock"`.
func (w *world) figure(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "ligate_collect_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, pair := range m.GetLabel() {
				has = append(has, fmt.Sprintf("%s=%q", pair.GetName(), pair.GetValue()))
			}
			match := true
			for _, l := range labels {
				match = match && slices.Contains(has, l)
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// until waits for what other goroutines bring about.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not in time", what)
		}
	}
}

var cmpPDU = cmp.Options{cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.EquateEmpty()}

// sip is an X2 PDU as an element sends it.
func sip(xid li.XID, seq uint32) x2x3.PDU {
	return x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: x2x3.FromTarget, XID: xid, Correlation: 7, Sequence: seq, HasSequence: true,
		Time: time.Now().UTC(), Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("192.0.2.2:5060"),
		Payload: fmt.Appendf(nil, "INVITE sip:b@example.com SIP/2.0\r\nCSeq: %d INVITE\r\n\r\n", seq),
	}
}

var (
	from = netip.MustParseAddrPort("192.0.2.1:4000")
	to   = netip.MustParseAddrPort("192.0.2.2:4002")
)

func rtp(seq uint32) []byte {
	b := append([]byte{0x80, 8, 0, 0, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef}, bytes.Repeat([]byte{0xd5}, 160)...)
	b[2], b[3] = byte(seq>>8), byte(seq)
	return b
}

// media is an X3 PDU with an IP packet.
func media(t *testing.T, xid li.XID, seq uint32) x2x3.PDU {
	t.Helper()
	packet, format, err := x2x3.AppendDatagram(nil, from, to, rtp(seq))
	if err != nil {
		t.Fatal(err)
	}
	return x2x3.PDU{
		Type: x2x3.X3, Format: format, Direction: x2x3.ToTarget, XID: xid, Correlation: 7, Sequence: seq, HasSequence: true,
		Time: time.Now().UTC(), Payload: packet,
	}
}

package sipproxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// patience bounds every wait of a test; silence is how long nothing may come.
const (
	patience = 10 * time.Second
	silence  = 150 * time.Millisecond
)

// world is a proxy between one core (127.0.0.1) and trunks (127.0.0.2 and up), with
// a real index and tee; the relay hands out addresses.
type world struct {
	t       testing.TB
	core    *agent
	trunks  []*agent
	proxy   netip.AddrPort
	tcp     netip.AddrPort
	addrs   []netip.AddrPort // of all listeners
	config  sipproxy.Config
	index   *tasking.Index
	copies  *copies
	relay   *relay
	ops, li *prometheus.Registry
	stop    func()
	drain   func(context.Context) int
}

type option func(*sipproxy.Config)

func newWorld(t testing.TB, trunks int, opts ...option) *world {
	t.Helper()
	w := &world{t: t, copies: &copies{}, relay: &relay{}, ops: prometheus.NewRegistry(), li: prometheus.NewRegistry()}
	w.core = newAgent(t, "127.0.0.1")
	peers := []sipproxy.Peer{{
		Name: "core", Role: sipproxy.RoleCore, Addr: w.core.addr, Trusted: true, Numbers: []string{"+4930"}, Domains: []string{"example.com"},
	}}
	for i := range trunks {
		a := newAgent(t, fmt.Sprintf("127.0.0.%d", i+2))
		w.trunks = append(w.trunks, a)
		peers = append(peers, sipproxy.Peer{Name: fmt.Sprint("trunk", i), Role: sipproxy.RoleTrunk, Addr: a.addr, Priority: i})
	}
	var err error
	if w.index, err = tasking.New(tasking.Config{}); err != nil {
		t.Fatal(err)
	}
	copier, err := tee.New(tee.Config{Log: slog.New(slog.DiscardHandler), Out: w.copies, NFID: "gw"})
	if err != nil {
		t.Fatal(err)
	}
	background(t, copier.Run)
	w.config = sipproxy.Config{
		Log: slog.New(slog.DiscardHandler), Secret: bytes.Repeat([]byte{7}, 32), Relay: w.relay, Index: w.index, Tee: copier,
		Plan:   li.NumberPlan{CountryCode: "49", NationalPrefix: "0", InternationalPrefixes: []string{"00"}},
		Listen: []sipproxy.Listen{{Net: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}, {Net: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Peers:  peers, OpsReg: w.ops, LIReg: w.li,
	}
	for _, o := range opts {
		o(&w.config)
	}
	w.start()
	return w
}

// start runs a proxy with the world's configuration.
func (w *world) start() {
	w.t.Helper()
	p, err := sipproxy.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop = background(w.t, p.Run)
	select {
	case <-p.Ready():
	case <-time.After(patience):
		w.t.Fatal("the proxy did not start")
	}
	w.addrs = p.Addrs()
	w.proxy, w.tcp = w.addrs[0], w.addrs[1]
	w.drain = p.Drain
}

// restart is a new process on the same sockets.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.config.Listen[0].Addr, w.config.Listen[1].Addr = w.proxy, w.tcp
	w.config.OpsReg, w.config.LIReg = nil, nil
	w.start()
}

func background(t testing.TB, run func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// tap begins a Task on a number.
func (w *world) tap(number string, content bool) li.XID {
	w.t.Helper()
	id, err := w.config.Plan.ParseTarget(number)
	if err != nil {
		w.t.Fatal(err)
	}
	task := li.IRITask{XID: li.NewXID(), Targets: []li.Identity{id}, Until: time.Now().Add(time.Hour)}
	if content {
		err = w.index.Activate(li.ContentTask{IRITask: task})
	} else {
		err = w.index.Activate(task)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return task.XID
}

// figure reads one counter or gauge, summed over its labels that hold match.
func figure(t testing.TB, reg *prometheus.Registry, name, match string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "ligate_sipproxy_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if match == "" || strings.Contains(m.String(), match) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// agent is a peer that speaks SIP by hand over UDP.
type agent struct {
	t    testing.TB
	conn *net.UDPConn
	addr netip.AddrPort
	buf  []byte
}

func newAgent(t testing.TB, ip string) *agent {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &agent{t: t, conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), buf: make([]byte, 65535)}
}

func (a *agent) send(to netip.AddrPort, msg string) {
	a.t.Helper()
	if _, err := a.conn.WriteToUDPAddrPort([]byte(msg), to); err != nil {
		a.t.Fatal(err)
	}
}

// read returns the next message, nil when none comes in time.
func (a *agent) read(wait time.Duration) *wire.Message {
	a.t.Helper()
	_ = a.conn.SetReadDeadline(time.Now().Add(wait))
	n, _, err := a.conn.ReadFromUDPAddrPort(a.buf)
	if err != nil {
		return nil
	}
	m, err := wire.Parse(bytes.Clone(a.buf[:n]))
	if err != nil {
		a.t.Fatalf("the proxy sent what does not parse: %v\n%s", err, a.buf[:n])
	}
	return m
}

// want returns the next message that starts so, skipping 100 Trying.
func (a *agent) want(start string) *wire.Message {
	a.t.Helper()
	for {
		m := a.read(patience)
		if m == nil {
			a.t.Fatalf("waited for %q, nothing came", start)
		}
		if strings.HasPrefix(string(m.Raw), start) {
			return m
		}
		if m.Status != 100 {
			a.t.Fatalf("waited for %q, got\n%s", start, m.Raw)
		}
	}
}

func (a *agent) wantNothing() {
	a.t.Helper()
	for {
		m := a.read(silence)
		if m == nil {
			return
		}
		if m.Status != 100 {
			a.t.Fatalf("wanted nothing, got\n%s", m.Raw)
		}
	}
}

// reply answers a request. extra is header lines; body is SDP.
func (a *agent) reply(to netip.AddrPort, req *wire.Message, status int, tag, extra, body string) {
	a.t.Helper()
	a.send(to, response(req, status, tag, a.addr, extra, body))
}

func response(req *wire.Message, status int, tag string, contact netip.AddrPort, extra, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d X\r\n", status)
	for _, f := range req.Fields {
		switch f.Header {
		case wire.Via, wire.From, wire.CallID, wire.CSeq, wire.RecordRoute:
			b.WriteString(req.Text(f.Line))
		case wire.To:
			line := strings.TrimSuffix(req.Text(f.Line), "\r\n")
			if req.To.Tag == "" && status > 100 {
				line += ";tag=" + tag
			}
			b.WriteString(line + "\r\n")
		default:
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:x@%s>\r\n%s", contact, extra)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// line is a request of an agent.
type line struct {
	method, uri, branch, from, to, callID string
	seq                                   int
	via                                   string // sent-by; default the agent's address
	extra, body                           string
}

func (a *agent) request(r line) string {
	if r.via == "" {
		r.via = "UDP " + a.addr.String()
	}
	content := ""
	if r.body != "" {
		content = "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/%s;branch=%s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:x@%s>\r\nX-Odd :  kept\t as it is \r\n%s%sContent-Length: %d\r\n\r\n%s",
		r.method, r.uri, r.via, r.branch, r.from, r.to, r.callID, r.seq, r.method, a.addr, r.extra, content, len(r.body), r.body)
}

const (
	subscriber = "+4930555001"
	outside    = "+4989777001"
)

// outgoing is an INVITE of a subscriber to the PSTN.
func outgoing(callID string) line {
	return line{
		method: "INVITE", uri: "sip:" + outside + "@example.net", branch: "z9hG4bK-1-" + callID, callID: callID, seq: 1,
		from: "<sip:" + subscriber + "@example.com>;tag=a", to: "<sip:" + outside + "@example.net>", body: offer,
	}
}

const offer = "v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 10.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"

// within is a request in the dialog that a response confirmed.
func within(method string, inv line, resp *wire.Message, seq int) line {
	routes := ""
	var values []string
	for e := range resp.Elements(wire.RecordRoute) {
		values = append([]string{resp.Text(e.Span)}, values...)
	}
	if len(values) > 0 {
		routes = "Route: " + strings.Join(values, ", ") + "\r\n"
	}
	contact, _ := wire.ParseNameAddr(resp.Raw, mustFirst(resp, wire.Contact).Value)
	return line{
		method: method, uri: resp.Text(contact.URI), branch: fmt.Sprintf("z9hG4bK-%s-%d-%s", method, seq, inv.callID), callID: inv.callID,
		seq: seq, from: inv.from, to: resp.Value(wire.To), extra: routes,
	}
}

// backwards is a request that the called side sends in the dialog.
func backwards(method string, req *wire.Message, tag string, seq int) line {
	var values []string
	for e := range req.Elements(wire.RecordRoute) {
		values = append(values, req.Text(e.Span))
	}
	contact, _ := wire.ParseNameAddr(req.Raw, mustFirst(req, wire.Contact).Value)
	return line{
		method: method, uri: req.Text(contact.URI), branch: fmt.Sprintf("z9hG4bK-back-%d-%s", seq, req.CallID), callID: req.CallID, seq: seq,
		from: req.Value(wire.To) + ";tag=" + tag, to: req.Value(wire.From), extra: "Route: " + strings.Join(values, ", ") + "\r\n",
	}
}

func mustFirst(m *wire.Message, h wire.Header) wire.Field { f, _ := m.First(h); return f }

// copies is the bus: it keeps what the tee publishes.
type copies struct {
	mu   sync.Mutex // guards pdus
	pdus []x2x3.PDU
}

func (c *copies) PublishAll(_ context.Context, _ x2x3.Type, batch *bus.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range batch {
		for b = bytes.Clone(b); len(b) > 0; {
			p, n, err := x2x3.DecodePDU(b)
			if err != nil {
				return err
			}
			c.pdus, b = append(c.pdus, p), b[n:]
		}
		batch[i] = batch[i][:0]
	}
	return nil
}

// all returns the copies as they were taken: the bus keeps the order of a call only.
func (c *copies) all() []x2x3.PDU {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.pdus)
	slices.SortStableFunc(all, func(a, b x2x3.PDU) int { return a.Time.Compare(b.Time) })
	return all
}

// await returns the copies once there are n, described "stage direction METHOD status".
func (c *copies) await(t testing.TB, n int) ([]x2x3.PDU, []string) {
	t.Helper()
	eventually(t, func() bool { return len(c.all()) >= n }, func() string { return fmt.Sprintf("%d copies, want %d", len(c.all()), n) })
	var text []string
	for _, p := range c.all() {
		e, err := sipevent.DecodeEvent(p.Event)
		if err != nil {
			t.Fatal(err)
		}
		stage := map[sipevent.Stage]string{1: "begin", 2: "continue", 3: "end", 4: "report"}[e.Stage]
		dir := map[x2x3.Direction]string{x2x3.FromTarget: "from", x2x3.ToTarget: "to"}[p.Direction]
		text = append(text, fmt.Sprintf("%s %s %s %d", stage, dir, e.Method, e.Status))
	}
	return c.all(), text
}

func eventually(t testing.TB, ok func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what())
		}
	}
}

// relay hands out addresses: access side 192.0.2.1, trunk side 198.51.100.1.
type relay struct {
	mu       sync.Mutex // guards the fields, and those of its sessions
	full     bool
	sessions []*session
}

type session struct {
	relay   *relay
	streams map[int]*stream
	taps    []sipproxy.ContentTap
	closed  bool
}

type stream struct {
	relay  *relay
	index  int
	remote map[sipproxy.Side]netip.AddrPort
}

func (r *relay) Open(sipproxy.Families) (sipproxy.MediaSession, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return nil, errors.New("full")
	}
	s := &session{relay: r, streams: map[int]*stream{}}
	r.sessions = append(r.sessions, s)
	return s, nil
}

func (s *session) Stream(i int) (sipproxy.MediaStream, error) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if s.streams[i] == nil {
		s.streams[i] = &stream{relay: s.relay, index: i, remote: map[sipproxy.Side]netip.AddrPort{}}
	}
	return s.streams[i], nil
}

func (s *session) SetTaps(taps []sipproxy.ContentTap) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.taps = taps
}

func (s *session) LastMedia() time.Time { return time.Time{} }

func (s *session) Close() {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.closed = true
}

func (s *stream) Anchor(side sipproxy.Side) (rtp, rtcp netip.AddrPort) {
	addr := netip.MustParseAddr(map[sipproxy.Side]string{sipproxy.Access: "192.0.2.1", sipproxy.Trunk: "198.51.100.1"}[side])
	port := uint16(30000 + 2*s.index)
	return netip.AddrPortFrom(addr, port), netip.AddrPortFrom(addr, port+1)
}

func (s *stream) SetRemote(side sipproxy.Side, rtp, _ netip.AddrPort) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.remote[side] = rtp
}

// count says how many sessions are open and how many were closed.
func (r *relay) count() (open, closed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		if s.closed {
			closed++
		} else {
			open++
		}
	}
	return open, closed
}

// wantSessions waits until that many sessions are open and closed.
func (w *world) wantSessions(open, closed int) {
	w.t.Helper()
	eventually(w.t, func() bool { o, c := w.relay.count(); return o == open && c == closed }, func() string {
		o, c := w.relay.count()
		return fmt.Sprintf("%d sessions open and %d closed, want %d and %d", o, c, open, closed)
	})
}

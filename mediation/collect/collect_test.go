package collect_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/collect"
)

// What an element sends comes to the bus: its own, complete, in order, as mediation
// delivers it.
func TestPDUsReachTheBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(w.sbc1)

	bare := media(t, w.xid1, 1) // RTP whose datagram the attributes tell of
	bare.Format, bare.Payload, bare.Src, bare.Dst = x2x3.FormatRTP, rtp(1), from, to
	lost := media(t, w.xid1, 2) // RTP whose datagram nobody knows
	lost.Format, lost.Payload = x2x3.FormatRTP, rtp(2)
	named := media(t, w.xid1, 3)
	named.NFID, named.Extra = "sbc-1", &x2x3.Extra{DID: "domain", IPID: "point", Matched: []string{"<sipUri>sip:a@b</sipUri>"}, SDP: []byte("v=0\r\n")}
	padded := media(t, w.xid1, 4) // as it comes out of an Ethernet frame
	padded.Payload = append(padded.Payload, 0, 0, 0)
	claims := sip(w.xid1, 1) // what only a ligate may say
	claims.Event = sipevent.AppendEvent(nil, sipevent.Event{Stage: sipevent.End, Method: "BYE", Status: 200})
	marked := media(t, w.xid1, 5)
	marked.Decrypted = true
	timeless := sip(w.xid1, 2)
	timeless.Time = time.Time{}
	before := time.Now()
	sent := []x2x3.PDU{sip(w.xid1, 0), media(t, w.xid1, 0), bare, lost, claims, named, padded, marked, timeless}
	c.send(sent...)
	c.settle()

	named.Extra = &x2x3.Extra{DID: "domain", IPID: "point", Matched: named.Extra.Matched, SDP: named.Extra.SDP}
	claims.Event, marked.Decrypted = nil, false
	padded.Payload = padded.Payload[:len(padded.Payload)-3]
	bare.Payload, bare.Format = media(t, w.xid1, 1).Payload, x2x3.FormatIPv4
	want := map[string][]x2x3.PDU{}
	for _, p := range []x2x3.PDU{sip(w.xid1, 0), media(t, w.xid1, 0), bare, lost, claims, named, padded, marked, timeless} {
		p.NFID = "sbc-1"
		want[callOf(p)] = append(want[callOf(p)], p)
	}
	got := w.stored(len(sent))
	signalling := got[callOf(sent[0])]
	if at := signalling[2].Time; at.Before(before) || at.After(time.Now()) {
		t.Errorf("a PDU without a time got %v", at)
	}
	for _, all := range []map[string][]x2x3.PDU{got, want} {
		for _, pdus := range all {
			for i := range pdus {
				pdus[i].Time = time.Time{} // of the copies made above
			}
		}
	}
	if diff := cmp.Diff(want, got, cmpPDU); diff != "" {
		t.Error(diff)
	}
	if n := w.figure("pdus_total", `element="sbc-1"`); n != float64(len(sent)) {
		t.Errorf("%v PDUs counted", n)
	}
}

// A payload that belongs to several Tasks comes to each that the element was given,
// and tells none of the others' targets.
func TestAdditionalTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	second, foreign := li.NewXID(), w.xid2
	w.tasks.set(func(s *tasks) { s.given["sbc-1 "+second.String()] = true })
	p := sip(w.xid1, 3)
	p.Extra = &x2x3.Extra{
		DID: "domain", Matched: []string{"<sipUri>sip:a@b</sipUri>"}, Other: []string{"<e164Number>49</e164Number>"},
		Additional: []x2x3.AdditionalXID{{XID: foreign, Correlation: 1}, {XID: second, Correlation: 9, Sequence: 5, HasSequence: true}},
	}
	c := w.dial(w.sbc1)
	c.send(p)
	c.settle()
	got := w.stored(2)
	q := p
	p.NFID, p.Extra = "sbc-1", &x2x3.Extra{DID: "domain"}
	q.NFID, q.Extra, q.XID, q.Correlation, q.Sequence = "sbc-1", p.Extra, second, 9, 5
	if diff := cmp.Diff(map[string][]x2x3.PDU{callOf(p): {p}, callOf(q): {q}}, got, cmpPDU); diff != "" {
		t.Error(diff)
	}
	if n := w.figure("refused_pdus_total", `reason="foreign_task"`); n != 1 {
		t.Errorf("%v refused, want the one of the foreign Task", n)
	}
}

// Another ligate says what it knows of a message, and may.
func TestPrivateAttributesOfOurOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) { cfg.Elements[0].Private = true })
	over := sip(w.xid1, 0)
	over.Event, over.Payload = sipevent.AppendEvent(nil, sipevent.Event{Stage: sipevent.End, Method: sipevent.NoMedia}), nil
	opened := media(t, w.xid1, 0)
	opened.Decrypted = true
	c := w.dial(w.sbc1)
	c.send(over, opened)
	c.settle()
	over.NFID, opened.NFID = "sbc-1", "sbc-1"
	if diff := cmp.Diff(map[string][]x2x3.PDU{callOf(over): {over}, callOf(opened): {opened}}, w.stored(2), cmpPDU); diff != "" {
		t.Error(diff)
	}
}

// Each PDU that may not pass is refused with its reason, counted, alarmed and on
// record; what stands around it on the same connection is stored.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) func(*x2x3.PDU) {
		return func(p *x2x3.PDU) { p.Time = time.Now().Add(-d).UTC() }
	}
	payload := func(f x2x3.Format, b []byte) func(*x2x3.PDU) {
		return func(p *x2x3.PDU) { p.Format, p.Payload = f, b }
	}
	ip := media(t, li.XID{}, 0).Payload
	for name, tt := range map[string]struct {
		x3     bool
		change func(*x2x3.PDU)
		reason string
	}{
		"a Task of another element": {false, nil, "foreign_task"}, // xid2, below
		"content under such":        {true, nil, "foreign_task"},
		"a Task of nobody":          {false, func(p *x2x3.PDU) { p.XID = li.NewXID() }, "foreign_task"},
		"no Task":                   {false, func(p *x2x3.PDU) { p.XID = li.XID{} }, "foreign_task"},
		"another element's name":    {false, func(p *x2x3.PDU) { p.NFID = "sbc-2" }, "foreign_element"},
		"a stranger's name":         {true, func(p *x2x3.PDU) { p.NFID = "sbc-1 " }, "foreign_element"},
		"ten minutes ahead":         {false, ago(-10 * time.Minute), "clock"},
		"two days old":              {true, ago(48 * time.Hour), "clock"},
		"of 1970":                   {false, func(p *x2x3.PDU) { p.Time = time.Unix(0, 0) }, "clock"},
		"IP in X2":                  {false, payload(x2x3.FormatIPv4, ip), "format"},
		"RADIUS":                    {false, payload(x2x3.FormatRADIUS, ip), "format"},
		"Ethernet":                  {true, payload(x2x3.FormatEthernet, ip), "format"},
		"MIME":                      {true, payload(x2x3.FormatMIME, ip), "format"},
		"no message":                {false, payload(x2x3.FormatSIP, nil), "payload"},
		"half an IP packet":         {true, payload(x2x3.FormatIPv4, ip[:60]), "payload"},
		"IPv4 as IPv6":              {true, payload(x2x3.FormatIPv6, ip), "payload"},
		"nothing":                   {true, payload(x2x3.FormatIPv4, nil), "payload"},
		"no RTP":                    {true, payload(x2x3.FormatRTP, []byte("GET / HTTP/1.1")), "payload"},
		"RTP beyond a datagram": {true, func(p *x2x3.PDU) {
			p.Format, p.Payload, p.Src, p.Dst = x2x3.FormatRTP, append(rtp(0), make([]byte, 65507)...), from, to
		}, "payload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			bad := sip(w.xid1, 1)
			if tt.x3 {
				bad = media(t, w.xid1, 1)
			}
			if tt.change != nil {
				tt.change(&bad)
			} else {
				bad.XID = w.xid2
			}
			c := w.dial(w.sbc1)
			c.send(sip(w.xid1, 0), media(t, w.xid1, 0), bad, bad, sip(w.xid1, 2), media(t, w.xid1, 2))
			c.settle()
			for _, pdus := range w.stored(4) {
				if len(pdus) != 2 || pdus[0].Sequence != 0 || pdus[1].Sequence != 2 {
					t.Errorf("stored %+v", pdus)
				}
			}
			if n := w.figure("refused_pdus_total", `element="sbc-1"`, `reason="`+tt.reason+`"`); n != 2 || w.figure("refused_pdus_total") != 2 {
				t.Errorf("%v refused with %s, want 2", n, tt.reason)
			}
			if !w.office.has("x2x3_" + tt.reason + " element sbc-1") {
				t.Error("no alarm")
			}
			if got := w.office.records(); len(got) != 1 || got[0] != bad.XID.String()+" "+tt.reason+", element sbc-1" {
				t.Errorf("on record %q", got)
			}
			if log := w.logged.String(); strings.Contains(log, bad.XID.String()) || strings.Contains(log, w.xid1.String()) {
				t.Errorf("the log names a Task:\n%s", log)
			}
		})
	}
}

// Formats and directions that the specification does not know do not end the stream.
func TestUnknownFormatsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(w.sbc1)
	good := encode(t, sip(w.xid1, 0))
	newer := append([]byte(nil), good...)
	newer[1], newer[13] = 9, 18 // minor version 9, format 18
	aimless := append([]byte(nil), good...)
	aimless[15] = 6
	c.write(newer)
	c.write(aimless)
	c.write(good)
	c.settle()
	w.stored(1)
	if n := w.figure("refused_pdus_total", `reason="format"`); n != 2 {
		t.Errorf("%v refused", n)
	}
}

// An element of content only sends no signalling, and each port takes its kind.
func TestKindsAndPorts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) {
		cfg.Listen = []collect.Listen{{Addr: "127.0.0.1:0", X2: true}, {Addr: "127.0.0.1:0", X3: true}}
	})
	for _, tt := range []struct {
		own  tls.Certificate
		xid  li.XID
		port int
	}{{w.sbc1, w.xid1, 0}, {w.sbc1, w.xid1, 1}, {w.sbc2, w.xid2, 0}, {w.sbc2, w.xid2, 1}} {
		c := w.dialPort(tt.own, tt.port)
		c.send(sip(tt.xid, 0), media(t, tt.xid, 0))
		c.settle()
	}
	got := w.stored(3)
	if len(got[callOf(sip(w.xid1, 0))]) != 1 || len(got[callOf(media(t, w.xid1, 0))]) != 1 || len(got[callOf(media(t, w.xid2, 0))]) != 1 {
		t.Errorf("stored %v", got)
	}
	if n := w.figure("refused_pdus_total", `reason="kind"`); n != 5 {
		t.Errorf("%v refused, want 5", n)
	}
}

// What an element kept while mediation was away is taken, and shown: its clock may be
// slow.
func TestLatePDUsAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := sip(w.xid1, 0)
	p.Time = time.Now().Add(-time.Hour)
	c := w.dial(w.sbc1)
	c.send(p)
	c.settle()
	w.stored(1)
	if n := w.figure("late_pdus_total"); n != 1 || !w.office.has("x2x3_late element sbc-1") || len(w.office.records()) != 0 {
		t.Errorf("%v late, %q", n, w.office.records())
	}
	strict := newWorld(t, func(cfg *collect.Config) { cfg.Backlog = time.Minute })
	p.XID = strict.xid1
	c = strict.dial(strict.sbc1)
	c.send(p)
	c.settle()
	if n := strict.figure("refused_pdus_total", `reason="clock"`); n != 1 {
		t.Errorf("without a backlog: %v refused", n)
	}
}

// Garbage ends its connection with a reason in figures and log; nobody else notices.
func TestGarbageEndsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	good := encode(t, sip(li.XID{}, 0))
	change := func(at int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], v)
		return b
	}
	for name, tt := range map[string]struct {
		in     []byte
		close  bool // and nothing more
		reason string
		quiet  bool // no alarm
	}{
		"HTTP":                     {in: []byte("GET / HTTP/1.1\r\n\r\n"), reason: "version"},
		"major version 5":          {in: change(0, 5, 0), reason: "version"},
		"PDU type 9":               {in: change(2, 0, 9), reason: "type"},
		"header of 4 GiB":          {in: change(4, 0xff, 0xff, 0xff, 0xff), reason: "length"},
		"header of 39 octets":      {in: change(4, 0, 0, 0, 39), reason: "length"},
		"payload of 16 MiB":        {in: change(8, 1, 0, 0, 0), reason: "length"},
		"attribute past the end":   {in: change(42, 0xff, 0xff), reason: "attribute"},
		"keep-alive without one":   {in: append([]byte{0, 5, 0, 3, 0, 0, 0, 40}, make([]byte, 32)...), reason: "keepalive"},
		"an answer to no question": {in: x2x3.AppendKeepaliveAck(nil, 1), reason: "keepalive"},
		"half a PDU":               {in: good[:len(good)-1], close: true, reason: "truncated", quiet: true},
		"half a header":            {in: good[:10], close: true, reason: "truncated", quiet: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			other, c := w.dial(w.sbc2), w.dial(w.sbc1)
			c.send(sip(w.xid1, 0)) // what came before is not lost
			c.write(tt.in)
			if tt.close {
				_ = c.conn.Close()
			} else {
				c.ended()
			}
			w.until("count the end", func() bool { return w.figure("connections_ended_total", `reason="`+tt.reason+`"`) == 1 })
			if log := w.logged.String(); !strings.Contains(log, "gateway=sbc-1 reason="+tt.reason) {
				t.Errorf("the log says\n%s", log)
			}
			w.until("the alarm", func() bool { return w.office.has("x2x3_protocol element sbc-1") != tt.quiet })
			other.send(media(t, w.xid2, 0))
			other.settle()
			w.stored(2)
			if n := w.figure("connections"); n != 1 {
				t.Errorf("%v connections are left, want 1", n)
			}
		})
	}
}

// Who is no element gets no further than the handshake.
func TestCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, tt := range map[string]struct {
		own    tls.Certificate
		change func(*tls.Config)
		reason string
	}{
		"a stranger's":     {w.thirdParty, nil, "certificate"},
		"none":             {tls.Certificate{}, func(c *tls.Config) { c.Certificates = nil }, "certificate"},
		"TLS 1.1":          {w.sbc1, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, "handshake"},
		"a stranger's 1.2": {w.thirdParty, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "certificate"},
	} {
		before := w.figure("connections_ended_total", `reason="`+tt.reason+`"`)
		if c, err := w.tryDial(tt.own, 0, tt.change); err == nil {
			c.ended() // with TLS 1.3 the client learns of it only now
		}
		w.until(name, func() bool { return w.figure("connections_ended_total", `reason="`+tt.reason+`"`) == before+1 })
	}
	raw, err := net.Dial("tcp", w.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Write(encode(t, sip(w.xid1, 0))); err != nil {
		t.Fatal(err)
	}
	before := w.figure("connections_ended_total", `reason="handshake"`)
	_ = raw.(*net.TCPConn).CloseWrite()
	w.until("no TLS", func() bool { return w.figure("connections_ended_total", `reason="handshake"`) > before || before > 1 })
	if log := w.logged.String(); !strings.Contains(log, "reason=certificate") || !strings.Contains(log, "reason=handshake") {
		t.Errorf("the log says\n%s", log)
	}
	old, err := w.tryDial(w.sbc1, 0, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if err != nil {
		t.Fatal("TLS 1.2: ", err)
	}
	old.settle()
}

// A certificate whose time is over is nobody's.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) { cfg.Now = func() time.Time { return time.Now().AddDate(10, 0, 0) } })
	if c, err := w.tryDial(w.sbc1, 0, nil); err == nil {
		c.ended()
	}
	w.until("refuse it", func() bool { return w.figure("connections_ended_total", `reason="certificate"`) == 1 })
}

// slowBus publishes when the test lets it, and fails as often as it says.
type slowBus struct {
	bus      *bus.Bus
	mu       sync.Mutex // guards the fields below
	failures int
	entered  chan struct{}
	proceed  chan struct{}
	stored   bool
}

func (b *slowBus) PublishAll(ctx context.Context, kind x2x3.Type, batch *bus.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures--; b.failures >= 0 {
		return errors.New("not now")
	}
	b.entered <- struct{}{}
	<-b.proceed
	err := b.bus.PublishAll(ctx, kind, batch)
	b.stored = err == nil
	return err
}

// An answer to a keep-alive comes after all before it is stored, and not sooner.
func TestKeepaliveMeansStored(t *testing.T) {
	t.Parallel()
	slow := &slowBus{failures: 3, entered: make(chan struct{}), proceed: make(chan struct{})}
	w := newWorld(t, func(cfg *collect.Config) {
		slow.bus = cfg.Bus.(*bus.Bus)
		cfg.Bus = slow
	})
	c := w.dial(w.sbc1)
	c.settle() // nothing to store: an answer at once
	c.send(sip(w.xid1, 0))
	c.seq++
	c.write(x2x3.AppendKeepalive(nil, c.seq))
	<-slow.entered
	if err := c.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if p, err := c.in.Next(); err == nil {
		t.Fatalf("answered before it was stored: %+v", p)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(limit))
	slow.proceed <- struct{}{}
	c.answer()
	slow.mu.Lock()
	if !slow.stored {
		t.Error("answered, and not stored")
	}
	slow.mu.Unlock()
	w.stored(1)
	if n := w.figure("retries_total", `step="publish"`); n != 3 {
		t.Errorf("%v retries", n)
	}
}

// PDUs are published soon, also when nothing follows them.
func TestPublishedWithoutKeepalive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(w.sbc1)
	c.send(sip(w.xid1, 0))
	w.stored(1)
	b := encode(t, sip(w.xid1, 1)) // in two pieces, with the time to publish between
	c.write(b[:30])
	c.send()
	w.until("connect", func() bool { return w.figure("connections") == 1 })
	c.write(b[30:])
	w.stored(1)
}

// While nobody can say whether an element was given a Task, nothing more is read; no
// PDU is lost, none goes unchecked. A Task that is known goes on.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	later := li.NewXID()
	c := w.dial(w.sbc1)
	c.send(sip(w.xid1, 0))
	c.settle()
	w.stored(1)
	asked := make(chan struct{}, 100)
	w.tasks.set(func(s *tasks) {
		s.err = errors.New("away")
		s.onAsk = func(int) {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	})
	c.settle() // needs no database
	other := w.dial(w.sbc1)
	for seq := uint32(1); w.figure("retries_total", `step="find_task"`) == 0; seq++ { // until the answer from before is stale
		other.send(sip(w.xid1, seq))
		other.settle()
		w.stored(1)
	}
	p := sip(later, 0)
	c.send(p, sip(w.xid2, 0))
	c.seq++
	c.write(x2x3.AppendKeepalive(nil, c.seq))
	for range 3 {
		<-asked
	}
	if n := w.figure("refused_pdus_total"); n != 0 {
		t.Errorf("%v PDUs refused while nobody knew", n)
	}
	if messages, _, err := w.bus.Backlog(t.Context()); err != nil || messages != 0 {
		t.Errorf("%d messages of unchecked PDUs, %v", messages, err)
	}
	w.tasks.set(func(s *tasks) { s.err, s.given["sbc-1 "+later.String()] = nil, true })
	c.answer()
	if got := w.stored(1); len(got[callOf(p)]) != 1 {
		t.Errorf("stored %v", got)
	}
	if n := w.figure("refused_pdus_total", `reason="foreign_task"`); n != 1 {
		t.Errorf("%v refused afterwards, want 1", n)
	}
}

// An element may be quicker than the word that it has a Task.
func TestConfirmationComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) { cfg.Grace = limit })
	fresh := li.NewXID()
	w.tasks.set(func(s *tasks) {
		s.soon = true
		s.onAsk = func(n int) {
			if n == 4 {
				s.set(func(s *tasks) { s.given["sbc-1 "+fresh.String()] = true })
			}
		}
	})
	c := w.dial(w.sbc1)
	c.send(sip(fresh, 0))
	c.settle()
	w.stored(1)
	if n := w.figure("refused_pdus_total"); n != 0 {
		t.Errorf("%v refused", n)
	}
	never := newWorld(t, func(cfg *collect.Config) { cfg.Grace = 60 * time.Millisecond })
	never.tasks.set(func(s *tasks) { s.soon = true })
	c = never.dial(never.sbc1)
	c.send(sip(fresh, 0), sip(fresh, 1))
	c.settle()
	if n := never.figure("refused_pdus_total", `reason="foreign_task"`); n != 2 {
		t.Errorf("%v refused, want 2", n)
	}
}

// Without keep-alives a connection is dead, whatever else comes; what holds us up does
// not count.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) { cfg.Silence = 300 * time.Millisecond })
	quiet, busy := w.dial(w.sbc1), w.dial(w.sbc1)
	quiet.ended()
	go func() {
		for i := uint32(0); ; i++ {
			if _, err := busy.conn.Write(encode(t, sip(w.xid1, i))); err != nil {
				return
			}
		}
	}()
	busy.ended()
	w.until("count", func() bool { return w.figure("connections_ended_total", `reason="silent"`) == 2 })

	held := newWorld(t, func(cfg *collect.Config) { cfg.Silence = 300 * time.Millisecond })
	held.tasks.set(func(s *tasks) {
		s.err = errors.New("away")
		s.onAsk = func(n int) {
			if n == 6 { // some 1.5 s later
				s.set(func(s *tasks) { s.err = nil })
			}
		}
	})
	c := held.dial(held.sbc1)
	c.send(sip(held.xid1, 0))
	c.settle()
	held.stored(1)
}

// An element has so many connections and no more.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *collect.Config) { cfg.PerPeer = 2 })
	first, second := w.dial(w.sbc1), w.dial(w.sbc1)
	first.settle()
	second.settle()
	w.dial(w.sbc1).ended()
	w.dial(w.sbc2).settle()
	w.until("count", func() bool { return w.figure("connections_ended_total", `reason="too_many"`) == 1 })
	_ = first.conn.Close()
	w.until("leave", func() bool { return w.figure("connections", `element="sbc-1"`) == 1 })
	w.dial(w.sbc1).settle()
}

// An element sends again what was not answered before a restart: nothing is missing
// and each PDU is recognised by its number.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cfg.Listen = []collect.Listen{{Addr: w.addrs[0], X2: true, X3: true}}
	const perRound, rounds = 200, 4
	var answered uint32
	for round := range uint32(rounds) {
		c := w.dial(w.sbc1)
		var pdus []x2x3.PDU
		for seq := answered; seq < (round+1)*perRound; seq++ {
			pdus = append(pdus, media(t, w.xid1, seq))
		}
		c.send(pdus...)
		if round%2 == 1 || round == rounds-1 {
			c.settle()
			answered = (round + 1) * perRound
		}
		w.stop()
		w.cfg.LIReg = nil
		w.run()
	}
	seen := map[uint32]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := w.bus.Consume(ctx, bus.Partition(w.xid1, 7), func(m bus.Message) {
		for b := m.Data; len(b) > 0; {
			p, n, err := x2x3.DecodePDU(b)
			if err != nil {
				t.Error(err)
				break
			}
			b, seen[p.Sequence] = b[n:], true
		}
		if len(seen) == perRound*rounds {
			cancel()
		}
	})
	if err != nil || len(seen) != perRound*rounds {
		t.Errorf("%d of %d PDUs, %v", len(seen), perRound*rounds, err)
	}
}

// What is sent again on a new connection is stored once, however much it is; another
// PDU under the same number is not taken for it.
func TestSentAgainIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const n = 5000
	var pdus []x2x3.PDU
	for seq := range uint32(n) {
		p := media(t, w.xid1, seq)
		p.Time = time.Now().UTC()
		pdus = append(pdus, p)
	}
	c := w.dial(w.sbc1)
	c.send(pdus...)
	w.until("store them", func() bool { return w.figure("pdus_total") == n })
	_ = c.conn.Close() // nobody saw an answer
	c = w.dial(w.sbc1)
	c.send(pdus...)
	next := media(t, w.xid1, n)
	anew := media(t, w.xid1, 0) // the element counts from 0 again
	unnumbered := media(t, w.xid1, 0)
	unnumbered.HasSequence, unnumbered.Sequence = false, 0
	other := pdus[1]
	other.Extra = &x2x3.Extra{IPID: "another point"} // which counts apart
	c.send(next, anew, unnumbered, unnumbered, other)
	c.settle()
	got := w.stored(n + 5)[callOf(next)]
	for i, p := range got[:n+1] {
		if p.Sequence != uint32(i) {
			t.Fatalf("PDU %d has number %d", i, p.Sequence)
		}
	}
	if again := w.figure("resent_pdus_total"); again != n {
		t.Errorf("%v came again, want %d", again, n)
	}
}

// Much at once comes whole and in order.
func TestThroughput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(w.sbc1)
	const n = 20_000
	var stream []byte
	for seq := range uint32(n) {
		p := media(t, w.xid1, seq)
		p.Correlation = uint64(seq % 50)
		p.Sequence = seq / 50
		stream = append(stream, encode(t, p)...)
	}
	begin := time.Now()
	c.write(stream)
	c.settle()
	t.Logf("%.0f PDUs a second", n/time.Since(begin).Seconds())
	for _, pdus := range w.stored(n) {
		for i, p := range pdus {
			if p.Sequence != uint32(i) {
				t.Fatalf("PDU %d has number %d", i, p.Sequence)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, change := range map[string]func(*collect.Config){
		"no bus":            func(c *collect.Config) { c.Bus = nil },
		"no certificate":    func(c *collect.Config) { c.Certificate = tls.Certificate{} },
		"no port":           func(c *collect.Config) { c.Listen = nil },
		"no kind":           func(c *collect.Config) { c.Elements[0].X2, c.Elements[0].X3 = false, false },
		"a name twice":      func(c *collect.Config) { c.Elements[1].ID = "sbc-1" },
		"one certificate":   func(c *collect.Config) { c.Elements[1].Certificate = c.Elements[0].Certificate },
		"not a fingerprint": func(c *collect.Config) { c.Elements[0].Certificate = "x" },
	} {
		cfg := w.cfg
		cfg.LIReg, cfg.Elements = nil, append([]collect.Element(nil), cfg.Elements...)
		change(&cfg)
		if _, err := collect.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

package deliver_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// However the LEMF confirms, all arrives, checked and signed, and the spool empties.
func TestEveryWayOfConfirming(t *testing.T) {
	t.Parallel()
	for _, confirm := range []warrant.Confirm{warrant.ConfirmKeepalive, warrant.ConfirmPDUAck, warrant.ConfirmTCP} {
		t.Run(string(confirm), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			l, cert, _ := w.lemf(t, func(c *lemf.Config) { c.PDUAck = confirm == warrant.ConfirmPDUAck })
			hi2, hi3 := l.Addrs()
			w.to(t, warrant.Delivery{AgencyID: "a", Confirm: confirm}, hi2.String(), hi3.String(), cert)
			line := w.line(t, "a", "LI-1", 1, true)
			w.push(t, "a", line, segment.KindIRI, 3, signalling(20))
			w.push(t, "a", line, segment.KindCC, 7, content(2500))
			whole(t, l, "LI-1", 1, etsi.KindIRI, 20)
			whole(t, l, "LI-1", 1, etsi.KindCC, 2500)
			eventually(t, "the spools do not empty", func() bool { return w.figure(t, "ligate_deliver_backlog_messages", "") == 0 })
			if st := l.State(); st.Total > 0 {
				t.Error(st.Faults)
			}
		})
	}
}

// cutter passes octets on and cuts connections at random.
func cutter(t *testing.T, to string, every time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			timer := time.AfterFunc(rand.N(2*every), func() { _ = in.Close(); _ = out.Close() }) //nolint:gosec // a test
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				wg.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
					timer.Stop()
				})
			}
		}
	})
	return ln.Addr().String()
}

// Over connections that break again and again, every record arrives, in order; what
// came twice was recognised by its number and is the same.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a"}, cutter(t, hi2.String(), 300*time.Millisecond), cutter(t, hi3.String(), 300*time.Millisecond), cert)
	line := w.line(t, "a", "LI-1", 1, true)
	w.push(t, "a", line, segment.KindIRI, 50, signalling(200))
	w.push(t, "a", line, segment.KindCC, 400, content(8000))
	whole(t, l, "LI-1", 1, etsi.KindIRI, 200)
	whole(t, l, "LI-1", 1, etsi.KindCC, 8000)
	if st := l.State(); st.Total > 0 {
		t.Error(st.Faults)
	}
	if n := w.figure(t, "ligate_deliver_connections_total", ""); n < 4 {
		t.Errorf("%v connections: none was cut", n)
	}
}

// A LEMF that takes the connection and reads nothing holds up no other agency. It is
// dropped, and shown.
func TestSlowLEMFHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	own := pkitest.Certificate(t, "slow")
	slow := listen(t, own, pkitest.Fingerprint(w.own), func(net.Conn) { time.Sleep(time.Hour) })
	w.to(t, warrant.Delivery{AgencyID: "slow", LagAlarm: time.Second}, slow, listen(t, own, pkitest.Fingerprint(w.own), func(net.Conn) { time.Sleep(time.Hour) }), pkitest.Fingerprint(own))
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "good"}, hi2.String(), hi3.String(), cert)
	bad, good := w.line(t, "slow", "LI-1", 1, true), w.line(t, "good", "LI-2", 1, true)
	w.push(t, "slow", bad, segment.KindCC, 200, content(20000))
	w.push(t, "good", good, segment.KindCC, 20, content(2000))
	whole(t, l, "LI-2", 1, etsi.KindCC, 2000)
	eventually(t, "no alarm for what is late", func() bool { open, _ := w.records.alarm("handover_lag agency slow hi3"); return open })
	eventually(t, "the connection is not dropped", func() bool { return w.figure(t, "ligate_deliver_ends_total", "unanswered") > 0 })
}

// listen runs a LEMF of another making. handle has the connection until the test ends.
func listen(t *testing.T, own tls.Certificate, client string, handle func(net.Conn)) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", pki.Server(own, client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if c.(*tls.Conn).Handshake() == nil {
				go handle(c)
			}
		}
	}()
	return ln.Addr().String()
}

// What a LEMF must not send ends the connection under a name, and delivery goes on
// with the next.
func TestHostileLEMF(t *testing.T) {
	t.Parallel()
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: "x", AuthCountry: "DE", Operator: "x", DeliveryCountry: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	stray, err := enc.AppendTRI(nil, 4711, time.Now(), etsi.TRIKeepaliveResponse)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := enc.AppendTRI(nil, 1, time.Now(), etsi.TRIKeepalive)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		reason string
		octets []byte
	}{
		"garbage":                   {"malformed", []byte("GET / HTTP/1.0\r\n\r\n")},
		"a length beyond all":       {"malformed", []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}},
		"an indefinite length":      {"malformed", []byte{0x30, 0x80, 0, 0}},
		"a PDU that lies inside":    {"malformed", []byte{0x30, 0x06, 0xa1, 0x7f, 0, 0, 0, 0}},
		"an answer to nothing":      {"stray", stray},
		"an answer to no options":   {"stray", mustTRI(t, enc)},
		"keep-alives without end":   {"flood", bytes.Repeat(alive, 1000)},
		"half a PDU and then quiet": {"unanswered", alive[:10]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			own := pkitest.Certificate(t, "lemf")
			hostile := listen(t, own, pkitest.Fingerprint(w.own), func(c net.Conn) {
				_, _ = c.Write(row.octets)
				_, _ = io.Copy(io.Discard, c)
			})
			w.to(t, warrant.Delivery{AgencyID: "a"}, hostile, "", pkitest.Fingerprint(own))
			line := w.line(t, "a", "LI-1", 1, false)
			w.push(t, "a", line, segment.KindIRI, 1, signalling(10))
			eventually(t, "the connection does not end as "+row.reason, func() bool { return w.figure(t, "ligate_deliver_ends_total", row.reason) > 0 })
			l, cert, _ := w.lemf(t, nil)
			hi2, _ := l.Addrs()
			w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), "", cert)
			whole(t, l, "LI-1", 1, etsi.KindIRI, 10)
		})
	}
}

func mustTRI(t *testing.T, enc *etsi.Encoder) []byte {
	t.Helper()
	b, err := enc.AppendOptionResponse(nil, 1, time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Another certificate than the confirmed one gets nothing, and the missing connection
// is an alarm until it is there.
func TestWrongLEMF(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), pkitest.Fingerprint(pkitest.Certificate(t, "other")))
	line := w.line(t, "a", "LI-1", 1, true)
	w.push(t, "a", line, segment.KindCC, 1, content(10))
	const alarm = "handover_link_down agency a hi3"
	eventually(t, "no alarm", func() bool { open, _ := w.records.alarm(alarm); return open })
	if n := w.figure(t, "ligate_deliver_ends_total", "certificate"); n == 0 || len(l.State().Sessions) > 0 {
		t.Errorf("%v refusals; sessions %v", n, l.State().Sessions)
	}
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), cert)
	whole(t, l, "LI-1", 1, etsi.KindCC, 10)
	_, ever := w.records.alarm(alarm)
	if !ever {
		t.Error("the alarm is gone from the records")
	}
}

// With an encryption container nobody reads content without the agency's key, and the
// integrity checks hold for who has it.
func TestEncryptionContainer(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	w := newWorld(t, key)
	opener, err := etsi.NewSealer(etsi.EncAES256, key)
	if err != nil {
		t.Fatal(err)
	}
	var dir string
	l, cert, _ := w.lemf(t, func(c *lemf.Config) { c.Opener, dir = opener, c.Dir })
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", Encryption: warrant.AES256, Hash: warrant.SHA512}, hi2.String(), hi3.String(), cert)
	line := w.line(t, "a", "LI-1", 1, true)
	records := content(1500)
	w.push(t, "a", line, segment.KindCC, 4, records)
	whole(t, l, "LI-1", 1, etsi.KindCC, len(records))
	for i, p := range readAll(t, dir, "LI-1", 1, "cc.ber") {
		if bytes.Contains(p.Raw, []byte("packet")) || p.What != etsi.PayloadEncrypted {
			t.Fatalf("PDU %d is in clear", i)
		}
		inner, _, err := opener.Open(&p)
		if err != nil || len(inner.CCs) != 1 || !bytes.Equal(inner.CCs[0].Packet, records[i].CC.Packet) {
			t.Fatalf("PDU %d opens to something else: %v", i, err)
		}
	}
}

// A spool at its limit refuses, which the line's user is told; what was taken before
// still goes.
func TestFullSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	own := pkitest.Certificate(t, "away")
	away := listen(t, own, pkitest.Fingerprint(own), func(net.Conn) {}) // shows a certificate that is not ours: no connection
	_, port, _ := net.SplitHostPort(away)
	w.to(t, warrant.Delivery{AgencyID: "a", BufferCC: 1 << 20}, away, "localhost:"+port, pkitest.Fingerprint(pkitest.Certificate(t, "x")))
	line := w.line(t, "a", "LI-1", 1, true)
	records := content(1000)
	taken, first, octets := 0, uint32(0), uint64(0)
	for {
		receipts, err := line.Push(segment.KindCC, first, octets, records)
		if err != nil {
			t.Fatal(err)
		}
		err = ended(t, receipts[len(receipts)-1].Receipt)
		if errors.Is(err, bus.ErrFull) {
			break
		}
		if err != nil || taken > 100_000 {
			t.Fatal(err)
		}
		taken, first, octets = taken+len(records), first+uint32(len(records)), octets+octetsOf(receipts)
	}
	report, err := line.Lost(segment.KindCC, first, first+999, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.records.entail("a", report)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", BufferCC: 1 << 20}, hi2.String(), hi3.String(), cert)
	eventually(t, "what was taken does not arrive", func() bool {
		return l.State().Sessions[lemf.Key{LIID: "LI-1", CIN: 1, Kind: etsi.KindCC}].PDUs == uint64(taken)
	})
	eventually(t, "the LEMF is not told", func() bool { return len(l.State().Messages) == 1 })
}

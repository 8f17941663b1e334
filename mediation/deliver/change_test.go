package deliver_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// nobody is an address at which no LEMF is.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Once the encryption container is ordered nothing goes in clear any more: neither what
// waits, which is reported, nor what sessions go on to push.
func TestEncryptionThatIsOrderedLater(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	w := newWorld(t, key)
	opener, err := etsi.NewSealer(etsi.EncAES256, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := ""
	l, cert, _ := w.lemf(t, func(c *lemf.Config) { c.Opener, dir = opener, c.Dir })
	w.to(t, warrant.Delivery{AgencyID: "a"}, nobody(t), nobody(t), cert)
	old := w.line(t, "a", "LI-1", 1, true)
	records := content(20)
	pushAll := func(l *deliver.Line, kind segment.Kind, first uint32, records []segment.Record) error {
		pushed, err := l.Push(kind, first, 0, records)
		for _, r := range pushed {
			ended(t, r.Receipt)
		}
		return err
	}
	if err := pushAll(old, segment.KindCC, 0, records[:10]); err != nil || old.Stale() {
		t.Fatal(err)
	}
	if err := pushAll(old, segment.KindIRI, 0, signalling(3)); err != nil {
		t.Fatal(err)
	}
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", Encryption: warrant.AES256}, hi2.String(), hi3.String(), cert)
	eventually(t, "the line does not learn that it is stale", old.Stale)
	if err := pushAll(old, segment.KindCC, 10, records[10:]); err == nil {
		t.Error("a stale line pushes")
	}
	if err := pushAll(w.line(t, "a", "LI-1", 1, true), segment.KindCC, 10, records[10:]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is sealed does not arrive, or what is in clear is not reported", func() bool {
		s := l.State()
		return s.Sessions[lemf.Key{LIID: "LI-1", CIN: 1, Kind: etsi.KindCC}].PDUs == 10 && len(s.Messages) == 2
	})
	for _, p := range readAll(t, dir, "LI-1", 1, "cc.ber") {
		if p.What != etsi.PayloadEncrypted || p.Seq < 10 {
			t.Errorf("number %d, encrypted: %t", p.Seq, p.What == etsi.PayloadEncrypted)
		}
	}
	told := strings.Join(l.State().Messages, "\n")
	if !strings.Contains(told, "CIN 1 cc: sequence numbers 0 to 9 were taken before") || !strings.Contains(told, "CIN 1 iri: sequence numbers 0 to 2 were taken before") {
		t.Error(told)
	}
	eventually(t, "the spools do not empty", func() bool { return w.figure(t, "ligate_deliver_backlog_messages", "") == 0 })
}

// A withdrawal, or content that is not wanted any more, reaches lines of every earlier
// delivery.
func TestWithdrawalReachesAllLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", FileDrop: true}, hi2.String(), hi3.String(), cert)
	first := w.line(t, "a", "LI-1", 1, true)
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), cert)
	eventually(t, "the second delivery does not count", func() bool {
		pushed, err := first.Push(segment.KindIRI, 0, 0, signalling(1))
		return err == nil && len(pushed) == 1
	})
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), "", cert)
	eventually(t, "content still goes", func() bool { return !first.Takes(segment.KindCC) })
	if !first.Takes(segment.KindIRI) {
		t.Error("signalling does not go any more")
	}
	w.records.mu.Lock()
	w.records.deliveries = nil
	w.records.mu.Unlock()
	eventually(t, "signalling still goes", func() bool { return !first.Takes(segment.KindIRI) })
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		if pushed, err := first.Push(kind, 1, 0, signalling(1)); len(pushed) > 0 || err == nil {
			t.Errorf("%s: %d pushed, %v", kind, len(pushed), err)
		}
	}
}

// While a spool cannot be opened nothing is forgotten that the agency is to be told, no
// session begins without its line, and after a while records are reported as lost. It
// all goes once the spool opens. Another agency notices nothing.
func TestSpoolThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", HI1: true, BufferCC: 1 << 41}, hi2.String(), hi3.String(), cert)
	eventually(t, "no alarm", func() bool { open, _ := w.records.alarm("handover_misconfigured agency a"); return open })
	line := w.line(t, "a", "LI-1", 1, true)
	if pushed, err := line.Push(segment.KindCC, 0, 0, content(5)); err == nil || len(pushed) > 0 || !line.Takes(segment.KindCC) {
		t.Errorf("%d pushed, %v", len(pushed), err)
	}
	lost, err := line.Lost(segment.KindCC, 0, 4, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.records.entail("a", lost)
	w.records.mu.Lock()
	w.records.notices = append(w.records.notices, warrant.Notice{ID: 1, AgencyID: "a", LIID: "LI-1", What: "activated", At: began})
	w.records.mu.Unlock()
	other, otherCert, _ := w.lemf(t, nil)
	hi2b, hi3b := other.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "b"}, hi2b.String(), hi3b.String(), otherCert)
	w.push(t, "b", w.line(t, "b", "LI-2", 1, true), segment.KindCC, 2, content(20))
	whole(t, other, "LI-2", 1, etsi.KindCC, 20)
	w.records.mu.Lock()
	waits := len(w.records.outbox) + len(w.records.notices)
	w.records.mu.Unlock()
	if waits != 2 {
		t.Fatalf("%d rows wait, want both", waits)
	}
	w.to(t, warrant.Delivery{AgencyID: "a", HI1: true}, hi2.String(), hi3.String(), cert)
	eventually(t, "the agency is not told", func() bool { s := l.State(); return len(s.Messages) == 1 && len(s.HI1) == 1 })
	if _, err := line.Push(segment.KindCC, 5, 0, content(5)); err != nil {
		t.Error(err)
	}
	eventually(t, "content does not go", func() bool {
		return l.State().Sessions[lemf.Key{LIID: "LI-1", CIN: 1, Kind: etsi.KindCC}].PDUs == 5
	})
}

// A delivery whose spools never opened is withdrawn as any other.
func TestWithdrawalWithoutSpools(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.to(t, warrant.Delivery{AgencyID: "a", BufferCC: 1 << 41}, nobody(t), nobody(t), pkitest.Fingerprint(w.own))
	line := w.line(t, "a", "LI-1", 1, true)
	if !line.Takes(segment.KindCC) {
		t.Fatal("the delivery does not count")
	}
	w.records.mu.Lock()
	w.records.deliveries = nil
	w.records.mu.Unlock()
	eventually(t, "a withdrawal does not count", func() bool { return !line.Takes(segment.KindCC) })
}

// slowly passes octets on at a rate.
func slowly(t *testing.T, to string, perSecond int) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
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
			t.Cleanup(func() { _ = in.Close(); _ = out.Close() })
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() {
				defer out.Close()
				ticker := time.NewTicker(10 * time.Millisecond)
				defer ticker.Stop()
				for range ticker.C {
					if _, err := io.CopyN(out, in, int64(perSecond/100)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// A LEMF that takes far longer for what waits than an answer may take is slow, not dead:
// its backlog drains over one connection.
func TestSlowLEMFDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), slowly(t, hi3.String(), 1<<20), cert)
	line := w.line(t, "a", "LI-1", 1, true)
	records := content(30_000) // about 6 MiB: 6 s, and an answer may take 2 s
	w.push(t, "a", line, segment.KindCC, 30, records)
	whole(t, l, "LI-1", 1, etsi.KindCC, len(records))
	if n := w.figure(t, "ligate_deliver_ends_total", "unanswered"); n > 0 {
		t.Errorf("given up %v times", n)
	}
}

// What a commit entails for capture files of a delivery without any is forgotten.
func TestNotesForFilesThatNobodyWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), cert)
	w.line(t, "a", "LI-1", 1, true)
	w.records.entail("a", []evidence.Entailed{{Kind: evidence.ForFiles, PDU: []byte{1}}})
	eventually(t, "it waits for ever", func() bool {
		w.records.mu.Lock()
		defer w.records.mu.Unlock()
		return len(w.records.outbox) == 0
	})
}

// What is pushed while no delivery counts is said not to be on its way: where one counts
// when it is stored, the LEMF is told.
func TestPushedWhileNoDeliveryCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, func(*lemf.Config) {})
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), cert)
	line := w.line(t, "a", "LI-1", 1, true)
	w.records.mu.Lock()
	w.records.deliveries = nil
	w.records.mu.Unlock()
	eventually(t, "withdrawn", func() bool { return !line.Takes(segment.KindCC) })
	pushed, err := line.Push(segment.KindCC, 0, 0, content(3))
	if len(pushed) != 0 || err == nil {
		t.Errorf("nobody takes them, and it says that %d went", len(pushed))
	}
}

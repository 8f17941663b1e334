package deliver_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// record takes what comes over one interface and answers keep-alives.
type record struct {
	mu   sync.Mutex
	pdus [][]byte // without the transport's own
}

func (r *record) take(c net.Conn) {
	enc, _ := etsi.NewEncoder(etsi.Stream{LIID: "r", AuthCountry: "DE", Operator: "r", DeliveryCountry: "DE"})
	var in []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for {
			p, n, err := etsi.Decode(in)
			if err != nil {
				break
			}
			if p.What == etsi.PayloadTRI && p.TRI == etsi.TRIKeepalive {
				b, _ := enc.AppendTRI(nil, p.Seq, time.Now(), etsi.TRIKeepaliveResponse)
				_, _ = c.Write(b)
			} else {
				r.mu.Lock()
				r.pdus = append(r.pdus, bytes.Clone(in[:n]))
				r.mu.Unlock()
			}
			in = in[n:]
		}
	}
}

func (r *record) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pdus)
}

// What a man in the middle changes, removes, adds or reorders of a session's PDUs,
// a LEMF that verifies finds; the session as it was sent has no fault.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	own := pkitest.Certificate(t, "recorder")
	hi2, hi3 := &record{}, &record{}
	w.to(t, warrant.Delivery{AgencyID: "a"}, listen(t, own, pkitest.Fingerprint(w.own), hi2.take), listen(t, own, pkitest.Fingerprint(w.own), hi3.take), pkitest.Fingerprint(own))
	line := w.line(t, "a", "LI-1", 1, true)
	const n, parts = 300, 3
	w.push(t, "a", line, segment.KindCC, parts, content(n))
	end, err := line.End(segment.KindCC, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.records.entail("a", end)
	const flags = 2 // first and last
	eventually(t, "not all was sent", func() bool { return len(hi3.all()) == n+2*parts+flags })
	sent := hi3.all()
	at := slices.IndexFunc(sent, func(b []byte) bool { return bytes.Contains(b, []byte("packet 150")) })
	hash := slices.IndexFunc(sent, func(b []byte) bool {
		p, _, err := etsi.Decode(b)
		return err == nil && p.Integrity != nil && !p.Integrity.Signature
	})
	forged := bytes.Replace(sent[at], []byte("packet 150"), []byte("packet 666"), 1)
	last := bytes.Replace(sent[at], []byte("\x84\x02\x00\x96"), []byte("\x84\x02\x01\x2c"), 1) // number 150 becomes 300
	if bytes.Equal(last, sent[at]) {
		t.Fatal("the number is elsewhere")
	}
	for name, row := range map[string]struct {
		pdus [][]byte
		good bool
	}{
		"as it was sent":              {sent, true},
		"sent twice":                  {slices.Concat(sent[:at+1], sent), true},
		"content changed":             {slices.Concat(sent[:at], [][]byte{forged}, sent[at+1:]), false},
		"a PDU removed":               {slices.Concat(sent[:at], sent[at+1:]), false},
		"two PDUs swapped":            {slices.Concat(sent[:at], [][]byte{sent[at+1], sent[at]}, sent[at+2:]), false},
		"a PDU added under a number":  {slices.Concat(sent[:at+1], [][]byte{forged}, sent[at+1:]), false},
		"a PDU added at the end":      {slices.Concat(sent[:len(sent)-1], [][]byte{last}, sent[len(sent)-1:]), false},
		"an integrity check removed":  {slices.Concat(sent[:hash], sent[hash+1:]), false},
		"an integrity check replaced": {slices.Concat(sent[:hash], [][]byte{rehash(t, sent[hash])}, sent[hash+1:]), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := w.replay(t, row.pdus)
			if got := st.Total == 0; got != row.good {
				t.Errorf("faults %v, want none: %t", st.Faults, row.good)
			}
		})
	}
}

// rehash is an integrity check with another value.
func rehash(t *testing.T, raw []byte) []byte {
	t.Helper()
	p, _, err := etsi.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(p.Integrity.Value)
	other[0] ^= 1
	return bytes.Replace(raw, p.Integrity.Value, other, 1)
}

// replay sends PDUs over HI3 to a new LEMF as the operator would.
func (w *world) replay(t *testing.T, pdus [][]byte) lemf.State {
	t.Helper()
	l, cert, _ := w.lemf(t, nil)
	_, hi3 := l.Addrs()
	c, err := tls.Dial("tcp", hi3.String(), pki.Client(w.own, cert))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: "x", AuthCountry: "DE", Operator: "x", DeliveryCountry: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	alive, err := enc.AppendTRI(nil, 1, time.Now(), etsi.TRIKeepalive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append(slices.Concat(pdus...), alive...)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil { // its answer: all before is read
		t.Fatal(err)
	}
	return l.State()
}

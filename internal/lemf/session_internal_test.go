package lemf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// A LEMF that dies between an integrity check and its signature, with half a PDU
// written, goes on where it was: the signature is held against the check that came
// before, and what comes again counts once.
func TestIntegrityChecksOutliveACrash(t *testing.T) {
	dir, k := t.TempDir(), Key{LIID: "CRASH", CIN: 1, Kind: etsi.KindCC}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier{signer: &signer.PublicKey, shown: func(b []byte) ([]byte, error) { return b, nil }}
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: "CRASH", AuthCountry: "DE", Operator: "OP", CIN: 1, HasCIN: true})
	if err != nil {
		t.Fatal(err)
	}
	record, err := enc.AppendCC(nil, &etsi.CC{Seq: 0, Time: time.Now(), Frame: etsi.FrameIP, Packet: []byte("packet")})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(record)
	check := integrity(t, enc, &etsi.Integrity{Included: []uint32{0}, Of: etsi.KindCC, Value: digest[:], Hash: etsi.HashSHA256})
	digest = sha256.Sum256(check.Raw)
	value, err := ecdsa.SignASN1(rand.Reader, signer, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := integrity(t, enc, &etsi.Integrity{Included: []uint32{1}, Signature: true, Of: etsi.KindCC, Value: value, Hash: etsi.HashSHA256, Sig: etsi.SigECDSA})

	first, err := openSession(dir, k, v)
	if err != nil {
		t.Fatal(err)
	}
	if _, fault, err := first.put(0, record); fault != "" || err != nil {
		t.Fatal(fault, err)
	}
	if fault, err := first.check(check); fault != "" || err != nil {
		t.Fatal(fault, err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	for name, torn := range map[string][]byte{"cc.ber": record[:len(record)/2], "cc.check.ber": signature.Raw[:3]} {
		f, err := os.OpenFile(filepath.Join(folder(dir, k), name), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(torn); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}

	second, err := openSession(dir, k, v)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*etsi.PDU{signature, check, signature} {
		if fault, err := second.check(p); fault != "" || err != nil {
			t.Errorf("after the crash: %q, %v", fault, err)
		}
	}
	if want := (Counts{PDUs: 1, Checked: 1, Checks: 1, Signed: 1}); second.counts != want {
		t.Errorf("got %+v, want %+v", second.counts, want)
	}
	if err := second.close(); err != nil {
		t.Fatal(err)
	}
}

func integrity(t *testing.T, enc *etsi.Encoder, i *etsi.Integrity) *etsi.PDU {
	t.Helper()
	b, err := enc.AppendIntegrity(nil, 1, time.Now(), i)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := etsi.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestLags(t *testing.T) {
	t.Parallel()
	var g Lags
	if g.Quantile(.5) != 0 || g.Within(time.Second) != 0 {
		t.Error("nothing came, and yet there is a lag")
	}
	for ms := range 100 {
		g.add(time.Duration(ms) * time.Millisecond)
	}
	g.add(-time.Second) // a clock that is behind
	g.add(2 * time.Hour)
	if got := g.Within(50 * time.Millisecond); got != 51./102 {
		t.Errorf("%v within 50 ms", got)
	}
	if p50, p99 := g.Quantile(.5), g.Quantile(.99); p50 != 50*time.Millisecond || p99 != 99*time.Millisecond {
		t.Errorf("median %s, 99th percentile %s", p50, p99)
	}
}

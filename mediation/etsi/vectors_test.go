package etsi_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/mediation/etsi"
)

var cmpAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// Octets that Erlang's ASN.1 compiler wrote from ETSI's schemas and read back.
const (
	vectorIRI = "3081B0A14280070400020205012B81094C4949442D3030303182025345A315A00C80044F502D3181044E452D3181010182025345" +
		"840100A70B80046553F100810301E240880101A26AA0683066800101A261AB5F800405051101A157A155A00E810100A2068104C0000201" +
		"830103A10E810100A2068104C00002028301038233494E56495445207369703A626F62406578616D706C652E6E6574205349502F322E30" +
		"0D0A43616C6C2D49443A2078310D0A0D0A"
	vectorKeepalive = "3047A13F80070400020205012B81094C4949442D3030303182025345A312A00C80044F502D3181044E452D318202534584" +
		"0107A70B80046553F100810301E240880101A204A2028300"
	vectorIntegrity = "308180A14280070400020205012B81094C4949442D3030303182025345A315A00C80044F502D3181044E452D31810101820253" +
		"45840100A70B80046553F100810301E240880101A23AA238A036A0090201000201010201028101018201018320ABABABABABABABABABAB" +
		"ABABABABABABABABABABABABABABABABABABABABABAB840102"
)

// at is the time of the vectors.
func at() time.Time { return time.Unix(1_700_000_000, 123_456_000).UTC() }

// call is the stream of the vectors.
func call() etsi.Stream {
	return etsi.Stream{
		LIID: "LIID-0001", AuthCountry: "SE", Operator: "OP-1", Element: "NE-1",
		CIN: 1, HasCIN: true, DeliveryCountry: "SE",
	}
}

func newEncoder(tb testing.TB, s etsi.Stream) *etsi.Encoder {
	tb.Helper()
	e, err := etsi.NewEncoder(s)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestKnownGoodOctets(t *testing.T) {
	t.Parallel()
	iri := etsi.IRI{
		Time: at(), Qualifier: etsi.QualTimeOfInterception, Type: etsi.IRIBegin, Direction: etsi.DirAbsent,
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"),
		SIP: []byte("INVITE sip:bob@example.net SIP/2.0\r\nCall-ID: x1\r\n\r\n"),
	}
	integrity := etsi.Integrity{
		Included: []uint32{0, 1, 2}, Of: etsi.KindIRI, Hash: etsi.HashSHA256,
		Value: []byte(strings.Repeat("\xab", 32)),
	}
	without := call()
	without.CIN, without.HasCIN = 0, false
	tests := map[string]struct {
		hex    string
		append func(*etsi.Encoder) ([]byte, error)
		want   etsi.PDU
	}{
		"IRI": {
			hex:    vectorIRI,
			append: func(e *etsi.Encoder) ([]byte, error) { return e.AppendIRI(nil, &iri) },
			want:   etsi.PDU{Stream: call(), What: etsi.PayloadIRI, IRIs: []etsi.IRI{iri}},
		},
		"keep-alive": {
			hex:    vectorKeepalive,
			append: func(e *etsi.Encoder) ([]byte, error) { return e.AppendTRI(nil, 7, at(), etsi.TRIKeepalive) },
			want:   etsi.PDU{Stream: without, Seq: 7, What: etsi.PayloadTRI, TRI: etsi.TRIKeepalive},
		},
		"integrity check": {
			hex:    vectorIntegrity,
			append: func(e *etsi.Encoder) ([]byte, error) { return e.AppendIntegrity(nil, 0, at(), &integrity) },
			want:   etsi.PDU{Stream: call(), What: etsi.PayloadTRI, Integrity: &integrity},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.append(newEncoder(t, call()))
			if err != nil {
				t.Fatal(err)
			}
			if h := strings.ToUpper(hex.EncodeToString(got)); h != tt.hex {
				t.Errorf("got  %s\nwant %s", h, tt.hex)
			}
			p, n, err := etsi.Decode(append(want, 0x30))
			if err != nil || n != len(want) {
				t.Fatalf("decode: %d octets, %v", n, err)
			}
			tt.want.Version, tt.want.Time, tt.want.Qualifier, tt.want.Raw = 43, at(), etsi.QualTimeOfInterception, want
			if diff := cmp.Diff(tt.want, p, cmpAddr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a signature covers is the check as it is sent, but for its value.
func TestSignedOctets(t *testing.T) {
	t.Parallel()
	i := etsi.Integrity{
		Included: []uint32{0, 1, 2}, Signature: true, Of: etsi.KindIRI, Sig: etsi.SigEdDSA, Value: []byte("is not read"),
	}
	got, err := i.AppendSigned([]byte("before"))
	want := "before\xA0\x16\xA0\x09\x02\x01\x00\x02\x01\x01\x02\x01\x02\x81\x01\x02\x82\x01\x01\x83\x00\x85\x01\x03"
	if err != nil || string(got) != want {
		t.Errorf("got  %X, %v\nwant %X", got, err, want)
	}
	i.Sig = 0
	if got, err := i.AppendSigned(nil); err != etsi.ErrEnum || got != nil {
		t.Errorf("without algorithm: %X, %v", got, err)
	}
}

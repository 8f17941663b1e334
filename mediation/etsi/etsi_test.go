package etsi_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

var at = time.Unix(1_700_000_000, 123_456_000).UTC()

func stream(cin bool) etsi.Stream {
	return etsi.Stream{LIID: "LIID-0001", AuthCountry: "SE", Operator: "OP-1", Element: "NE-1", CIN: 1, HasCIN: cin, DeliveryCountry: "SE"}
}

func encoder(t testing.TB, s etsi.Stream) *etsi.Encoder {
	t.Helper()
	e, err := etsi.NewEncoder(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const invite = "INVITE sip:bob@example.net SIP/2.0\r\nCall-ID: x1\r\n\r\n"

// The vectors were made by an independent encoder; those of the transport say there
// that the time is that of interception, and here that of mediation.
func TestVectors(t *testing.T) {
	t.Parallel()
	iri := etsi.IRI{
		Time: at, Qualifier: etsi.QualTimeOfInterception, Type: etsi.Begin, Direction: etsi.DirNotApplicable,
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), SIP: []byte(invite),
	}
	b, err := encoder(t, stream(true)).AppendIRI(nil, &iri)
	check(t, "IRI", b, err, `3081B0A14280070400020205012B81094C4949442D3030303182025345A315A00C80044F502D3181044E452D3181010182025345840100A70B80046553F100810301E240880101A26AA0683066800101A261AB5F800405051101A157A155A00E810100A2068104C0000201830103A10E810100A2068104C00002028301038233494E56495445207369703A626F62406578616D706C652E6E6574205349502F322E300D0A43616C6C2D49443A2078310D0A0D0A`)
	b, err = encoder(t, stream(false)).AppendTRI(nil, 7, at, etsi.TRIKeepalive)
	check(t, "keep-alive", b, err, `3047A13F80070400020205012B81094C4949442D3030303182025345A312A00C80044F502D3181044E452D3182025345840107A70B80046553F100810301E240880102A204A2028300`)
	b, err = encoder(t, stream(true)).AppendIntegrity(nil, 0, at, &etsi.Integrity{
		Included: []uint32{0, 1, 2}, Of: etsi.KindIRI, Value: bytes.Repeat([]byte{0xab}, 32), Hash: etsi.SHA256,
	})
	check(t, "integrity check", b, err, `308180A14280070400020205012B81094C4949442D3030303182025345A315A00C80044F502D3181044E452D3181010182025345840100A70B80046553F100810301E240880102A23AA238A036A0090201000201010201028101018201018320ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB840102`)
}

func check(t *testing.T, what string, got []byte, err error, want string) {
	t.Helper()
	if err != nil || !strings.EqualFold(hex.EncodeToString(got), want) {
		t.Errorf("%s: %v\n got %X\nwant %s", what, err, got, want)
	}
}

package etsi_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// tlv is an element of one identifier octet, built without the encoder under test.
func tlv(tag byte, contents ...[]byte) []byte {
	v := bytes.Join(contents, nil)
	switch n := len(v); {
	case n < 128:
		return append([]byte{tag, byte(n)}, v...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, v...)
	}
}

func octets(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Headers and payloads of other elements.
const (
	headerDomain = "80070400020205012B"
	headerLIID   = "810158"
	headerComm   = "A306A0048002 4F50"
	headerSeq    = "840100"
	headerTime   = "A70B80046553F100810301E240"
	goodHeader   = headerDomain + headerLIID + headerComm + headerSeq + headerTime
	keepalive    = "A2028300"
	goodCC       = "AC0B 800405051102 8103616263"
)

// foreign is a PS-PDU of a header and a payload in hexadecimal.
func foreign(tb testing.TB, header, payload string) []byte {
	tb.Helper()
	return tlv(0x30, tlv(0xA1, octets(tb, header)), tlv(0xA2, octets(tb, payload)))
}

// aCC is the payload of a PDU with one CCPayload of these members.
func aCC(tb testing.TB, members string) string {
	tb.Helper()
	return hex.EncodeToString(tlv(0xA1, tlv(0x30, octets(tb, members))))
}

func aTRI(tb testing.TB, alternative string) string {
	tb.Helper()
	return hex.EncodeToString(tlv(0xA2, octets(tb, alternative)))
}

// anIRI is the payload of a PDU with one sIPMessage of these members.
func anIRI(tb testing.TB, members string) string {
	tb.Helper()
	contents := tlv(0xA1, tlv(0xA1, octets(tb, members)))
	ipmm := tlv(0xAB, octets(tb, "800405051101"), contents)
	return hex.EncodeToString(tlv(0xA0, tlv(0x30, octets(tb, "800101"), tlv(0xA2, ipmm))))
}

const (
	goodSource = "A00B810100A2068104C0000201"
	goodDest   = "A10B810100A2068104C0000202"
)

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header, payload string
		want            error
	}{
		"no domain":             {headerLIID + headerComm + headerSeq, keepalive, etsi.ErrMissing},
		"no LIID":               {headerDomain + headerComm + headerSeq, keepalive, etsi.ErrMissing},
		"no network":            {headerDomain + headerLIID + "A300" + headerSeq, keepalive, etsi.ErrMissing},
		"no sequence number":    {headerDomain + headerLIID + headerComm, keepalive, etsi.ErrMissing},
		"other domain":          {"80070400020205022B" + headerLIID + headerComm + headerSeq, keepalive, etsi.ErrDomain},
		"domain without end":    {"8007040002020501AB" + headerLIID + headerComm + headerSeq, keepalive, etsi.ErrDomain},
		"domain with more":      {"80080400020205012B01" + headerLIID + headerComm + headerSeq, keepalive, etsi.ErrDomain},
		"LIID before domain":    {headerLIID + headerDomain + headerComm + headerSeq, keepalive, etsi.ErrOrder},
		"LIID twice":            {headerDomain + headerLIID + headerLIID + headerComm + headerSeq, keepalive, etsi.ErrOrder},
		"empty LIID":            {headerDomain + "8100" + headerComm + headerSeq, keepalive, etsi.ErrLIID},
		"LIID of 26":            {headerDomain + "811A" + strings.Repeat("41", 26) + headerComm + headerSeq, keepalive, etsi.ErrLIID},
		"short binary LIID":     {headerDomain + "810100" + headerComm + headerSeq, keepalive, etsi.ErrLIID},
		"country of three":      {headerDomain + headerLIID + "8203534545" + headerComm + headerSeq, keepalive, etsi.ErrSize},
		"country with @":        {headerDomain + headerLIID + "82024045" + headerComm + headerSeq, keepalive, etsi.ErrAlphabet},
		"operator of 17":        {headerDomain + headerLIID + "A315A0138011" + strings.Repeat("41", 17) + headerSeq, keepalive, etsi.ErrSize},
		"CIN of 33 bits":        {headerDomain + headerLIID + "A30DA0048002 4F50 81050100000000" + headerSeq, keepalive, etsi.ErrInteger},
		"negative sequence":     {headerDomain + headerLIID + headerComm + "840180", keepalive, etsi.ErrInteger},
		"sequence of nothing":   {headerDomain + headerLIID + headerComm + "8400", keepalive, etsi.ErrInteger},
		"sequence constructed":  {headerDomain + headerLIID + headerComm + "A403020100", keepalive, etsi.ErrTag},
		"a million micros":      {headerDomain + headerLIID + headerComm + headerSeq + "A70B80046553F10081030F4240", keepalive, etsi.ErrTime},
		"time beyond 9999":      {headerDomain + headerLIID + headerComm + headerSeq + "A70D80063AFFF4417F8081030F4240", keepalive, etsi.ErrTime},
		"local time":            {headerDomain + headerLIID + headerComm + headerSeq + "850E" + hexText("20231114221320"), keepalive, etsi.ErrTime},
		"thirteenth month":      {headerDomain + headerLIID + headerComm + headerSeq + "850F" + hexText("20231314221320Z"), keepalive, etsi.ErrTime},
		"time before 1970":      {headerDomain + headerLIID + headerComm + headerSeq + "850F" + hexText("19691114221320Z"), keepalive, etsi.ErrTime},
		"fraction of a minute":  {headerDomain + headerLIID + headerComm + headerSeq + "850F" + hexText("202311142213.5Z"), keepalive, etsi.ErrTime},
		"point of nine":         {goodHeader[:len(goodHeader)-len(headerTime)] + "8609" + strings.Repeat("41", 9), keepalive, etsi.ErrSize},
		"indefinite header":     {headerDomain + headerLIID + "A380A0048002 4F500000" + headerSeq, keepalive, etsi.ErrIndefinite},
		"length of five octets": {headerDomain + "81850000000158" + headerComm + headerSeq, keepalive, etsi.ErrLength},
		"member past its end":   {headerDomain + "817F58" + headerComm + headerSeq, keepalive, etsi.ErrLength},
		"endless tag":           {goodHeader + "BF8080808080808001", keepalive, etsi.ErrTag},

		"no payload":               {goodHeader, "", etsi.ErrMissing},
		"two payloads":             {goodHeader, keepalive + keepalive, etsi.ErrTag},
		"TRI without alternative":  {goodHeader, "A200", etsi.ErrMissing},
		"keep-alive with contents": {goodHeader, aTRI(t, "830100"), etsi.ErrSize},
		"keep-alive constructed":   {goodHeader, aTRI(t, "A300"), etsi.ErrTag},
		"empty message":            {goodHeader, aTRI(t, "A805 800101 8100"), etsi.ErrSize},
		"message of 256":           {goodHeader, aTRI(t, "A8820107 800101 81820100"+strings.Repeat("41", 256)), etsi.ErrSize},
		"no priority":              {goodHeader, aTRI(t, "A803 810141"), etsi.ErrMissing},
		"one list of options":      {goodHeader, aTRI(t, "AA02 A000"), etsi.ErrMissing},
		"option with contents":     {goodHeader, aTRI(t, "A905 A003 800100"), etsi.ErrSize},
		"check of neither kind":    {goodHeader, aTRI(t, "A00B A003020100 810103 8301AB"), etsi.ErrEnum},
		"check without value":      {goodHeader, aTRI(t, "A008 A003020100 810101"), etsi.ErrMissing},
		"check of strings":         {goodHeader, aTRI(t, "A00B A003040100 810101 8301AB"), etsi.ErrTag},

		"CC without packet":        {goodHeader, aCC(t, "A208 AC06800405051102"), etsi.ErrMissing},
		"CC of no contents":        {goodHeader, aCC(t, "800100"), etsi.ErrMissing},
		"CC with empty choice":     {goodHeader, aCC(t, "A200"), etsi.ErrMissing},
		"CC with two contents":     {goodHeader, aCC(t, "A21A"+goodCC+goodCC), etsi.ErrTag},
		"CC with the IRI's number": {goodHeader, aCC(t, "A20D AC0B 800405051101 8103616263"), etsi.ErrPart},
		"CC with the whole OID":    {goodHeader, aCC(t, "A211 AC0F 8008 0400020205051102 8103616263"), etsi.ErrPart},
		"CC of part 6":             {goodHeader, aCC(t, "A20D AC0B 800405060602 8103616263"), etsi.ErrPart},
		"CC in reverse":            {goodHeader, aCC(t, "A20D AC0B 8103616263 800405051102"), etsi.ErrOrder},
		"packet in pieces":         {goodHeader, aCC(t, "A20F AC0D 800405051102 A1050403616263"), etsi.ErrTag},
		"direction of 256":         {goodHeader, aCC(t, "80020100 A20D"+goodCC), etsi.ErrEnum},
		"CC that is no sequence":   {goodHeader, "A1020500", etsi.ErrTag},
		"payload past its end":     {goodHeader, "A1043005 0000", etsi.ErrLength},

		"IRI without source":      {goodHeader, anIRI(t, goodDest+"820141"), etsi.ErrMissing},
		"IRI without message":     {goodHeader, anIRI(t, goodSource+goodDest), etsi.ErrMissing},
		"address of five octets":  {goodHeader, anIRI(t, "A00C810100A2078105C000020101"+goodDest+"820141"), etsi.ErrAddress},
		"IPv4 that says IPv6":     {goodHeader, anIRI(t, "A00B810101A2068104C0000201"+goodDest+"820141"), etsi.ErrAddress},
		"address of a third kind": {goodHeader, anIRI(t, "A00B810102A2068104C0000201"+goodDest+"820141"), etsi.ErrAddress},
		"address that is no text": {goodHeader, anIRI(t, "A00E810100A2098207"+hexText("1.2.3.x")+goodDest+"820141"), etsi.ErrAddress},
		"IRI of a fifth type":     {goodHeader, "A007 3005 800105 A200", etsi.ErrEnum},

		"HI1 without time":     {goodHeader, "A305 A103 810158", etsi.ErrMissing},
		"HI1 at a third time":  {goodHeader, "A309 A107 810158 A3028200", etsi.ErrTag},
		"HI1 at a local time":  {goodHeader, "A30E A10C 810158 A307 A005 800132 8100", etsi.ErrTime},
		"alarm of nothing":     {goodHeader, "A315 A413 A20F810D" + hexText("231114221320Z") + "8300", etsi.ErrSize},
		"container of nothing": {goodHeader, "A403 800101", etsi.ErrMissing},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := foreign(t, tt.header, tt.payload)
			p, n, err := etsi.Decode(b)
			if !errors.Is(err, tt.want) || n != 0 || p.Raw != nil || p.What != 0 {
				t.Errorf("%d octets, %v; want %v", n, err, tt.want)
			}
		})
	}
	if _, _, err := etsi.Decode(foreign(t, goodHeader, keepalive)); err != nil {
		t.Errorf("the PDU that these are variants of: %v", err)
	}
	if _, _, err := etsi.Decode(foreign(t, goodHeader, aCC(t, "A20D"+goodCC))); err != nil {
		t.Errorf("the CC that these are variants of: %v", err)
	}
	if _, _, err := etsi.Decode(foreign(t, goodHeader, anIRI(t, goodSource+goodDest+"820141"))); err != nil {
		t.Errorf("the IRI that these are variants of: %v", err)
	}
}

func hexText(s string) string { return hex.EncodeToString([]byte(s)) }

// What is wrong about a PS-PDU as a whole.
func TestDecodeRefusesFrames(t *testing.T) {
	t.Parallel()
	header, payload := tlv(0xA1, octets(t, goodHeader)), tlv(0xA2, octets(t, keepalive))
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"nothing":         {nil, etsi.ErrShort},
		"a set":           {tlv(0x31, header, payload), etsi.ErrNotPSPDU},
		"indefinite":      {append([]byte{0x30, 0x80}, header...), etsi.ErrIndefinite},
		"too long":        {octets(t, "3084 00400000"), etsi.ErrLength},
		"no header":       {tlv(0x30, payload), etsi.ErrMissing},
		"payload first":   {tlv(0x30, payload, header), etsi.ErrOrder},
		"a third member":  {tlv(0x30, header, payload, []byte{0x83, 0}), etsi.ErrTag},
		"header in place": {tlv(0x30, octets(t, "8100"), payload), etsi.ErrTag},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, n, err := etsi.Decode(tt.in); err != tt.want || n != 0 {
				t.Errorf("%d octets, %v; want %v", n, err, tt.want)
			}
		})
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		n    int
		want error
	}{
		{"", 0, etsi.ErrShort},
		{"30", 0, etsi.ErrShort},
		{"3082", 0, etsi.ErrShort},
		{"308201", 0, etsi.ErrShort},
		{"3003", 5, etsi.ErrShort},
		{"30820100", 260, etsi.ErrShort},
		{"3000", 2, nil},
		{"3000FF", 2, nil},
		{"308400000001FF", 7, nil}, // not the shortest form, but BER
		{"3080", 0, etsi.ErrIndefinite},
		{"30850000000001", 0, etsi.ErrLength},
		{"3083400001", 0, etsi.ErrLength},
		{"30FF", 0, etsi.ErrLength},
		{"A100", 0, etsi.ErrNotPSPDU},
	}
	for _, tt := range tests {
		if n, err := etsi.Frame(octets(t, tt.in)); n != tt.n || err != tt.want {
			t.Errorf("%s: %d, %v; want %d, %v", tt.in, n, err, tt.n, tt.want)
		}
	}
}

func TestNewEncoderRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*etsi.Stream)
		want   error
	}{
		"no LIID":             {func(s *etsi.Stream) { s.LIID = "" }, etsi.ErrLIID},
		"LIID with a space":   {func(s *etsi.Stream) { s.LIID = "A B" }, etsi.ErrLIID},
		"LIID of 26":          {func(s *etsi.Stream) { s.LIID = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" }, etsi.ErrLIID},
		"no country":          {func(s *etsi.Stream) { s.AuthCountry = "" }, etsi.ErrAlphabet},
		"small country":       {func(s *etsi.Stream) { s.AuthCountry = "se" }, etsi.ErrAlphabet},
		"no operator":         {func(s *etsi.Stream) { s.Operator = "" }, etsi.ErrSize},
		"operator of 17":      {func(s *etsi.Stream) { s.Operator = strings.Repeat("O", 17) }, etsi.ErrSize},
		"operator with é":     {func(s *etsi.Stream) { s.Operator = "opérateur" }, etsi.ErrAlphabet},
		"element of 17":       {func(s *etsi.Stream) { s.Element = strings.Repeat("N", 17) }, etsi.ErrSize},
		"delivery country":    {func(s *etsi.Stream) { s.DeliveryCountry = "SWE" }, etsi.ErrAlphabet},
		"point of nine":       {func(s *etsi.Stream) { s.PointID = "123456789" }, etsi.ErrSize},
		"point with a star":   {func(s *etsi.Stream) { s.PointID = "P*" }, etsi.ErrAlphabet},
		"a third time format": {func(s *etsi.Stream) { s.Times = 2 }, etsi.ErrEnum},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := call()
			tt.change(&s)
			if e, err := etsi.NewEncoder(s); e != nil || err != tt.want {
				t.Errorf("%v; want %v", err, tt.want)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	type appender = func(*etsi.Encoder) ([]byte, error)
	before := []byte("before")
	addr := netip.MustParseAddr("192.0.2.1")
	cc := func(c etsi.CC) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendCC(before, &c) }
	}
	iri := func(r etsi.IRI) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendIRI(before, &r) }
	}
	hi1 := func(h etsi.HI1) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendHI1(before, 0, at(), &h) }
	}
	tri := func(when time.Time, k etsi.TRI) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendTRI(before, 0, when, k) }
	}
	integrity := func(i etsi.Integrity) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendIntegrity(before, 0, at(), &i) }
	}
	message := func(text string) appender {
		return func(e *etsi.Encoder) ([]byte, error) { return e.AppendOperatorMessage(before, 0, at(), true, text) }
	}
	tests := map[string]struct {
		append appender
		want   error
	}{
		"CC without time":          {cc(etsi.CC{}), etsi.ErrTime},
		"CC in the year 10000":     {cc(etsi.CC{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}), etsi.ErrTime},
		"CC of a fifth direction":  {cc(etsi.CC{Time: at(), Direction: 5}), etsi.ErrEnum},
		"CC of an eighth frame":    {cc(etsi.CC{Time: at(), Frame: 8}), etsi.ErrEnum},
		"CC without frame":         {cc(etsi.CC{Time: at(), Frame: etsi.FrameAbsent}), etsi.ErrEnum},
		"CC of two protocols":      {cc(etsi.CC{Time: at(), UDPTL: true, Frame: etsi.FrameMSRP}), etsi.ErrEnum},
		"CC of a fourth qualifier": {cc(etsi.CC{Time: at(), Qualifier: 4}), etsi.ErrEnum},
		"IRI without type":         {iri(etsi.IRI{Time: at(), Src: addr, Dst: addr}), etsi.ErrEnum},
		"IRI without address":      {iri(etsi.IRI{Time: at(), Type: etsi.IRIBegin, Src: addr}), etsi.ErrAddress},
		"IRI of a fourth form":     {iri(etsi.IRI{Time: at(), Type: etsi.IRIBegin, Form: 4}), etsi.ErrEnum},
		"huge IRI":                 {iri(etsi.IRI{Time: at(), Type: etsi.IRIBegin, Src: addr, Dst: addr, SIP: make([]byte, etsi.MaxPDU)}), etsi.ErrLength},
		"HI1 of no kind":           {hi1(etsi.HI1{LIID: "X", At: at()}), etsi.ErrEnum},
		"HI1 without LIID":         {hi1(etsi.HI1{What: etsi.HI1Activated, At: at()}), etsi.ErrLIID},
		"HI1 without time":         {hi1(etsi.HI1{What: etsi.HI1Activated, LIID: "X"}), etsi.ErrTime},
		"HI1 of 257":               {hi1(etsi.HI1{What: etsi.HI1Activated, LIID: "X", At: at(), Text: strings.Repeat("t", 257)}), etsi.ErrSize},
		"HI1 with a new line":      {hi1(etsi.HI1{What: etsi.HI1Activated, LIID: "X", At: at(), Text: "a\nb"}), etsi.ErrAlphabet},
		"alarm without text":       {hi1(etsi.HI1{What: etsi.HI1Alarm, At: at()}), etsi.ErrSize},
		"TRI without time":         {tri(time.Time{}, etsi.TRIKeepalive), etsi.ErrTime},
		"TRI with contents":        {tri(at(), etsi.TRIIntegrityCheck), etsi.ErrTRI},
		"TRI of a fifteenth kind":  {tri(at(), 14), etsi.ErrEnum},
		"empty message":            {message(""), etsi.ErrSize},
		"message of 256":           {message(strings.Repeat("m", 256)), etsi.ErrSize},
		"check of nothing":         {integrity(etsi.Integrity{Of: etsi.KindCC, Hash: etsi.HashSHA256}), etsi.ErrSize},
		"hash without algorithm":   {integrity(etsi.Integrity{Of: etsi.KindCC, Value: before}), etsi.ErrEnum},
		"signature without one":    {integrity(etsi.Integrity{Of: etsi.KindCC, Value: before, Signature: true, Hash: 2}), etsi.ErrEnum},
		"check of a third kind":    {integrity(etsi.Integrity{Of: 3, Value: before, Hash: 2}), etsi.ErrEnum},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if b, err := tt.append(newEncoder(t, call())); err != tt.want || string(b) != "before" {
				t.Errorf("%q, %v; want %v", b, err, tt.want)
			}
		})
	}
	s := call()
	s.HasCIN = false
	e := newEncoder(t, s)
	if b, err := cc(etsi.CC{Time: at()})(e); err != etsi.ErrCIN || string(b) != "before" {
		t.Errorf("CC without CIN: %v", err)
	}
	if b, err := iri(etsi.IRI{Time: at()})(e); err != etsi.ErrCIN || string(b) != "before" {
		t.Errorf("IRI without CIN: %v", err)
	}
}

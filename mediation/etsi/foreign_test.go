package etsi_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/mediation/etsi"
)

// stranger is what Decode gives for goodHeader.
func stranger(change func(*etsi.PDU)) etsi.PDU {
	p := etsi.PDU{Version: 43, Stream: etsi.Stream{LIID: "X", Operator: "OP"}, Time: at(), What: etsi.PayloadTRI, TRI: etsi.TRIKeepalive}
	change(&p)
	return p
}

func nothing(*etsi.PDU) {}

// What no schema of today has, at each place that is open to extension, and liberties
// of BER that we do not take. TestDecodeGolden has what the schema has.
func TestDecodeForeign(t *testing.T) {
	t.Parallel()
	other := func(p *etsi.PDU) { p.What, p.TRI = etsi.PayloadOther, 0 }
	one := func(c etsi.CC) func(*etsi.PDU) {
		return func(p *etsi.PDU) {
			c.Time, c.Packet = at(), []byte("abc")
			p.What, p.TRI, p.CCs = etsi.PayloadCC, 0, []etsi.CC{c}
		}
	}
	sip := func(p *etsi.PDU) {
		p.What, p.TRI = etsi.PayloadIRI, 0
		p.IRIs = []etsi.IRI{{
			Time: at(), Type: etsi.IRIBegin, Direction: etsi.DirAbsent, SIP: []byte("A"),
			Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"),
		}}
	}
	absent := etsi.CC{Direction: etsi.DirAbsent, Frame: etsi.FrameAbsent}
	const unknown = "BF8F7F03020105" // context 2047, constructed
	tests := map[string]struct {
		header, payload string
		want            func(*etsi.PDU)
	}{
		"header with more":      {goodHeader + "8B0100" + unknown, keepalive, nothing},
		"universal extension":   {goodHeader + "0500", keepalive, nothing},
		"network with more":     {headerDomain + headerLIID + "A30DA00B8002 4F50 A4028000 9F1F00" + headerSeq + headerTime, keepalive, nothing},
		"time with more":        {goodHeader[:len(goodHeader)-len(headerTime)] + "A70E80046553F100810301E240" + "820101", keepalive, nothing},
		"long lengths":          {headerDomain + "8183000001 58" + headerComm + "84840000000100" + headerTime, "A28400000002 8300", nothing},
		"long integers":         {headerDomain + headerLIID + headerComm + "84080000000000000000" + headerTime, keepalive, nothing},
		"no time at all":        {headerDomain + headerLIID + headerComm + headerSeq, keepalive, func(p *etsi.PDU) { p.Time = time.Time{} }},
		"binary LIID":           {headerDomain + "810D000102030405060708090A0BFF" + headerComm + headerSeq + headerTime, keepalive, func(p *etsi.PDU) { p.LIID = "000102030405060708090a0bff" }},
		"unknown payload":       {goodHeader, "A800", other},
		"unknown high payload":  {goodHeader, unknown, other},
		"unknown TRI":           {goodHeader, aTRI(t, "8E00"), other},
		"unknown HI1":           {goodHeader, "A3028600", other},
		"padding":               {goodHeader, aTRI(t, "8203010203"), func(p *etsi.PDU) { p.TRI = etsi.TRIPadding }},
		"unknown qualifier":     {goodHeader + "880109", keepalive, func(p *etsi.PDU) { p.Qualifier = 9 }},
		"CC of the least":       {goodHeader, aCC(t, "A20D"+goodCC), one(absent)},
		"CC with more":          {goodHeader, aCC(t, "800101 A20D"+goodCC+"850101"+unknown), one(etsi.CC{Direction: etsi.DirToTarget, Frame: etsi.FrameAbsent})},
		"IPMMCC with more":      {goodHeader, aCC(t, "800101 A218 AC16 800405051102 8103616263 820106 840109 850101 8600"), one(etsi.CC{Direction: etsi.DirToTarget, Frame: etsi.FrameUDPTL})},
		"CC of version 300":     {goodHeader, aCC(t, "A20E AC0C 80050505822C02 8103616263"), one(absent)},
		"no CC":                 {goodHeader, "A100", func(p *etsi.PDU) { p.What, p.TRI = etsi.PayloadCC, 0 }},
		"CC of another part":    {goodHeader, aCC(t, "A202 8F00"), other},
		"SIP message with more": {goodHeader, anIRI(t, goodSource+goodDest+"820141 8301AA"+unknown), sip},
		"address with more":     {goodHeader, anIRI(t, "A00E810100A2068104C0000201 870100"+goodDest+"820141"), sip},
		"message with more":     {goodHeader, aTRI(t, "A80B 800103 8103616263 820101"), func(p *etsi.PDU) { p.TRI, p.Message = etsi.TRIOperatorMessage, "abc" }},
		"unknown option":        {goodHeader, aTRI(t, "A907 A005 810105 8000"), func(p *etsi.PDU) { p.TRI, p.PDUAckRequested = etsi.TRIOptionRequest, true }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := stranger(tt.want)
			want.Raw = foreign(t, tt.header, tt.payload)
			got, n, err := etsi.Decode(want.Raw)
			if err != nil || n != len(want.Raw) {
				t.Fatalf("%d of %d octets, %v", n, len(want.Raw), err)
			}
			if diff := cmp.Diff(want, got, cmpAddr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each form of a time that a GeneralizedTime may have, as HI1 and old facilities
// send them.
func TestDecodeTimes(t *testing.T) {
	t.Parallel()
	const header = headerDomain + headerLIID + headerComm + headerSeq
	minute := time.Date(2023, 11, 14, 22, 13, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"20231114221320Z":                           minute.Add(20 * time.Second),
		"20231114221320.1Z":                         minute.Add(20*time.Second + 100*time.Millisecond),
		"20231114221320,123456Z":                    minute.Add(20*time.Second + 123456*time.Microsecond),
		"20231114221320.12345678999999Z":            minute.Add(20*time.Second + 123456789),
		"202311142213Z":                             minute,
		"2023111422Z":                               minute.Add(-13 * time.Minute),
		"20231114231320+0100":                       minute.Add(20 * time.Second),
		"20231114171320.5-0500":                     minute.Add(20*time.Second + 500*time.Millisecond),
		"20231115014320+0330":                       minute.Add(20 * time.Second),
		"2023111423+01":                             minute.Add(-13 * time.Minute),
		"20240229000000Z":                           time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"99991231235959.999999Z":                    time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		"19700101000000Z":                           time.Unix(0, 0).UTC(),
		"20230229000000Z":                           {},
		"20231114250000Z":                           {},
		"20231114221320":                            {},
		"20231114221320.Z":                          {},
		"20231114221320z":                           {},
		"20231114221320ZZ":                          {},
		"20231114221320+1":                          {},
		"20231114221320.1234567890123456789012345Z": {},
		"231114221320Z":                             {},
		"Z":                                         {},
		"":                                          {},
		"19700101000000+0100":                       {},
	} {
		value := append([]byte{0x85, byte(len(text))}, text...)
		raw := tlv(0x30, tlv(0xA1, octets(t, header), value), tlv(0xA2, octets(t, keepalive)))
		p, _, err := etsi.Decode(raw)
		if want.IsZero() {
			if err != etsi.ErrTime {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil || !p.Time.Equal(want) || p.Times != etsi.TimeGeneralized {
			t.Errorf("%q: %v, %v; want %v", text, p.Time, err, want)
		}
	}
}

package etsi_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/mediation/etsi"
)

// full is what Decode gives for the common header of testdata/foreign.golden.
func full(change func(*etsi.PDU)) etsi.PDU {
	p := etsi.PDU{Version: 43, Stream: call(), Time: at(), Qualifier: etsi.QualTimeOfInterception, What: etsi.PayloadTRI}
	change(&p)
	return p
}

// least is the same of the header without optional members.
func least(change func(*etsi.PDU)) etsi.PDU {
	p := etsi.PDU{Version: 43, Stream: etsi.Stream{LIID: "LIID-0001", Operator: "OP-1"}, What: etsi.PayloadTRI, TRI: etsi.TRIKeepalive}
	change(&p)
	return p
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// PDUs that Erlang's codec wrote from testdata/erlang/ps_pdu.erl: what the schema has
// and we do not send. TestIndependentCodec sees that it still writes them so.
func TestDecodeGolden(t *testing.T) {
	t.Parallel()
	want := map[string]etsi.PDU{}
	for _, part := range []map[string]etsi.PDU{goldenHeaders(), goldenIRI(), goldenCC(), goldenLink(), goldenHI1(), goldenOther()} {
		for name, p := range part {
			want[name] = p
		}
	}
	text, err := os.ReadFile("testdata/foreign.golden")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, hexText, _ := strings.Cut(strings.TrimSpace(line), " ")
		w, ok := want[name]
		if !ok {
			t.Errorf("%s: nobody says what it is", name)
			continue
		}
		delete(want, name)
		w.Raw = octets(t, hexText)
		got, n, err := etsi.Decode(w.Raw)
		if err != nil || n != len(w.Raw) {
			t.Errorf("%s: %d of %d octets, %v", name, n, len(w.Raw), err)
			continue
		}
		if diff := cmp.Diff(w, got, cmpAddr); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if name != "encrypted-none" {
			continue
		}
		inner, counter, err := newSealer(t, etsi.EncNone).Open(&got)
		if err != nil || counter != 1<<64-1 || len(inner.CCs) != 1 || string(inner.CCs[0].Packet) != "packet" {
			t.Errorf("%s: counter %d, %v, %v", name, counter, inner.CCs, err)
		}
	}
	for name := range want {
		t.Errorf("%s is not in the file", name)
	}
}

func goldenHeaders() map[string]etsi.PDU {
	m := map[string]etsi.PDU{
		"header-bare": least(nothing),
		"header-full": full(func(p *etsi.PDU) {
			p.TRI, p.Qualifier, p.PointID, p.Seq = etsi.TRIKeepalive, etsi.QualTimeOfAggregation, "gw 1", 1<<32-1
			p.Element, p.CIN, p.DeliveryCountry = "\x00\xff", 1<<32-1, "NO"
		}),
		"header-generalized": least(func(p *etsi.PDU) {
			p.Times, p.Time = etsi.TimeGeneralized, time.Date(2023, 11, 14, 22, 13, 20, 500_000_000, time.UTC)
		}),
		"header-epoch": least(func(p *etsi.PDU) { p.Time = time.Unix(0, 0).UTC() }),
	}
	for name, version := range map[string]uint32{"1": 1, "17": 17, "127": 127, "128": 128, "300": 300} {
		m["header-version-"+name] = full(func(p *etsi.PDU) { p.Version, p.TRI = version, etsi.TRIKeepalive })
	}
	return m
}

func goldenIRI() map[string]etsi.PDU {
	invite := etsi.IRI{
		Time: at(), Qualifier: etsi.QualTimeOfInterception, Type: etsi.IRIBegin, Direction: etsi.DirAbsent,
		Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), SIP: []byte("INVITE"),
	}
	with := func(change func(*etsi.IRI)) etsi.IRI { r := invite; change(&r); return r }
	of := func(all ...etsi.IRI) etsi.PDU {
		return full(func(p *etsi.PDU) { p.What, p.IRIs = etsi.PayloadIRI, all })
	}
	packet := func(form etsi.IRIForm, only bool) etsi.IRI {
		return etsi.IRI{
			Time: at(), Qualifier: etsi.QualTimeOfInterception, Type: etsi.IRIBegin, Direction: etsi.DirAbsent,
			IRIOnly: only, Form: form, Packet: []byte("packet"),
		}
	}
	return map[string]etsi.PDU{
		"iri-none": of(),
		"iri-full": of(with(func(r *etsi.IRI) { r.Type, r.Direction = etsi.IRIReport, etsi.DirCombined })),
		"iri-aggregated": least(func(p *etsi.PDU) {
			p.What, p.TRI, p.Qualifier = etsi.PayloadIRI, 0, etsi.QualTimeOfAggregation
			p.IRIs = []etsi.IRI{
				with(func(r *etsi.IRI) {
					r.Type, r.Time, r.Qualifier = etsi.IRIContinue, time.Unix(1_700_000_001, 1000).UTC(), etsi.QualTimeOfMediation
				}),
				with(func(r *etsi.IRI) {
					r.Type, r.Time, r.Qualifier = etsi.IRIEnd, time.Unix(1_700_000_002, 250_000_000).UTC(), etsi.QualTimeOfAggregation
					r.IRIOnly = true
				}),
				with(func(r *etsi.IRI) { r.Type, r.Time, r.Qualifier = 0, time.Time{}, etsi.QualTimeOfAggregation }),
			}
		}),
		"iri-addresses": of(
			with(func(r *etsi.IRI) { r.Src, r.Dst = addr("2001:db8::1"), addr("2001:db8::7") }),
			with(func(r *etsi.IRI) { r.Src = addr("192.0.2.2") }),
		),
		"iri-packets": of(packet(etsi.FormOriginal, false), packet(etsi.FormOriginal, true),
			packet(etsi.FormXCAP, false), packet(etsi.FormRTPPacket, true)),
		"iri-old-version": of(invite),
		"iri-h323":        full(func(p *etsi.PDU) { p.What = etsi.PayloadOther }),
		"iri-national":    full(func(p *etsi.PDU) { p.What = etsi.PayloadOther }),
	}
}

func goldenCC() map[string]etsi.PDU {
	packet := etsi.CC{
		Time: at(), Qualifier: etsi.QualTimeOfInterception, Direction: etsi.DirAbsent, Frame: etsi.FrameAbsent, Packet: []byte("packet"),
	}
	with := func(change func(*etsi.CC)) etsi.CC { c := packet; change(&c); return c }
	of := func(all ...etsi.CC) etsi.PDU {
		return full(func(p *etsi.PDU) { p.What, p.CCs = etsi.PayloadCC, all })
	}
	var frames, directions []etsi.CC
	for frame := etsi.FrameIP; frame <= etsi.FrameMSRP; frame++ {
		frames = append(frames, with(func(c *etsi.CC) { c.Frame = frame }))
	}
	for direction := etsi.DirFromTarget; direction <= etsi.DirNotApplicable; direction++ {
		directions = append(directions, with(func(c *etsi.CC) { c.Direction = direction }))
	}
	stream := func(c *etsi.CC) { c.StreamID = []byte("m=audio") }
	return map[string]etsi.PDU{
		"cc-aggregated": of(
			with(func(c *etsi.CC) {
				c.Frame, c.Direction, c.Time = etsi.FrameRTP, etsi.DirToTarget, time.Unix(1_700_000_001, 1000).UTC()
			}),
			with(func(c *etsi.CC) {
				c.Frame, c.Direction, c.Time = etsi.FrameRTP, etsi.DirFromTarget, time.Unix(1_700_000_002, 250_000_000).UTC()
				c.Qualifier = etsi.QualTimeOfMediation
			}),
			with(func(c *etsi.CC) { c.Time = time.Unix(1_700_000_003, 999_999_000).UTC() }),
		),
		"cc-frames":     of(frames...),
		"cc-directions": of(directions...),
		"cc-protocols": of(with(stream), with(func(c *etsi.CC) { stream(c); c.MSRP = true }),
			with(func(c *etsi.CC) { stream(c); c.UDPTL = true })),
		"cc-old-version": of(packet),
		"cc-300":         of(with(func(c *etsi.CC) { c.Packet = []byte(strings.Repeat("\x07", 300)) })),
	}
}

func goldenLink() map[string]etsi.PDU {
	of := func(t etsi.TRI, change func(*etsi.PDU)) etsi.PDU {
		return full(func(p *etsi.PDU) { p.TRI = t; change(p) })
	}
	check := etsi.Integrity{Included: []uint32{0, 127, 128, 65536, 1<<32 - 1}, Value: []byte{1, 2}}
	hash := check
	hash.Of, hash.Hash = etsi.KindCC, etsi.HashSHA512
	m := map[string]etsi.PDU{
		"check-bare": full(func(p *etsi.PDU) { p.Integrity = &check }),
		"check-hash": full(func(p *etsi.PDU) { p.Integrity = &hash }),
		"check-signature": full(func(p *etsi.PDU) {
			p.Integrity = &etsi.Integrity{Signature: true, Of: 3, Value: []byte{1, 2}, Hash: etsi.HashSHA1, Sig: etsi.SigEdDSA}
		}),
		"message-error":         of(etsi.TRIOperatorMessage, func(p *etsi.PDU) { p.Message, p.MessageIsError = "lost", true }),
		"message-informational": of(etsi.TRIOperatorMessage, func(p *etsi.PDU) { p.Message = "all well" }),
		"option-request":        of(etsi.TRIOptionRequest, func(p *etsi.PDU) { p.PDUAckRequested = true }),
		"option-request-none":   of(etsi.TRIOptionRequest, nothing),
		"option-accepted":       of(etsi.TRIOptionResponse, func(p *etsi.PDU) { p.PDUAckAccepted = true }),
		"option-declined":       of(etsi.TRIOptionResponse, nothing),
	}
	for name, tri := range map[string]etsi.TRI{
		"testPDU": etsi.TRITest, "paddingPDU": etsi.TRIPadding, "keep-alive": etsi.TRIKeepalive,
		"keep-aliveResponse": etsi.TRIKeepaliveResponse, "firstSegmentFlag": etsi.TRIFirstSegment,
		"lastSegmentFlag": etsi.TRILastSegment, "cINReset": etsi.TRICINReset, "optionComplete": etsi.TRIOptionComplete,
		"pDUAcknowledgementRequest": etsi.TRIPDUAckRequest, "pDUAcknowledgementResponse": etsi.TRIPDUAckResponse,
	} {
		m["tri-"+name] = of(tri, nothing)
	}
	return m
}

func goldenHI1() map[string]etsi.PDU {
	of := func(h etsi.HI1) etsi.PDU {
		return full(func(p *etsi.PDU) { p.What, p.HI1 = etsi.PayloadHI1, &h })
	}
	second := time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)
	return map[string]etsi.PDU{
		"hi1-activated":   of(etsi.HI1{What: etsi.HI1Activated, LIID: "LIID-2", At: second, Text: "tel:+46"}),
		"hi1-deactivated": of(etsi.HI1{What: etsi.HI1Deactivated, LIID: "LIID-2", At: at()}),
		"hi1-modified":    of(etsi.HI1{What: etsi.HI1Modified, LIID: "LIID-2", At: time.Date(1999, 11, 14, 22, 13, 0, 0, time.UTC)}),
		"hi1-alarm":       of(etsi.HI1{What: etsi.HI1Alarm, At: second, Text: "full"}),
		"hi1-alarm-full":  of(etsi.HI1{What: etsi.HI1Alarm, LIID: "LIID-2", At: second, Text: "full"}),
		"hi1-national":    full(func(p *etsi.PDU) { p.What = etsi.PayloadOther }),
	}
}

func goldenOther() map[string]etsi.PDU {
	of := func(e etsi.Encrypted) etsi.PDU {
		return full(func(p *etsi.PDU) { p.What, p.Encrypted = etsi.PayloadEncrypted, &e })
	}
	packet := tlv(0xAC, tlv(0x80, []byte{5, 5, 17, 2}), tlv(0x81, []byte("packet")))
	inner := tlv(0x30, tlv(0x80, []byte{0, 255, 255, 255, 255, 255, 255, 255, 255}),
		tlv(0xA1, tlv(0xA1, tlv(0x30, tlv(0xA2, packet)))))
	return map[string]etsi.PDU{
		"encrypted-none":     of(etsi.Encrypted{Type: etsi.EncNone, Octets: inner, PayloadType: etsi.PayloadTypePart5}),
		"encrypted-national": of(etsi.Encrypted{Type: 2, Octets: []byte("secret")}),
		"encrypted-3des":     of(etsi.Encrypted{Type: 7, Octets: []byte("secret"), PayloadType: 7}),
		"other-umts":         full(func(p *etsi.PDU) { p.What = etsi.PayloadOther }),
		"other-hi4":          full(func(p *etsi.PDU) { p.What = etsi.PayloadOther }),
	}
}

package etsi_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
)

// source is where the choices of a made-up PDU come from: rapid, which can shrink
// them, or a plain random generator, which is fast.
type source interface {
	number(label string, least, most uint64) uint64
	octets(label string, least, most int) []byte
}

type rapidSource struct{ t *rapid.T }

func (s rapidSource) number(label string, least, most uint64) uint64 {
	return rapid.Uint64Range(least, most).Draw(s.t, label)
}

func (s rapidSource) octets(label string, least, most int) []byte {
	return rapid.SliceOfN(rapid.Byte(), least, most).Draw(s.t, label)
}

type randSource struct{ r *rand.Rand }

// number favours the ends of its range, where the lengths of integers change.
func (s randSource) number(_ string, least, most uint64) uint64 {
	span := most - least
	if span > 1<<16 && s.r.IntN(2) == 0 {
		span >>= s.r.UintN(64)
	}
	if span == 1<<64-1 {
		return s.r.Uint64()
	}
	return least + s.r.Uint64N(span+1)
}

func (s randSource) octets(_ string, least, most int) []byte {
	b := make([]byte, least+s.r.IntN(most-least+1))
	for i := 0; i < len(b); i += 8 {
		v := s.r.Uint64()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j], v = byte(v), v>>8
		}
	}
	return b
}

// draw is a source with shapes.
type draw struct{ source }

func (d draw) yes(label string) bool { return d.number(label, 0, 1) == 1 }

func (d draw) small(label string, least, most uint8) uint8 {
	return uint8(d.number(label, uint64(least), uint64(most)))
}

func (d draw) seq(label string) uint32 { return uint32(d.number(label, 0, 1<<32-1)) }

// text has visible characters from the first to the last.
func (d draw) text(label string, first, last byte, least, most int) string {
	b := d.octets(label, least, most)
	for i := range b {
		b[i] = first + b[i]%(last-first+1)
	}
	return string(b)
}

func (d draw) country(label string) string { return d.text(label, 'A', 'Z', 2, 2) }

// time is between 1970 and 9999, in whole microseconds.
func (d draw) time(label string) time.Time {
	return time.Unix(int64(d.number(label+" seconds", 0, 253_402_300_799)),
		int64(d.number(label+" microseconds", 0, 999_999))*1000).UTC()
}

// optional is nil for nothing, as Decode gives it.
func (d draw) optional(label string, most int) []byte {
	if b := d.octets(label, 0, most); len(b) > 0 {
		return b
	}
	return nil
}

func (d draw) addr(label string) netip.Addr {
	if d.yes(label + " is IPv6") {
		b := [16]byte(d.octets(label, 16, 16))
		b[0] = 0x20 // never one of IPv4
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(d.octets(label, 4, 4)))
}

func (d draw) direction() etsi.Direction {
	if dir := etsi.Direction(d.small("direction", 0, 5)); dir <= etsi.DirNotApplicable {
		return dir
	}
	return etsi.DirAbsent
}

func (d draw) stream() etsi.Stream {
	s := etsi.Stream{
		LIID:        li.LIID(d.text("LIID", '!', '~', 1, 25)),
		AuthCountry: d.country("country"),
		Operator:    d.text("operator", ' ', '~', 1, 16),
		Element:     string(d.octets("element", 0, 16)),
		PointID:     d.text("point", '0', '9', 0, 8),
		Times:       etsi.TimeFormat(d.small("times", 0, 1)),
	}
	if d.yes("has delivery country") {
		s.DeliveryCountry = d.country("delivery country")
	}
	if s.HasCIN = d.number("has CIN", 0, 4) > 0; s.HasCIN {
		s.CIN = d.seq("CIN")
	}
	return s
}

// pdu is the PDU that Decode shall give for what encode makes of it.
func (d draw) pdu(s etsi.Stream) etsi.PDU {
	p := etsi.PDU{
		Version: 43, Stream: s, Seq: d.seq("sequence number"), Time: d.time("time"),
		Qualifier: etsi.QualTimeOfInterception, What: etsi.PayloadTRI,
	}
	kinds := []func(*etsi.PDU){d.tri, d.integrity, d.message, d.option, d.hi1, d.iri, d.cc}
	if !s.HasCIN {
		kinds = kinds[:5]
	}
	kinds[d.number("kind", 0, uint64(len(kinds)-1))](&p)
	return p
}

func (d draw) cc(p *etsi.PDU) {
	c := etsi.CC{
		Seq: p.Seq, Time: p.Time, Qualifier: etsi.Qualifier(d.small("qualifier", 0, 3)), Direction: d.direction(),
		Frame: etsi.FrameType(d.small("frame", 0, 7)), StreamID: d.optional("stream", 40),
		Packet: d.octets("packet", 0, 400),
	}
	switch protocol := d.small("protocol", 0, 2); {
	case c.Frame == etsi.FrameUDPTL:
		c.UDPTL = true
	case c.Frame == etsi.FrameMSRP:
		c.MSRP = true
	default:
		c.UDPTL, c.MSRP = protocol == 1, protocol == 2
	}
	p.What, p.Qualifier, p.CCs = etsi.PayloadCC, c.Qualifier, []etsi.CC{c}
}

func (d draw) iri(p *etsi.PDU) {
	r := etsi.IRI{
		Seq: p.Seq, Time: p.Time, Qualifier: etsi.Qualifier(d.small("qualifier", 0, 3)),
		Type: etsi.IRIType(d.small("type", 1, 4)), Direction: d.direction(),
		IRIOnly: d.yes("IRI only"), Form: etsi.IRIForm(d.small("form", 0, 3)),
	}
	switch r.Form {
	case etsi.FormSIP:
		r.Src, r.Dst, r.SIP = d.addr("source"), d.addr("destination"), d.octets("SIP", 0, 900)
	case etsi.FormXCAP:
		r.IRIOnly = false
	case etsi.FormRTPPacket:
		r.IRIOnly = true
	case etsi.FormOriginal:
	}
	if r.Form != etsi.FormSIP {
		r.Packet = d.octets("packet", 0, 900)
	}
	p.What, p.Qualifier, p.IRIs = etsi.PayloadIRI, r.Qualifier, []etsi.IRI{r}
}

// empty are the messages of the link without contents.
func empty() []etsi.TRI {
	return []etsi.TRI{
		etsi.TRITest, etsi.TRIKeepalive, etsi.TRIKeepaliveResponse, etsi.TRIFirstSegment, etsi.TRILastSegment,
		etsi.TRICINReset, etsi.TRIOptionComplete, etsi.TRIPDUAckRequest, etsi.TRIPDUAckResponse,
	}
}

func (d draw) tri(p *etsi.PDU) {
	p.TRI = empty()[d.number("TRI", 0, uint64(len(empty())-1))]
	if p.TRI == etsi.TRIKeepalive || p.TRI == etsi.TRIKeepaliveResponse {
		p.HasCIN, p.CIN = false, 0
	}
}

func (d draw) option(p *etsi.PDU) {
	if p.TRI = etsi.TRIOptionRequest; d.yes("response") {
		p.TRI, p.PDUAckAccepted = etsi.TRIOptionResponse, d.yes("accepted")
		return
	}
	p.PDUAckRequested = d.yes("requested")
}

func (d draw) message(p *etsi.PDU) {
	p.TRI, p.MessageIsError, p.Message = etsi.TRIOperatorMessage, d.yes("error"), string(d.octets("message", 1, 255))
}

func (d draw) integrity(p *etsi.PDU) {
	i := &etsi.Integrity{Signature: d.yes("signature"), Of: etsi.Kind(d.small("of", 1, 2)), Value: d.octets("value", 1, 130)}
	for range d.number("included", 0, 60) {
		i.Included = append(i.Included, d.seq("number"))
	}
	if i.Signature {
		i.Sig = etsi.SigAlgorithm(d.small("algorithm", 1, 3))
	} else {
		i.Hash = etsi.HashAlgorithm(d.small("algorithm", 1, 4))
	}
	p.TRI, p.Integrity = etsi.TRIIntegrityCheck, i
}

func (d draw) hi1(p *etsi.PDU) {
	h := &etsi.HI1{
		What: etsi.HI1Kind(d.small("what", 1, 4)), LIID: li.LIID(d.text("its LIID", '!', '~', 1, 25)),
		At: d.time("at"), Text: d.text("text", ' ', '~', 0, 256),
	}
	if h.What == etsi.HI1Alarm {
		h.Text += "!"
		h.Text = h.Text[:min(len(h.Text), 256)]
		if d.yes("without LIID") {
			h.LIID = ""
		}
	}
	p.What, p.HI1, p.HasCIN, p.CIN = etsi.PayloadHI1, h, false, 0
}

// encode appends what p describes.
func encode(dst []byte, e *etsi.Encoder, p *etsi.PDU) ([]byte, error) {
	switch {
	case p.What == etsi.PayloadIRI:
		return e.AppendIRI(dst, &p.IRIs[0])
	case p.What == etsi.PayloadCC:
		return e.AppendCC(dst, &p.CCs[0])
	case p.What == etsi.PayloadHI1:
		return e.AppendHI1(dst, p.Seq, p.Time, p.HI1)
	case p.Integrity != nil:
		return e.AppendIntegrity(dst, p.Seq, p.Time, p.Integrity)
	case p.TRI == etsi.TRIOperatorMessage:
		return e.AppendOperatorMessage(dst, p.Seq, p.Time, p.MessageIsError, p.Message)
	case p.TRI == etsi.TRIOptionRequest:
		return e.AppendOptionRequest(dst, p.Seq, p.Time, p.PDUAckRequested)
	case p.TRI == etsi.TRIOptionResponse:
		return e.AppendOptionResponse(dst, p.Seq, p.Time, p.PDUAckAccepted)
	default:
		return e.AppendTRI(dst, p.Seq, p.Time, p.TRI)
	}
}

// randomPDUs calls f with so many PDUs of a seed, encoded and described.
func randomPDUs(tb testing.TB, seed uint64, count int, f func(raw []byte, want *etsi.PDU)) {
	tb.Helper()
	d := draw{randSource{rand.New(rand.NewPCG(seed, 0))}}
	var e *etsi.Encoder
	var s etsi.Stream
	for i := range count {
		if i%50 == 0 {
			s = d.stream()
			e = newEncoder(tb, s)
		}
		p := d.pdu(s)
		raw, err := encode(nil, e, &p)
		if err != nil {
			tb.Fatal(fmt.Errorf("PDU %d: %w", i, err))
		}
		f(raw, &p)
	}
}

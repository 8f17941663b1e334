package etsi

import (
	"net/netip"
	"time"
)

// IRIForm is what an IRI carries (IPIRIContents, TS 102 232-5).
type IRIForm uint8

// The forms that are written and read. IRIOnly chooses between the two alternatives
// of the first two; FormXCAP has no other and FormRTPPacket is IRI-only always.
const (
	FormSIP       IRIForm = 0 // sIPMessage, iRIOnlySIPMessage: Src, Dst, SIP
	FormOriginal  IRIForm = 1 // originalIPMMMessage, iRIOnlyOriginalIPMMMessage: Packet, from the IP header on
	FormXCAP      IRIForm = 2 // xCAPMessage: Packet
	FormRTPPacket IRIForm = 3 // iRIOnlyRTPPacket, telephone events: Packet, from the IP header on; clause 5.2.8.1
)

// IRI is one signalling message (IPMMIRI, TS 102 232-5 clause 5.2).
type IRI struct {
	Seq       uint32
	Time      time.Time // microseconds are sent; the rest is cut off
	Qualifier Qualifier
	Type      IRIType
	Direction Direction  // payloadDirection: which way this message went
	Src, Dst  netip.Addr // of the network layer, clause 5.2.7
	SIP       []byte
	IRIOnly   bool // the warrant grants no content: clause 5.2.6
	Form      IRIForm
	Packet    []byte // with the forms that are not FormSIP
}

// Alternatives of IPIRIContents.
const (
	altOriginal        = ctx + 0
	altSIP             = cons + 1
	altXCAP            = ctx + 4
	altIRIOnlyOriginal = ctx + 5
	altIRIOnlySIP      = cons + 6
	altIRIOnlyRTP      = ctx + 7
)

// iriObjectID is iPMMIRIObjId {5 5 17 1}, relative to {0 4 0 2 2}.
const iriObjectID = "\x05\x05\x11\x01"

// iriOverhead is what stands around a SIP message in a payload, at least.
const iriOverhead = 58

// AppendIRI appends a PS-PDU with one IRIPayload.
//
//	A0 len iRIPayloadSequence
//	   30 len IRIPayload
//	      80 iRIType
//	      A2 len iRIContents
//	         AB len iPMMIRI
//	            80 iPMMIRIObjId
//	            A1 len iPMMIRIContents
//	               A1 len sIPMessage
//	                  A0 len iPSourceAddress  A1 len iPDestinationAddress  82 sIPContent
//	      86 payloadDirection
func (e *Encoder) AppendIRI(dst []byte, r *IRI) ([]byte, error) {
	switch {
	case !e.stream.HasCIN:
		return dst, ErrCIN
	case r.Type < IRIBegin || r.Type > IRIReport || r.Form > FormRTPPacket ||
		r.Direction > DirNotApplicable && r.Direction != DirAbsent:
		return dst, ErrEnum
	case r.Form == FormSIP && !(r.Src.IsValid() && r.Dst.IsValid()):
		return dst, ErrAddress
	case len(r.SIP) > MaxPDU || len(r.Packet) > MaxPDU:
		return dst, ErrLength
	}
	size := len(r.SIP)
	if r.Form != FormSIP {
		size = len(r.Packet)
	}
	dst, pdu, err := e.begin(dst, e.fixed, r.Seq, r.Time, r.Qualifier, size+iriOverhead)
	if err != nil {
		return dst, err
	}
	dst, sequence := open(dst, cons+0, size)
	dst, payload := open(dst, tagSequence, size)
	dst = appendEnum(dst, ctx+0, r.Type)
	dst, choice := open(dst, cons+2, size)
	dst, ipmm := open(dst, cons+11, size)
	dst = appendOctets(dst, ctx+0, iriObjectID)
	dst, contents := open(dst, cons+1, size)
	dst = appendIRIContents(dst, r)
	dst = end(end(end(dst, contents), ipmm), choice)
	if r.Direction != DirAbsent {
		dst = appendEnum(dst, ctx+6, r.Direction)
	}
	return pdu.finish(end(end(dst, payload), sequence))
}

func appendIRIContents(dst []byte, r *IRI) []byte {
	switch {
	case r.Form == FormOriginal && r.IRIOnly:
		return appendOctets(dst, altIRIOnlyOriginal, r.Packet)
	case r.Form == FormOriginal:
		return appendOctets(dst, altOriginal, r.Packet)
	case r.Form == FormXCAP:
		return appendOctets(dst, altXCAP, r.Packet)
	case r.Form == FormRTPPacket:
		return appendOctets(dst, altIRIOnlyRTP, r.Packet)
	}
	tag := byte(altSIP)
	if r.IRIOnly {
		tag = altIRIOnlySIP
	}
	dst, message := open(dst, tag, len(r.SIP))
	dst = appendAddress(dst, cons+0, r.Src)
	dst = appendAddress(dst, cons+1, r.Dst)
	dst = appendOctets(dst, ctx+2, r.SIP)
	return end(dst, message)
}

// decodeIRI reads one IRIPayload into p. known is false for contents that an IRI
// cannot show: other parts of TS 102 232, H.323, national parameters.
func decodeIRI(p *PDU, v []byte) (known bool, err error) {
	r := IRI{Seq: p.Seq, Time: p.Time, Qualifier: p.Qualifier, Direction: DirAbsent}
	f := fields{rest: v, max: 6}
	var contents element
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readEnum(f.value, &r.Type, uint8(IRIBegin), uint8(IRIReport)))
		case ctx + 1, cons + 3:
			f.keep(readPayloadTime(f.element, &r.Time))
		case cons + 2:
			contents, err = only(f.value)
			f.keep(err)
		case ctx + 4:
			f.keep(readOpenEnum(f.value, &r.Qualifier))
		case ctx + 5: // sessionDirection: TS 102 232-5 leaves it to national use
			var session Direction
			f.keep(readOpenEnum(f.value, &session))
		case ctx + 6:
			f.keep(readOpenEnum(f.value, &r.Direction))
		default:
			f.skip()
		}
	}
	if err := f.done(1 << 2); err != nil {
		return false, err
	}
	if contents.id != cons+11 {
		return false, nil
	}
	known, err = decodeIPMMIRI(&r, contents.value)
	if err != nil || !known {
		return false, err
	}
	p.IRIs = append(p.IRIs, r)
	return true, nil
}

func decodeIPMMIRI(r *IRI, v []byte) (known bool, err error) {
	f := fields{rest: v, max: 3, unread: 1<<2 | 1<<3}
	var contents element
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readPart(f.value, iriObjectID))
		case cons + 1:
			contents, err = only(f.value)
			f.keep(err)
		default: // targetLocation and additionalSignalling stand in Raw
			f.skip()
		}
	}
	if err := f.done(1<<0 | 1<<1); err != nil {
		return false, err
	}
	switch contents.id {
	case altSIP, altIRIOnlySIP:
		r.IRIOnly = contents.id == altIRIOnlySIP
		return true, decodeSIPMessage(r, contents.value)
	case altOriginal, altIRIOnlyOriginal:
		r.Form, r.IRIOnly = FormOriginal, contents.id == altIRIOnlyOriginal
	case altXCAP:
		r.Form = FormXCAP
	case altIRIOnlyRTP:
		r.Form, r.IRIOnly = FormRTPPacket, true
	default:
		return false, nil
	}
	r.Packet = contents.value
	return true, nil
}

func decodeSIPMessage(r *IRI, v []byte) error {
	f := fields{rest: v, max: 2}
	for f.next() {
		switch f.id {
		case cons + 0:
			f.keep(readAddress(f.value, &r.Src))
		case cons + 1:
			f.keep(readAddress(f.value, &r.Dst))
		case ctx + 2:
			r.SIP = f.value
		default:
			f.skip()
		}
	}
	return f.done(1<<0 | 1<<1 | 1<<2)
}

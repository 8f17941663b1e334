package etsi

import "time"

// CC is one intercepted media packet (IPMMCC, TS 102 232-5 clause 5.3).
type CC struct {
	Seq       uint32
	Time      time.Time // microseconds are sent; the rest is cut off
	Qualifier Qualifier
	Direction Direction
	Frame     FrameType // clause 5.5: which headers Packet has
	StreamID  []byte    // streamIdentifier, optional
	UDPTL     bool      // mMCCprotocol is uDPTL; FrameUDPTL implies it
	MSRP      bool      // mMCCprotocol is mSRP; FrameMSRP implies it
	Packet    []byte
}

// Values of mMCCprotocol. Without the field it is RTP, RTCP or an audio frame.
const (
	protoRTP   = 0
	protoMSRP  = 1
	protoUDPTL = 2
)

// ccObjectID is iPMMCCObjId {5 5 17 2}, relative to {0 4 0 2 2}.
const ccObjectID = "\x05\x05\x11\x02"

// ccOverhead is what stands around a packet in a payload, at least.
const ccOverhead = 24

// AppendCC appends a PS-PDU with one CCPayload. It does not allocate if dst has room.
//
//	A1 len cCPayloadSequence
//	   30 len CCPayload
//	      80 payloadDirection
//	      A2 len cCContents
//	         AC len iPMMCC
//	            80 iPMMCCObjId  81 mMCCContents  82 frameType  83 streamIdentifier  84 mMCCprotocol
//
// The payload's own time is for aggregated payloads (TS 102 232-1 clause 6.2.3); with
// one payload the header's is enough.
func (e *Encoder) AppendCC(dst []byte, c *CC) ([]byte, error) {
	switch {
	case !e.stream.HasCIN:
		return dst, ErrCIN
	case c.Direction > DirNotApplicable && c.Direction != DirAbsent || c.Frame > FrameMSRP || c.protocol() > protoUDPTL:
		return dst, ErrEnum
	case len(c.Packet) > MaxPDU || len(c.StreamID) > MaxPDU:
		return dst, ErrLength
	}
	contents := len(c.Packet) + len(c.StreamID)
	dst, pdu, err := e.begin(dst, e.fixed, c.Seq, c.Time, c.Qualifier, contents+ccOverhead)
	if err != nil {
		return dst, err
	}
	dst, sequence := open(dst, cons+1, contents+ccOverhead-4)
	dst, payload := open(dst, tagSequence, contents+ccOverhead-6)
	if c.Direction != DirAbsent {
		dst = appendEnum(dst, ctx+0, c.Direction)
	}
	dst, choice := open(dst, cons+2, contents+13)
	dst, ipmm := open(dst, cons+12, contents+11)
	dst = appendOctets(dst, ctx+0, ccObjectID)
	dst = appendOctets(dst, ctx+1, c.Packet)
	dst = appendEnum(dst, ctx+2, c.Frame)
	if len(c.StreamID) > 0 {
		dst = appendOctets(dst, ctx+3, c.StreamID)
	}
	if p := c.protocol(); p != protoRTP {
		dst = appendEnum(dst, ctx+4, p)
	}
	dst = end(end(end(end(dst, ipmm), choice), payload), sequence)
	return pdu.finish(dst)
}

// protocol is mMCCprotocol; one beyond protoUDPTL stands for a contradiction.
func (c *CC) protocol() uint8 {
	udptl, msrp := c.UDPTL || c.Frame == FrameUDPTL, c.MSRP || c.Frame == FrameMSRP
	switch {
	case udptl && msrp:
		return protoUDPTL + 1
	case udptl:
		return protoUDPTL
	case msrp:
		return protoMSRP
	default:
		return protoRTP
	}
}

// decodeCC reads one CCPayload into p. known is false for contents of another part
// of TS 102 232.
func decodeCC(p *PDU, v []byte) (known bool, err error) {
	c := CC{Seq: p.Seq, Time: p.Time, Qualifier: p.Qualifier, Direction: DirAbsent, Frame: FrameAbsent}
	f := fields{rest: v, max: 4}
	var contents element
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readOpenEnum(f.value, &c.Direction))
		case ctx + 1, cons + 3:
			f.keep(readPayloadTime(f.element, &c.Time))
		case cons + 2:
			contents, err = only(f.value)
			f.keep(err)
		case ctx + 4:
			f.keep(readOpenEnum(f.value, &c.Qualifier))
		default:
			f.skip()
		}
	}
	if err := f.done(1 << 2); err != nil {
		return false, err
	}
	if contents.id != cons+12 {
		return false, nil
	}
	if err := decodeIPMMCC(&c, contents.value); err != nil {
		return false, err
	}
	p.CCs = append(p.CCs, c)
	return true, nil
}

func decodeIPMMCC(c *CC, v []byte) error {
	f := fields{rest: v, max: 4}
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readPart(f.value, ccObjectID))
		case ctx + 1:
			c.Packet = f.value
		case ctx + 2:
			f.keep(readOpenEnum(f.value, &c.Frame))
		case ctx + 3:
			c.StreamID = f.value
		case ctx + 4:
			var protocol uint8
			f.keep(readOpenEnum(f.value, &protocol))
			c.UDPTL, c.MSRP = protocol == protoUDPTL, protocol == protoMSRP
		default:
			f.skip()
		}
	}
	return f.done(1<<0 | 1<<1)
}

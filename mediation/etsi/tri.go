package etsi

import "time"

// Sizes of OperatorLeaMessage.
const maxMessageBytes = 255

// Values of messagePriority.
const (
	priorityError = 1
	priorityInfo  = 2
)

// optionPDUAck is pDUAcknowledgement in a SEQUENCE OF Option.
const optionPDUAck = "\x80\x00"

// triRoom is what a TRI payload without a variable part needs at most.
const triRoom = 16

// AppendTRI appends a message of the link that has no contents (TS 102 232-1 clause
// 6.3). A keep-alive and its response carry no CIN.
//
//	A2 02 { 83 00 }
func (e *Encoder) AppendTRI(dst []byte, seq uint32, at time.Time, t TRI) ([]byte, error) {
	fixed := e.fixed
	switch t {
	case TRIKeepalive, TRIKeepaliveResponse:
		fixed = e.bare
	case TRITest, TRIFirstSegment, TRILastSegment, TRICINReset, TRIOptionComplete, TRIPDUAckRequest, TRIPDUAckResponse:
	case TRIIntegrityCheck, TRIPadding, TRIOperatorMessage, TRIOptionRequest, TRIOptionResponse:
		return dst, ErrTRI
	default:
		return dst, ErrEnum
	}
	dst, pdu, err := e.begin(dst, fixed, seq, at, QualTimeOfInterception, triRoom)
	if err != nil {
		return dst, err
	}
	return pdu.finish(append(dst, cons+2, 2, ctx+byte(t), 0))
}

// AppendOptionRequest appends an option request (clause 6.3.5) for the one option
// that there is, or for none.
func (e *Encoder) AppendOptionRequest(dst []byte, seq uint32, at time.Time, pduAck bool) ([]byte, error) {
	dst, pdu, err := e.begin(dst, e.fixed, seq, at, QualTimeOfInterception, triRoom)
	if err != nil {
		return dst, err
	}
	dst, tri := open(dst, cons+2, triRoom)
	dst, request := open(dst, cons+9, triRoom)
	dst = appendOption(dst, cons+0, pduAck)
	return pdu.finish(end(end(dst, request), tri))
}

// AppendOptionResponse appends the answer to a request for pDUAcknowledgement.
func (e *Encoder) AppendOptionResponse(dst []byte, seq uint32, at time.Time, accepted bool) ([]byte, error) {
	dst, pdu, err := e.begin(dst, e.fixed, seq, at, QualTimeOfInterception, triRoom)
	if err != nil {
		return dst, err
	}
	dst, tri := open(dst, cons+2, triRoom)
	dst, response := open(dst, cons+10, triRoom)
	dst = appendOption(dst, cons+0, accepted)
	dst = appendOption(dst, cons+1, !accepted)
	return pdu.finish(end(end(dst, response), tri))
}

// appendOption appends a SEQUENCE OF Option with pDUAcknowledgement or with nothing.
func appendOption(dst []byte, tag byte, pduAck bool) []byte {
	if !pduAck {
		return append(dst, tag, 0)
	}
	return appendOctets(dst, tag, optionPDUAck)
}

// AppendOperatorMessage appends an operatorLeaMessage: text of 1 to 255 octets,
// about an error that harms the intercepted data, or for information.
func (e *Encoder) AppendOperatorMessage(dst []byte, seq uint32, at time.Time, isError bool, text string) ([]byte, error) {
	if len(text) == 0 || len(text) > maxMessageBytes {
		return dst, ErrSize
	}
	dst, pdu, err := e.begin(dst, e.fixed, seq, at, QualTimeOfInterception, triRoom+len(text))
	if err != nil {
		return dst, err
	}
	priority := uint8(priorityInfo)
	if isError {
		priority = priorityError
	}
	dst, tri := open(dst, cons+2, len(text))
	dst, message := open(dst, cons+8, len(text))
	dst = appendEnum(dst, ctx+0, priority)
	dst = appendOctets(dst, ctx+1, text)
	return pdu.finish(end(end(dst, message), tri))
}

// decodeTRI reads TRIPayload. Messages of later versions are PayloadOther.
func decodeTRI(p *PDU, v []byte) error {
	e, err := only(v)
	if err != nil {
		return err
	}
	p.TRI = TRI(e.id & 0x1f)
	switch e.id {
	case cons + uint32(TRIIntegrityCheck):
		return decodeIntegrity(p, e.value)
	case ctx + uint32(TRIPadding): // clause 6.2.6: its contents are to be discarded
		return nil
	case ctx + uint32(TRITest), ctx + uint32(TRIKeepalive), ctx + uint32(TRIKeepaliveResponse),
		ctx + uint32(TRIFirstSegment), ctx + uint32(TRILastSegment), ctx + uint32(TRICINReset),
		ctx + uint32(TRIOptionComplete), ctx + uint32(TRIPDUAckRequest), ctx + uint32(TRIPDUAckResponse):
		if len(e.value) != 0 {
			return ErrSize
		}
		return nil
	case cons + uint32(TRIOperatorMessage):
		return decodeMessage(p, e.value)
	case cons + uint32(TRIOptionRequest):
		return decodeOptions(e.value, &p.PDUAckRequested, nil)
	case cons + uint32(TRIOptionResponse):
		var declined bool
		return decodeOptions(e.value, &p.PDUAckAccepted, &declined)
	}
	if e.id != highTag && e.id&0xC0 == ctx && p.TRI <= TRIPDUAckResponse {
		return ErrTag
	}
	p.What, p.TRI = PayloadOther, 0
	return nil
}

func decodeMessage(p *PDU, v []byte) error {
	f := fields{rest: v, max: 1}
	for f.next() {
		switch f.id {
		case ctx + 0:
			var priority uint8
			f.keep(readOpenEnum(f.value, &priority))
			p.MessageIsError = priority == priorityError
		case ctx + 1:
			f.keep(readString(f.value, 1, maxMessageBytes, &p.Message))
		default:
			f.skip()
		}
	}
	return f.done(1<<0 | 1<<1)
}

// decodeOptions reads OptionRequest, or OptionResponse if there is a second list.
func decodeOptions(v []byte, first, second *bool) error {
	f := fields{rest: v}
	want := uint32(1 << 0)
	if second != nil {
		f.max, want = 1, 1<<0|1<<1
	}
	for f.next() {
		switch {
		case f.id == cons+0:
			f.keep(readOptions(f.value, first))
		case f.id == cons+1 && second != nil:
			f.keep(readOptions(f.value, second))
		default:
			f.skip()
		}
	}
	return f.done(want)
}

// readOptions looks for pDUAcknowledgement in a SEQUENCE OF Option, which later
// versions may extend.
func readOptions(v []byte, pduAck *bool) error {
	for rest := v; len(rest) > 0; {
		var e element
		var err error
		if e, rest, err = readElement(rest); err != nil {
			return inner(err)
		}
		if e.id == ctx+0 {
			if len(e.value) != 0 {
				return ErrSize
			}
			*pduAck = true
		}
	}
	return nil
}

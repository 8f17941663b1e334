package etsi

import (
	"fmt"
	"time"
)

// appendPayload appends a PS-PDU around an encoded alternative of Payload. The time is
// when it was made: that of mediation.
func (e *Encoder) appendPayload(dst []byte, seq uint32, at time.Time, alternative []byte) ([]byte, error) {
	if !validTime(at) {
		return dst, ErrValue
	}
	return append(e.begin(dst, moment{seq, at, QualTimeOfMediation}, len(alternative)), alternative...), nil
}

// appendTRI appends a PS-PDU around an encoded alternative of TRIPayload, which is a
// CHOICE and therefore tagged explicitly.
func (e *Encoder) appendTRI(dst []byte, seq uint32, at time.Time, tri []byte) ([]byte, error) {
	return e.appendPayload(dst, seq, at, appendTLV(nil, con|2, tri))
}

// AppendTRI appends one of the alternatives without content (NULL, and padding of no
// octets).
func (e *Encoder) AppendTRI(dst []byte, seq uint32, at time.Time, t TRI) ([]byte, error) {
	switch t {
	case TRITest, TRIPadding, TRIKeepalive, TRIKeepaliveResponse, TRIFirstSegment, TRILastSegment, TRICINReset,
		TRIOptionComplete, TRIPDUAckRequest, TRIPDUAckResponse:
		return e.appendTRI(dst, seq, at, []byte{ctx | byte(t), 0})
	case TRIIntegrityCheck, TRIOperatorMessage, TRIOptionRequest, TRIOptionResponse:
	}
	return dst, fmt.Errorf("%w: this alternative has content", ErrValue)
}

// options is SEQUENCE OF Option with pDUAcknowledgement or nothing.
func options(pduAck bool) []byte {
	if pduAck {
		return []byte{ctx0, 0}
	}
	return nil
}

// AppendOptionRequest asks for PDU acknowledgements, or for nothing (clause 6.3.5).
func (e *Encoder) AppendOptionRequest(dst []byte, seq uint32, at time.Time, pduAck bool) ([]byte, error) {
	return e.appendTRI(dst, seq, at, appendTLV(nil, con|9, appendTLV(nil, con0, options(pduAck))))
}

// AppendOptionResponse accepts or declines PDU acknowledgements (clause 6.3.5).
func (e *Encoder) AppendOptionResponse(dst []byte, seq uint32, at time.Time, accepted bool) ([]byte, error) {
	both := appendTLV(appendTLV(nil, con0, options(accepted)), con|1, options(!accepted))
	return e.appendTRI(dst, seq, at, appendTLV(nil, con|10, both))
}

// AppendOperatorMessage appends an operatorLeaMessage of 1 to 255 octets. isError is
// for what impairs the intercepted data.
func (e *Encoder) AppendOperatorMessage(dst []byte, seq uint32, at time.Time, isError bool, text string) ([]byte, error) {
	if text == "" || len(text) > maxText {
		return dst, fmt.Errorf("%w: a message has 1 to 255 octets", ErrValue)
	}
	priority := uint64(2)
	if isError {
		priority = 1
	}
	message := appendTLV(appendUint(nil, ctx0, priority), ctx|1, text)
	return e.appendTRI(dst, seq, at, appendTLV(nil, con|8, message))
}

// AppendIntegrity appends an integrity check (clause 7.2).
func (e *Encoder) AppendIntegrity(dst []byte, seq uint32, at time.Time, i *Integrity) ([]byte, error) {
	if len(i.Included) == 0 || len(i.Value) == 0 || i.Of != KindIRI && i.Of != KindCC || i.Hash > SHA512 || i.Sig > SigEdDSA {
		return dst, fmt.Errorf("%w: an integrity check needs numbers, a value and what it covers", ErrValue)
	}
	var numbers, check []byte
	for _, n := range i.Included {
		numbers = appendUint(numbers, tagInteger, uint64(n))
	}
	check = appendTLV(check, con0, numbers)
	kind := uint64(1)
	if i.Signature {
		kind = 2
	}
	check = appendUint(check, ctx|1, kind)
	check = appendUint(check, ctx|2, uint64(i.Of))
	check = appendTLV(check, ctx|3, i.Value)
	if i.Hash != 0 {
		check = appendUint(check, ctx|4, uint64(i.Hash))
	}
	if i.Sig != 0 {
		check = appendUint(check, ctx|5, uint64(i.Sig))
	}
	return e.appendTRI(dst, seq, at, appendTLV(nil, con0, check))
}

// AppendHI1 appends a notification or an alarm (HI1-Operation, from TS 101 671). The
// Encoder's Stream should have no CIN.
func (e *Encoder) AppendHI1(dst []byte, seq uint32, at time.Time, h *HI1) ([]byte, error) {
	if !validTime(h.At) || h.At.Year() < 1950 || h.At.Year() > 2049 || len(h.Text) > maxNotice || len(h.LIID) > maxLIID {
		return dst, ErrValue
	}
	// TimeStamp is a CHOICE, hence explicit; utcTime [1] is UTCTime.
	stamp := appendTLV(nil, ctx|1, h.At.UTC().Format("060102150405Z"))
	var body []byte
	switch h.What {
	case HI1Activated, HI1Deactivated, HI1Modified:
		if h.LIID == "" {
			return dst, fmt.Errorf("%w: a notification needs a LIID", ErrValue)
		}
		body = appendTLV(body, ctx|1, string(h.LIID))
		body = appendTLV(body, con|3, stamp)
		if h.Text != "" {
			body = appendTLV(body, ctx|6, h.Text)
		}
	case HI1Alarm:
		if h.Text == "" {
			return dst, fmt.Errorf("%w: an alarm needs a text", ErrValue)
		}
		body = appendTLV(body, con|2, stamp)
		body = appendTLV(body, ctx|3, h.Text)
		if h.LIID != "" {
			body = appendTLV(body, ctx|4, string(h.LIID))
		}
	default:
		return dst, ErrValue
	}
	return e.appendPayload(dst, seq, at, appendTLV(nil, con|3, appendTLV(nil, con|byte(h.What), body)))
}

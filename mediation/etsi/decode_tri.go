package etsi

import (
	"math"
	"time"

	"github.com/ligate/ligate/li"
)

// tri reads TRIPayload.
func (p *PDU) tri(b []byte) error {
	t, err := only(b)
	if err != nil {
		return err
	}
	if t.tag&0xc0 != ctx || t.tag&0x1f == 0x1f {
		return ErrField
	}
	p.TRI = TRI(t.tag & 0x1f)
	f := fields{rest: t.body}
	switch p.TRI {
	case TRIIntegrityCheck:
		return p.integrity(t.body)
	case TRIOperatorMessage:
		p.MessageIsError = f.number(f.must(ctx0), math.MaxUint8) == 1
		p.Message = string(f.must(ctx | 1))
		return f.end()
	case TRIOptionRequest:
		p.PDUAckRequested, err = hasPDUAck(f.must(con0))
		if err == nil {
			err = f.end()
		}
		return err
	case TRIOptionResponse:
		p.PDUAckAccepted, err = hasPDUAck(f.must(con0))
		f.must(con | 1)
		if err == nil {
			err = f.end()
		}
		return err
	case TRITest, TRIKeepalive, TRIKeepaliveResponse, TRIFirstSegment, TRILastSegment, TRICINReset, TRIOptionComplete,
		TRIPDUAckRequest, TRIPDUAckResponse:
		if len(t.body) > 0 {
			return ErrField // NULL
		}
	case TRIPadding:
	}
	return nil
}

// hasPDUAck looks for pDUAcknowledgement in a SEQUENCE OF Option.
func hasPDUAck(b []byte) (found bool, err error) {
	for len(b) > 0 {
		t, rest, err := next(b)
		if err != nil {
			return false, err
		}
		found = found || t.tag == ctx0
		b = rest
	}
	return found, nil
}

// integrity reads IntegrityCheck.
func (p *PDU) integrity(b []byte) error {
	f := fields{rest: b}
	i := &Integrity{}
	numbers := f.must(con0)
	i.Signature = f.number(f.must(ctx|1), 2) == 2
	if v, ok := f.optional(ctx | 2); ok {
		i.Of = Kind(f.number(v, math.MaxUint8))
	}
	i.Value = f.must(ctx | 3)
	if v, ok := f.optional(ctx | 4); ok {
		i.Hash = HashAlgorithm(f.number(v, math.MaxUint8))
	}
	if v, ok := f.optional(ctx | 5); ok {
		i.Sig = SigAlgorithm(f.number(v, math.MaxUint8))
	}
	if err := f.end(); err != nil {
		return err
	}
	for len(numbers) > 0 {
		t, rest, err := next(numbers)
		if err != nil {
			return err
		}
		n, err := number(t.body, math.MaxUint32)
		if err != nil || t.tag != tagInteger {
			return ErrField
		}
		i.Included = append(i.Included, uint32(n)) //nolint:gosec // bounded
		numbers = rest
	}
	p.Integrity = i
	return nil
}

// hi1 reads HI1-Operation.
func (p *PDU) hi1(b []byte) error {
	t, err := only(b)
	if err != nil {
		return err
	}
	f := fields{rest: t.body}
	h := &HI1{}
	var stamp []byte
	switch t.tag {
	case con | byte(HI1Activated), con | byte(HI1Deactivated), con | byte(HI1Modified):
		h.What = HI1Kind(t.tag & 0x1f)
		f.optional(ctx0)
		h.LIID = li.LIID(f.must(ctx | 1))
		f.optional(con | 2)
		stamp = f.must(con | 3)
		f.optional(con | 5)
		if v, ok := f.optional(ctx | 6); ok {
			h.Text = string(v)
		}
	case con | byte(HI1Alarm):
		h.What = HI1Alarm
		f.optional(ctx0)
		f.optional(con | 1)
		stamp = f.must(con | 2)
		h.Text = string(f.must(ctx | 3))
		if v, ok := f.optional(ctx | 4); ok {
			h.LIID = li.LIID(v)
		}
	default:
		p.What = PayloadOther // national parameters
		return nil
	}
	if err := f.end(); err != nil {
		return err
	}
	if h.At, err = hi1Stamp(stamp); err != nil {
		return err
	}
	p.HI1 = h
	return nil
}

// hi1Stamp reads TimeStamp: UTCTime, or local time, which is taken as it stands.
func hi1Stamp(b []byte) (time.Time, error) {
	t, err := only(b)
	if err != nil {
		return time.Time{}, err
	}
	switch t.tag {
	case ctx | 1:
		for _, layout := range []string{"060102150405Z", "060102150405-0700", "0601021504Z"} {
			if at, err := time.Parse(layout, string(t.body)); err == nil {
				return at.UTC(), nil
			}
		}
	case con0:
		f := fields{rest: t.body}
		text := f.must(ctx0)
		if err := f.end(); err != nil {
			return time.Time{}, err
		}
		if at := parseGeneralized(text); !at.IsZero() {
			return at, nil
		}
		if at, err := time.Parse("20060102150405", string(text)); err == nil {
			return at, nil
		}
	}
	return time.Time{}, ErrField
}

// encrypted reads EncryptionContainer.
func (p *PDU) encrypted(b []byte) error {
	f := fields{rest: b}
	c := &Encrypted{Type: EncryptionType(f.number(f.must(ctx0), math.MaxUint8)), Octets: f.must(ctx | 1)}
	if v, ok := f.optional(ctx | 2); ok {
		c.PayloadType = uint8(f.number(v, math.MaxUint8))
	}
	p.Encrypted = c
	return f.end()
}

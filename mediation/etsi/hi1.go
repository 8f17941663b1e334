package etsi

import (
	"time"

	"github.com/ligate/ligate/li"
)

// HI1 is a notification about a warrant (HI1-Operation, HI1NotificationOperations
// version7, once TS 101 671).
type HI1 struct {
	What HI1Kind
	LIID li.LIID   // optional with HI1Alarm
	At   time.Time // of what is reported; microseconds are sent
	Text string    // target-Information, optional, or alarm-information: 1 to 256 visible ASCII characters
}

const maxHI1Text = 256

// notProvided is winterSummerIndication of a time in UTC.
const notProvided = 0

// AppendHI1 appends a PS-PDU with a notification. Its header has no CIN, whatever
// the Stream has. The time is localTime in UTC: utcTime has no fractions.
//
//	A3 len hI1-Operation
//	   A1 len liActivated { 81 LIID  A3 timeStamp  86 target-Information }
//	   A4 len alarms-indicator { A2 timeStamp  83 alarm-information  84 LIID }
//	A2/A3 len timeStamp { A0 len localTime { 80 generalizedTime  81 winterSummerIndication } }
func (e *Encoder) AppendHI1(dst []byte, seq uint32, at time.Time, h *HI1) ([]byte, error) {
	if err := h.check(); err != nil {
		return dst, err
	}
	size := len(h.Text) + 30
	dst, pdu, err := e.begin(dst, e.bare, seq, at, QualTimeOfInterception, size)
	if err != nil {
		return dst, err
	}
	dst, operation := open(dst, cons+3, size)
	dst, notification := open(dst, cons+byte(h.What), size)
	if h.What == HI1Alarm {
		dst = appendLocalTime(dst, cons+2, h.At)
		dst = appendOctets(dst, ctx+3, h.Text)
		if h.LIID != "" {
			dst = appendOctets(dst, ctx+4, h.LIID)
		}
	} else {
		dst = appendOctets(dst, ctx+1, h.LIID)
		dst = appendLocalTime(dst, cons+3, h.At)
		if h.Text != "" {
			dst = appendOctets(dst, ctx+6, h.Text)
		}
	}
	return pdu.finish(end(end(dst, notification), operation))
}

func (h *HI1) check() error {
	if h.What < HI1Activated || h.What > HI1Alarm {
		return ErrEnum
	}
	if _, err := li.ParseLIID(string(h.LIID)); err != nil && (h.What != HI1Alarm || h.LIID != "") {
		return ErrLIID
	}
	if len(h.Text) > maxHI1Text || h.Text == "" && h.What == HI1Alarm {
		return ErrSize
	}
	if !isVisible(h.Text) {
		return ErrAlphabet
	}
	return checkTime(h.At)
}

func appendLocalTime(dst []byte, tag byte, at time.Time) []byte {
	dst = append(dst, tag, 29, cons+0, 27)
	dst = appendGeneralized(dst, ctx+0, at)
	return appendEnum(dst, ctx+1, uint8(notProvided))
}

// decodeHI1 reads HI1-Operation. National operations are PayloadOther.
func decodeHI1(p *PDU, v []byte) error {
	e, err := only(v)
	if err != nil {
		return err
	}
	p.HI1 = &HI1{What: HI1Kind(e.id & 0x1f)}
	switch e.id {
	case cons + uint32(HI1Activated), cons + uint32(HI1Deactivated), cons + uint32(HI1Modified):
		return decodeNotification(p.HI1, e.value)
	case cons + uint32(HI1Alarm):
		return decodeAlarm(p.HI1, e.value)
	default:
		p.What, p.HI1 = PayloadOther, nil
		return nil
	}
}

// decodeNotification passes over domainID, communicationIdentifier and national
// parameters.
func decodeNotification(h *HI1, v []byte) error {
	f := fields{rest: v, max: 6, unread: 1<<0 | 1<<2 | 1<<5}
	for f.next() {
		switch f.id {
		case ctx + 1:
			f.keep(readLIID(f.value, &h.LIID))
		case cons + 3:
			f.keep(readHI2Time(f.value, &h.At))
		case ctx + 6:
			f.keep(readString(f.value, 1, maxHI1Text, &h.Text))
		default:
			f.skip()
		}
	}
	return f.done(1<<1 | 1<<3)
}

func decodeAlarm(h *HI1, v []byte) error {
	f := fields{rest: v, max: 5, unread: 1<<0 | 1<<1 | 1<<5}
	for f.next() {
		switch f.id {
		case cons + 2:
			f.keep(readHI2Time(f.value, &h.At))
		case ctx + 3:
			f.keep(readString(f.value, 1, maxHI1Text, &h.Text))
		case ctx + 4:
			f.keep(readLIID(f.value, &h.LIID))
		default:
			f.skip()
		}
	}
	return f.done(1<<2 | 1<<3)
}

// readHI2Time reads TimeStamp of HI2Operations: localTime, which needs a zone here,
// or utcTime.
func readHI2Time(v []byte, to *time.Time) error {
	e, err := only(v)
	if err != nil {
		return err
	}
	switch e.id {
	case ctx + 1:
		return readUTCTime(e.value, to)
	case cons + 0:
	default:
		return ErrTag
	}
	f := fields{rest: e.value, max: 1}
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readGeneralized(f.value, to))
		case ctx + 1:
			var season uint8
			f.keep(readOpenEnum(f.value, &season))
		default:
			f.skip()
		}
	}
	return f.done(1<<0 | 1<<1)
}

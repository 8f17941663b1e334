package etsi

import (
	"encoding/hex"

	"github.com/ligate/ligate/li"
)

// minBinaryLIID is the least size of a LIID of binary octets, whose text is its
// 26 to 50 hexadecimal digits (TS 103 280, LIID).
const minBinaryLIID = 13

// decodeHeader reads PSHeader (TS 102 232-1 clause 5.2) into p.
func decodeHeader(p *PDU, v []byte) error {
	f := fields{rest: v, max: 10, unread: 1<<9 | 1<<10}
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readDomain(f.value, &p.Version))
		case ctx + 1:
			f.keep(readLIID(f.value, &p.LIID))
		case ctx + 2:
			f.keep(readPrintable(f.value, 2, 2, &p.AuthCountry))
		case cons + 3:
			f.keep(decodeCommunication(&p.Stream, f.value))
		case ctx + 4:
			f.keep(readUint32(f.value, &p.Seq))
		case ctx + 5:
			p.Times = TimeGeneralized
			f.keep(readGeneralized(f.value, &p.Time))
		case ctx + 6:
			f.keep(readPrintable(f.value, 1, maxPointBytes, &p.PointID))
		case cons + 7:
			p.Times = TimeMicro
			f.keep(readMicro(f.value, &p.Time))
		case ctx + 8:
			f.keep(readOpenEnum(f.value, &p.Qualifier))
		default:
			f.skip()
		}
	}
	return f.done(1<<0 | 1<<1 | 1<<3 | 1<<4)
}

func decodeCommunication(s *Stream, v []byte) error {
	f := fields{rest: v, max: 3, unread: 1 << 3}
	for f.next() {
		switch f.id {
		case cons + 0:
			f.keep(decodeNetwork(s, f.value))
		case ctx + 1:
			s.HasCIN = true
			f.keep(readUint32(f.value, &s.CIN))
		case ctx + 2:
			f.keep(readPrintable(f.value, 2, 2, &s.DeliveryCountry))
		default:
			f.skip()
		}
	}
	return f.done(1 << 0)
}

func decodeNetwork(s *Stream, v []byte) error {
	f := fields{rest: v, max: 2, unread: 1 << 2}
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readString(f.value, 1, maxNetworkBytes, &s.Operator))
		case ctx + 1:
			f.keep(readString(f.value, 1, maxNetworkBytes, &s.Element))
		default:
			f.skip()
		}
	}
	return f.done(1 << 0)
}

// readDomain reads li-psDomainId, whose last arc is the version of the schema.
func readDomain(v []byte, version *uint32) error {
	if len(v) <= len(domainID) || string(v[:len(domainID)]) != domainID {
		return ErrDomain
	}
	n, ok := readArc(v[len(domainID):])
	if !ok {
		return ErrDomain
	}
	*version = n
	return nil
}

// readLIID reads a LIID: text, or binary octets, which become hexadecimal digits.
func readLIID(v []byte, to *li.LIID) error {
	liid, err := li.ParseLIID(string(v))
	if err == nil {
		*to = liid
		return nil
	}
	if len(v) < minBinaryLIID || len(v) > 25 {
		return ErrLIID
	}
	*to = li.LIID(hex.EncodeToString(v))
	return nil
}

func readString(v []byte, least, most int, to *string) error {
	if len(v) < least || len(v) > most {
		return ErrSize
	}
	*to = string(v)
	return nil
}

func readPrintable(v []byte, least, most int, to *string) error {
	if !isPrintable(string(v)) {
		return ErrAlphabet
	}
	return readString(v, least, most, to)
}

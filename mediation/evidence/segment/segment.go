package segment

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// Kind is the kind of records in a segment.
type Kind string

// The kinds.
const (
	KindIRI Kind = "iri"
	KindCC  Kind = "cc"
)

// Header says what a segment holds.
type Header struct {
	LIID     li.LIID   `json:"liid"`
	CIN      li.CIN    `json:"cin"`
	Segment  uint32    `json:"segment"` // 1, 2, … within the CIN
	Kind     Kind      `json:"kind"`
	FirstSeq uint32    `json:"first_seq"`
	LastSeq  uint32    `json:"last_seq"`
	Created  time.Time `json:"created"`
	Salt     []byte    `json:"salt"` // 32 random octets
}

// IRIRecord is one SIP message. Its JSON form is what iri.jsonl holds.
type IRIRecord struct {
	Seq       uint32         `json:"seq"`       // per CIN, from 0
	Type      string         `json:"type"`      // begin, continue, end, report
	Time      time.Time      `json:"time"`      // at the tap, UTC
	Direction string         `json:"direction"` // from_target, to_target, unknown
	Src       netip.AddrPort `json:"src"`       // network layer
	Dst       netip.AddrPort `json:"dst"`
	Method    string         `json:"method"`
	Status    int            `json:"status,omitempty"`
	SIP       []byte         `json:"sip"`
	Element   string         `json:"element"` // the gateway that copied it
}

// CCRecord is one media packet, as an IP packet with UDP inside.
type CCRecord struct {
	Seq       uint32 // per CIN, from 0, both directions together
	Time      time.Time
	Direction x2x3.Direction
	Format    x2x3.Format
	Decrypted bool // the packet came encrypted and stands here decrypted
	Packet    []byte
}

// decryptedBit marks such a packet in the encoded format.
const decryptedBit = 1 << 15

// Gap says what is missing and why, where it is missing.
type Gap struct {
	Kind    Kind      `json:"kind"`
	After   uint32    `json:"after"`   // sequence number at the tap of the last record before
	Missing uint32    `json:"missing"` // how many; 0 = unknown
	Time    time.Time `json:"time"`
	Cause   string    `json:"cause"`
}

// Record is exactly one of its fields.
type Record struct {
	IRI *IRIRecord
	CC  *CCRecord
	Gap *Gap
}

// Time is when the record was intercepted, or the gap noticed.
func (r Record) Time() time.Time {
	switch {
	case r.IRI != nil:
		return r.IRI.Time
	case r.CC != nil:
		return r.CC.Time
	}
	return r.Gap.Time
}

const (
	magic        = "ligate-segment/1\n"
	saltBytes    = 32
	recordIRI    = 1
	recordCC     = 2
	recordGap    = 3
	ccFixed      = 4 + 8 + 2 + 2
	maxRecord    = 1 << 18
	maxHeader    = 4096
	maxPlaintext = 64 << 20
)

// Errors of the format.
var (
	ErrFormat = errors.New("segment: not a segment of ligate-segment/1")
	ErrRecord = errors.New("segment: a record is malformed or of the wrong kind")
	ErrHeader = errors.New("segment: the header is malformed")
)

// NewSalt makes a header's salt.
func NewSalt() []byte {
	b := make([]byte, saltBytes)
	_, _ = rand.Read(b) // never fails
	return b
}

func (h Header) valid() bool {
	_, err := li.ParseLIID(string(h.LIID))
	return err == nil && h.CIN != 0 && h.Segment != 0 && len(h.Salt) == saltBytes && !h.Created.IsZero() &&
		(h.Kind == KindIRI || h.Kind == KindCC)
}

// Encode writes a segment's plaintext.
func Encode(h Header, records []Record) ([]byte, error) {
	if !h.valid() {
		return nil, ErrHeader
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, ErrHeader
	}
	b := append(append(append(make([]byte, 0, len(magic)+len(head)+256*len(records)), magic...), head...), '\n')
	for _, r := range records {
		if b, err = appendRecord(b, h.Kind, r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendRecord(b []byte, kind Kind, r Record) ([]byte, error) {
	switch {
	case r.IRI != nil && kind == KindIRI:
		return appendJSON(b, recordIRI, r.IRI)
	case r.Gap != nil:
		return appendJSON(b, recordGap, r.Gap)
	case r.CC != nil && kind == KindCC:
		b = append(b, recordCC)
		b = binary.BigEndian.AppendUint32(b, uint32(ccFixed+len(r.CC.Packet)))
		b = binary.BigEndian.AppendUint32(b, r.CC.Seq)
		b = binary.BigEndian.AppendUint64(b, uint64(r.CC.Time.UnixNano()))
		b = binary.BigEndian.AppendUint16(b, uint16(r.CC.Direction))
		format := uint16(r.CC.Format)
		if r.CC.Decrypted {
			format |= decryptedBit
		}
		b = binary.BigEndian.AppendUint16(b, format)
		return append(b, r.CC.Packet...), nil
	}
	return nil, ErrRecord
}

func appendJSON(b []byte, kind byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil || len(body) > maxRecord {
		return nil, ErrRecord
	}
	b = binary.BigEndian.AppendUint32(append(b, kind), uint32(len(body)))
	return append(b, body...), nil
}

// Decode reads a segment's plaintext. CC packets alias b.
func Decode(b []byte) (Header, []Record, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok || len(b) > maxPlaintext {
		return Header{}, nil, ErrFormat
	}
	head, rest, ok := bytes.Cut(rest, []byte("\n"))
	var h Header
	if !ok || len(head) > maxHeader || strict(head, &h) != nil || !h.valid() {
		return Header{}, nil, ErrHeader
	}
	var records []Record
	for len(rest) > 0 {
		if len(rest) < 5 {
			return Header{}, nil, ErrRecord
		}
		kind, n := rest[0], binary.BigEndian.Uint32(rest[1:])
		if n > maxRecord || int(n) > len(rest)-5 {
			return Header{}, nil, ErrRecord
		}
		r, err := decodeRecord(h.Kind, kind, rest[5:5+n:5+n])
		if err != nil {
			return Header{}, nil, err
		}
		records, rest = append(records, r), rest[5+n:]
	}
	return h, records, nil
}

func decodeRecord(of Kind, kind byte, body []byte) (Record, error) {
	switch {
	case kind == recordIRI && of == KindIRI:
		r := new(IRIRecord)
		return Record{IRI: r}, strict(body, r)
	case kind == recordGap:
		g := new(Gap)
		return Record{Gap: g}, strict(body, g)
	case kind == recordCC && of == KindCC && len(body) >= ccFixed:
		return Record{CC: &CCRecord{
			Seq:       binary.BigEndian.Uint32(body),
			Time:      time.Unix(0, int64(binary.BigEndian.Uint64(body[4:]))).UTC(),
			Direction: x2x3.Direction(binary.BigEndian.Uint16(body[12:])),
			Format:    x2x3.Format(binary.BigEndian.Uint16(body[14:]) &^ decryptedBit),
			Decrypted: binary.BigEndian.Uint16(body[14:])&decryptedBit != 0,
			Packet:    body[ccFixed:],
		}}, nil
	}
	return Record{}, ErrRecord
}

// strict reads JSON without unknown fields or trailing octets.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if dec.Decode(v) != nil || dec.InputOffset() != int64(len(b)) {
		return ErrRecord
	}
	return nil
}

package etsi

import (
	"time"

	"github.com/ligate/ligate/li"
)

// Stream is what all PS-PDUs of one (LIID, CIN) carry alike (TS 102 232-1 clause 5.2).
// In a decoded PDU, optional fields that were not sent are empty.
type Stream struct {
	LIID            li.LIID
	AuthCountry     string     // authorizationCountryCode, two capitals; clause 5.2.3
	Operator        string     // operatorIdentifier, 1 to 16 visible ASCII characters
	Element         string     // networkElementIdentifier, 0 to 16 octets
	CIN             uint32     // only with HasCIN; clause 5.2.4
	HasCIN          bool       // HI1 and keep-alives have none; IRI and CC need one
	DeliveryCountry string     // deliveryCountryCode, two capitals, or empty
	PointID         string     // interceptionPointID, PrintableString of 0 to 8; clause 5.2.11
	Times           TimeFormat // of the header
}

// Sizes of the schema.
const (
	maxNetworkBytes = 16
	maxPointBytes   = 8
)

// ourVersion is the last arc of our li-psDomainId.
const ourVersion = 43

// domainID is the contents of {0 4 0 2 2 5 1}: li-psDomainId without its version.
const domainID = "\x04\x00\x02\x02\x05\x01"

// Encoder appends PS-PDUs of one Stream. It is not safe for concurrent use.
type Encoder struct {
	stream Stream
	fixed  []byte // header fields [0] to [3]
	bare   []byte // the same without a CIN, for HI1 and keep-alives
}

// NewEncoder validates s as no decoder does: sizes and alphabets.
func NewEncoder(s Stream) (*Encoder, error) {
	if _, err := li.ParseLIID(string(s.LIID)); err != nil {
		return nil, ErrLIID
	}
	if len(s.Operator) == 0 || len(s.Operator) > maxNetworkBytes || len(s.Element) > maxNetworkBytes ||
		len(s.PointID) > maxPointBytes {
		return nil, ErrSize
	}
	if !isCountry(s.AuthCountry) || s.DeliveryCountry != "" && !isCountry(s.DeliveryCountry) ||
		!isVisible(s.Operator) || !isPrintable(s.PointID) {
		return nil, ErrAlphabet
	}
	if s.Times > TimeGeneralized {
		return nil, ErrEnum
	}
	e := &Encoder{stream: s, fixed: appendFixed(nil, &s)}
	s.HasCIN, s.CIN = false, 0
	e.bare = appendFixed(nil, &s)
	return e, nil
}

// appendFixed appends the fields of PSHeader that are alike in all PDUs.
func appendFixed(dst []byte, s *Stream) []byte {
	dst = appendOctets(dst, ctx+0, domainID+string([]byte{ourVersion}))
	dst = appendOctets(dst, ctx+1, s.LIID)
	dst = appendOctets(dst, ctx+2, s.AuthCountry)
	dst, communication := open(dst, cons+3, 0)
	dst, network := open(dst, cons+0, 0)
	dst = appendOctets(dst, ctx+0, s.Operator)
	if s.Element != "" {
		dst = appendOctets(dst, ctx+1, s.Element)
	}
	dst = end(dst, network)
	if s.HasCIN {
		dst = appendUint(dst, ctx+1, uint64(s.CIN))
	}
	if s.DeliveryCountry != "" {
		dst = appendOctets(dst, ctx+2, s.DeliveryCountry)
	}
	return end(dst, communication)
}

// begun is a PDU whose payload is being written.
type begun struct {
	start        int
	pdu, payload mark
}

// begin appends a PS-PDU up to its payload of at least so many octets:
//
//	30 len PS-PDU
//	   A1 len pSHeader
//	      80 li-psDomainId  81 LIID  82 country  A3 communicationIdentifier
//	      84 sequenceNumber  85 timeStamp | A7 microSecondTimeStamp  86 point  88 qualifier
//	   A2 len payload
//
// Members stand in the order of the schema: 85 before 86, A7 after.
func (e *Encoder) begin(dst, fixed []byte, seq uint32, at time.Time, q Qualifier, atLeast int) ([]byte, begun, error) {
	if err := checkTime(at); err != nil {
		return dst, begun{}, err
	}
	if q > QualTimeOfAggregation {
		return dst, begun{}, ErrEnum
	}
	b := begun{start: len(dst)}
	dst, b.pdu = open(dst, tagSequence, atLeast+len(fixed))
	dst, header := open(dst, cons+1, len(fixed)+20)
	dst = append(dst, fixed...)
	dst = appendUint(dst, ctx+4, uint64(seq))
	if e.stream.Times == TimeGeneralized {
		dst = appendGeneralized(dst, ctx+5, at)
	}
	if e.stream.PointID != "" {
		dst = appendOctets(dst, ctx+6, e.stream.PointID)
	}
	if e.stream.Times == TimeMicro {
		dst = appendMicro(dst, cons+7, at)
	}
	dst = appendEnum(dst, ctx+8, q)
	dst = end(dst, header)
	dst, b.payload = open(dst, cons+2, atLeast)
	return dst, b, nil
}

// finish closes what begin opened.
func (b begun) finish(dst []byte) ([]byte, error) {
	dst = end(end(dst, b.payload), b.pdu)
	if len(dst)-b.start > MaxPDU {
		return dst[:b.start], ErrLength
	}
	return dst, nil
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// isVisible says whether all of s is ASCII from the space to the tilde.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isPrintable says whether s has only characters of PrintableString (X.680 clause 41.4).
func isPrintable(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c == ' ', c == '\'', c == '(', c == ')', c == '+', c == ',', c == '-', c == '.', c == '/', c == ':', c == '=', c == '?':
		default:
			return false
		}
	}
	return true
}

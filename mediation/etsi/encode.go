package etsi

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// The object identifiers: {0 4 0 2 2 5 1 43} for the header, and relative to {0 4 0 2
// 2} for the contents (RELATIVE-OID in TS 102 232-5).
const (
	version   = 43
	domainID  = "\x04\x00\x02\x02\x05\x01\x2b"
	iriID     = "\x05\x05\x11\x01"
	ccID      = "\x05\x05\x11\x02"
	maxLIID   = 50
	maxID     = 16
	maxPoint  = 8
	maxText   = 255
	maxNotice = 256
)

// Tags. Context-specific, constructed where bit 0x20 is set.
const (
	tagSequence = 0x30
	tagInteger  = 0x02
	ctx         = 0x80
	ctx0        = ctx
	con         = 0xa0
	con0        = con
)

// Encoder encodes the PS-PDUs of one Stream. It is not safe for concurrent use.
type Encoder struct {
	head  []byte // the header's fields before the number
	point []byte // interceptionPointID, encoded
	times TimeFormat
	body  []byte // scratch
}

// NewEncoder validates what decoders do not: sizes and alphabets.
func NewEncoder(s Stream) (*Encoder, error) {
	country := regexp.MustCompile(`^([A-Z]{2})?$`)
	printable := regexp.MustCompile(`^[A-Za-z0-9 '()+,./:=?-]*$`)
	switch {
	case s.LIID == "" || len(s.LIID) > maxLIID:
		return nil, fmt.Errorf("%w: LIID of 1 to 50 octets", ErrValue)
	case !country.MatchString(s.AuthCountry) || !country.MatchString(s.DeliveryCountry):
		return nil, fmt.Errorf("%w: country codes are two capitals", ErrValue)
	case s.Operator == "" || len(s.Operator) > maxID || len(s.Element) > maxID:
		return nil, fmt.Errorf("%w: operator of 1 to 16 octets, element of at most 16", ErrValue)
	case len(s.PointID) > maxPoint || !printable.MatchString(s.PointID):
		return nil, fmt.Errorf("%w: interception point of at most 8 printable characters", ErrValue)
	}
	var network, comm []byte
	network = appendTLV(network, ctx0, s.Operator)
	if s.Element != "" {
		network = appendTLV(network, ctx|1, s.Element)
	}
	comm = appendTLV(comm, con0, network)
	if s.HasCIN {
		comm = appendUint(comm, ctx|1, uint64(s.CIN))
	}
	if s.DeliveryCountry != "" {
		comm = appendTLV(comm, ctx|2, s.DeliveryCountry)
	}
	e := &Encoder{times: s.Times}
	e.head = appendTLV(e.head, ctx0, domainID)
	e.head = appendTLV(e.head, ctx|1, string(s.LIID))
	if s.AuthCountry != "" {
		e.head = appendTLV(e.head, ctx|2, s.AuthCountry)
	}
	e.head = appendTLV(e.head, con|3, comm)
	if s.PointID != "" {
		e.point = appendTLV(e.point, ctx|6, s.PointID)
	}
	return e, nil
}

// moment is the header's variable part.
type moment struct {
	seq       uint32
	at        time.Time
	qualifier Qualifier
}

const generalized = "20060102150405.000000Z"

// validTime: what both forms of time stamp can say.
func validTime(at time.Time) bool { return at.Unix() >= 0 && at.Year() <= 9999 }

// headSize is the length of the header's content.
func (e *Encoder) headSize(m moment) int {
	n := len(e.head) + 2 + uintSize(uint64(m.seq)) + len(e.point)
	if e.times == TimeGeneralized {
		n += 2 + len(generalized)
	} else {
		n += 2 + 4 + uintSize(uint64(m.at.Unix())) + uintSize(micros(m.at)) //nolint:gosec // validTime
	}
	if m.qualifier != QualUnknown {
		n += 3
	}
	return n
}

func micros(at time.Time) uint64 { return uint64(at.Nanosecond() / 1000) } //nolint:gosec // below 10^6

// begin appends everything before the payload's alternative, which has size octets.
func (e *Encoder) begin(dst []byte, m moment, size int) []byte {
	head := e.headSize(m)
	dst = appendHead(dst, tagSequence, tlvSize(head)+tlvSize(size))
	dst = appendHead(dst, con|1, head)
	dst = append(dst, e.head...)
	dst = appendUint(dst, ctx|4, uint64(m.seq))
	if e.times == TimeGeneralized {
		dst = append(appendHead(dst, ctx|5, len(generalized)), 0)
		dst = m.at.UTC().AppendFormat(dst[:len(dst)-1], generalized)
		dst = append(dst, e.point...)
	} else {
		dst = append(dst, e.point...)
		seconds, micro := uint64(m.at.Unix()), micros(m.at) //nolint:gosec // validTime
		dst = appendHead(dst, con|7, 4+uintSize(seconds)+uintSize(micro))
		dst = appendUint(appendUint(dst, ctx0, seconds), ctx|1, micro)
	}
	if m.qualifier != QualUnknown {
		dst = append(dst, ctx|8, 1, byte(m.qualifier))
	}
	return appendHead(dst, con|2, size)
}

// AppendCC appends the PS-PDU of one packet. It does not allocate when dst has room.
//
//	A2 payload, A1 cCPayloadSequence, 30 CCPayload { 80 direction, A2 cCContents,
//	  AC iPMMCC { 80 id, 81 packet, 82 frame type, 83 stream, 84 protocol } }
func (e *Encoder) AppendCC(dst []byte, c *CC) ([]byte, error) {
	if !validTime(c.Time) || c.Direction > DirNotApplicable || c.Frame > FrameMSRP || len(c.Packet) > MaxPDU/2 || c.Qualifier > QualTimeOfAggregation {
		return dst, ErrValue
	}
	mm := 2 + len(ccID) + tlvSize(len(c.Packet)) + 3
	if c.StreamID != nil {
		mm += tlvSize(len(c.StreamID))
	}
	if c.UDPTL {
		mm += 3
	}
	contents := tlvSize(mm)
	payload := tlvSize(contents)
	if c.Direction != DirNotApplicable {
		payload += 3
	}
	dst = e.begin(dst, moment{c.Seq, c.Time, c.Qualifier}, tlvSize(tlvSize(payload)))
	dst = appendHead(dst, con|1, tlvSize(payload))
	dst = appendHead(dst, tagSequence, payload)
	if c.Direction != DirNotApplicable {
		dst = append(dst, ctx0, 1, byte(c.Direction))
	}
	dst = appendHead(dst, con|2, contents)
	dst = appendHead(dst, con|12, mm)
	dst = append(append(dst, ctx0, byte(len(ccID))), ccID...)
	dst = append(appendHead(dst, ctx|1, len(c.Packet)), c.Packet...)
	dst = append(dst, ctx|2, 1, byte(c.Frame))
	if c.StreamID != nil {
		dst = append(appendHead(dst, ctx|3, len(c.StreamID)), c.StreamID...)
	}
	if c.UDPTL {
		dst = append(dst, ctx|4, 1, 2)
	}
	return dst, nil
}

// AppendIRI appends the PS-PDU of one SIP message.
//
//	A2 payload, A0 iRIPayloadSequence, 30 IRIPayload { 80 type, A2 iRIContents,
//	  AB iPMMIRI { 80 id, A1 contents, A1 sIPMessage { A0 from, A1 to, 82 SIP } }, 86 direction }
func (e *Encoder) AppendIRI(dst []byte, r *IRI) ([]byte, error) {
	if !validTime(r.Time) || r.Type < Begin || r.Type > Report || r.Direction > DirNotApplicable || len(r.SIP) > MaxPDU/2 ||
		!r.Src.IsValid() || !r.Dst.IsValid() || r.Qualifier > QualTimeOfAggregation {
		return dst, ErrValue
	}
	tag := byte(con | 1)
	if r.IRIOnly {
		tag = con | 6
	}
	b := appendAddress(e.body[:0], con0, r.Src)
	b = appendAddress(b, con|1, r.Dst)
	e.body = b
	message := len(b) + tlvSize(len(r.SIP))
	contents := tlvSize(message)
	mm := 2 + len(iriID) + tlvSize(contents)
	payload := 3 + tlvSize(tlvSize(mm))
	if r.Direction != DirNotApplicable {
		payload += 3
	}
	dst = e.begin(dst, moment{r.Seq, r.Time, r.Qualifier}, tlvSize(tlvSize(payload)))
	dst = appendHead(dst, con0, tlvSize(payload))
	dst = appendHead(dst, tagSequence, payload)
	dst = append(dst, ctx0, 1, byte(r.Type))
	dst = appendHead(dst, con|2, tlvSize(mm))
	dst = appendHead(dst, con|11, mm)
	dst = append(append(dst, ctx0, byte(len(iriID))), iriID...)
	dst = appendHead(dst, con|1, contents)
	dst = appendHead(dst, tag, message)
	dst = append(dst, b...)
	dst = append(appendHead(dst, ctx|2, len(r.SIP)), r.SIP...)
	if r.Direction != DirNotApplicable {
		dst = append(dst, ctx|6, 1, byte(r.Direction))
	}
	return dst, nil
}

// appendAddress appends IPAddress: type, binary value, "not known" how it was
// assigned and, for IPv6, the prefix length that is mandatory there.
func appendAddress(dst []byte, tag byte, a netip.Addr) []byte {
	a = a.Unmap()
	if a.Is4() {
		v := a.As4()
		dst = append(dst, tag, 14, ctx|1, 1, 0, con|2, 6, ctx|1, 4)
		return append(append(dst, v[:]...), ctx|3, 1, 3)
	}
	v := a.As16()
	dst = append(dst, tag, 30, ctx|1, 1, 1, con|2, 18, ctx|1, 16)
	return append(append(dst, v[:]...), ctx|3, 1, 3, ctx|4, 2, 0, 128)
}

func uintSize(v uint64) int {
	n := 1
	for ; v > 127; v >>= 8 {
		n++
	}
	return n
}

// appendUint appends an INTEGER that is not negative, minimal.
func appendUint(dst []byte, tag byte, v uint64) []byte {
	n := uintSize(v)
	dst = append(dst, tag, byte(n))
	for i := n - 1; i >= 0; i-- {
		if i > 7 {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}

// lengthSize is how many octets a length takes.
func lengthSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	case n < 1<<24:
		return 4
	}
	return 5
}

// tlvSize is the size of tag, length and n octets; every tag here is one octet.
func tlvSize(n int) int { return 1 + lengthSize(n) + n }

func appendHead(dst []byte, tag byte, n int) []byte {
	switch lengthSize(n) {
	case 1:
		return append(dst, tag, byte(n))
	case 2:
		return append(dst, tag, 0x81, byte(n))
	case 3:
		return append(dst, tag, 0x82, byte(n>>8), byte(n))
	case 4:
		return append(dst, tag, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, tag, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendTLV[T []byte | string](dst []byte, tag byte, v T) []byte {
	return append(appendHead(dst, tag, len(v)), v...)
}

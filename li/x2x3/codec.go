package x2x3

import (
	"encoding/binary"
	"net/netip"

	"github.com/ligate/ligate/li"
)

// Limits of what is written and read.
const (
	headerBytes     = 40
	maxHeaderBytes  = 1 << 16
	maxPayloadBytes = 1 << 17 // a SIP message over TCP; media stays below 1.7 kB
	maxNameBytes    = 256     // of DID, NFID, IPID
	maxRepeated     = 64      // attributes of one type
	version         = 0x0005

	// MaxPDUBytes bounds one encoded PDU.
	MaxPDUBytes = maxHeaderBytes + maxPayloadBytes
)

// AppendPDU appends the encoded PDU to dst.
//
//	 0        2      4          8           12       14         16    32           40
//	+--------+------+----------+-----------+--------+----------+-----+------------+------------+---------+
//	| version| type | header   | payload   | format | direction| XID | correlation| attributes | payload |
//	|        |      | length   | length    |        |          |     | id         | type,len,v |         |
//	+--------+------+----------+-----------+--------+----------+-----+------------+------------+---------+
func AppendPDU(dst []byte, p *PDU) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return dst, err
	}
	if len(p.Payload) > maxPayloadBytes {
		return dst, ErrLength
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.Type))
	dst = append(dst, 0, 0, 0, 0) // header length, known at the end
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Payload)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.Format))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.Direction))
	dst = append(dst, p.XID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, p.Correlation)
	dst, err := appendAttributes(dst, p)
	header := len(dst) - start
	if err == nil && header > maxHeaderBytes {
		err = ErrLength
	}
	if err != nil {
		return dst[:start], err
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(header))
	return append(dst, p.Payload...), nil
}

// Validate reports whether the PDU is one that the specification knows: its type, a
// format of that type, a direction; of a keep-alive, that it holds its number only.
func (p *PDU) Validate() error {
	switch p.Type {
	case X2, X3:
		if !p.Type.Carries(p.Format) {
			return ErrFormat
		}
		if p.Direction < DirectionUnknown || p.Direction > NotApplicable {
			return ErrDirection
		}
		return nil
	case Keepalive, KeepaliveAck:
		return p.validateKeepalive()
	}
	return ErrType
}

func (p *PDU) validateKeepalive() error {
	bare := p.Format == FormatKeepalive && p.Direction == DirectionKeepalive && p.XID == li.XID{} && p.Correlation == 0 &&
		p.Time.IsZero() && p.NFID == "" && p.Src == netip.AddrPort{} && p.Dst == netip.AddrPort{} && len(p.Event) == 0 && !p.Decrypted &&
		p.Extra == nil && len(p.Payload) == 0
	if !bare || !p.HasSequence {
		return ErrKeepalive
	}
	return nil
}

// AppendKeepalive appends the keep-alive of that number (clause 6.2.4), 48 octets.
func AppendKeepalive(dst []byte, seq uint32) []byte { return appendBare(dst, Keepalive, seq) }

// AppendKeepaliveAck appends the answer to the keep-alive of that number.
func AppendKeepaliveAck(dst []byte, seq uint32) []byte { return appendBare(dst, KeepaliveAck, seq) }

func appendBare(dst []byte, t Type, seq uint32) []byte {
	dst, err := AppendPDU(dst, &PDU{Type: t, Sequence: seq, HasSequence: true})
	if err != nil {
		panic("x2x3: a keep-alive cannot be encoded")
	}
	return dst
}

// DecodePDU reads the first PDU of b and returns how many octets it took. Payload,
// Event and the octets of Extra alias b. ErrShort means that b holds the beginning of
// a PDU. What it returns need not be valid: a format or direction that is not known
// here does not keep the next PDU from being read.
func DecodePDU(b []byte) (p PDU, n int, err error) { return new(Decoder).Decode(b) }

// Decoder decodes PDUs one after the other. It remembers the network element, which
// rarely changes, so that decoding our own PDUs does not allocate. The zero value is
// ready.
type Decoder struct{ nfid string }

// Decode is DecodePDU.
func (d *Decoder) Decode(b []byte) (p PDU, n int, err error) {
	if n, err = frame(b); err != nil {
		return PDU{}, 0, err
	}
	if len(b) < n {
		return PDU{}, 0, ErrShort
	}
	header := binary.BigEndian.Uint32(b[4:])
	p.Type = Type(binary.BigEndian.Uint16(b[2:]))
	p.Format = Format(binary.BigEndian.Uint16(b[12:]))
	p.Direction = Direction(binary.BigEndian.Uint16(b[14:]))
	p.XID = li.XID(b[16:32])
	p.Correlation = binary.BigEndian.Uint64(b[32:])
	if err := d.attributes(&p, b[headerBytes:header]); err != nil {
		return PDU{}, 0, err
	}
	p.Payload = b[header:n:n]
	return p, n, nil
}

// frame returns how long the first PDU of b is. It looks at no octet twice and finds
// a fault at the first octet that shows it.
func frame(b []byte) (n int, err error) {
	if len(b) > 0 && b[0] != 0 {
		return 0, ErrVersion
	}
	if len(b) < 4 {
		return 0, ErrShort
	}
	if t := Type(binary.BigEndian.Uint16(b[2:])); t < X2 || t > KeepaliveAck {
		return 0, ErrType
	}
	if len(b) < 8 {
		return 0, ErrShort
	}
	header := binary.BigEndian.Uint32(b[4:])
	if header < headerBytes || header > maxHeaderBytes {
		return 0, ErrLength
	}
	if len(b) < 12 {
		return 0, ErrShort
	}
	payload := binary.BigEndian.Uint32(b[8:])
	if payload > maxPayloadBytes {
		return 0, ErrLength
	}
	return int(header + payload), nil
}

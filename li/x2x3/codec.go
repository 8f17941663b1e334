package x2x3

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
)

// Limits of what is written and read.
const (
	headerBytes     = 40
	maxHeaderBytes  = 4096
	maxPayloadBytes = 1 << 17 // a SIP message over TCP; media stays below 1.7 kB
	maxNFIDBytes    = 128
	version         = 0x0005
)

// Attribute types of clause 5.3.
const (
	attrProprietary = 4
	attrNFID        = 6
	attrSequence    = 8
	attrTime        = 9
	attrSrcIPv4     = 10
	attrDstIPv4     = 11
	attrSrcIPv6     = 12
	attrDstIPv6     = 13
	attrSrcPort     = 14
	attrDstPort     = 15
)

// decrypted is the value of attribute 4 in X3.
const decrypted = 1

// Errors of the codec.
var (
	ErrShort   = errors.New("x2x3: more octets are needed")
	ErrVersion = errors.New("x2x3: major version is not 0")
	ErrType    = errors.New("x2x3: unknown PDU type")
	ErrLength  = errors.New("x2x3: a length is out of bounds")
	ErrAttr    = errors.New("x2x3: an attribute has the wrong size")
	ErrTime    = errors.New("x2x3: time is outside 1970 to 2106")
)

// AppendPDU appends the encoded PDU to dst.
//
//	 0        2      4          8           12       14         16    32           40
//	+--------+------+----------+-----------+--------+----------+-----+------------+------------+---------+
//	| version| type | header   | payload   | format | direction| XID | correlation| attributes | payload |
//	|        |      | length   | length    |        |          |     | id         | type,len,v |         |
//	+--------+------+----------+-----------+--------+----------+-----+------------+------------+---------+
func AppendPDU(dst []byte, p *PDU) ([]byte, error) {
	if p.Type < X2 || p.Type > KeepaliveAck {
		return dst, ErrType
	}
	if len(p.Payload) > maxPayloadBytes || len(p.NFID) > maxNFIDBytes || len(p.Event) > maxNFIDBytes {
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
	if err != nil {
		return dst[:start], err
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start))
	return append(dst, p.Payload...), nil
}

func appendAttributes(dst []byte, p *PDU) ([]byte, error) {
	if len(p.Event) > 0 {
		dst = append(attr(dst, attrProprietary, len(p.Event)), p.Event...)
	}
	if p.Decrypted && p.Type == X3 {
		dst = append(attr(dst, attrProprietary, 1), decrypted)
	}
	if p.NFID != "" {
		dst = append(attr(dst, attrNFID, len(p.NFID)), p.NFID...)
	}
	if p.HasSequence {
		dst = binary.BigEndian.AppendUint32(attr(dst, attrSequence, 4), p.Sequence)
	}
	if !p.Time.IsZero() {
		sec := p.Time.Unix()
		if sec < 0 || sec > 1<<32-1 {
			return dst, ErrTime
		}
		dst = binary.BigEndian.AppendUint32(attr(dst, attrTime, 8), uint32(sec))
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.Time.Nanosecond()))
	}
	dst = appendAddr(dst, p.Src, attrSrcIPv4, attrSrcIPv6)
	dst = appendAddr(dst, p.Dst, attrDstIPv4, attrDstIPv6)
	if p.Src.IsValid() {
		dst = binary.BigEndian.AppendUint16(attr(dst, attrSrcPort, 2), p.Src.Port())
	}
	if p.Dst.IsValid() {
		dst = binary.BigEndian.AppendUint16(attr(dst, attrDstPort, 2), p.Dst.Port())
	}
	return dst, nil
}

func attr(dst []byte, kind, size int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(kind))
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}

func appendAddr(dst []byte, a netip.AddrPort, v4, v6 int) []byte {
	switch addr := a.Addr().Unmap(); {
	case !addr.IsValid():
		return dst
	case addr.Is4():
		b := addr.As4()
		return append(attr(dst, v4, 4), b[:]...)
	default:
		b := addr.As16()
		return append(attr(dst, v6, 16), b[:]...)
	}
}

// DecodePDU reads the first PDU of b and returns how many octets it took. Payload
// and Event alias b. ErrShort means that b holds the beginning of a PDU.
func DecodePDU(b []byte) (p PDU, n int, err error) {
	if len(b) < headerBytes {
		return PDU{}, 0, ErrShort
	}
	if b[0] != 0 {
		return PDU{}, 0, ErrVersion
	}
	p.Type = Type(binary.BigEndian.Uint16(b[2:]))
	if p.Type < X2 || p.Type > KeepaliveAck {
		return PDU{}, 0, ErrType
	}
	header, payload := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	if header < headerBytes || header > maxHeaderBytes || payload > maxPayloadBytes {
		return PDU{}, 0, ErrLength
	}
	n = int(header + payload)
	if len(b) < n {
		return PDU{}, 0, ErrShort
	}
	p.Format = Format(binary.BigEndian.Uint16(b[12:]))
	p.Direction = Direction(binary.BigEndian.Uint16(b[14:]))
	p.XID = li.XID(b[16:32])
	p.Correlation = binary.BigEndian.Uint64(b[32:])
	if err := decodeAttributes(&p, b[headerBytes:header]); err != nil {
		return PDU{}, 0, err
	}
	p.Payload = b[header:n:n]
	return p, n, nil
}

// decodeAttributes skips unknown types and takes the first of a repeated one
// (clause 5.3.1).
func decodeAttributes(p *PDU, b []byte) error {
	var seen uint32
	var src, dst netip.Addr
	var srcPort, dstPort uint16
	for len(b) > 0 {
		if len(b) < 4 {
			return ErrAttr
		}
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			return ErrAttr
		}
		v := b[4 : 4+size : 4+size]
		b = b[4+size:]
		if kind >= 32 || seen&(1<<kind) != 0 {
			continue
		}
		seen |= 1 << kind
		switch kind {
		case attrProprietary:
			switch {
			case p.Type == X3:
				p.Decrypted = size == 1 && v[0] == decrypted
			case size > 0:
				p.Event = v[:size:size]
			}
		case attrNFID:
			p.NFID = string(v)
		case attrSequence, attrTime:
			if err := decodeNumbers(p, kind, v); err != nil {
				return err
			}
		case attrSrcIPv4, attrSrcIPv6, attrDstIPv4, attrDstIPv6:
			addr, ok := netip.AddrFromSlice(v)
			if !ok || addr.Is4() != (kind <= attrDstIPv4) {
				return ErrAttr
			}
			at := &dst
			if kind == attrSrcIPv4 || kind == attrSrcIPv6 {
				at = &src
			}
			if !at.IsValid() {
				*at = addr
			}
		case attrSrcPort, attrDstPort:
			if size != 2 {
				return ErrAttr
			}
			if kind == attrSrcPort {
				srcPort = binary.BigEndian.Uint16(v)
			} else {
				dstPort = binary.BigEndian.Uint16(v)
			}
		}
	}
	p.Src, p.Dst = addrPort(src, srcPort), addrPort(dst, dstPort)
	return nil
}

func decodeNumbers(p *PDU, kind uint16, v []byte) error {
	switch {
	case kind == attrSequence && len(v) == 4:
		p.Sequence, p.HasSequence = binary.BigEndian.Uint32(v), true
	case kind == attrTime && len(v) == 8:
		nanos := binary.BigEndian.Uint32(v[4:])
		if nanos >= uint32(time.Second) {
			return ErrAttr
		}
		p.Time = time.Unix(int64(binary.BigEndian.Uint32(v)), int64(nanos)).UTC()
	default:
		return ErrAttr
	}
	return nil
}

// addrPort is zero for an address that was not there.
func addrPort(a netip.Addr, port uint16) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Unmap(), port)
}

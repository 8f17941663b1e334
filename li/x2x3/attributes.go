package x2x3

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
)

// Attribute types of clause 5.3.
const (
	attrTS1022321 = iota + 1
	attrTS33128
	attrTS33108
	attrProprietary
	attrDID
	attrNFID
	attrIPID
	attrSequence
	attrTime
	attrSrcIPv4
	attrDstIPv4
	attrSrcIPv6
	attrDstIPv6
	attrSrcPort
	attrDstPort
	attrIPProtocol
	attrMatched
	attrOther
	attrMIMEType
	attrMIMEEncoding
	attrAdditional
	attrSDP
)

// decrypted is the value of attribute 4 in our X3.
const decrypted = 1

const (
	additionalBytes    = 16 + 8 // XID and correlation; the sequence number may follow
	additionalSequence = additionalBytes + 4
)

// appendAttributes writes in the order of types. What is longer than a length field
// can say also makes the header too long, which the caller finds.
func appendAttributes(dst []byte, p *PDU) ([]byte, error) {
	e := p.Extra
	if e == nil {
		e = &Extra{}
	}
	if len(p.NFID) > maxNameBytes || len(e.DID) > maxNameBytes || len(e.IPID) > maxNameBytes ||
		len(e.Matched) > maxRepeated || len(e.Other) > maxRepeated || len(e.Additional) > maxRepeated {
		return dst, ErrLength
	}
	dst = octets(dst, attrTS1022321, e.TS1022321)
	dst = octets(dst, attrTS33128, e.TS33128)
	dst = octets(dst, attrTS33108, e.TS33108)
	switch {
	case p.Type != X3:
		dst = octets(dst, attrProprietary, p.Event)
	case p.Decrypted:
		dst = append(attr(dst, attrProprietary, 1), decrypted)
	default:
		dst = octets(dst, attrProprietary, e.Proprietary)
	}
	dst = octets(dst, attrDID, e.DID)
	dst = octets(dst, attrNFID, p.NFID)
	dst = octets(dst, attrIPID, e.IPID)
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
	dst = appendPort(dst, p.Src, attrSrcPort)
	dst = appendPort(dst, p.Dst, attrDstPort)
	if p.Extra != nil {
		dst = appendExtra(dst, e)
	}
	return dst, nil
}

// appendExtra writes the attributes from 16 on.
func appendExtra(dst []byte, e *Extra) []byte {
	if e.IPProtocol != 0 {
		dst = append(attr(dst, attrIPProtocol, 1), e.IPProtocol)
	}
	for _, id := range e.Matched {
		dst = octets(dst, attrMatched, id)
	}
	for _, id := range e.Other {
		dst = octets(dst, attrOther, id)
	}
	dst = octets(dst, attrMIMEType, e.MIMEType)
	dst = octets(dst, attrMIMEEncoding, e.MIMEEncoding)
	for _, x := range e.Additional {
		size := additionalBytes
		if x.HasSequence {
			size = additionalSequence
		}
		dst = append(attr(dst, attrAdditional, size), x.XID[:]...)
		dst = binary.BigEndian.AppendUint64(dst, x.Correlation)
		if x.HasSequence {
			dst = binary.BigEndian.AppendUint32(dst, x.Sequence)
		}
	}
	return octets(dst, attrSDP, e.SDP)
}

func attr(dst []byte, kind, size int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(kind))
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}

// octets writes an attribute unless it is empty.
func octets[T string | []byte](dst []byte, kind int, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return append(attr(dst, kind, len(v)), v...)
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

func appendPort(dst []byte, a netip.AddrPort, kind int) []byte {
	if !a.IsValid() || a.Port() == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint16(attr(dst, kind, 2), a.Port())
}

// attributes skips unknown types and takes the first of a repeated one (clause
// 5.3.1), but for those that may stand there several times. An empty attribute is an
// absent one, if its size may differ.
func (d *Decoder) attributes(p *PDU, b []byte) error {
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
		if kind < attrTS1022321 || kind > attrSDP || seen&(1<<kind) != 0 && !several(kind) {
			continue
		}
		seen |= 1 << kind
		var err error
		switch kind {
		case attrNFID:
			err = d.name(p, v)
		case attrSequence, attrTime:
			err = decodeNumbers(p, kind, v)
		case attrSrcIPv4, attrSrcIPv6:
			err = decodeAddr(&src, v, kind == attrSrcIPv4)
		case attrDstIPv4, attrDstIPv6:
			err = decodeAddr(&dst, v, kind == attrDstIPv4)
		case attrSrcPort:
			err = decodePort(&srcPort, v)
		case attrDstPort:
			err = decodePort(&dstPort, v)
		default:
			err = decodeRare(p, kind, v)
		}
		if err != nil {
			return err
		}
	}
	p.Src, p.Dst = addrPort(src, srcPort), addrPort(dst, dstPort)
	return nil
}

// addrPort is zero for an address that was not there: a port alone is nothing.
func addrPort(a netip.Addr, port uint16) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, port)
}

func several(kind uint16) bool {
	return kind == attrMatched || kind == attrOther || kind == attrAdditional
}

func (d *Decoder) name(p *PDU, v []byte) error {
	if len(v) > maxNameBytes {
		return ErrAttr
	}
	if d.nfid != string(v) {
		d.nfid = string(v)
	}
	p.NFID = d.nfid
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

// decodeAddr keeps the first of two addresses of different families.
func decodeAddr(to *netip.Addr, v []byte, v4 bool) error {
	addr, ok := netip.AddrFromSlice(v)
	if !ok || addr.Is4() != v4 {
		return ErrAttr
	}
	if !to.IsValid() {
		*to = addr.Unmap()
	}
	return nil
}

func decodePort(to *uint16, v []byte) error {
	if len(v) != 2 {
		return ErrAttr
	}
	*to = binary.BigEndian.Uint16(v)
	return nil
}

// decodeRare takes what our own PDUs do not have, and attribute 4.
func decodeRare(p *PDU, kind uint16, v []byte) error {
	if len(v) == 0 && kind != attrIPProtocol && kind != attrAdditional {
		return nil
	}
	if kind == attrProprietary {
		switch {
		case p.Type != X3:
			p.Event = v
			return nil
		case len(v) == 1 && v[0] == decrypted:
			p.Decrypted = true
			return nil
		}
	}
	if p.Extra == nil {
		p.Extra = &Extra{}
	}
	return p.Extra.decode(kind, v)
}

func (e *Extra) decode(kind uint16, v []byte) error {
	switch kind {
	case attrTS1022321:
		e.TS1022321 = v
	case attrTS33128:
		e.TS33128 = v
	case attrTS33108:
		e.TS33108 = v
	case attrProprietary:
		e.Proprietary = v
	case attrDID:
		return decodeName(&e.DID, v)
	case attrIPID:
		return decodeName(&e.IPID, v)
	case attrIPProtocol:
		if len(v) != 1 {
			return ErrAttr
		}
		e.IPProtocol = v[0]
	case attrMatched:
		return decodeRepeated(&e.Matched, string(v))
	case attrOther:
		return decodeRepeated(&e.Other, string(v))
	case attrMIMEType:
		e.MIMEType = string(v)
	case attrMIMEEncoding:
		e.MIMEEncoding = string(v)
	case attrAdditional:
		return e.decodeAdditional(v)
	case attrSDP:
		e.SDP = v
	}
	return nil
}

func decodeName(to *string, v []byte) error {
	if len(v) > maxNameBytes {
		return ErrAttr
	}
	*to = string(v)
	return nil
}

func decodeRepeated[T any](to *[]T, v T) error {
	if len(*to) >= maxRepeated {
		return ErrAttr
	}
	*to = append(*to, v)
	return nil
}

func (e *Extra) decodeAdditional(v []byte) error {
	if len(v) != additionalBytes && len(v) != additionalSequence {
		return ErrAttr
	}
	x := AdditionalXID{XID: li.XID(v[:16]), Correlation: binary.BigEndian.Uint64(v[16:])}
	if len(v) == additionalSequence {
		x.Sequence, x.HasSequence = binary.BigEndian.Uint32(v[additionalBytes:]), true
	}
	return decodeRepeated(&e.Additional, x)
}

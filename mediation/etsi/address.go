package etsi

import (
	"net/netip"
	"strings"
)

// Values of IPAddress.
const (
	typeIPv4           = 0
	typeIPv6           = 1
	assignmentNotKnown = 3
	wholeAddress       = 128 // iPv6PrefixLength of one address; mandatory with a binary IPv6 value
)

// appendAddress appends an IPAddress (TS 102 232-1 annex A):
//
//	81 iP-type  A2 len iP-value { 81 iPBinaryAddress }  83 iP-assignment  84 iPv6PrefixLength
func appendAddress(dst []byte, tag byte, a netip.Addr) []byte {
	a = a.Unmap()
	dst, address := open(dst, tag, 0)
	if a.Is4() {
		b := a.As4()
		dst = appendEnum(dst, ctx+1, uint8(typeIPv4))
		dst = append(dst, cons+2, 6, ctx+1, 4)
		dst = append(dst, b[:]...)
	} else {
		b := a.As16()
		dst = appendEnum(dst, ctx+1, uint8(typeIPv6))
		dst = append(dst, cons+2, 18, ctx+1, 16)
		dst = append(dst, b[:]...)
	}
	dst = appendEnum(dst, ctx+3, uint8(assignmentNotKnown))
	if !a.Is4() {
		dst = appendUint(dst, ctx+4, wholeAddress)
	}
	return end(dst, address)
}

// readAddress reads an IPAddress; prefix, mask and assignment are not kept.
func readAddress(v []byte, to *netip.Addr) error {
	f := fields{rest: v, max: 6, unread: 1<<3 | 1<<4 | 1<<5 | 1<<6}
	var family uint8
	for f.next() {
		switch f.id {
		case ctx + 1:
			f.keep(readOpenEnum(f.value, &family))
		case cons + 2:
			value, err := only(f.value)
			f.keep(err)
			f.keep(readIPValue(value, to))
		default:
			f.skip()
		}
	}
	if err := f.done(1<<1 | 1<<2); err != nil {
		return err
	}
	if to.Is4() != (family == typeIPv4) || family > typeIPv6 {
		return ErrAddress
	}
	return nil
}

// readIPValue reads IP-value. A text may name a network (192.0.2.1/24): its address
// is what is kept.
func readIPValue(value element, to *netip.Addr) error {
	ok := false
	switch value.id {
	case ctx + 1:
		*to, ok = netip.AddrFromSlice(value.value)
	case ctx + 2:
		text, _, _ := strings.Cut(string(value.value), "/")
		a, err := netip.ParseAddr(text)
		*to, ok = a, err == nil && len(value.value) <= 45 && a.Zone() == ""
	}
	if !ok {
		return ErrAddress
	}
	return nil
}

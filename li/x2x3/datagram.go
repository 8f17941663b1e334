package x2x3

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ErrDatagram says that octets are not one whole IP packet with UDP inside.
var ErrDatagram = errors.New("x2x3: not an IP packet that holds one UDP datagram")

const (
	ipv4Bytes  = 20
	ipv6Bytes  = 40
	udpBytes   = 8
	protoUDP   = 17
	defaultTTL = 64
	maxUDP     = 65535 - udpBytes - ipv4Bytes
)

// AppendDatagram wraps a UDP payload into IP and UDP headers with right
// checksums, TTL 64 and identification 0, so that every kind of media travels in
// X3 format 5 or 6 and opens in ordinary tools. It does not allocate when dst has
// room. Both addresses must be of one family.
func AppendDatagram(dst []byte, from, to netip.AddrPort, payload []byte) ([]byte, Format, error) {
	src, dest := from.Addr().Unmap(), to.Addr().Unmap()
	if !src.IsValid() || src.Is4() != dest.Is4() || !dest.IsValid() || len(payload) > maxUDP {
		return dst, 0, ErrDatagram
	}
	length := udpBytes + len(payload)
	format := FormatIPv6
	var sum uint32
	if src.Is4() {
		format = FormatIPv4
		dst, sum = appendIPv4(dst, src, dest, length)
	} else {
		dst, sum = appendIPv6(dst, src, dest, length)
	}
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, from.Port())
	dst = binary.BigEndian.AppendUint16(dst, to.Port())
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = append(dst, 0, 0)
	dst = append(dst, payload...)
	check := fold(addWords(sum+protoUDP+uint32(length), dst[at:]))
	if check == 0 {
		check = 0xffff // zero means "no checksum" (RFC 768)
	}
	binary.BigEndian.PutUint16(dst[at+6:], check)
	return dst, format, nil
}

func appendIPv4(dst []byte, src, dest netip.Addr, length int) ([]byte, uint32) {
	at := len(dst)
	s, d := src.As4(), dest.As4()
	dst = append(dst, 0x45, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(ipv4Bytes+length))
	dst = append(dst, 0, 0, 0x40, 0, defaultTTL, protoUDP, 0, 0)
	dst = append(append(dst, s[:]...), d[:]...)
	binary.BigEndian.PutUint16(dst[at+10:], fold(addWords(0, dst[at:])))
	return dst, addWords(addWords(0, s[:]), d[:])
}

func appendIPv6(dst []byte, src, dest netip.Addr, length int) ([]byte, uint32) {
	s, d := src.As16(), dest.As16()
	dst = append(dst, 0x60, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = append(dst, protoUDP, defaultTTL)
	dst = append(append(dst, s[:]...), d[:]...)
	return dst, addWords(addWords(0, s[:]), d[:])
}

func addWords(sum uint32, b []byte) uint32 {
	for len(b) >= 2 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ParseDatagram takes a packet of format 5 or 6 apart. The payload aliases b.
func ParseDatagram(b []byte, f Format) (from, to netip.AddrPort, payload []byte, err error) {
	var src, dst netip.Addr
	var udp []byte
	switch {
	case f == FormatIPv4 && len(b) >= ipv4Bytes+udpBytes && b[0] == 0x45 && b[9] == protoUDP &&
		int(binary.BigEndian.Uint16(b[2:])) == len(b):
		src, dst, udp = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[ipv4Bytes:]
	case f == FormatIPv6 && len(b) >= ipv6Bytes+udpBytes && b[0]>>4 == 6 && b[6] == protoUDP &&
		int(binary.BigEndian.Uint16(b[4:])) == len(b)-ipv6Bytes:
		src, dst, udp = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[ipv6Bytes:]
	default:
		return from, to, nil, ErrDatagram
	}
	if int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		return from, to, nil, ErrDatagram
	}
	return netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:])), udp[udpBytes:], nil
}

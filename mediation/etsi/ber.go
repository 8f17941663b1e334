package etsi

// Identifier octets. Context tags are built from their number: primitive 0x80+n,
// constructed 0xA0+n.
const (
	tagInteger  = 0x02
	tagSequence = 0x30
	ctx         = 0x80
	cons        = 0xA0
)

// mark remembers where an open element's contents begin and how many octets were
// set aside for its length.
type mark struct{ at, width int }

// open appends the identifier octet of an element and room for the length of
// contents of at least so many octets.
func open(dst []byte, tag byte, atLeast int) ([]byte, mark) {
	width := lengthWidth(atLeast)
	dst = append(append(dst, tag), 0, 0, 0, 0, 0)
	dst = dst[:len(dst)-5+width]
	return dst, mark{len(dst), width}
}

// end writes the length of the element that open began: all octets of dst since.
// If there are more than were announced, they move by an octet or two.
func end(dst []byte, m mark) []byte {
	size := len(dst) - m.at
	width := lengthWidth(size)
	if more := width - m.width; more != 0 {
		if more > 0 {
			dst = append(dst, 0, 0, 0, 0)[:len(dst)+more]
		}
		copy(dst[m.at+more:], dst[m.at:m.at+size])
		dst = dst[:m.at+more+size]
	}
	at := m.at - m.width
	if width == 1 {
		dst[at] = byte(size)
		return dst
	}
	dst[at] = 0x80 | byte(width-1)
	for i := width - 1; i > 0; i-- {
		dst[at+i] = byte(size)
		size >>= 8
	}
	return dst
}

// lengthWidth is how many octets the length n takes in its shortest form.
func lengthWidth(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	case n < 1<<24:
		return 4
	default:
		return 5
	}
}

// appendOctets appends a primitive element.
func appendOctets[T ~string | ~[]byte](dst []byte, tag byte, v T) []byte {
	dst = appendLength(append(dst, tag), len(v))
	return append(dst, v...)
}

func appendLength(dst []byte, n int) []byte {
	width := lengthWidth(n)
	if width == 1 {
		return append(dst, byte(n))
	}
	dst = append(dst, 0x80|byte(width-1))
	for shift := 8 * (width - 2); shift >= 0; shift -= 8 {
		dst = append(dst, byte(n>>shift))
	}
	return dst
}

// appendUint appends an INTEGER: as few octets as hold it, with a leading zero where
// the top bit would make it negative (X.690 clause 8.3).
func appendUint(dst []byte, tag byte, v uint64) []byte {
	width := 1
	for x := v; x >= 0x80; x >>= 8 {
		width++
	}
	dst = append(dst, tag, byte(width))
	for shift := 8 * (width - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(v>>shift)) // a shift of 64 gives the leading zero
	}
	return dst
}

// appendEnum appends an ENUMERATED below 128.
func appendEnum[T ~uint8](dst []byte, tag byte, v T) []byte {
	return append(dst, tag, 1, byte(v))
}

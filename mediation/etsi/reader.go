package etsi

// element is one TLV. id is the identifier octet, or highTag.
type element struct {
	id    uint32
	value []byte
}

// highTag is the id of every element with a tag above 30: the schema has none of ours.
const highTag = 1 << 8

// maxTagOctets bounds the octets of a high tag.
const maxTagOctets = 5

// readElement reads the first TLV of b. The value's capacity ends where it does.
func readElement(b []byte) (e element, rest []byte, err error) {
	if len(b) == 0 {
		return element{}, nil, ErrShort
	}
	e.id = uint32(b[0])
	at := 1
	if b[0]&0x1f == 0x1f {
		e.id = highTag
		for {
			if at >= len(b) {
				return element{}, nil, ErrShort
			}
			at++
			if b[at-1] < 0x80 {
				break
			}
			if at > maxTagOctets {
				return element{}, nil, ErrTag
			}
		}
	}
	size, width, err := readLength(b[at:])
	if err != nil {
		return element{}, nil, err
	}
	at += width
	if size > len(b)-at {
		return element{}, nil, ErrShort
	}
	e.value = b[at : at+size : at+size]
	return e, b[at+size:], nil
}

// readLength reads a definite length of at most MaxPDU.
func readLength(b []byte) (n, width int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrShort
	}
	if b[0] < 0x80 {
		return int(b[0]), 1, nil
	}
	count := int(b[0] & 0x7f)
	switch {
	case count == 0:
		return 0, 0, ErrIndefinite
	case count > 4:
		return 0, 0, ErrLength
	case len(b) < 1+count:
		return 0, 0, ErrShort
	}
	var size uint64
	for _, octet := range b[1 : 1+count] {
		size = size<<8 | uint64(octet)
	}
	if size > MaxPDU {
		return 0, 0, ErrLength
	}
	return int(size), 1 + count, nil
}

// inner turns what is missing inside of a whole PDU into what it is there: a length
// that points beyond its parent.
func inner(err error) error {
	if err == ErrShort {
		return ErrLength
	}
	return err
}

// only reads a value that is exactly one TLV: a CHOICE under its tag.
func only(v []byte) (element, error) {
	e, rest, err := readElement(v)
	switch {
	case err != nil && len(v) == 0:
		return element{}, ErrMissing
	case err != nil:
		return element{}, inner(err)
	case len(rest) > 0:
		return element{}, ErrTag
	}
	return e, nil
}

// fields walks the members of a SEQUENCE, whose context tags rise in all types of
// the schema. Members that nobody asked for are extensions and skipped.
type fields struct {
	element
	rest   []byte
	max    int    // highest context tag of the type, below 31
	unread uint32 // set of tags of the type that are of no interest
	last   int    // lowest context tag that may come
	tag    int    // of element, -1 for what is not of the type
	seen   uint32 // set of tags
	err    error
}

// next reads a member. It is false at the end and at the first error.
func (f *fields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	f.element, f.rest, f.err = readElement(f.rest)
	f.err = inner(f.err)
	if f.err != nil {
		return false
	}
	f.tag = int(f.id & 0x1f)
	if f.id == highTag || f.id&0xC0 != ctx || f.tag > f.max {
		f.tag, f.last = -1, f.max+1 // an addition of later versions: all others come before it
		return true
	}
	if f.tag < f.last {
		f.err = ErrOrder
		return false
	}
	f.last = f.tag + 1
	f.seen |= 1 << f.tag
	return true
}

// keep keeps the first error.
func (f *fields) keep(err error) {
	if f.err == nil {
		f.err = err
	}
}

// skip passes over a member that nobody asked for: an extension, or one of unread.
// A member of the type in the wrong form, constructed for primitive, is neither.
func (f *fields) skip() {
	if f.tag >= 0 && f.unread&(1<<f.tag) == 0 {
		f.keep(ErrTag)
	}
}

// done says whether all went well and the members of want, a set of tags, were there.
func (f *fields) done(want uint32) error {
	if f.err == nil && f.seen&want != want {
		return ErrMissing
	}
	return f.err
}

// readUint reads a non-negative INTEGER of at most max. Leading zeros are borne with:
// some encoders write all integers in four or five octets.
func readUint(v []byte, limit uint64) (uint64, error) {
	if len(v) == 0 || len(v) > 16 || v[0] >= 0x80 {
		return 0, ErrInteger
	}
	var n uint64
	for _, octet := range v {
		if n>>56 != 0 {
			return 0, ErrInteger
		}
		n = n<<8 | uint64(octet)
	}
	if n > limit {
		return 0, ErrInteger
	}
	return n, nil
}

func readUint32(v []byte, to *uint32) error {
	n, err := readUint(v, 1<<32-1)
	*to = uint32(n)
	return err
}

// readEnum reads an ENUMERATED without extension marker.
func readEnum[T ~uint8](v []byte, to *T, least, most uint8) error {
	n, err := readUint(v, 1<<32-1)
	if err != nil || n < uint64(least) || n > uint64(most) {
		return ErrEnum
	}
	*to = T(n)
	return nil
}

// readOpenEnum reads an ENUMERATED with extension marker: values of later versions
// are kept as they are, below 255, which stands for an absent field.
func readOpenEnum[T ~uint8](v []byte, to *T) error {
	return readEnum(v, to, 0, 254)
}

// readPart holds an object identifier against that of TS 102 232-5, of whatever
// version: all octets but the version's.
func readPart(v []byte, ours string) error {
	if len(v) < 4 || v[0] != ours[0] || v[1] != ours[1] || v[len(v)-1] != ours[3] {
		return ErrPart
	}
	if _, ok := readArc(v[2 : len(v)-1]); !ok {
		return ErrPart
	}
	return nil
}

// readArc reads an arc of an object identifier that fills v.
func readArc(v []byte) (n uint32, ok bool) {
	if len(v) == 0 || len(v) > 4 || v[0] == 0x80 || v[len(v)-1] >= 0x80 {
		return 0, false
	}
	for i, octet := range v {
		if octet < 0x80 && i != len(v)-1 {
			return 0, false
		}
		n = n<<7 | uint32(octet&0x7f)
	}
	return n, true
}

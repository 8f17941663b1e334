package etsi

import "math"

// Frame returns how long the PS-PDU is that b begins with, which may be more than b
// holds. ErrShort asks for more octets, to see the length.
func Frame(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, ErrShort
	}
	if b[0] != tagSequence {
		return 0, ErrTag
	}
	size, at, err := length(b[1:])
	if err != nil {
		return 0, err
	}
	if 1+at+size > MaxPDU {
		return 0, ErrLength
	}
	return 1 + at + size, nil
}

// length reads a definite length; at is how many octets it took.
func length(b []byte) (n, at int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrShort
	}
	if b[0] < 0x80 {
		return int(b[0]), 1, nil
	}
	more := int(b[0] & 0x7f)
	if more == 0 || more > 8 {
		return 0, 0, ErrBER // indefinite, reserved, or absurd
	}
	if len(b) < 1+more {
		return 0, 0, ErrShort
	}
	for _, c := range b[1 : 1+more] {
		if n > math.MaxInt32>>8 {
			return 0, 0, ErrLength
		}
		n = n<<8 | int(c)
	}
	return n, 1 + more, nil
}

// tlv is one element.
type tlv struct {
	tag  byte // low 5 bits are 31 in a tag of several octets: nothing of ours has one
	body []byte
}

// next takes the first element off b.
func next(b []byte) (t tlv, rest []byte, err error) {
	if len(b) == 0 {
		return tlv{}, nil, ErrField
	}
	t.tag = b[0]
	at := 1
	if b[0]&0x1f == 0x1f {
		for ; ; at++ {
			if at >= len(b) || at > 4 {
				return tlv{}, nil, ErrBER
			}
			if b[at] < 0x80 {
				at++
				break
			}
		}
	}
	n, size, err := length(b[at:])
	if err != nil {
		if err == ErrShort { //nolint:errorlint // of this package, never wrapped
			err = ErrLength
		}
		return tlv{}, nil, err
	}
	if n > len(b)-at-size {
		return tlv{}, nil, ErrLength
	}
	at += size
	t.body = b[at : at+n : at+n]
	return t, b[at+n:], nil
}

// only returns the one element of b.
func only(b []byte) (tlv, error) {
	t, rest, err := next(b)
	if err == nil && len(rest) > 0 {
		err = ErrField
	}
	return t, err
}

// fields walks the elements of a SEQUENCE. Known ones come in ascending order of
// their tags, each once; what is not known is skipped.
type fields struct {
	rest []byte
	err  error
}

// optional returns the element of that tag, if it comes next among those that are
// known; others, with lower tags, are skipped.
func (f *fields) optional(tag byte) ([]byte, bool) {
	for f.err == nil && len(f.rest) > 0 {
		t, rest, err := next(f.rest)
		if err != nil {
			f.err = err
			return nil, false
		}
		if t.tag == tag {
			f.rest = rest
			return t.body, true
		}
		if t.tag&0xc0 == ctx && t.tag&0x1f >= tag&0x1f || t.tag&0xc0 != ctx {
			return nil, false
		}
		f.rest = rest
	}
	return nil, false
}

// must returns the element of that tag.
func (f *fields) must(tag byte) []byte {
	b, ok := f.optional(tag)
	if !ok && f.err == nil {
		f.err = ErrField
	}
	return b
}

// end checks that what is left are whole elements.
func (f *fields) end() error {
	for f.err == nil && len(f.rest) > 0 {
		_, f.rest, f.err = next(f.rest)
	}
	return f.err
}

// number reads an INTEGER or ENUMERATED that is not negative and at most limit.
func number(b []byte, limit uint64) (uint64, error) {
	if len(b) == 0 || len(b) > 9 || b[0] > 127 || len(b) == 9 && b[0] != 0 {
		return 0, ErrField
	}
	if len(b) > 1 && b[0] == 0 && b[1] < 128 {
		return 0, ErrBER // not minimal (X.690 clause 8.3.2)
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	if v > limit {
		return 0, ErrField
	}
	return v, nil
}

func (f *fields) number(b []byte, limit uint64) uint64 {
	if f.err != nil {
		return 0
	}
	v, err := number(b, limit)
	if err != nil {
		f.err = err
	}
	return v
}

package etsi

import "time"

// Integrity is an IntegrityCheck over PDUs that were sent (TS 102 232-1 clause 7.2).
type Integrity struct {
	Included  []uint32 // sequence numbers in the order in which the PDUs were processed
	Signature bool     // checkType: else a hash
	Of        Kind     // dataType; mandatory since version 5, clause 7.2.3. Decoded: 0 absent, 3 iLHI
	Value     []byte
	Hash      HashAlgorithm // with each hash
	Sig       SigAlgorithm  // with each signature; Value is then the DER of RFC 3279 clause 2.2.2
}

// Values of checkType.
const (
	checkHash      = 1
	checkSignature = 2
)

// AppendIntegrity appends a PS-PDU with an integrityCheck. What is hashed or signed
// is the caller's affair.
//
//	A2 len tRIPayload
//	   A0 len integrityCheck
//	      A0 len includedSequenceNumbers { 02 … }
//	      81 checkType  82 dataType  83 checkValue  84 hashAlgorithm  85 signatureAlgorithm
func (e *Encoder) AppendIntegrity(dst []byte, seq uint32, at time.Time, i *Integrity) ([]byte, error) {
	if len(i.Value) == 0 {
		return dst, ErrSize
	}
	if err := i.check(); err != nil {
		return dst, err
	}
	size := i.atLeast()
	dst, pdu, err := e.begin(dst, e.fixed, seq, at, QualTimeOfInterception, size+4)
	if err != nil {
		return dst, err
	}
	dst, tri := open(dst, cons+2, size)
	return pdu.finish(end(appendCheck(dst, i, i.Value), tri))
}

// AppendSigned appends the octets that stand for i under a signature: the encoded
// integrityCheck with an empty checkValue. i.Value is not read.
func (i *Integrity) AppendSigned(dst []byte) ([]byte, error) {
	if err := i.check(); err != nil {
		return dst, err
	}
	return appendCheck(dst, i, nil), nil
}

func (i *Integrity) check() error {
	switch {
	case i.Of != KindIRI && i.Of != KindCC, i.Hash > HashSHA512, i.Sig > SigEdDSA,
		!i.Signature && i.Hash == 0, i.Signature && i.Sig == 0:
		return ErrEnum
	case len(i.Value) > MaxPDU, len(i.Included) > MaxPDU/3:
		return ErrLength
	}
	return nil
}

// atLeast is the least size of the encoded check.
func (i *Integrity) atLeast() int { return 3*len(i.Included) + len(i.Value) + 13 }

func appendCheck(dst []byte, i *Integrity, value []byte) []byte {
	dst, check := open(dst, cons+0, i.atLeast()-2)
	dst, included := open(dst, cons+0, 3*len(i.Included))
	for _, seq := range i.Included {
		dst = appendUint(dst, tagInteger, uint64(seq))
	}
	dst = end(dst, included)
	kind := uint8(checkHash)
	if i.Signature {
		kind = checkSignature
	}
	dst = appendEnum(dst, ctx+1, kind)
	dst = appendEnum(dst, ctx+2, i.Of)
	dst = appendOctets(dst, ctx+3, value)
	if i.Hash != 0 {
		dst = appendEnum(dst, ctx+4, i.Hash)
	}
	if i.Sig != 0 {
		dst = appendEnum(dst, ctx+5, i.Sig)
	}
	return end(dst, check)
}

func decodeIntegrity(p *PDU, v []byte) error {
	i := &Integrity{}
	f := fields{rest: v, max: 5}
	for f.next() {
		switch f.id {
		case cons + 0:
			f.keep(readIncluded(f.value, &i.Included))
		case ctx + 1:
			var kind uint8
			f.keep(readEnum(f.value, &kind, checkHash, checkSignature))
			i.Signature = kind == checkSignature
		case ctx + 2:
			f.keep(readOpenEnum(f.value, &i.Of))
		case ctx + 3:
			i.Value = f.value
		case ctx + 4:
			f.keep(readOpenEnum(f.value, &i.Hash))
		case ctx + 5:
			f.keep(readOpenEnum(f.value, &i.Sig))
		default:
			f.skip()
		}
	}
	p.Integrity = i
	return f.done(1<<0 | 1<<1 | 1<<3)
}

func readIncluded(v []byte, to *[]uint32) error {
	for rest := v; len(rest) > 0; {
		var e element
		var err error
		if e, rest, err = readElement(rest); err != nil {
			return inner(err)
		}
		if e.id != tagInteger {
			return ErrTag
		}
		var n uint32
		if err := readUint32(e.value, &n); err != nil {
			return err
		}
		*to = append(*to, n)
	}
	return nil
}

package etsi

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Sealer turns payloads into encryptionContainers and back (TS 102 232-1 clause 7.1,
// annex G). It is not safe for concurrent use.
//
// The cipher hides contents; it does not authenticate them. Integrity checks (clause
// 7.2) and TLS do.
type Sealer struct {
	kind  EncryptionType
	block cipher.Block // nil with EncNone
	iv    [aes.BlockSize]byte
}

// sealOverhead is what a container and its EncryptedPayload add to a payload at most.
const sealOverhead = 64

// NewSealer wants a key of 24 octets for EncAES192, of 32 for EncAES256, none for EncNone.
func NewSealer(t EncryptionType, key []byte) (*Sealer, error) {
	size := map[EncryptionType]int{EncNone: 0, EncAES192: 24, EncAES256: 32}
	want, ok := size[t]
	switch {
	case !ok:
		return nil, ErrEnum
	case len(key) != want:
		return nil, ErrKey
	case t == EncNone:
		return &Sealer{kind: t}, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrKey
	}
	return &Sealer{kind: t, block: block}, nil
}

// AppendSealed appends plain, which is one PS-PDU, with its payload in an
// encryptionContainer; the header stays as it is, in clear. byteCounter is the sum of
// the sizes of all PDUs before, from unix time times 2^32 on (annex G).
//
//	A2 len payload
//	   A4 len encryptionContainer
//	      80 encryptionType
//	      81 len encryptedPayload: 30 len { 80 byteCounter  A1 len payload }, zeros up to a multiple of 16
//	      82 encryptedPayloadType
//
// AES runs in CBC mode from the sequence number, four times, as the first block. With
// EncNone the EncryptedPayload stands in clear and without padding: this is the form
// over which integrity checks are computed.
func (s *Sealer) AppendSealed(dst, plain []byte, byteCounter uint64) ([]byte, error) {
	p, n, err := Decode(plain)
	if err != nil {
		return dst, err
	}
	if n != len(plain) || p.What == PayloadEncrypted {
		return dst, ErrPayload
	}
	body, err := outer(plain)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	dst, pdu := open(dst, tagSequence, n)
	dst = append(dst, body.header...)
	dst, payload := open(dst, cons+2, len(body.payload)+sealOverhead)
	dst, container := open(dst, cons+4, len(body.payload)+sealOverhead)
	dst = appendEnum(dst, ctx+0, s.kind)
	dst, octets := open(dst, ctx+1, len(body.payload))
	from := len(dst)
	dst, encrypted := open(dst, tagSequence, len(body.payload))
	dst = appendUint(dst, ctx+0, byteCounter)
	dst = appendOctets(dst, cons+1, body.payload)
	dst = end(dst, encrypted)
	if s.block != nil {
		dst = append(dst, make([]byte, -(len(dst)-from)&(aes.BlockSize-1))...)
		cipher.NewCBCEncrypter(s.block, s.firstBlock(p.Seq)).CryptBlocks(dst[from:], dst[from:])
	}
	dst = end(dst, octets)
	dst = appendEnum(dst, ctx+2, payloadType(&p))
	return begun{start, pdu, payload}.finish(end(dst, container))
}

// Open decrypts a PDU that was sealed with this type and key. inner and its slices
// lie in memory of their own, and inner.Raw is the PS-PDU as it was before
// AppendSealed. A wrong key is ErrKey, but for one in so many that happen to give
// something readable.
func (s *Sealer) Open(p *PDU) (inner PDU, byteCounter uint64, err error) {
	if p.What != PayloadEncrypted || p.Encrypted == nil || p.Encrypted.Type != s.kind {
		return PDU{}, 0, ErrPayload
	}
	octets := bytes.Clone(p.Encrypted.Octets)
	if s.block != nil {
		if len(octets) == 0 || len(octets)%aes.BlockSize != 0 {
			return PDU{}, 0, ErrSize
		}
		cipher.NewCBCDecrypter(s.block, s.firstBlock(p.Seq)).CryptBlocks(octets, octets)
	}
	payload, byteCounter, err := readEncryptedPayload(octets)
	if err != nil {
		return PDU{}, 0, ErrKey
	}
	body, err := outer(p.Raw)
	if err != nil {
		return PDU{}, 0, err
	}
	plain, pdu := open(make([]byte, 0, len(body.header)+len(payload)+16), tagSequence, len(body.header)+len(payload))
	plain = appendOctets(append(plain, body.header...), cons+2, payload)
	inner, _, err = Decode(end(plain, pdu))
	switch {
	case err != nil:
		return PDU{}, 0, ErrKey
	case inner.What == PayloadEncrypted:
		return PDU{}, 0, ErrPayload
	}
	return inner, byteCounter, nil
}

// readEncryptedPayload reads EncryptedPayload and holds what follows it against the
// padding: less than a block of zeros.
func readEncryptedPayload(b []byte) (payload []byte, byteCounter uint64, err error) {
	e, rest, err := readElement(b)
	if err != nil {
		return nil, 0, err
	}
	if e.id != tagSequence || len(rest) >= aes.BlockSize || len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, 0, ErrPayload
	}
	f := fields{rest: e.value, max: 1}
	for f.next() {
		switch f.id {
		case ctx + 0:
			byteCounter, err = readUint(f.value, 1<<64-1)
			f.keep(err)
		case cons + 1:
			payload = f.value
		default:
			f.skip()
		}
	}
	return payload, byteCounter, f.done(1<<0 | 1<<1)
}

// firstBlock is the initialization vector.
func (s *Sealer) firstBlock(seq uint32) []byte {
	for i := 0; i < len(s.iv); i += 4 {
		binary.BigEndian.PutUint32(s.iv[i:], seq)
	}
	return s.iv[:]
}

// payloadType says of which part of TS 102 232 the payload of p is.
func payloadType(p *PDU) PayloadType {
	switch p.What {
	case PayloadIRI, PayloadCC:
		return PayloadTypePart5
	case PayloadTRI, PayloadHI1:
		return PayloadTypePart1
	default:
		return PayloadTypeUnknown
	}
}

// halves are the two members of a PS-PDU: the whole TLV of the header, and what is
// under the payload's tag.
type halves struct{ header, payload []byte }

// outer cuts a PS-PDU that Decode accepted.
func outer(raw []byte) (halves, error) {
	pdu, _, err := readElement(raw)
	if err != nil {
		return halves{}, err
	}
	_, rest, err := readElement(pdu.value)
	if err != nil {
		return halves{}, err
	}
	payload, _, err := readElement(rest)
	return halves{pdu.value[:len(pdu.value)-len(rest)], payload.value}, err
}

package etsi

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"
)

// Values of encryptedPayloadType.
const (
	payloadPart5 = 5 // TS 102 232-5
	payloadPart1 = 8 // TS 102 232-1
)

// Sealer puts payloads into encryption containers and takes them out. It is safe for
// concurrent use.
type Sealer struct {
	kind  EncryptionType
	block cipher.Block // nil for EncNone
}

// NewSealer wants 24 octets for EncAES192, 32 for EncAES256 and none for EncNone.
func NewSealer(t EncryptionType, key []byte) (*Sealer, error) {
	want, known := map[EncryptionType]int{EncNone: 0, EncAES192: 24, EncAES256: 32}[t]
	if !known || len(key) != want {
		return nil, fmt.Errorf("%w: AES-192-CBC wants 24 octets, AES-256-CBC 32", ErrValue)
	}
	s := &Sealer{kind: t}
	if t == EncNone {
		return s, nil
	}
	var err error
	s.block, err = aes.NewCipher(key)
	return s, err
}

// iv is the sequence number four times.
func iv(seq uint32) []byte {
	b := make([]byte, 0, aes.BlockSize)
	for range aes.BlockSize / 4 {
		b = binary.BigEndian.AppendUint32(b, seq)
	}
	return b
}

// AppendSealed appends plain, one PS-PDU of this package, with its payload in an
// encryption container: AES-CBC, the sequence number four times as initialisation
// vector, zeros behind the EncryptedPayload up to a whole block. The header stays
// clear. byteCounter is what annex G says. With EncNone the EncryptedPayload stands in
// clear: integrity checks are computed over that.
func (s *Sealer) AppendSealed(dst, plain []byte, byteCounter uint64) ([]byte, error) {
	head, payload, p, err := split(plain)
	if err != nil {
		return dst, err
	}
	content := appendTLV(appendUint(nil, ctx0, byteCounter), con|1, payload)
	inner := appendTLV(nil, tagSequence, content)
	if s.block != nil {
		if extra := len(inner) % aes.BlockSize; extra > 0 {
			inner = append(inner, make([]byte, aes.BlockSize-extra)...)
		}
		cipher.NewCBCEncrypter(s.block, iv(p.Seq)).CryptBlocks(inner, inner)
	}
	kind := byte(payloadPart1)
	if p.What == PayloadIRI || p.What == PayloadCC {
		kind = payloadPart5
	}
	container := appendTLV(appendUint(nil, ctx0, uint64(s.kind)), ctx|1, inner)
	container = append(container, ctx|2, 1, kind)
	return join(dst, head, appendTLV(nil, con|4, container)), nil
}

// split returns the header's content, and the payload's alternative with its tag.
func split(raw []byte) (head, payload []byte, p PDU, err error) {
	p, n, err := Decode(raw)
	if err != nil || n != len(raw) {
		return nil, nil, PDU{}, ErrField
	}
	outer, _ := only(raw)
	f := fields{rest: outer.body}
	return f.must(con | 1), f.must(con | 2), p, f.end()
}

// join makes a PS-PDU.
func join(dst, head, payload []byte) []byte {
	dst = appendHead(dst, tagSequence, tlvSize(len(head))+tlvSize(len(payload)))
	return appendTLV(appendTLV(dst, con|1, head), con|2, payload)
}

// open returns what the container of p holds: the payload's alternative and the byte
// counter.
func (s *Sealer) open(p *PDU) (payload []byte, byteCounter uint64, err error) {
	if p.Encrypted == nil {
		return nil, 0, ErrField
	}
	inner := append([]byte(nil), p.Encrypted.Octets...)
	switch {
	case p.Encrypted.Type == EncNone:
	case p.Encrypted.Type != s.kind || s.block == nil || len(inner) == 0 || len(inner)%aes.BlockSize != 0:
		return nil, 0, ErrKey
	default:
		cipher.NewCBCDecrypter(s.block, iv(p.Seq)).CryptBlocks(inner, inner)
	}
	t, rest, err := next(inner)
	if err != nil || t.tag != tagSequence || len(rest) >= aes.BlockSize {
		return nil, 0, ErrKey
	}
	for _, c := range rest {
		if c != 0 {
			return nil, 0, ErrKey
		}
	}
	f := fields{rest: t.body}
	byteCounter = f.number(f.must(ctx0), math.MaxUint64)
	payload = f.must(con | 1)
	if f.end() != nil {
		return nil, 0, ErrKey
	}
	return payload, byteCounter, nil
}

// Open returns the PDU that was put into the container of p. Its Raw is a new PS-PDU
// without the container.
func (s *Sealer) Open(p *PDU) (inner PDU, byteCounter uint64, err error) {
	payload, byteCounter, err := s.open(p)
	if err != nil {
		return PDU{}, 0, err
	}
	head, _, _, err := split(p.Raw)
	if err != nil {
		return PDU{}, 0, err
	}
	inner, _, err = Decode(join(nil, head, payload))
	if err != nil {
		return PDU{}, 0, ErrKey
	}
	return inner, byteCounter, nil
}

// AppendOpened appends p with its container in clear (EncNone): what integrity checks
// are computed over.
func (s *Sealer) AppendOpened(dst []byte, p *PDU) ([]byte, error) {
	inner, byteCounter, err := s.Open(p)
	if err != nil {
		return dst, err
	}
	clear := Sealer{kind: EncNone}
	return clear.AppendSealed(dst, inner.Raw, byteCounter)
}

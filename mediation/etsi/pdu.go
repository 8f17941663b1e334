package etsi

import (
	"slices"
	"time"
)

// MaxPDU bounds a PS-PDU, in octets. The schema has no bound.
const MaxPDU = 4 << 20

// PDU is a decoded PS-PDU. Its slices alias the input.
type PDU struct {
	Version uint32 // of li-psDomainId; ours is 43
	Stream
	Seq       uint32
	Time      time.Time // of the header; zero if each payload has its own
	Qualifier Qualifier
	What      Payload

	// A PDU may aggregate several payloads, each with a time of its own (TS 102 232-1
	// clause 6.2.3). One without has the header's.
	IRIs []IRI // with PayloadIRI
	CCs  []CC  // with PayloadCC

	TRI             TRI        // with PayloadTRI, as all below
	Message         string     // of TRIOperatorMessage
	MessageIsError  bool       // its priority is error
	PDUAckRequested bool       // TRIOptionRequest asks for pDUAcknowledgement
	PDUAckAccepted  bool       // TRIOptionResponse accepts it
	Integrity       *Integrity // of TRIIntegrityCheck

	HI1       *HI1       // with PayloadHI1
	Encrypted *Encrypted // with PayloadEncrypted
	Raw       []byte     // the whole PS-PDU
}

// Encrypted is an encryptionContainer (TS 102 232-1 clause 7.1).
type Encrypted struct {
	Type        EncryptionType
	Octets      []byte
	PayloadType PayloadType
}

// Frame returns the length of the PS-PDU that b begins with, or ErrShort if b does
// not hold all of it. n is then what the whole will take, or 0 as long as b is too
// short to tell. It refuses what can never become a PS-PDU within MaxPDU.
func Frame(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, ErrShort
	}
	if b[0] != tagSequence {
		return 0, ErrNotPSPDU
	}
	size, width, err := readLength(b[1:])
	if err != nil {
		return 0, err
	}
	n = 1 + width + size
	switch {
	case n > MaxPDU:
		return 0, ErrLength
	case n > len(b):
		return n, ErrShort
	}
	return n, nil
}

// Decode reads the first PS-PDU of b and returns how many octets it took. ErrShort
// means that b holds the beginning of one.
func Decode(b []byte) (p PDU, n int, err error) {
	n, err = Frame(b)
	if err != nil {
		return PDU{}, 0, err
	}
	p.Raw = b[:n:n]
	header, payload, err := split(p.Raw)
	if err == nil {
		err = decodeHeader(&p, header.value)
	}
	if err == nil {
		err = decodePayload(&p, payload)
	}
	if err != nil {
		return PDU{}, 0, err
	}
	return p, n, nil
}

// split cuts a whole PS-PDU into pSHeader and payload, which is a CHOICE under its
// tag: payload is the alternative.
func split(raw []byte) (header, payload element, err error) {
	pdu, _, err := readElement(raw)
	if err != nil {
		return element{}, element{}, inner(err)
	}
	f := fields{rest: pdu.value, max: 2}
	for f.next() {
		switch f.id {
		case cons + 1:
			header = f.element
		case cons + 2:
			payload, err = only(f.value)
			f.keep(err)
		default: // PS-PDU is not extensible
			f.keep(ErrTag)
		}
	}
	return header, payload, f.done(1<<1 | 1<<2)
}

func decodePayload(p *PDU, payload element) error {
	switch payload.id {
	case cons + 0:
		p.What = PayloadIRI
		return decodeSequence(p, payload.value, decodeIRI)
	case cons + 1:
		p.What = PayloadCC
		return decodeSequence(p, payload.value, decodeCC)
	case cons + 2:
		p.What = PayloadTRI
		return decodeTRI(p, payload.value)
	case cons + 3:
		p.What = PayloadHI1
		return decodeHI1(p, payload.value)
	case cons + 4:
		p.What = PayloadEncrypted
		return decodeEncrypted(p, payload.value)
	default:
		p.What = PayloadOther
		return nil
	}
}

// decodeSequence reads the payloads of a PDU. If one of them is of another part of
// TS 102 232, the PDU as a whole is none of ours.
func decodeSequence(p *PDU, v []byte, decode func(*PDU, []byte) (bool, error)) error {
	for rest := v; len(rest) > 0; {
		var e element
		var err error
		if e, rest, err = readElement(rest); err != nil {
			return inner(err)
		}
		if e.id != tagSequence {
			return ErrTag
		}
		known, err := decode(p, e.value)
		if err != nil {
			return err
		}
		if !known {
			p.What, p.IRIs, p.CCs = PayloadOther, nil, nil
			return nil
		}
	}
	p.IRIs, p.CCs = slices.Clip(p.IRIs), slices.Clip(p.CCs)
	return nil
}

func decodeEncrypted(p *PDU, v []byte) error {
	e := &Encrypted{}
	f := fields{rest: v, max: 2}
	for f.next() {
		switch f.id {
		case ctx + 0:
			f.keep(readOpenEnum(f.value, &e.Type))
		case ctx + 1:
			e.Octets = f.value
		case ctx + 2:
			f.keep(readOpenEnum(f.value, &e.PayloadType))
		default:
			f.skip()
		}
	}
	p.Encrypted = e
	return f.done(1<<0 | 1<<1)
}

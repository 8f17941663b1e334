package etsi

import (
	"bytes"
	"math"
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
)

// maxPayloads bounds how many payloads of one PDU are read.
const maxPayloads = 4096

// Decode reads the first PS-PDU of b and returns how many octets it took. ErrShort
// means that b holds the beginning of one.
func Decode(b []byte) (p PDU, n int, err error) {
	if n, err = Frame(b); err != nil {
		return PDU{}, 0, err
	}
	if n > len(b) {
		return PDU{}, 0, ErrShort
	}
	raw := b[:n:n]
	t, err := only(raw)
	if err != nil {
		return PDU{}, 0, err
	}
	f := fields{rest: t.body}
	head, payload := f.must(con|1), f.must(con|2)
	if err := f.end(); err != nil {
		return PDU{}, 0, err
	}
	p.Raw = raw
	if err := p.header(head); err != nil {
		return PDU{}, 0, err
	}
	if err := p.payload(payload); err != nil {
		return PDU{}, 0, err
	}
	return p, n, nil
}

// header reads PSHeader.
func (p *PDU) header(b []byte) error {
	f := fields{rest: b}
	domain := f.must(ctx0)
	p.LIID = li.LIID(f.must(ctx | 1))
	if v, ok := f.optional(ctx | 2); ok {
		p.AuthCountry = string(v)
	}
	comm := f.must(con | 3)
	p.Seq = uint32(f.number(f.must(ctx|4), math.MaxUint32)) //nolint:gosec // bounded
	if v, ok := f.optional(ctx | 5); ok {
		p.Time, p.Times = parseGeneralized(v), TimeGeneralized
		if p.Time.IsZero() {
			return ErrField
		}
	}
	if v, ok := f.optional(ctx | 6); ok {
		p.PointID = string(v)
	}
	if v, ok := f.optional(con | 7); ok {
		at, err := microStamp(v)
		if err != nil {
			return err
		}
		p.Time, p.Times = at, TimeMicro
	}
	if v, ok := f.optional(ctx | 8); ok {
		p.Qualifier = Qualifier(f.number(v, math.MaxUint8))
	}
	if err := f.end(); err != nil {
		return err
	}
	// {0 4 0 2 2 5 1 version}, of which the last arc is one octet so far.
	if prefix := domainID[:len(domainID)-1]; len(domain) != len(domainID) || !bytes.HasPrefix(domain, []byte(prefix)) || domain[len(domain)-1] > 127 {
		return ErrField
	}
	p.Version = uint32(domain[len(domain)-1])
	return p.communication(comm)
}

// communication reads CommunicationIdentifier.
func (p *PDU) communication(b []byte) error {
	f := fields{rest: b}
	network := fields{rest: f.must(con0)}
	if v, ok := f.optional(ctx | 1); ok {
		p.CIN, p.HasCIN = uint32(f.number(v, math.MaxUint32)), true //nolint:gosec // bounded
	}
	if v, ok := f.optional(ctx | 2); ok {
		p.DeliveryCountry = string(v)
	}
	if err := f.end(); err != nil {
		return err
	}
	p.Operator = string(network.must(ctx0))
	if v, ok := network.optional(ctx | 1); ok {
		p.Element = string(v)
	}
	return network.end()
}

func microStamp(b []byte) (time.Time, error) {
	f := fields{rest: b}
	seconds := f.number(f.must(ctx0), math.MaxInt32<<8)
	micro := f.number(f.must(ctx|1), 999_999)
	return time.Unix(int64(seconds), int64(micro)*1000).UTC(), f.end() //nolint:gosec // bounded
}

// parseGeneralized reads GeneralizedTime in UTC, or local with an offset; zero = it is
// neither.
func parseGeneralized(b []byte) time.Time {
	for _, layout := range []string{"20060102150405.999999999Z", "20060102150405.999999999-0700", "20060102150405Z", "20060102150405-0700"} {
		if at, err := time.Parse(layout, string(b)); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// payload reads the alternative of Payload.
func (p *PDU) payload(b []byte) error {
	t, err := only(b)
	if err != nil {
		return err
	}
	switch t.tag {
	case con0:
		p.What = PayloadIRI
		return each(t.body, func(b []byte) error { return p.iri(b) })
	case con | 1:
		p.What = PayloadCC
		return each(t.body, func(b []byte) error { return p.cc(b) })
	case con | 2:
		p.What = PayloadTRI
		return p.tri(t.body)
	case con | 3:
		p.What = PayloadHI1
		return p.hi1(t.body)
	case con | 4:
		p.What = PayloadEncrypted
		return p.encrypted(t.body)
	}
	p.What = PayloadOther
	return nil
}

// each walks a SEQUENCE OF SEQUENCE.
func each(b []byte, read func([]byte) error) error {
	for n := 0; len(b) > 0; n++ {
		t, rest, err := next(b)
		if err != nil {
			return err
		}
		if t.tag != tagSequence || n >= maxPayloads {
			return ErrField
		}
		if err := read(t.body); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// stamps reads the payload's own times, which aggregated payloads have.
func (p *PDU) stamps(general, micro, qualifier []byte, f *fields) (at time.Time, q Qualifier) {
	at, q = p.Time, p.Qualifier
	if general != nil {
		if at = parseGeneralized(general); at.IsZero() && f.err == nil {
			f.err = ErrField
		}
	}
	if micro != nil {
		var err error
		if at, err = microStamp(micro); err != nil && f.err == nil {
			f.err = err
		}
	}
	if qualifier != nil {
		q = Qualifier(f.number(qualifier, math.MaxUint8))
	}
	return at, q
}

// iri reads IRIPayload.
func (p *PDU) iri(b []byte) error {
	f := fields{rest: b}
	r := IRI{Seq: p.Seq, Direction: DirNotApplicable}
	if v, ok := f.optional(ctx0); ok {
		r.Type = IRIType(f.number(v, uint64(Report)))
	}
	general, _ := f.optional(ctx | 1)
	contents := f.must(con | 2)
	micro, _ := f.optional(con | 3)
	qualifier, _ := f.optional(ctx | 4)
	f.optional(ctx | 5) // sessionDirection
	if v, ok := f.optional(ctx | 6); ok {
		r.Direction = Direction(f.number(v, math.MaxUint8))
	}
	r.Time, r.Qualifier = p.stamps(general, micro, qualifier, &f)
	if err := f.end(); err != nil {
		return err
	}
	mm, err := only(contents)
	if err != nil || mm.tag != con|11 {
		return err // an alternative that is not IP multimedia
	}
	g := fields{rest: mm.body}
	id := g.must(ctx0)
	inner := g.must(con | 1)
	if err := g.end(); err != nil {
		return err
	}
	if len(id) != len(iriID) || !bytes.HasPrefix(id, []byte(iriID[:2])) || id[3] != iriID[3] {
		return ErrField
	}
	return p.sip(r, inner)
}

// sip reads IPIRIContents as far as it is a SIP message.
func (p *PDU) sip(r IRI, b []byte) error {
	t, err := only(b)
	if err != nil {
		return err
	}
	switch t.tag {
	case con | 1:
	case con | 6:
		r.IRIOnly = true
	default:
		return nil
	}
	f := fields{rest: t.body}
	src, dst := f.must(con0), f.must(con|1)
	r.SIP = f.must(ctx | 2)
	if err := f.end(); err != nil {
		return err
	}
	if r.Src, err = address(src); err != nil {
		return err
	}
	if r.Dst, err = address(dst); err != nil {
		return err
	}
	p.IRIs = append(p.IRIs, r)
	return nil
}

// address reads IPAddress, in binary or as text.
func address(b []byte) (netip.Addr, error) {
	f := fields{rest: b}
	f.must(ctx | 1)
	value := f.must(con | 2)
	if err := f.end(); err != nil {
		return netip.Addr{}, err
	}
	t, err := only(value)
	if err != nil {
		return netip.Addr{}, err
	}
	switch t.tag {
	case ctx | 1:
		if a, ok := netip.AddrFromSlice(t.body); ok {
			return a, nil
		}
	case ctx | 2:
		if a, err := netip.ParseAddr(string(t.body)); err == nil {
			return a, nil
		}
	}
	return netip.Addr{}, ErrField
}

// cc reads CCPayload.
func (p *PDU) cc(b []byte) error {
	f := fields{rest: b}
	c := CC{Seq: p.Seq, Direction: DirNotApplicable}
	if v, ok := f.optional(ctx0); ok {
		c.Direction = Direction(f.number(v, math.MaxUint8))
	}
	general, _ := f.optional(ctx | 1)
	contents := f.must(con | 2)
	micro, _ := f.optional(con | 3)
	qualifier, _ := f.optional(ctx | 4)
	c.Time, c.Qualifier = p.stamps(general, micro, qualifier, &f)
	if err := f.end(); err != nil {
		return err
	}
	mm, err := only(contents)
	if err != nil || mm.tag != con|12 {
		return err // an alternative that is not IP multimedia
	}
	g := fields{rest: mm.body}
	id := g.must(ctx0)
	c.Packet = g.must(ctx | 1)
	if v, ok := g.optional(ctx | 2); ok {
		c.Frame = FrameType(g.number(v, math.MaxUint8))
	}
	if v, ok := g.optional(ctx | 3); ok {
		c.StreamID = v
	}
	if v, ok := g.optional(ctx | 4); ok {
		c.UDPTL = g.number(v, math.MaxUint8) == 2
	}
	if err := g.end(); err != nil {
		return err
	}
	if len(id) != len(ccID) || !bytes.HasPrefix(id, []byte(ccID[:2])) || id[3] != ccID[3] {
		return ErrField
	}
	p.CCs = append(p.CCs, c)
	return nil
}

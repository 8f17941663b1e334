package deliver

import (
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Line is how the records of one session are pushed. It keeps the form of the delivery
// that its agency had when the line was made, as far as the one that counts now allows.
// One goroutine uses it.
type Line struct {
	way      *way
	delivery warrant.Delivery // when it was made
	liid     li.LIID
	cin      li.CIN
	signer   *ecdsa.PrivateKey
	enc      *etsi.Encoder // nil = capture files only
	started  time.Time
	ordered  bool // content is ordered
	media    bool // and goes over HI3
	hash     etsi.HashAlgorithm
	seal     *etsi.Sealer // nil = no encryption container
	shown    *etsi.Sealer // the container in clear, which integrity checks cover; nil = none
	iri, cc  uint64       // names of the sessions' counters
	plain    []byte       // scratch
	packet   []byte       // scratch
}

// runBytes is what a run holds at most, roughly.
const runBytes = 256 << 10

var (
	errNoSpool = errors.New("deliver: the agency's spool is not open")
	errStale   = errors.New("deliver: another encryption is ordered now")
	errNobody  = errors.New("deliver: no delivery counts")
)

// Takes reports whether records of a kind are pushed.
func (l *Line) Takes(kind segment.Kind) bool {
	if l == nil || l.enc == nil {
		return false
	}
	out := l.way.now.Load()
	return out != nil && out.delivery.HI2 != "" && (kind == segment.KindIRI || kind == segment.KindCC && l.media && out.delivery.HI3 != "")
}

// Stale reports whether another encryption is ordered than the line was made with: a
// new line must take over.
func (l *Line) Stale() bool {
	if l == nil || l.enc == nil {
		return false
	}
	out := l.way.now.Load()
	return out != nil && out.delivery.HI2 != "" && out.delivery.Encryption != l.delivery.Encryption
}

// Pushed is consecutive records that go onto the HI2 or HI3 spool together, or not at
// all. Those on their way into capture files count no records: what is refused there
// stands in the files.
type Pushed struct {
	*Receipt

	Records int
	Octets  uint64 // of their plain PS-PDUs
}

// Push puts records of one kind on their way, numbered from first: to the LEMF, into
// capture files, or both. octets is those of all PS-PDUs of the kind before. After an
// error those that pushed does not count are not on their way to the LEMF.
func (l *Line) Push(kind segment.Kind, first uint32, octets uint64, records []segment.Record) (pushed []Pushed, err error) {
	if l == nil || len(records) == 0 {
		return nil, nil
	}
	if l.Takes(kind) {
		pushed, err = l.stream(kind, first, octets, records)
	} else if l.enc != nil && (kind == segment.KindIRI || l.media) {
		err = errNobody // where one counts again when they are stored, it is told
	}
	if !l.drops(kind) {
		return pushed, err
	}
	files, dropErr := l.pushDrop(kind, first, records)
	for _, r := range files {
		pushed = append(pushed, Pushed{Receipt: r})
	}
	return pushed, errors.Join(err, dropErr)
}

// stream puts records on their way over HI2 or HI3.
func (l *Line) stream(kind segment.Kind, first uint32, octets uint64, records []segment.Record) (pushed []Pushed, err error) {
	out := l.way.now.Load()
	if out == nil || out.queue(kind) == nil {
		return nil, errNoSpool
	}
	if l.Stale() {
		return nil, errStale
	}
	q := out.queue(kind)
	if first == 0 { // a flag that comes twice says the same
		if pdu, err := l.enc.AppendTRI(nil, 0, records[0].Time(), etsi.TRIFirstSegment); err == nil {
			if _, err := q.push(bare(pdu)); err != nil {
				return nil, err
			}
		}
	}
	for len(records) > 0 {
		var p Pushed
		p.Receipt, err = q.push(func(dst []byte) ([]byte, error) {
			start := len(dst)
			dst, p.Records, p.Octets, err = l.appendRun(dst, kind, first, octets, records)
			if err == nil {
				endRun(dst, start)
			}
			return dst, err
		})
		if err != nil {
			return pushed, fmt.Errorf("deliver: %w", err)
		}
		pushed = append(pushed, p)
		octets += p.Octets
		first += uint32(p.Records) //nolint:gosec // bounded by records
		records = records[p.Records:]
	}
	return pushed, nil
}

// appendRun encodes as many records as a run takes.
func (l *Line) appendRun(dst []byte, kind segment.Kind, first uint32, octets uint64, records []segment.Record) (out []byte, n int, size uint64, err error) {
	session := l.iri
	if kind == segment.KindCC {
		session = l.cc
	}
	start := len(dst)
	dst = beginRun(dst, session, first, 0, records[0].Time())
	for n < len(records) && len(dst)-start < runBytes {
		var added uint64
		if dst, added, err = l.appendRecord(dst, l.seal, first+uint32(n), octets+size, records[n]); err != nil { //nolint:gosec // bounded by records
			return dst[:start], 0, 0, err
		}
		size += added
		n++
	}
	setCount(dst, start, uint32(n), l.seal != nil) //nolint:gosec // bounded by records
	return dst, n, size, nil
}

// appendRecord appends one PS-PDU. size is what it adds to the octets that the
// encryption container counts: those of the plain PS-PDU.
func (l *Line) appendRecord(dst []byte, seal *etsi.Sealer, seq uint32, octets uint64, r segment.Record) (out []byte, size uint64, err error) {
	if seal == nil {
		before := len(dst)
		dst, err = l.appendPlain(dst, seq, r)
		return dst, uint64(len(dst) - before), err //nolint:gosec // not negative
	}
	if l.plain, err = l.appendPlain(l.plain[:0], seq, r); err != nil {
		return dst, 0, err
	}
	counter := uint64(l.started.Unix())<<32 + octets //nolint:gosec // after 1970; annex G
	dst, err = seal.AppendSealed(dst, l.plain, counter)
	return dst, uint64(len(l.plain)), err
}

func (l *Line) appendPlain(dst []byte, seq uint32, r segment.Record) ([]byte, error) {
	if r.IRI != nil {
		return l.enc.AppendIRI(dst, &etsi.IRI{
			Seq: seq, Time: r.IRI.Time, Qualifier: etsi.QualTimeOfInterception, Type: etsi.IRITypeNamed(r.IRI.Type), Direction: etsi.DirectionNamed(r.IRI.Direction),
			Src: etsi.Address(r.IRI.Src.Addr()), Dst: etsi.Address(r.IRI.Dst.Addr()), SIP: r.IRI.SIP, IRIOnly: !l.ordered,
		})
	}
	cc := etsi.CC{
		Seq: seq, Time: r.CC.Time, Qualifier: etsi.QualTimeOfInterception, Direction: etsi.DirectionOf(r.CC.Direction),
		Frame: etsi.FrameIP, Packet: r.CC.Packet,
	}
	l.reframe(&cc, r.CC.Format)
	return l.enc.AppendCC(dst, &cc)
}

// reframe cuts a packet to what the agency asked for. What is no RTP stays whole.
func (l *Line) reframe(cc *etsi.CC, format x2x3.Format) {
	if format == x2x3.FormatRTP {
		cc.Frame = etsi.FrameRTP
		return
	}
	if l.delivery.Frame == warrant.FrameIP {
		return
	}
	from, to, payload, err := x2x3.ParseDatagram(cc.Packet, format)
	if err != nil {
		return
	}
	if l.delivery.Frame == warrant.FrameUDP {
		cc.Frame, cc.Packet = etsi.FrameUDP, cc.Packet[len(cc.Packet)-len(payload)-udpHeader:]
		return
	}
	if !isRTP(payload) {
		return
	}
	l.packet = append(from.AppendTo(l.packet[:0]), '>')
	l.packet = to.AppendTo(l.packet)
	cc.Frame, cc.Packet, cc.StreamID = etsi.FrameRTP, payload, l.packet
}

const udpHeader = 8

// isRTP tells RTP from RTCP (RFC 5761 section 4) and the rest.
func isRTP(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && (b[1]&0x7f < 64 || b[1]&0x7f > 95)
}

// Check makes the integrity check of consecutive records (clause 7.2.3): a PDU with
// the hash over their whole PS-PDUs, in order, and a PDU with the signature over that
// hash PDU. size is what the PDUs add to octets. number counts the checks of the kind in this session, from 1; hash and
// signature PDUs have it as their sequence number, apart from the records' numbers.
func (l *Line) Check(kind segment.Kind, number, first uint32, octets uint64, records []segment.Record, at time.Time) (all []evidence.Entailed, size uint64, err error) {
	h := l.hash.New()
	included := make([]uint32, len(records))
	var pdu []byte
	for i, r := range records {
		var added uint64
		included[i] = first + uint32(i) //nolint:gosec // bounded by the octets of a segment
		if pdu, added, err = l.appendRecord(pdu[:0], l.shown, included[i], octets+size, r); err != nil {
			return nil, 0, fmt.Errorf("deliver: integrity check: %w", err)
		}
		size += added
		h.Write(pdu)
	}
	of := etsi.KindIRI
	if kind == segment.KindCC {
		of = etsi.KindCC
	}
	hashed, err := l.enc.AppendIntegrity(nil, number, at, &etsi.Integrity{Included: included, Of: of, Value: h.Sum(nil), Hash: l.hash})
	if err != nil {
		return nil, 0, fmt.Errorf("deliver: integrity check: %w", err)
	}
	digest := l.hash.New()
	digest.Write(hashed)
	value, err := ecdsa.SignASN1(rand.Reader, l.signer, digest.Sum(nil))
	if err != nil {
		return nil, 0, errors.New("deliver: integrity check: cannot sign")
	}
	signed, err := l.enc.AppendIntegrity(nil, number, at, &etsi.Integrity{
		Included: []uint32{number}, Signature: true, Of: of, Value: value, Hash: l.hash, Sig: etsi.SigECDSA,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("deliver: integrity check: %w", err)
	}
	return []evidence.Entailed{{Kind: kind, PDU: hashed}, {Kind: kind, PDU: signed}}, size, nil
}

// Lost is the report of records that the agency's spool had no room for: the numbers
// first to last stay in the sealed store only.
func (l *Line) Lost(kind segment.Kind, first, last uint32, at time.Time) ([]evidence.Entailed, error) {
	return l.tell(fmt.Sprintf("CIN %d %s: sequence numbers %d to %d were not buffered and are not sent; the sealed store has them", l.cin, kind, first, last), at)
}

// Clashed is the report that another mediation numbered records of the same session:
// of what was sent under the numbers from first on, the sealed store may hold another.
func (l *Line) Clashed(kind segment.Kind, first uint32, at time.Time) ([]evidence.Entailed, error) {
	return l.tell(fmt.Sprintf("CIN %d %s: two mediations numbered this session; what was sent from number %d on may be another record there than the sealed store holds", l.cin, kind, first), at)
}

func (l *Line) tell(text string, at time.Time) ([]evidence.Entailed, error) {
	pdu, err := l.enc.AppendOperatorMessage(nil, 0, at, true, text)
	if err != nil {
		return nil, fmt.Errorf("deliver: report: %w", err)
	}
	return []evidence.Entailed{{Kind: segment.KindIRI, PDU: pdu}}, nil
}

// End says that nothing more of a kind comes of a session (lastSegmentFlag).
func (l *Line) End(kind segment.Kind, at time.Time) ([]evidence.Entailed, error) {
	if !l.Takes(kind) {
		return nil, nil
	}
	pdu, err := l.enc.AppendTRI(nil, 0, at, etsi.TRILastSegment)
	if err != nil {
		return nil, fmt.Errorf("deliver: end: %w", err)
	}
	return []evidence.Entailed{{Kind: kind, PDU: pdu}}, nil
}

// sessionName is the name of the counter of (LIID, CIN, kind) on the spool; never 0.
func sessionName(liid li.LIID, cin li.CIN, kind segment.Kind) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d\x00%s", liid, cin, kind)
	return h.Sum64() | 1
}

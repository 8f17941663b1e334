package open

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/rtp"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Directions, as IRI records spell them.
const (
	fromTarget = "from_target"
	toTarget   = "to_target"
)

const (
	rtpHeaderBytes = 12
	maxDropout     = 3000 // RFC 3550 appendix A.1: a larger jump in sequence is a restart
	maxOpenRuns    = 4    // of one stream, looked through for a packet's place
)

// packet is one RTP packet of a known direction. Its payload aliases the segment.
type packet struct {
	at      time.Time
	codec   string
	pt      uint8
	seq     int64 // extended within its run
	stamp   uint32
	payload []byte
}

// streamKey tells streams apart. The destination is one port of the gateway, so
// that a sender whose source address changes stays one stream.
type streamKey struct {
	direction string
	dst       netip.AddrPort
	ssrc      uint32
}

// run is a stretch of one stream with one numbering, in order of sequence after
// finish.
type run struct {
	key        streamKey
	packets    []packet
	seen       map[int64]struct{}
	newest     int64 // highest extended sequence number
	duplicates int
}

// media is what the datagrams of a session were.
type media struct {
	runs      []*run // in order of first capture
	rtcp      map[string]int
	other     map[string]int // DTLS, STUN, T.38 and what cannot be read
	encrypted map[string]int
	decrypted int  // before they were handed over
	keys      bool // encrypted with keys that are in the signalling
}

// collect sorts the RTP packets of a session into runs.
func collect(cc []segment.CCRecord, c codecs) *media {
	m := &media{rtcp: map[string]int{}, other: map[string]int{}, encrypted: map[string]int{}}
	open := map[streamKey][]*run{}
	for _, r := range byTime(cc) {
		direction := directionOf(r.Direction)
		dst, payload := datagram(r)
		if isRTCP(payload) {
			m.rtcp[direction]++
			continue
		}
		var p rtp.Packet
		if !isRTP(payload) || p.Unmarshal(payload) != nil {
			m.other[direction]++
			continue
		}
		codec := c.name(direction, r.Time, p.PayloadType)
		if r.Decrypted {
			m.decrypted++
		} else if yes, keys := c.encrypted(r.Time); yes {
			m.encrypted[direction]++
			m.keys = m.keys || keys
			codec += " (SRTP)"
		}
		k := streamKey{direction, dst, p.SSRC}
		ru := pick(open[k], p.SequenceNumber)
		if ru == nil {
			ru = &run{key: k, seen: map[int64]struct{}{}, newest: int64(p.SequenceNumber)}
			open[k] = append(open[k], ru)
			m.runs = append(m.runs, ru)
		}
		ru.add(packet{at: r.Time, codec: codec, pt: p.PayloadType, stamp: p.Timestamp, payload: p.Payload}, p.SequenceNumber)
	}
	for _, ru := range m.runs {
		slices.SortStableFunc(ru.packets, func(a, b packet) int { return cmp.Compare(a.seq, b.seq) })
	}
	return m
}

// byTime is the order of capture.
func byTime(cc []segment.CCRecord) []segment.CCRecord {
	sorted := slices.Clone(cc)
	slices.SortStableFunc(sorted, func(a, b segment.CCRecord) int { return a.Time.Compare(b.Time) })
	return sorted
}

// pick finds the run that a sequence number continues, the latest first.
func pick(runs []*run, seq uint16) *run {
	for i := len(runs) - 1; i >= max(0, len(runs)-maxOpenRuns); i-- {
		if d := int16(seq - uint16(runs[i].newest)); -maxDropout <= d && d <= maxDropout {
			return runs[i]
		}
	}
	return nil
}

// add places a packet by its extended sequence number; of duplicates the first
// captured counts.
func (r *run) add(p packet, seq uint16) {
	p.seq = r.newest + int64(int16(seq-uint16(r.newest)))
	if _, dup := r.seen[p.seq]; dup {
		r.duplicates++
		return
	}
	r.seen[p.seq] = struct{}{}
	r.newest = max(r.newest, p.seq)
	r.packets = append(r.packets, p)
}

// lost counts the sequence numbers that are missing between those received.
func (r *run) lost() int {
	if len(r.packets) == 0 {
		return 0
	}
	return int(r.packets[len(r.packets)-1].seq-r.packets[0].seq) + 1 - len(r.packets)
}

// datagram takes the UDP payload out of a record. A packet that is no datagram, or
// a bare RTP payload of a foreign network element, has no destination.
func datagram(r segment.CCRecord) (netip.AddrPort, []byte) {
	if r.Format == x2x3.FormatRTP {
		return netip.AddrPort{}, r.Packet
	}
	_, dst, payload, err := x2x3.ParseDatagram(r.Packet, r.Format)
	if err != nil {
		return netip.AddrPort{}, nil
	}
	return dst, payload
}

func isRTP(b []byte) bool { return len(b) >= rtpHeaderBytes && b[0]>>6 == 2 }

// isRTCP follows RFC 5761 clause 4: packet types 192 to 223.
func isRTCP(b []byte) bool { return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }

func directionOf(d x2x3.Direction) string {
	switch d {
	case x2x3.FromTarget:
		return fromTarget
	case x2x3.ToTarget:
		return toTarget
	case x2x3.DirectionKeepalive, x2x3.DirectionUnknown, x2x3.DirectionSeveral, x2x3.NotApplicable:
		return unknown
	}
	return unknown
}

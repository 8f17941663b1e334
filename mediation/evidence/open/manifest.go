package open

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// ManifestFormat stands in every manifest.json.
const ManifestFormat = "ligate-opened/1"

// Roles of files.
const (
	Master  = "master"  // what the operator sealed
	Derived = "derived" // made from the masters, again at any time
)

// Manifest says what opening one session found and made. It holds no time of its
// own making, so that opening twice gives the same octets.
type Manifest struct {
	Format    string     `json:"format"`
	Tool      Tool       `json:"tool"`
	LIID      li.LIID    `json:"liid"`
	CIN       li.CIN     `json:"cin"`
	Session   SessionSum `json:"session"`
	Files     []File     `json:"files"`
	FirstTime *time.Time `json:"first_time"` // of any record; null when there is none
	LastTime  *time.Time `json:"last_time"`
	Gaps      []GapDoc   `json:"gaps"` // lost before sealing, as the operator says
	Legs      []Leg      `json:"legs"`
	Audio     *Audio     `json:"audio"` // null when there is no call.wav
	Notes     []string   `json:"notes"` // what a person must know to read the rest

	Redacted *Redaction `json:"redacted,omitempty"` // absent when nothing was left out
}

// Redaction says what was left out of a bundle, and of which.
type Redaction struct {
	Without segment.Kind `json:"without"`
	Parent  string       `json:"parent"` // SHA-256 of the whole bundle's tagmanifest-sha256.txt
}

// Tool is what made the derived files.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// SessionSum is what was verified.
type SessionSum struct {
	Segments   int    `json:"segments"`
	ChainHead  string `json:"chain_head"`
	IRIRecords int    `json:"iri_records"`
	CCRecords  int    `json:"cc_records"`
	Ended      bool   `json:"ended"` // false = the session went on after it was pulled
}

// File is one file: masters under their name in the sealed folder.
type File struct {
	Name   string `json:"name"`
	Role   string `json:"role"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	About  string `json:"about"`
}

// GapDoc is a gap record.
type GapDoc struct {
	Kind    segment.Kind `json:"kind"`
	After   uint32       `json:"after"`   // sequence number at the tap
	Missing uint32       `json:"missing"` // 0 = unknown
	Time    time.Time    `json:"time"`
	Cause   string       `json:"cause"`
}

// Leg is the media of one direction.
type Leg struct {
	Direction   string     `json:"direction"`
	Channel     string     `json:"channel"` // left, right; empty where the direction is unknown
	Packets     int        `json:"rtp_packets"`
	Duplicates  int        `json:"duplicate_packets"`
	LostPackets int        `json:"lost_packets"`
	RTCP        int        `json:"rtcp_packets"`
	Other       int        `json:"other_packets"` // neither RTP nor RTCP
	Encrypted   int        `json:"encrypted_packets"`
	FirstTime   *time.Time `json:"first_time"`
	LastTime    *time.Time `json:"last_time"`
	Codecs      []CodecUse `json:"codecs"`
	Streams     int        `json:"streams"`
	Resyncs     int        `json:"timestamp_jumps"`     // set by capture time again
	Strays      int        `json:"stray_packets"`       // left out: timestamp far ahead of capture
	Overlaps    int        `json:"overlapping_packets"` // cut: timestamps ran into the one before
	Losses      []Loss     `json:"losses"`
	Keys        []Key      `json:"keys,omitempty"` // pressed, where the side told them as events
}

// CodecUse is how much of a leg was in one codec.
type CodecUse struct {
	PayloadType uint8  `json:"payload_type"`
	Name        string `json:"name"`
	Packets     int    `json:"packets"`
	InWAV       bool   `json:"in_wav"`
}

// Loss is where RTP packets are missing: Samples of silence stand in call.wav from
// AtSample on.
type Loss struct {
	SSRC          uint32 `json:"ssrc"`
	AfterSequence uint16 `json:"after_sequence"`
	Packets       int    `json:"packets"`
	AtSample      int64  `json:"at_sample"`
	Samples       int64  `json:"samples"`
}

// Audio is the form of call.wav.
type Audio struct {
	SampleRate int       `json:"sample_rate"`
	Channels   int       `json:"channels"`
	BitDepth   int       `json:"bit_depth"`
	Samples    int64     `json:"samples"` // of each channel
	Start      time.Time `json:"start"`   // of sample 0
	Left       string    `json:"left"`
	Right      string    `json:"right"`
}

// newManifest gathers everything but the files.
func newManifest(c *content, m *media, t *timeline, version string) Manifest {
	s := c.doc.Session
	man := Manifest{
		Format: ManifestFormat, Tool: Tool{"ligate", version}, LIID: s.LIID, CIN: s.CIN,
		Session: SessionSum{len(c.doc.Segments), s.ChainHead, len(c.iri), len(c.cc), s.EndedAt != nil},
		Gaps:    []GapDoc{}, Legs: []Leg{}, Notes: []string{},
	}
	for _, g := range c.gaps {
		man.Gaps = append(man.Gaps, GapDoc(g))
	}
	for _, r := range c.iri {
		widen(&man.FirstTime, &man.LastTime, r.Time)
	}
	for _, r := range c.cc {
		widen(&man.FirstTime, &man.LastTime, r.Time)
	}
	for _, d := range []string{fromTarget, toTarget, unknown} {
		if leg, any := newLeg(d, m, t); any {
			man.Legs = append(man.Legs, leg)
		}
	}
	if t != nil {
		man.Audio = &Audio{sampleRate, channels, bitDepth, t.samples, t.start, "target", "far party"}
	}
	return man
}

// newLeg sums up one direction; any is false where it had no media at all.
func newLeg(direction string, m *media, t *timeline) (leg Leg, any bool) {
	leg = Leg{
		Direction: direction, RTCP: m.rtcp[direction], Other: m.other[direction], Encrypted: m.encrypted[direction],
		Codecs: []CodecUse{}, Losses: []Loss{},
	}
	switch direction {
	case fromTarget:
		leg.Channel = "left"
	case toTarget:
		leg.Channel = "right"
	}
	ssrcs := map[streamKey]bool{}
	for _, r := range m.runs {
		if r.key.direction != direction {
			continue
		}
		ssrcs[r.key] = true
		leg.Packets += len(r.packets) + r.duplicates
		leg.Duplicates += r.duplicates
		leg.LostPackets += r.lost()
		leg.Keys = append(leg.Keys, r.keys()...)
		for _, p := range r.packets {
			widen(&leg.FirstTime, &leg.LastTime, p.at)
			leg.count(p, t != nil && leg.Channel != "")
		}
	}
	leg.Streams = len(ssrcs)
	sortKeys(leg.Keys)
	slices.SortFunc(leg.Codecs, func(a, b CodecUse) int {
		return cmp.Or(cmp.Compare(a.PayloadType, b.PayloadType), cmp.Compare(a.Name, b.Name))
	})
	leg.tracks(t)
	return leg, leg.Packets+leg.RTCP+leg.Other > 0
}

func (l *Leg) count(p packet, wav bool) {
	for i := range l.Codecs {
		if c := &l.Codecs[i]; c.PayloadType == p.pt && c.Name == p.codec {
			c.Packets++
			return
		}
	}
	l.Codecs = append(l.Codecs, CodecUse{p.pt, p.codec, 1, wav && isG711(p.codec)})
}

func (l *Leg) tracks(t *timeline) {
	if t == nil {
		return
	}
	for _, tr := range t.tracks {
		if tr.key.direction != l.Direction {
			continue
		}
		l.Resyncs += tr.resyncs
		l.Strays += tr.strays
		l.Overlaps += tr.overlaps
		for _, h := range tr.holes {
			l.Losses = append(l.Losses, Loss{tr.key.ssrc, h.afterSeq, h.packets, h.start, h.samples})
		}
	}
}

// notes says in words what the figures mean.
func (man *Manifest) notes(m *media, tooLong bool) {
	note := func(format string, a ...any) { man.Notes = append(man.Notes, fmt.Sprintf(format, a...)) }
	if !man.Session.Ended {
		note("The session had not ended when it was pulled: more may follow.")
	}
	for _, leg := range man.Legs {
		who := map[string]string{fromTarget: "target", toTarget: "far party", unknown: "side that is not known"}[leg.Direction]
		for _, c := range leg.Codecs {
			if !isG711(c.Name) && !silent(c.Name) {
				note("The %s sent %d packets as %s (payload type %d): they are not in call.wav, and whole in call.pcapng.",
					who, c.Packets, c.Name, c.PayloadType)
			}
		}
		if leg.Channel == "" && leg.Packets > 0 {
			note("Media of unknown direction is in call.pcapng only.")
		}
	}
	switch {
	case tooLong:
		note("The audio would be longer than 24 hours: there is no call.wav.")
	case man.Audio == nil && man.Session.CCRecords > 0:
		note("No packet was in a codec that call.wav can hold (G.711 A-law or u-law): there is no call.wav.")
	}
	if m.decrypted > 0 {
		note("The parties sent SRTP with keys in the signalling: %d packets stand here as the network element decrypted them.", m.decrypted)
	}
	encrypted := 0
	for _, n := range m.encrypted {
		encrypted += n
	}
	if encrypted > 0 && m.keys {
		note("The signalling asks for SRTP and holds its keys (iri.jsonl): %d packets are as they were sent, not decrypted.", encrypted)
	} else if encrypted > 0 {
		note("The signalling asks for SRTP: media is encrypted, keys not held.")
	}
}

// silent codecs carry no speech: comfort noise and telephone events.
func silent(codec string) bool {
	return codec == "CN/8000" || codec == telephoneEvent
}

func widen(first, last **time.Time, at time.Time) {
	if *first == nil || at.Before(**first) {
		*first = &at
	}
	if *last == nil || at.After(**last) {
		*last = &at
	}
}

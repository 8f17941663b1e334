package open

import (
	"cmp"
	"slices"
	"time"
)

const (
	sampleRate = 8000
	// tolerance is how far a sender's timestamps may leave the capture clock
	// before they are taken for a jump (hold, restart) and set by capture again.
	// Network delay and clock drift stay below it.
	tolerance = 1 * sampleRate
	lookahead = 50 // packets, one second of speech
	// maxTimeline bounds call.wav: 24 hours.
	maxTimeline = 24 * 3600 * sampleRate
)

// span is audio at its place: samples from start on, one octet a sample.
type span struct {
	start int64
	data  []byte
	alaw  bool
}

func (s span) end() int64 { return s.start + int64(len(s.data)) }

// hole is where packets are missing. Samples is the silence that stands for them.
type hole struct {
	afterSeq uint16
	packets  int
	start    int64
	samples  int64
}

// track is a run's audio on the timeline, spans in order and apart.
type track struct {
	key      streamKey
	spans    []span
	holes    []hole
	resyncs  int // places where the timestamps jumped and capture time decided
	strays   int // packets whose timestamp lies in the future of their capture
	overlaps int // packets cut because their timestamps ran into the one before
}

func isG711(codec string) bool { return codec == pcmu || codec == pcma }

// place puts a run's G.711 packets on the timeline. Position 0 is the time origin.
// Packets of other codecs and telephone events hold no audio: their time stays
// silent.
func place(r *run, origin time.Time) track {
	t := track{key: r.key}
	audio, missing := audioOf(r)
	if len(audio) == 0 {
		return t
	}
	capture := make([]int64, len(audio))
	stamps := make([]int64, len(audio)) // timestamps without wrap, from 0
	for i, p := range audio {
		capture[i] = samplesBetween(origin, p.at)
		if i > 0 {
			stamps[i] = stamps[i-1] + int64(int32(p.stamp-audio[i-1].stamp))
		}
	}
	base := anchor(capture, stamps)
	end := base + stamps[0]
	owed := 0 // missing packets not yet listed
	for i, p := range audio {
		pos := base + stamps[i]
		owed += missing[i]
		if far(capture[i] - pos) {
			again := max(capture[i], end) - stamps[i]
			switch {
			case again == base:
			case jumped(capture[i:], stamps[i:], base):
				base, pos = again, again+stamps[i]
				t.resyncs++
			case pos > capture[i]:
				t.strays++
				continue
			}
		}
		if owed > 0 {
			before := audio[max(0, i-1)].seq
			t.holes = append(t.holes, hole{uint16(before), owed, end, max(0, pos-end)})
			owed = 0
		}
		end = t.put(p, pos, end)
	}
	return t
}

// put adds a packet's audio after end and cuts what lies before it.
func (t *track) put(p packet, pos, end int64) int64 {
	data := p.payload
	if pos < end && len(t.spans) > 0 {
		t.overlaps++
		data = data[min(int64(len(data)), end-pos):]
		pos = end
	}
	if len(data) == 0 {
		return end
	}
	s := span{pos, data, p.codec == pcma}
	t.spans = append(t.spans, s)
	return s.end()
}

// audioOf returns the packets with audio and, for each, how many packets of any
// codec are missing since the one with audio before it.
func audioOf(r *run) (audio []packet, missing []int) {
	lost := 0
	for i, p := range r.packets {
		if i > 0 {
			lost += int(p.seq-r.packets[i-1].seq) - 1
		}
		if isG711(p.codec) && len(p.payload) > 0 {
			audio, missing = append(audio, p), append(missing, lost)
			lost = 0
		}
	}
	return audio, missing
}

// anchor is the base that puts the packet captured first where it was captured.
// Where that packet came so late that its successors overtake it by more than the
// tolerance, the least delayed of the first second decides.
func anchor(capture, stamps []int64) int64 {
	first := 0
	for i := range capture {
		if capture[i] < capture[first] {
			first = i
		}
	}
	base := capture[first] - stamps[first]
	least := base
	for i := first; i < min(len(capture), first+lookahead); i++ {
		least = min(least, capture[i]-stamps[i])
	}
	if far(base-least) && !lonely(capture, stamps, least) {
		return least
	}
	return base
}

// lonely reports whether only one packet speaks for a base: a broken timestamp.
func lonely(capture, stamps []int64, base int64) bool {
	n := 0
	for i := range min(len(capture), 2*lookahead) {
		if !far(capture[i] - stamps[i] - base) {
			n++
		}
	}
	return n < 2
}

// jumped reports whether the packets that follow stay away from base, too: a jump
// of the sender's clock and no burst of late packets, no single broken timestamp.
func jumped(capture, stamps []int64, base int64) bool {
	for i := range min(len(capture), lookahead) {
		if !far(capture[i] - stamps[i] - base) {
			return false
		}
	}
	return true
}

func far(d int64) bool { return d > tolerance || d < -tolerance }

// samplesBetween is exact for any two times: a Duration would overflow at 292
// years, and times come from foreign octets.
func samplesBetween(from, to time.Time) int64 {
	seconds := to.Unix() - from.Unix()
	return seconds*sampleRate + int64(to.Nanosecond()-from.Nanosecond())*sampleRate/int64(time.Second)
}

// timeline is both sides' audio with a common zero.
type timeline struct {
	start       time.Time // of sample 0
	left, right []span    // target, far party; in order of start, runs may overlap
	samples     int64
	tracks      []track
}

// newTimeline places every run. It returns nil when there is no audio to write,
// and ok false when there is more than a file may hold.
func newTimeline(runs []*run) (t *timeline, ok bool) {
	origin, found := firstAudio(runs)
	if !found {
		return nil, true
	}
	t = &timeline{start: origin}
	low, high := int64(0), int64(0)
	for _, r := range runs {
		if r.key.direction != fromTarget && r.key.direction != toTarget {
			continue
		}
		tr := place(r, origin)
		for _, s := range tr.spans {
			low, high = min(low, s.start), max(high, s.end())
		}
		t.tracks = append(t.tracks, tr)
	}
	if high-low > maxTimeline {
		return nil, false
	}
	t.shift(low)
	t.samples = high - low
	return t, true
}

// shift makes low the zero and gathers the channels.
func (t *timeline) shift(low int64) {
	t.start = t.start.Add(time.Duration(low) * time.Second / sampleRate)
	for i := range t.tracks {
		tr := &t.tracks[i]
		for j := range tr.spans {
			tr.spans[j].start -= low
		}
		for j := range tr.holes {
			tr.holes[j].start -= low
		}
		if tr.key.direction == fromTarget {
			t.left = append(t.left, tr.spans...)
		} else {
			t.right = append(t.right, tr.spans...)
		}
	}
	for _, spans := range [][]span{t.left, t.right} {
		slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	}
}

// firstAudio is the earliest capture of a packet with audio.
func firstAudio(runs []*run) (first time.Time, found bool) {
	for _, r := range runs {
		if r.key.direction != fromTarget && r.key.direction != toTarget {
			continue
		}
		audio, _ := audioOf(r)
		for _, p := range audio {
			if !found || p.at.Before(first) {
				first, found = p.at, true
			}
		}
	}
	return first, found
}

package open

import (
	"fmt"
	"io"
	"time"

	"github.com/go-audio/audio"
	"github.com/go-audio/riff"
	"github.com/go-audio/wav"
	"github.com/zaf/g711"
)

const (
	bitDepth   = 16
	channels   = 2
	formatPCM  = 1
	blockLen   = sampleRate // samples rendered at once
	bextBytes  = 602
	fmtBytes   = 16
	maxLevel   = 1<<15 - 1
	minLevel   = -1 << 15
	bextSchema = 1
)

// bext is the broadcast extension chunk of EBU Tech 3285 version 1, without coding
// history.
type bext struct {
	Description   [256]byte
	Originator    [32]byte
	Reference     [32]byte
	Date          [10]byte // yyyy-mm-dd
	Time          [8]byte  // hh:mm:ss
	SinceMidnight uint64   // samples from midnight UTC to the first one
	Version       uint16
	UMID          [64]byte
	Reserved      [190]byte
}

func newBext(description, reference string, start time.Time) bext {
	start = start.UTC()
	b := bext{Version: bextSchema}
	copy(b.Description[:], description)
	copy(b.Originator[:], "ligate")
	copy(b.Reference[:], reference)
	copy(b.Date[:], start.Format("2006-01-02"))
	copy(b.Time[:], start.Format("15:04:05"))
	midnight := time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	b.SinceMidnight = uint64(samplesBetween(midnight, start))
	return b
}

// writeWAV renders a timeline as a Broadcast Wave file, stereo, 16 bit, 8 kHz.
func writeWAV(w io.WriteSeeker, t *timeline, info bext) error {
	e := wav.NewEncoder(w, sampleRate, bitDepth, channels, formatPCM)
	// The encoder writes no header of its own once something stands before its
	// first sample: that is how bext comes before the data, where readers want it.
	for _, v := range []any{
		riff.RiffID, uint32(0), riff.WavFormatID,
		[4]byte{'b', 'e', 'x', 't'},
		uint32(bextBytes), info,
		riff.FmtID, uint32(fmtBytes), uint16(formatPCM), uint16(channels), uint32(sampleRate),
		uint32(sampleRate * channels * bitDepth / 8), uint16(channels * bitDepth / 8), uint16(bitDepth),
	} {
		if err := e.AddLE(v); err != nil {
			return fmt.Errorf("write call.wav: %w", err)
		}
	}
	left, right := channel{spans: t.left}, channel{spans: t.right}
	buf := &audio.IntBuffer{Format: &audio.Format{NumChannels: channels, SampleRate: sampleRate}, SourceBitDepth: bitDepth}
	for at := int64(0); at < t.samples; at += blockLen {
		n := int(min(blockLen, t.samples-at))
		l, r := left.render(at, n), right.render(at, n)
		buf.Data = buf.Data[:0]
		for i := range n {
			buf.Data = append(buf.Data, level(l[i]), level(r[i]))
		}
		if err := e.Write(buf); err != nil {
			return fmt.Errorf("write call.wav: %w", err)
		}
	}
	if err := e.Close(); err != nil {
		return fmt.Errorf("write call.wav: %w", err)
	}
	return nil
}

// channel renders one side's spans block by block, from the front to the end.
type channel struct {
	spans  []span // not yet reached, in order of start
	active []span // reached and not yet over
	block  [blockLen]int32
}

// render returns n samples from at on. Where runs overlap, as two early media
// streams may, both are heard.
func (c *channel) render(at int64, n int) []int32 {
	out := c.block[:n]
	clear(out)
	end := at + int64(n)
	for len(c.spans) > 0 && c.spans[0].start < end {
		c.active = append(c.active, c.spans[0])
		c.spans = c.spans[1:]
	}
	keep := c.active[:0]
	for _, s := range c.active {
		from, to := max(s.start, at), min(s.end(), end)
		for i := from; i < to; i++ {
			out[i-at] += linear(s.data[i-s.start], s.alaw)
		}
		if s.end() > end {
			keep = append(keep, s)
		}
	}
	c.active = keep
	return out
}

func linear(b byte, alaw bool) int32 {
	if alaw {
		return int32(g711.DecodeAlawFrame(b))
	}
	return int32(g711.DecodeUlawFrame(b))
}

// level keeps a mixed sample within 16 bits.
func level(v int32) int { return int(min(max(v, minLevel), maxLevel)) }

package correlate

import (
	"time"

	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// share is what one part gave to a batch.
type share struct {
	part    part
	records int
	pushed  []deliver.Pushed // how their way to the LEMF goes; none = they are not pushed
	failed  bool             // those that are not in pushed did not get on their way
}

// batch is records of one kind on their way into one segment.
type batch struct {
	kind    segment.Kind
	records []segment.Record // without numbers
	shares  []share          // in the order of records
	line    *deliver.Line    // how its records are pushed
	bytes   int
	since   time.Time // when the first part came

	tapSeq int64 // number at the tap of the newest record

	holes []hole // set when the batch is closed, as are the next two
	found int
	facts facts // of IRI

	window []byte // of the tracker, with all its records; set when it is closed

	checks  uint32 // integrity checks that its commit entails
	clashed bool   // another mediation numbered records of the session: what was sent may be another's
	sentAt  uint32 // of its first record, then

	sealed *evidence.Sealed // the attempt that failed last, good while at holds
	at     uint32           // segment number that sealed was made for
}

// span returns the first and last time of a record.
func (b *batch) span() (first, last time.Time) {
	for _, r := range b.records {
		at := r.Time()
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

// through is what the batch covers, one position a bus.
func (b *batch) through() []evidence.Position {
	var all []evidence.Position
	for _, s := range b.shares {
		pos, known := s.part.position(), false
		for i := range all {
			if all[i].Bus == pos.Bus {
				all[i].Seq, known = max(all[i].Seq, pos.Seq), true
			}
		}
		if !known {
			all = append(all, pos)
		}
	}
	return all
}

// drop takes out what is in committed segments already and returns the parts that
// are settled by that.
func (b *batch) drop(p *evidence.Progress) []part {
	var settled []part
	var records []segment.Record
	var shares []share
	from := 0
	for _, s := range b.shares {
		own := b.records[from : from+s.records]
		from += s.records
		if pos := s.part.position(); p.Position(pos.Bus, pos.Kind) >= pos.Seq {
			settled = append(settled, s.part)
			continue
		}
		records, shares = append(records, own...), append(shares, s)
	}
	if len(settled) > 0 {
		// Where a hole stood among the records is no longer known; that it is there is.
		for i := range b.holes {
			b.holes[i].index = min(b.holes[i].index, len(records))
		}
	}
	b.records, b.shares, b.sealed = records, shares, nil
	return settled
}

// numbered returns the records as they go into the segment: numbered from first,
// with the gaps where they are.
func (b *batch) numbered(first uint32) []segment.Record {
	out := make([]segment.Record, 0, len(b.records)+len(b.holes))
	next := 0
	for i, r := range b.records {
		for ; next < len(b.holes) && b.holes[next].index <= i; next++ {
			out = append(out, b.gap(b.holes[next]))
		}
		seq := first + uint32(i) //nolint:gosec // far fewer than 2^32 in one call
		if r.IRI != nil {
			r.IRI.Seq = seq
		} else {
			r.CC.Seq = seq
		}
		out = append(out, r)
	}
	for ; next < len(b.holes); next++ {
		out = append(out, b.gap(b.holes[next]))
	}
	return out
}

func (b *batch) gap(h hole) segment.Record {
	cause := "lost before mediation"
	if h.unknown {
		cause = "the tap counts anew"
	}
	return segment.Record{Gap: &segment.Gap{Kind: b.kind, After: h.after, Missing: h.n, Time: h.at, Cause: cause}}
}

// missing is how many PDUs the batch's holes stand for, less those that came
// after they were told missing.
func (b *batch) missing() int64 {
	n := -int64(b.found)
	for _, h := range b.holes {
		n += int64(h.n)
	}
	return n
}

package correlate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// entry is a call at its worker: what waits for its session, and the session.
type entry struct {
	id      call
	queue   []part // in order; not empty only while trouble lasts
	session *session
	trouble backoff
}

// backoff says when to try again.
type backoff struct {
	since   time.Time // of the first failure; zero = no trouble
	until   time.Time
	wait    time.Duration
	alarmed bool
}

func (b *backoff) failed(now time.Time) {
	if b.since.IsZero() {
		b.since = now
	}
	b.wait = min(max(2*b.wait, minRetry), maxRetry)
	b.until = now.Add(b.wait)
}

func (b *backoff) waits(now time.Time) bool { return now.Before(b.until) }

// stream is one kind's records of a session.
type stream struct {
	kind    segment.Kind
	every   time.Duration // how long a batch collects
	limit   int           // octets that close it early
	next    uint32        // number of the next record
	octets  uint64        // of all PS-PDUs so far
	tracker tracker
	open    *batch   // nil = nothing collected
	waiting []*batch // closed, in order; more than one only while trouble lasts
}

// session is one call of one Task. Its worker owns it.
type session struct {
	progress  *evidence.Progress // as committed
	iri, cc   *stream
	facts     facts     // with what is not committed yet
	heard     time.Time // when the last PDU came
	endSeen   time.Time // when the end came; zero = not yet
	endStored time.Time // by the bus
	asked     time.Time // when the idle session's Task was last looked at
	line      *deliver.Line
	lined     bool // line is settled, also if there is none
}

func (c *Correlator) newSession(p *evidence.Progress) *session {
	now := c.cfg.Now()
	s := &session{
		progress: p, facts: factsOf(p), heard: now, asked: now,
		iri: &stream{kind: segment.KindIRI, every: jitter(c.cfg.IRIEvery), limit: c.cfg.SegmentBytes, next: p.NextIRI, octets: p.OctetsIRI, tracker: newTracker(p.TapSeqX2, p.WindowX2)},
		cc:  &stream{kind: segment.KindCC, every: jitter(c.cfg.CCEvery), limit: c.cfg.SegmentBytes, next: p.NextCC, octets: p.OctetsCC, tracker: newTracker(p.TapSeqX3, p.WindowX3)},
	}
	if !p.EndedAt.IsZero() {
		s.endSeen, s.endStored = now, now
	}
	return s
}

// jitter shortens a time by up to a quarter, so that sessions that began together, as
// after a restart, are not stored together for ever.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) } //nolint:gosec // no secret

func (s *session) stream(kind segment.Kind) *stream {
	if kind == segment.KindIRI {
		return s.iri
	}
	return s.cc
}

// empty reports whether everything that came is committed.
func (s *session) empty() bool {
	return s.iri.open == nil && len(s.iri.waiting) == 0 && s.cc.open == nil && len(s.cc.waiting) == 0
}

// take collects a part's PDUs that are not refused. It returns how many were new.
func (s *session) take(p part, pdus []judged, now time.Time) (taken, duplicates int) {
	st := s.stream(p.kind)
	b := st.open
	if b == nil {
		b = &batch{kind: p.kind, since: now, line: s.line}
	}
	for i := range pdus {
		pdu := &pdus[i].PDU
		if pdu.HasSequence && st.tracker.see(pdu.Sequence, pdu.Time, len(b.records)) == duplicate {
			duplicates++
			continue
		}
		if pdus[i].refused != "" {
			continue // its number is no gap
		}
		if p.kind == segment.KindIRI {
			b.records = append(b.records, s.facts.iri(pdu, pdu.Time))
		} else {
			b.records = append(b.records, cc(pdu, pdu.Time))
		}
		b.bytes += len(pdu.Payload)
		b.tapSeq = st.tracker.last
		taken++
	}
	if taken == 0 {
		return 0, duplicates
	}
	b.shares = append(b.shares, s.push(st, b, share{part: p, records: taken}, b.records[len(b.records)-taken:]))
	st.open = b
	if b.bytes >= st.limit {
		s.close(st)
	}
	s.heard = now
	switch {
	case s.facts.endedAt.IsZero():
		s.endSeen = time.Time{}
	case s.endSeen.IsZero():
		s.endSeen, s.endStored = now, p.msg.stored
	}
	return taken, duplicates
}

// close ends the collecting of a batch, if there is one.
func (s *session) close(st *stream) {
	b := st.open
	if b == nil {
		return
	}
	b.holes, b.found, b.facts, b.window = st.tracker.tell(), st.tracker.found, s.facts, st.tracker.window()
	st.tracker.found = 0
	st.open, st.waiting = nil, append(st.waiting, b)
}

// rebase numbers what is not committed anew, where another mediation committed records
// of the session that are not ours. What was pushed of it stands under wrong numbers: the
// LEMF is told, and the records are in the sealed store only.
func (s *session) rebase(before *evidence.Progress) {
	for _, st := range []*stream{s.iri, s.cc} {
		was, is := before.Next(st.kind), s.progress.Next(st.kind)
		if was == is {
			continue
		}
		waiting := st.waiting
		if st.open != nil {
			waiting = append(slices.Clone(waiting), st.open)
		}
		st.next, st.octets = is, s.progress.Octets(st.kind)
		for _, b := range waiting {
			b.clashed, b.sentAt, b.sealed = true, was, nil
			for i := range b.shares {
				b.shares[i].pushed, b.shares[i].failed = nil, true
			}
			st.next += uint32(len(b.records)) //nolint:gosec // bounded by the octets of a segment
		}
	}
}

// ripe reports whether the open batch has collected for long enough.
func (st *stream) ripe(now time.Time) bool {
	return st.open != nil && now.Sub(st.open.since) >= st.every
}

// advance is the progress once b is stored.
func (s *session) advance(b *batch) evidence.Progress {
	next := *s.progress
	n := uint32(len(b.records)) //nolint:gosec // bounded by the octets of a segment
	if b.kind == segment.KindIRI {
		next.NextIRI, next.TapSeqX2, next.WindowX2 = next.NextIRI+n, b.tapSeq, b.window
		next.ChecksIRI, next.OctetsIRI = next.ChecksIRI+b.checks, next.OctetsIRI+b.octets()
		if next.ClosedAt.IsZero() {
			b.facts.onto(&next)
		}
	} else {
		next.NextCC, next.TapSeqX3, next.WindowX3 = next.NextCC+n, b.tapSeq, b.window
		next.ChecksCC, next.OctetsCC = next.ChecksCC+b.checks, next.OctetsCC+b.octets()
	}
	next.Missing = max(0, next.Missing+b.missing())
	if _, last := b.span(); last.After(next.LastAt) {
		next.LastAt = last.Truncate(time.Microsecond)
	}
	return next
}

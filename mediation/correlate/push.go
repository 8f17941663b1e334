package correlate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// checkEvery is how many PDUs one integrity check covers at most.
const checkEvery = 1000

// settleLine finds out how a session's records are pushed: once, and again when
// another encryption is ordered. What begins in quarantine is not pushed, whatever
// comes later: the agency fetches it when it may.
func (w *worker) settleLine(ctx context.Context, s *session, info warrant.TaskInfo) error {
	if s.lined && !s.line.Stale() || w.cfg.Outlet == nil {
		return nil
	}
	if info.Quarantined && !s.lined {
		s.lined = true
		return nil
	}
	line, err := w.cfg.Outlet.Line(ctx, info, s.progress)
	if err != nil {
		return err
	}
	if s.lined { // what is being collected ends with the line that it began with
		s.close(s.iri)
		s.close(s.cc)
	}
	s.line, s.lined = line, true
	return nil
}

// push numbers new records and puts them on their way to the LEMF. Their numbers are
// those that they will have in their segment: what comes again after a crash gets the
// same, for the bus keeps the order and the database the beginning.
func (s *session) push(st *stream, b *batch, sh share, records []segment.Record) share {
	first := st.next
	st.next += uint32(len(records)) //nolint:gosec // bounded by the octets of a message
	var err error
	sh.pushed, err = b.line.Push(st.kind, first, st.octets, records)
	sh.failed = err != nil
	for _, p := range sh.pushed {
		st.octets += p.Octets
	}
	return sh
}

// onSpool reports whether the way of all its records to their spool has ended.
func (b *batch) onSpool() bool {
	for _, s := range b.shares {
		for _, r := range s.pushed {
			if ended, _ := r.Done(); !ended {
				return false
			}
		}
	}
	return true
}

// stretch is consecutive records of which all or none are lost to the LEMF.
type stretch struct {
	records int
	octets  uint64 // that their PS-PDUs had when they were pushed
	lost    bool
}

// stretches says which of a batch's records did not get onto their spool.
func (b *batch) stretches() (all []stretch) {
	add := func(s stretch) {
		switch n := len(all); {
		case s.records == 0:
		case n > 0 && all[n-1].lost == s.lost:
			all[n-1].records += s.records
			all[n-1].octets += s.octets
		default:
			all = append(all, s)
		}
	}
	for _, s := range b.shares {
		left := s.records
		for _, p := range s.pushed {
			_, err := p.Done()
			add(stretch{p.Records, p.Octets, errors.Is(err, bus.ErrFull)})
			left -= p.Records
		}
		add(stretch{left, 0, s.failed})
	}
	return all
}

func (b *batch) octets() (n uint64) {
	for _, s := range b.stretches() {
		n += s.octets
	}
	return n
}

// entails returns what is to be pushed because a batch is committed: reports of what
// its spool had no room for, and integrity checks of the rest.
func (w *worker) entails(ctx context.Context, s *session, b *batch, first uint32) (all []evidence.Entailed, checks uint32, err error) {
	if !b.line.Takes(b.kind) {
		return nil, 0, nil
	}
	now := w.cfg.Now()
	if b.clashed {
		if all, err = b.line.Clashed(b.kind, min(b.sentAt, first), now); err != nil {
			return nil, 0, err
		}
	}
	number, octets := s.progress.Checks(b.kind), s.progress.Octets(b.kind)
	records := b.records
	for _, part := range b.stretches() {
		n := uint32(part.records) //nolint:gosec // bounded by the octets of a segment
		var more []evidence.Entailed
		if part.lost {
			more, err = b.line.Lost(b.kind, first, first+n-1, now)
			w.cfg.Outlet.Full(ctx, b.line, b.kind, part.records)
		} else {
			var made uint32
			more, made, err = check(b, number+checks, first, octets, records[:n], now)
			checks += made
		}
		if err != nil {
			return nil, 0, err
		}
		all, records = append(all, more...), records[n:]
		first, octets = first+n, octets+part.octets
	}
	if !s.progress.ClosedAt.IsZero() { // it came late: the end is told again
		end, err := b.line.End(b.kind, now)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, end...)
	}
	return all, checks, nil
}

// check makes the integrity checks of records that were pushed; number is that of the
// last one before.
func check(b *batch, number, first uint32, octets uint64, records []segment.Record, now time.Time) (all []evidence.Entailed, made uint32, err error) {
	for len(records) > 0 {
		n := min(checkEvery, len(records))
		made++
		more, size, err := b.line.Check(b.kind, number+made, first, octets, records[:n], now)
		if err != nil {
			return nil, 0, err
		}
		all, octets = append(all, more...), octets+size
		first += uint32(n) //nolint:gosec // at most checkEvery
		records = records[n:]
	}
	return all, made, nil
}

// ending returns what is to be pushed because a session is closed.
func (w *worker) ending(ctx context.Context, s *session) (all []evidence.Entailed, err error) {
	if w.cfg.Outlet == nil {
		return nil, nil
	}
	if !s.lined {
		info, found, err := w.tasks.info(ctx, s.progress.XID, time.Time{})
		if err != nil {
			return nil, err
		}
		if found {
			if err := w.settleLine(ctx, s, info); err != nil {
				return nil, err
			}
		}
	}
	if s.line == nil {
		return nil, nil
	}
	now := w.cfg.Now()
	ended, err := s.line.Ended(s.progress.NextIRI, s.progress.NextCC, now)
	all = append(all, ended...)
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		end, endErr := s.line.End(kind, now)
		all, err = append(all, end...), errors.Join(err, endErr)
	}
	if err != nil { // the flags are not worth a session that never closes
		w.cfg.Log.WarnContext(ctx, "the end of a session is not told", slog.Any("err", err))
	}
	return all, nil
}

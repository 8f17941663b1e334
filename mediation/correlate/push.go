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

// settleLine finds out, once, how a session's records are pushed. What begins in
// quarantine is not pushed, whatever comes later: the agency fetches it when it may.
func (w *worker) settleLine(ctx context.Context, s *session, info warrant.TaskInfo) (err error) {
	if s.lined || w.cfg.Outlet == nil {
		return nil
	}
	if info.Quarantined {
		s.lined = true
		return nil
	}
	s.line, err = w.cfg.Outlet.Line(ctx, info, s.progress)
	s.lined = err == nil
	return err
}

// push numbers new records and puts them on their way to the LEMF. Their numbers are
// those that they will have in their segment: what comes again after a crash gets the
// same, for the bus keeps the order and the database the beginning.
func (s *session) push(st *stream, sh share, records []segment.Record) share {
	first := st.next
	st.next += uint32(len(records)) //nolint:gosec // bounded by the octets of a message
	var err error
	sh.pushed, sh.octets, err = s.line.Push(st.kind, first, st.octets, records)
	sh.failed = err != nil
	st.octets += sh.octets
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
	lost    bool
}

// stretches says which of a batch's records did not get onto their spool.
func (b *batch) stretches() (all []stretch) {
	add := func(records int, lost bool) {
		switch n := len(all); {
		case records == 0:
		case n > 0 && all[n-1].lost == lost:
			all[n-1].records += records
		default:
			all = append(all, stretch{records, lost})
		}
	}
	for _, s := range b.shares {
		left := s.records
		for _, p := range s.pushed {
			_, err := p.Done()
			add(p.Records, errors.Is(err, bus.ErrFull))
			left -= p.Records
		}
		add(left, s.failed)
	}
	return all
}

func (b *batch) octets() (n uint64) {
	for _, s := range b.shares {
		n += s.octets
	}
	return n
}

// entails returns what is to be pushed because a batch is committed: reports of what
// its spool had no room for, and integrity checks.
func (w *worker) entails(ctx context.Context, s *session, b *batch, first uint32) (all []evidence.Entailed, checks uint32, err error) {
	if !s.line.Takes(b.kind) {
		return nil, 0, nil
	}
	now := w.cfg.Now()
	if all, err = w.reportLost(ctx, s, b, first, now); err != nil {
		return nil, 0, err
	}
	number, octets := s.progress.ChecksIRI, s.progress.OctetsIRI
	if b.kind == segment.KindCC {
		number, octets = s.progress.ChecksCC, s.progress.OctetsCC
	}
	for rest := b.records; len(rest) > 0; {
		n := min(checkEvery, len(rest))
		checks++
		check, size, err := s.line.Check(b.kind, number+checks, first, octets, rest[:n], now)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, check...)
		octets += size
		first += uint32(n) //nolint:gosec // at most checkEvery
		rest = rest[n:]
	}
	return all, checks, nil
}

// reportLost makes one report for each stretch of numbers that was not buffered.
func (w *worker) reportLost(ctx context.Context, s *session, b *batch, first uint32, now time.Time) ([]evidence.Entailed, error) {
	var all []evidence.Entailed
	for _, part := range b.stretches() {
		n := uint32(part.records) //nolint:gosec // bounded by the octets of a segment
		if part.lost {
			report, err := s.line.Lost(b.kind, s.progress.CIN, first, first+n-1, now)
			if err != nil {
				return nil, err
			}
			all = append(all, report...)
			w.cfg.Outlet.Full(ctx, s.line, b.kind, part.records)
		}
		first += n
	}
	return all, nil
}

// ending returns what is to be pushed because a session is closed.
func (w *worker) ending(ctx context.Context, s *session) ([]evidence.Entailed, error) {
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
	end, err := s.line.End(w.cfg.Now())
	if err != nil { // the flag is not worth a session that never closes
		w.cfg.Log.WarnContext(ctx, "the end of a session is not told", slog.Any("err", err))
	}
	return end, nil
}

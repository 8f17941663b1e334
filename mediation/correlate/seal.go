package correlate

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// store seals and commits the batches that are due, or all.
func (w *worker) store(ctx context.Context, s *session, all bool) (step string, err error) {
	for _, st := range []*stream{s.iri, s.cc} {
		if all || st.ripe(w.cfg.Now()) {
			s.close(st)
		}
		for len(st.waiting) > 0 && st.waiting[0].onSpool() {
			if step, err = w.commit(ctx, s, st, st.waiting[0]); err != nil {
				return step, err
			}
			w.drain(ctx)
		}
	}
	return "", nil
}

// commit makes the first waiting batch a segment and settles its parts. After an
// error it waits on for the next attempt.
func (w *worker) commit(ctx context.Context, s *session, st *stream, b *batch) (step string, err error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if b.sealed == nil || b.at != s.progress.Segments+1 {
		if step, err = w.seal(attempt, s, b); err != nil {
			return step, err
		}
	}
	err = w.cfg.Store.Commit(attempt, s.progress, s.advance(b), *b.sealed)
	if errors.Is(err, evidence.ErrConflict) {
		return "commit_segment", w.conflict(attempt, s, st, b, err)
	}
	if err != nil {
		return "commit_segment", err
	}
	w.metrics.segments[b.kind].Inc()
	w.metrics.missing[b.kind].Add(float64(max(0, b.missing())))
	w.metrics.gaps[b.kind].Add(float64(len(b.holes)))
	first, _ := b.span()
	w.metrics.lag[b.kind].Observe(max(0, w.cfg.Now().Sub(first)).Seconds())
	w.done(st, b.shares)
	if b.missing() > 0 {
		w.alarmMissing(attempt, s)
	}
	return "", nil
}

// alarmMissing shows that the tap lost copies of a Task's calls. The gap is with the
// agency already, so a failure to show it holds nothing up.
func (w *worker) alarmMissing(ctx context.Context, s *session) {
	if err := w.cfg.Alarms.OpenAlarm(ctx, alarmMissing, "xid "+s.progress.XID.String()); err != nil && ctx.Err() == nil {
		w.cfg.Log.WarnContext(ctx, "missing copies are not shown as an alarm", slog.Any("err", err))
	}
}

func (w *worker) done(st *stream, shares []share) {
	st.waiting[0] = nil
	st.waiting = st.waiting[1:]
	for _, sh := range shares {
		w.desk.settle(sh.part.msg)
	}
}

// conflict finds out what happened: an attempt that seemed to fail may have
// succeeded.
func (w *worker) conflict(ctx context.Context, s *session, st *stream, b *batch, conflict error) error {
	w.metrics.conflicts.Inc()
	before := *s.progress
	if err := w.reload(ctx, s); err != nil {
		return err
	}
	if w.taken(&before, s.progress, s) {
		w.desk.end(ErrTaken)
		return ErrTaken
	}
	stored := b.drop(s.progress)
	for _, p := range stored {
		w.desk.settle(p.msg)
	}
	if len(stored) == 0 {
		s.rebase(&before)
	}
	if len(b.records) == 0 {
		w.done(st, nil)
	}
	if len(stored) == 0 && s.progress.Segments == before.Segments && s.progress.ClosedAt.Equal(before.ClosedAt) {
		return conflict // nothing has moved: wait before the next attempt
	}
	return nil
}

// seal encodes a batch, encrypts it to the agency's keys and puts it into the blob
// store.
func (w *worker) seal(ctx context.Context, s *session, b *batch) (step string, err error) {
	info, found, err := w.tasks.info(ctx, s.progress.XID, time.Time{})
	if err != nil || !found {
		return "find_task", errors.Join(err, errNoTask(found))
	}
	recipients, err := segment.ParseRecipients(info.Recipients)
	if err != nil {
		return "seal", err
	}
	number, first := s.progress.Segments+1, s.progress.Next(b.kind)
	last := first + uint32(len(b.records)) - 1 //nolint:gosec // bounded by the octets of a segment
	records := b.numbered(first)
	plaintext, err := segment.Encode(segment.Header{
		LIID: s.progress.LIID, CIN: s.progress.CIN, Segment: number, Kind: b.kind, FirstSeq: first, LastSeq: last,
		Created: w.cfg.Now().UTC().Truncate(time.Microsecond), Salt: segment.NewSalt(),
	}, records)
	if err != nil {
		return "seal", err
	}
	ciphertext, err := segment.Seal(recipients, plaintext)
	if err != nil {
		return "seal", err
	}
	blob, err := w.cfg.Store.Put(ctx, s.progress, ciphertext)
	if err != nil {
		return "write_blob", err
	}
	from, to := b.span()
	b.at = number
	entails, checks, err := w.entails(ctx, s, b, first)
	if err != nil {
		return "check", err
	}
	b.checks = checks
	b.sealed = &evidence.Sealed{
		Entails: entails,
		Kind:    b.kind, FirstSeq: first, LastSeq: last, FirstTime: from, LastTime: to,
		Plaintext: sha256.Sum256(plaintext), Blob: blob, Through: b.through(), Gaps: gapsOf(records),
	}
	return "", nil
}

// gapsOf lists the gap records among others.
func gapsOf(records []segment.Record) (gaps []segment.Gap) {
	for _, r := range records {
		if r.Gap != nil {
			gaps = append(gaps, *r.Gap)
		}
	}
	return gaps
}

package correlate

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/mediation/evidence"
)

// finish closes a session when it is over: its call ended and what was still on
// its way had time to come, its Task stopped, or nothing was heard for long.
func (w *worker) finish(ctx context.Context, e *entry) (step string, err error) {
	s, now := e.session, w.cfg.Now()
	if !s.progress.ClosedAt.IsZero() || len(e.queue) > 0 {
		return "", nil
	}
	end := s.facts
	switch {
	case !s.endSeen.IsZero():
		if now.Sub(s.endSeen) < w.cfg.EndGrace || !w.desk.reading.passed(s.endStored, w.cfg.EndGrace, now) {
			return "", nil
		}
		if w.drain(ctx); s.endSeen.IsZero() || len(e.queue) > 0 { // what is handed out may say that it goes on
			return "", nil
		}
		end = s.facts
	case now.Sub(s.heard) >= w.cfg.IdleAfter:
		end.endedAt, end.endCause = s.progress.LastAt, causeTimeout
	case now.Sub(s.asked) >= min(askEvery, w.cfg.IdleAfter/2) && now.Sub(s.heard) >= w.cfg.EndGrace:
		s.asked = now
		stopped, err := w.stopped(ctx, e, now)
		if err != nil {
			return "find_task", err
		}
		if stopped.IsZero() {
			return "", nil
		}
		end.endedAt, end.endCause = stopped, causeWarrant
	default:
		return "", nil
	}
	if step, err = w.store(ctx, s, true); err != nil {
		return step, err
	}
	if !s.empty() || len(e.queue) > 0 { // on its way to the LEMF's spool, or something came meanwhile
		s.asked = time.Time{}
		return "", nil
	}
	return "close_session", w.close(ctx, s, end)
}

// stopped returns when a call's Task ended; zero = it goes on.
func (w *worker) stopped(ctx context.Context, e *entry, now time.Time) (time.Time, error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	info, found, err := w.tasks.info(attempt, e.id.xid, now)
	switch {
	case err != nil || !found:
		return time.Time{}, err
	case !info.StoppedAt.IsZero():
		return info.StoppedAt, nil
	case now.After(info.Until):
		return info.Until, nil
	}
	return time.Time{}, nil
}

func (w *worker) close(ctx context.Context, s *session, end facts) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	next := *s.progress
	end.onto(&next)
	entails, err := w.ending(attempt, s)
	if err != nil {
		return err
	}
	err = w.cfg.Store.Close(attempt, s.progress, next, entails)
	if errors.Is(err, evidence.ErrConflict) { // an earlier attempt may have closed it
		if reloaded := w.reload(attempt, s); reloaded != nil {
			return errors.Join(err, reloaded)
		}
		if s.progress.ClosedAt.IsZero() { // somebody else moved it: we go on from there
			*s = *w.newSession(s.progress)
			return nil
		}
		err = nil
	}
	if err == nil {
		s.facts = end
	}
	return err
}

// reload learns where a session stands.
func (w *worker) reload(ctx context.Context, s *session) error {
	progress, err := w.cfg.Store.Reload(ctx, s.progress)
	if err != nil {
		return err
	}
	*s.progress = *progress
	return nil
}

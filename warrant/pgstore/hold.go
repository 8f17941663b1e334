package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// holder is the session in which a Store holds names: one for all of them, however
// many there are.
type holder struct {
	lost context.Context    //nolint:containedctx // ends when the session does
	lose context.CancelFunc // ends lost

	mu    sync.Mutex // guards the rest; held during a query
	conn  *pgx.Conn
	users int             // Holds that run
	names map[string]bool // held in this session, which could lock them again
}

// Hold waits until this process alone holds a name, and runs run meanwhile. run's
// context ends when the name is lost, which is ErrLost, or with ctx, which is no error
// of ours. Hold returns after run did.
func (s *Store) Hold(ctx context.Context, name string, run func(ctx context.Context) error) error {
	h, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave(h)
	for held := false; !held; {
		if held, err = h.try(ctx, name); err == nil && !held {
			pauseFor(ctx, ClaimEvery)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	defer h.free(name)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.lost, cancel)()
	if err := run(ctx); h.lost.Err() == nil {
		return err
	}
	return ErrLost
}

// enter joins the session that there is, or opens one.
func (s *Store) enter(ctx context.Context) (*holder, error) {
	s.holding.Lock()
	defer s.holding.Unlock()
	if h := s.holder; h != nil && h.join() {
		return h, nil
	}
	attempt, cancel := context.WithTimeout(ctx, claimAnswer)
	defer cancel()
	conn, err := s.session(attempt)
	if err != nil {
		return nil, err
	}
	h := &holder{conn: conn, users: 1, names: map[string]bool{}}
	h.lost, h.lose = context.WithCancel(context.Background())
	s.holder = h
	go h.keep()
	return h, nil
}

// join counts one more user; false = the session is over.
func (h *holder) join() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost.Err() != nil {
		return false
	}
	h.users++
	return true
}

// leave ends the session with its last user.
func (s *Store) leave(h *holder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.users == 0 {
		h.end()
	}
}

// end closes the session. mu is held.
func (h *holder) end() {
	if h.lost.Err() == nil {
		h.lose()
		closeSession(h.conn)
	}
}

// keep asks the server once a second until the session is over.
func (h *holder) keep() {
	for pauseFor(h.lost, ClaimEvery) {
		_, _ = h.ask(h.lost, "select true")
	}
}

// ask runs one query. After an error the session is lost.
func (h *holder) ask(ctx context.Context, sql string, args ...any) (yes bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked(ctx, sql, args...)
}

// asked is ask while mu is held.
func (h *holder) asked(ctx context.Context, sql string, args ...any) (yes bool, err error) {
	if h.lost.Err() != nil {
		return false, ErrLost
	}
	// A caller that has no time any more must not cost the others the session.
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimAnswer)
	defer cancel()
	if err := h.conn.QueryRow(attempt, sql, args...).Scan(&yes); err != nil {
		h.end()
		return false, ErrLost
	}
	return yes, nil
}

// try holds a name if nobody does, here or elsewhere.
func (h *holder) try(ctx context.Context, name string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names[name] {
		return false, nil
	}
	held, err := h.asked(ctx, "select pg_try_advisory_lock(hashtextextended('ligate hold ' || $1, 0))", name)
	if held {
		h.names[name] = true
	}
	return held, err
}

// free gives a name back.
func (h *holder) free(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, name)
	_, _ = h.asked(context.Background(), "select pg_advisory_unlock(hashtextextended('ligate hold ' || $1, 0))", name)
}

// pauseFor waits and reports whether the time passed before ctx ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

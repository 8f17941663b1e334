package collect

import (
	"context"
	"sync"
	"time"

	"github.com/ligate/ligate/li"
)

const (
	answerFresh  = time.Second
	askAgain     = 50 * time.Millisecond // while a Task's confirmation may be on its way
	waitAgain    = time.Minute           // for the confirmation of one Task at one element
	maxCacheSize = 10_000
)

// given asks the database which Tasks an element was given, once a second at most for
// each.
type given struct {
	*Collector

	mu    sync.Mutex // guards known, briefly
	known map[grant]answer
}

type grant struct {
	element string
	xid     li.XID
}

type answer struct {
	given  bool
	asked  time.Time
	waited time.Time // when the confirmation did not come in time; zero = never
}

func newGiven(c *Collector) *given { return &given{Collector: c, known: map[grant]answer{}} }

// ask reports whether an element was given a Task. It waits until somebody can say so;
// ok is false when ctx ended before.
func (g *given) ask(ctx context.Context, e *Element, xid li.XID) (given, ok bool) {
	k := grant{e.ID, xid}
	g.mu.Lock()
	last, known := g.known[k]
	g.mu.Unlock()
	now := g.cfg.Now()
	if known && now.Sub(last.asked) < answerFresh && !now.Before(last.asked) {
		return last.given, true
	}
	next, ok := g.find(ctx, k, last)
	if !ok {
		return false, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxCacheSize {
		clear(g.known)
	}
	g.known[k] = next
	return next.given, true
}

// find asks the database until it answers. A Task that is ordered and not confirmed
// may be on its way to the element: that is waited for, since the element may be
// quicker than the confirmation.
func (g *given) find(ctx context.Context, k grant, last answer) (answer, bool) {
	began, mayWait := g.cfg.Now(), g.cfg.Now().Sub(last.waited) >= waitAgain
	for wait := minRetry; ; {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		given, soon, err := g.cfg.Tasks.TaskGiven(attempt, k.xid, k.element)
		cancel()
		now := g.cfg.Now()
		switch {
		case ctx.Err() != nil:
			return answer{}, false
		case err != nil:
			g.metrics.retries[stepTask].Inc()
			g.trouble(ctx, stepTask, err)
			if last.given && now.Sub(last.asked) < staleFor {
				return last, true
			}
			if !pause(ctx, wait) {
				return answer{}, false
			}
			wait = min(2*wait, maxRetry)
		case given || !soon || !mayWait:
			return answer{given: given, asked: now, waited: last.waited}, true
		case now.Sub(began) >= g.cfg.Grace:
			return answer{asked: now, waited: now}, true
		default:
			if !pause(ctx, askAgain) {
				return answer{}, false
			}
		}
	}
}

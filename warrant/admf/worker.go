package admf

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// worker keeps one gateway as the plan wants it. Its fields belong to its goroutine
// but for the channels and the status.
type worker struct {
	admf   *ADMF
	id     string
	client client
	cfg    Gateway
	notify chan struct{}     // a new plan; holds at most one
	probe  chan struct{}     // a reason to look at once; holds at most one
	demand chan chan Finding // somebody waits for a comparison made from now on
	seen   chan sight        // what the gateway said; holds at most one
	status atomic.Pointer[Status]

	notes  *notes
	placed map[li.XID]li.Task // what was seen in place as ordered at some time, and not removed since
	sent   map[li.XID]li.Task // what was pushed and not answered: it may be in place all the same
	since  map[li.XID]bool    // what was pushed or removed since the gateway was asked last
	failed time.Time          // first failure in a row; zero = the last exchange succeeded
	before bool               // an exchange succeeded before
	alive  time.Time          // when the last Keepalive was taken
	found  Finding            // of the comparison that runs, or ran last

	looking bool           // the gateway is being asked
	again   bool           // and is to be asked once more
	asked   []chan Finding // who waits for a comparison that is yet to begin
	serving []chan Finding // who waits for the one that runs
	wait    backoff
	next    *time.Timer // the next look
}

// sight is what a gateway said of itself.
type sight struct {
	all   x1.AllDetails
	clock time.Time // the gateway's
	began time.Time
	err   error
}

func newWorker(a *ADMF, g Gateway) *worker {
	return &worker{
		admf: a, id: g.ID, client: g.Client, cfg: g,
		notify: make(chan struct{}, 1), probe: make(chan struct{}, 1), demand: make(chan chan Finding), seen: make(chan sight, 1),
		placed: map[li.XID]li.Task{}, sent: map[li.XID]li.Task{}, since: map[li.XID]bool{},
		notes: newNotes(g.ID, a.cfg.Store, func() { a.metrics.overflow.Inc() }),
	}
}

func (w *worker) wake() { nudge(w.notify) }

// nudge leaves a sign that somebody will see.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

// loadFactor bounds the share of its time that a gateway spends on answering us.
const loadFactor = 10

// loop pushes what each new plan changes, compares every ProbeEvery with what the gateway
// says, and tries a silent gateway again with back-off. The gateway is asked beside the
// loop: where it taps ten thousand, its answer takes a while, and no change may wait.
func (w *worker) loop(ctx context.Context) {
	w.next = time.NewTimer(w.admf.cfg.ProbeEvery)
	defer w.next.Stop()
	defer func() {
		if w.looking {
			<-w.seen
		}
	}()
	busy := make(chan struct{})
	close(busy)
	for ctx.Err() == nil {
		var more <-chan struct{} // ready while the store has yet to be told something
		if !w.flush(ctx) {
			more = busy
		}
		select {
		case <-ctx.Done():
		case <-more:
		case <-w.notify:
			w.planned(ctx)
		case <-w.probe:
			w.look(ctx)
		case <-w.next.C:
			w.look(ctx)
		case to := <-w.demand:
			w.asked = append(w.asked, to)
			w.look(ctx)
		case s := <-w.seen:
			w.looked(ctx, s)
		}
	}
}

// flushSlice is how long the store is told things before others have their turn.
const flushSlice = 50 * time.Millisecond

// flush tells the store what it can in a while. It reports whether there is nothing left
// to do now: all is told, or the store takes nothing and is asked again after the next
// event.
func (w *worker) flush(ctx context.Context) bool {
	done, err := w.notes.flush(ctx, func(began time.Time) bool { return len(w.notify) > 0 || time.Since(began) > flushSlice })
	if err != nil {
		w.admf.metrics.storeErrors.Inc()
		return true
	}
	return done
}

// look asks the gateway what it taps; if it is being asked, once more after that.
func (w *worker) look(ctx context.Context) {
	if w.admf.plan.Load() == nil {
		return
	}
	if w.looking {
		w.again = true
		return
	}
	w.looking, w.again = true, false
	w.serving, w.asked = w.asked, nil
	clear(w.since)
	began := time.Now()
	go func() {
		all, clock, err := w.client.All(ctx)
		w.seen <- sight{all: all, clock: clock, began: began, err: err}
	}()
}

// looked compares what the gateway said with what is wanted now.
func (w *worker) looked(ctx context.Context, s sight) {
	w.looking = false
	err := w.reconcile(ctx, s)
	if ctx.Err() != nil {
		return
	}
	w.after(ctx, err, time.Since(s.began))
	for _, to := range w.serving {
		to <- w.found
	}
	w.serving = nil
	if w.again && err == nil || len(w.asked) > 0 {
		w.look(ctx)
	}
}

// planned pushes what a new plan changes. A gateway of which we do not know what it has
// is asked first.
func (w *worker) planned(ctx context.Context) {
	if !w.before || !w.failed.IsZero() {
		w.look(ctx)
		return
	}
	if err := w.push(ctx, w.admf.plan.Load()); err != nil && ctx.Err() == nil {
		w.after(ctx, err, 0)
	}
}

// after keeps the status and says when to look next.
func (w *worker) after(ctx context.Context, err error, took time.Duration) {
	w.reached(ctx, err)
	next := w.wait.next()
	if err == nil {
		w.wait.reset()
		next = max(w.admf.cfg.ProbeEvery, loadFactor*took)
	}
	w.next.Reset(next)
}

// reached keeps the gateway's status after an exchange.
func (w *worker) reached(ctx context.Context, err error) {
	now := time.Now()
	down := alarm{AlarmGatewayDown, w.id}
	old := w.status.Load()
	if up := err == nil; old == nil || old.Up != up {
		w.status.Store(&Status{ID: w.id, Up: up, Since: now.UTC()})
		if up {
			w.admf.metrics.up.WithLabelValues(w.id).Set(1)
			w.admf.cfg.Log.InfoContext(ctx, "gateway answers", slog.String("gateway", w.id))
		} else {
			w.admf.metrics.up.WithLabelValues(w.id).Set(0)
			w.admf.cfg.Log.WarnContext(ctx, "gateway does not answer", slog.String("gateway", w.id), slog.String("reason", reason(err)))
		}
	}
	if err == nil {
		w.failed = time.Time{}
		w.notes.clear(down)
		if !w.before {
			w.before = true
			w.notes.settle(down)
			w.notes.settle(alarm{AlarmTapsLost, w.id})
		}
		return
	}
	if w.failed.IsZero() {
		w.failed = now
	}
	if now.Sub(w.failed) >= w.admf.cfg.AlarmAfter {
		w.notes.raise(down)
	}
}

// reason names a failure without the error's text, which says what was being done:
// a line about an activation would tell that there was one.
func reason(err error) string {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, x1.ErrPeer), errors.As(err, &cert):
		return "certificate"
	case errors.Is(err, x1.ErrAnswer), errors.Is(err, x1.ErrSyntax), errors.Is(err, x1.ErrTopLevel), errors.Is(err, x1.ErrHTTP), errors.Is(err, x1.ErrTooLarge):
		return "answer"
	}
	var refusal *x1.Error
	if errors.As(err, &refusal) {
		return "refused"
	}
	return "connection"
}

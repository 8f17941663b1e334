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
// but for the channel and the status.
type worker struct {
	admf   *ADMF
	id     string
	client client
	cfg    Gateway
	notify chan struct{}     // holds at most one
	demand chan chan Finding // somebody waits for a comparison made from now on
	status atomic.Pointer[Status]

	notes  *notes
	placed map[li.XID]li.Task // what was seen in place as ordered at some time, and not removed since
	sent   map[li.XID]li.Task // what was pushed and not answered: it may be in place all the same
	failed time.Time          // first failure in a row; zero = the last exchange succeeded
	before bool               // an exchange succeeded before
	alive  time.Time          // when the last Keepalive was taken
	found  Finding            // of the comparison that runs, or ran last
}

func newWorker(a *ADMF, g Gateway) *worker {
	return &worker{
		admf: a, id: g.ID, client: g.Client, cfg: g, notify: make(chan struct{}, 1), demand: make(chan chan Finding), placed: map[li.XID]li.Task{}, sent: map[li.XID]li.Task{},
		notes: newNotes(g.ID, a.cfg.Store, func() { a.metrics.overflow.Inc() }),
	}
}

func (w *worker) wake() {
	select {
	case w.notify <- struct{}{}:
	default: // one is waiting already and will see the same plan
	}
}

// loadFactor bounds the share of its time that a gateway spends on answering us.
const loadFactor = 10

// loop reconciles at each new plan and every ProbeEvery, and tries a silent gateway
// again with back-off.
func (w *worker) loop(ctx context.Context) {
	var wait backoff
	var asked []chan Finding
	for {
		began := time.Now()
		next := w.admf.cfg.ProbeEvery
		if p := w.admf.plan.Load(); p != nil {
			err := w.reconcile(ctx, p)
			if ctx.Err() != nil {
				return
			}
			w.reached(ctx, err)
			for _, to := range asked {
				to <- w.found
			}
			asked = nil
			if err != nil {
				next = wait.next()
			} else {
				wait.reset()
				next = max(next, loadFactor*time.Since(began))
			}
			if err := w.notes.flush(ctx); err != nil {
				w.admf.metrics.storeErrors.Inc()
			}
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.notify:
		case to := <-w.demand:
			asked = append(asked, to)
		case <-timer.C:
		}
		timer.Stop()
	}
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

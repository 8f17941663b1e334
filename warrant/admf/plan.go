package admf

import (
	"context"
	"time"

	"github.com/ligate/ligate/li"
)

// planLoop asks the store what is wanted and hands it to the gateways' goroutines.
func (a *ADMF) planLoop(ctx context.Context) {
	wake := a.cfg.Wake
	var wait backoff
	var asked []demand
	for {
		next, err := a.replan(ctx, len(asked) > 0)
		for _, d := range asked {
			d.err <- err
		}
		asked = nil
		if err != nil {
			a.metrics.storeErrors.Inc()
			next = wait.next()
		} else {
			wait.reset()
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-a.nudge:
		case d := <-a.demand:
			asked = append(asked, d)
		case _, open := <-wake:
			if !open {
				wake = nil // its sender is gone; the timer remains
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// replan renews the plan and says how long it holds. A part of the store's answer
// that fails does not keep the rest from being used.
func (a *ADMF) replan(ctx context.Context, prove bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := time.Now()
	dueErr := a.cfg.Store.Due(ctx, now)
	tasks, err := a.cfg.Store.WantedTasks(ctx, now)
	if err != nil {
		return 0, err
	}
	good, wrong, err := a.prover.split(ctx, tasks, prove)
	if err != nil && a.plan.Load() == nil {
		return 0, err // nothing is known yet, so nothing is ended
	}
	a.publish(good, wrong)
	if err != nil {
		return 0, err
	}
	if dueErr != nil {
		return 0, dueErr
	}
	deadline, err := a.cfg.Store.NextDeadline(ctx, now)
	if err != nil {
		return 0, err
	}
	next := a.cfg.ReconcileEvery
	if !deadline.IsZero() {
		next = min(next, max(time.Until(deadline), minDeadlineWait))
	}
	return next, nil
}

// minDeadlineWait keeps a deadline that the store does not move from spinning.
const minDeadlineWait = 10 * time.Millisecond

func (a *ADMF) publish(tasks []li.Task, wrong map[li.XID]bool) {
	p := newPlan(tasks)
	p.wrong = wrong
	a.plan.Store(p)
	for _, w := range a.workers {
		w.wake()
	}
}

func newPlan(tasks []li.Task) *plan {
	p := &plan{tasks: make(map[li.XID]li.Task, len(tasks))}
	for _, t := range tasks {
		p.tasks[t.Signalling().XID] = t
	}
	return p
}

// wants returns the Task under this XID if it is wanted at now.
func (p *plan) wants(xid li.XID, now time.Time) (li.Task, bool) {
	t, ok := p.tasks[xid]
	return t, ok && t.Signalling().Until.After(now)
}

// backoff doubles from 250 ms to 2 s: a gateway that comes back must not wait for its
// Tasks.
type backoff struct{ last time.Duration }

const (
	firstWait = 250 * time.Millisecond
	maxWait   = 2 * time.Second
)

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstWait), maxWait)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

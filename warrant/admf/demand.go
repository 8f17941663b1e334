package admf

import (
	"context"
	"time"
)

// demand asks the planning goroutine for a plan made from now on.
type demand struct {
	err chan error // holds one
}

// Finding is what one look at a gateway brought.
type Finding struct {
	Gateway string
	Up      bool      // it answered
	At      time.Time // when
	Ordered int       // Tasks that ought to run there
	Running int       // taps that ran there
	Placed  int       // Tasks that were missing and were pushed
	Removed int       // taps that ran without an order and were removed
	Orphans int       // of these, those that were nobody's order at all: frozen and alarmed
}

// Reconcile holds warrants, Tasks and gateways against each other now and says what it
// found. A gateway that does not answer is not Up. The error is the store's.
func (a *ADMF) Reconcile(ctx context.Context) ([]Finding, error) {
	d := demand{err: make(chan error, 1)}
	select {
	case a.demand <- d:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-d.err:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	waits := make([]chan Finding, len(a.workers))
	for i, w := range a.workers {
		waits[i] = make(chan Finding, 1)
		select {
		case w.demand <- waits[i]:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	all := make([]Finding, 0, len(waits))
	for _, wait := range waits {
		select {
		case f := <-wait:
			all = append(all, f)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

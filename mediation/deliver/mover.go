package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ligate/ligate/mediation/evidence"
)

const (
	stuckPause = 5 * time.Second // before an agency whose spool does not take anything is tried again
	moveFor    = time.Second     // what is on no spool by then is looked at again
)

// mover moves PDUs from one table of the database onto the agencies' spools, in the
// order of each spool: nothing is pushed behind what is not known to be there. One
// goroutine uses it.
type mover struct {
	*Outlet

	stuck   map[evidence.Lane]time.Time // whose spool took nothing: theirs waits in the database, and they hold nobody else up
	flights map[evidence.Lane]flight    // pushed, and not known to be on the spool
}

func newMover(o *Outlet) *mover {
	return &mover{Outlet: o, stuck: map[evidence.Lane]time.Time{}, flights: map[evidence.Lane]flight{}}
}

// item is one row of that table.
type item struct {
	id int64
	evidence.Lane
	append func(dst []byte, out *outbound) ([]byte, error) // nothing = it needs not go
}

// flight is rows that go onto a spool together, or not at all.
type flight struct {
	ids     []int64
	receipt *Receipt
}

// without is the lanes whose rows are not wanted now.
func (m *mover) without() (lanes []evidence.Lane) {
	for l, at := range m.stuck {
		if m.cfg.Now().Sub(at) < stuckPause {
			lanes = append(lanes, l)
			continue
		}
		delete(m.stuck, l)
	}
	return lanes
}

// move returns the rows that are done with.
func (m *mover) move(ctx context.Context, all []item) (done []int64, err error) {
	if err := m.look(ctx, all); err != nil {
		return nil, err
	}
	lanes := map[evidence.Lane][]item{}
	for _, it := range all {
		if m.wanted(it.Lane) {
			lanes[it.Lane] = append(lanes[it.Lane], it)
		} else {
			done = append(done, it.id)
		}
	}
	wait, cancel := context.WithTimeout(ctx, moveFor)
	defer cancel()
	for len(lanes) > 0 {
		for l, items := range lanes {
			m.push(ctx, l, items)
		}
		for l, items := range lanes {
			ids := m.settle(wait, l)
			done = append(done, ids...)
			if items = without(items, ids); len(ids) == 0 || len(items) == 0 {
				delete(lanes, l)
				continue
			}
			lanes[l] = items
		}
	}
	return done, nil
}

// look asks again which deliveries count, before rows are dropped because none does: one
// may have been confirmed a moment ago.
func (m *mover) look(ctx context.Context, all []item) error {
	for _, it := range all {
		if !m.wanted(it.Lane) {
			return m.refresh(ctx)
		}
	}
	return nil
}

// wanted reports whether the delivery that counts has a use for a lane's rows.
func (m *mover) wanted(l evidence.Lane) bool {
	out := m.outbound(l.Agency)
	switch {
	case out == nil:
		return false
	case l.Kind == evidence.ForFiles:
		return out.delivery.FileDrop
	}
	return out.delivery.HI2 != ""
}

// push puts the first of a lane's rows on their way, unless some are, or it is stuck.
func (m *mover) push(ctx context.Context, l evidence.Lane, items []item) {
	_, flying := m.flights[l]
	_, stuck := m.stuck[l]
	out := m.outbound(l.Agency)
	if flying || stuck || out == nil {
		return
	}
	f, err := out.pushRows(out.queue(l.Kind), items)
	if err != nil {
		m.stuck[l] = m.cfg.Now()
		m.trouble(ctx, "push_row", err)
		return
	}
	m.flights[l] = f
}

// pushRows puts as many rows on their way as a run takes.
func (o *outbound) pushRows(q *queue, items []item) (f flight, err error) {
	if q == nil {
		return f, errNoSpool
	}
	f.receipt, err = q.push(func(dst []byte) ([]byte, error) {
		start := len(dst)
		for _, it := range items {
			next, err := it.append(dst, o)
			if err != nil {
				return dst[:start], err
			}
			if len(next)-start > runBytes && len(f.ids) > 0 {
				break
			}
			dst, f.ids = next, append(f.ids, it.id)
		}
		return dst, nil
	})
	return f, err
}

// settle returns the rows of a lane that are on their spool.
func (m *mover) settle(wait context.Context, l evidence.Lane) []int64 {
	f, flying := m.flights[l]
	if !flying {
		return nil
	}
	err := settled(wait, f.receipt)
	if err != nil {
		m.stuck[l] = m.cfg.Now()
		f.ids = nil
	}
	if !errors.Is(err, errNotYet) { // then the push stands
		delete(m.flights, l)
	}
	return f.ids
}

// without is the items that are not among those done.
func without(items []item, done []int64) []item {
	return slices.DeleteFunc(items, func(it item) bool { return slices.Contains(done, it.id) })
}

var errNotYet = errors.New("deliver: the spool has not taken it yet")

// settled waits until a push has ended.
func settled(ctx context.Context, r *Receipt) error {
	select {
	case <-r.done:
		return r.err
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return errNotYet
	}
}

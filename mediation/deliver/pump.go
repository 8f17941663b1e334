package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

const pumpEvery = 200 * time.Millisecond

// pump moves what commits entailed, and what agencies are to be told, from the
// database onto the spools. A crash in between moves it twice: an integrity check has
// its number, a notice its time.
func (o *Outlet) pump(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.cfg.Hold(ctx, "handover outbox", func(ctx context.Context) error {
			entailed, notices := newMover(o), newMover(o)
			for pause(ctx, pumpEvery) {
				if err := errors.Join(o.moveOutbox(ctx, entailed), o.moveNotices(ctx, notices)); err != nil {
					o.trouble(ctx, "outbox", err)
					pause(ctx, time.Second)
				}
			}
			return nil
		})
		if err != nil {
			o.trouble(ctx, "hold_outbox", err)
			pause(ctx, time.Second)
		}
	}
}

const (
	stuckPause = 5 * time.Second // before an agency whose spool does not take anything is tried again
	moveFor    = time.Second     // what is on no spool by then is looked at again
)

// mover moves PDUs from one table of the database onto the agencies' spools, in the
// order of each agency. One goroutine uses it.
type mover struct {
	*Outlet

	stuck  map[warrant.AgencyID]time.Time // whose spool took nothing: theirs waits in the database, and they hold nobody else up
	moving map[int64]*Receipt             // pushed, and not known to be on the spool
}

func newMover(o *Outlet) *mover {
	return &mover{Outlet: o, stuck: map[warrant.AgencyID]time.Time{}, moving: map[int64]*Receipt{}}
}

// item is one row of that table.
type item struct {
	id     int64
	agency warrant.AgencyID
	push   func(*outbound) (*Receipt, error) // nil receipt = it needs not go
}

// without is whose rows are not wanted now.
func (m *mover) without() (ids []warrant.AgencyID) {
	for id, at := range m.stuck {
		if m.cfg.Now().Sub(at) < stuckPause {
			ids = append(ids, id)
			continue
		}
		delete(m.stuck, id)
	}
	return ids
}

// move returns the rows that are done with.
func (m *mover) move(ctx context.Context, all []item) (done []int64) {
	for _, it := range all {
		m.push(ctx, it)
	}
	wait, cancel := context.WithTimeout(ctx, moveFor)
	defer cancel()
	for _, it := range all {
		r, pushed := m.moving[it.id]
		if !pushed {
			continue
		}
		switch err := settled(wait, r); {
		case err == nil:
			done = append(done, it.id)
		case errors.Is(err, errNotYet): // the push stands
			m.stuck[it.agency] = m.cfg.Now()
			continue
		default:
			m.stuck[it.agency] = m.cfg.Now()
		}
		delete(m.moving, it.id)
	}
	return done
}

// push puts one row on its way, unless it is, or its agency is stuck.
func (m *mover) push(ctx context.Context, it item) {
	_, moving := m.moving[it.id]
	_, stuck := m.stuck[it.agency]
	if moving || stuck {
		return
	}
	out := m.outbound(it.agency)
	if out == nil { // nothing is pushed to it any more
		m.moving[it.id] = nil
		return
	}
	r, err := it.push(out)
	if err != nil {
		m.stuck[it.agency] = m.cfg.Now()
		m.trouble(ctx, "push_row", err)
		return
	}
	m.moving[it.id] = r
}

func (o *Outlet) moveOutbox(ctx context.Context, m *mover) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	waiting, err := o.cfg.Outbox.Outbox(attempt, m.without())
	if err != nil {
		return err
	}
	items := make([]item, len(waiting))
	for i, w := range waiting {
		items[i] = item{w.ID, w.AgencyID, func(out *outbound) (*Receipt, error) { return out.pushEntailed(w.Entailed) }}
	}
	done := m.move(attempt, items)
	if len(done) == 0 {
		return nil
	}
	return o.cfg.Outbox.Dispatched(attempt, done)
}

// pushEntailed puts a PDU on its way, or a note into the capture files.
func (o *outbound) pushEntailed(e evidence.Entailed) (*Receipt, error) {
	q := o.queue(e.Kind)
	switch {
	case e.Kind == evidence.ForFiles && !o.delivery.FileDrop, e.Kind != evidence.ForFiles && o.delivery.HI2 == "":
		return nil, nil
	case q == nil:
		return nil, errNoSpool
	case e.Kind == evidence.ForFiles:
		return q.push(func(dst []byte) ([]byte, error) { return append(dst, e.PDU...), nil })
	}
	return q.push(bare(e.PDU))
}

// bare is a run of one PDU that no counter counts.
func bare(pdu []byte) func([]byte) ([]byte, error) {
	return func(dst []byte) ([]byte, error) {
		start := len(dst)
		dst = append(beginRun(dst, 0, 0, 1, time.Time{}), pdu...)
		endRun(dst, start)
		return dst, nil
	}
}

var errNotYet = errors.New("deliver: the spool has not taken it yet")

// settled waits until a push has ended; nil = there was none.
func settled(ctx context.Context, r *Receipt) error {
	if r == nil {
		return nil
	}
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

func (o *Outlet) moveNotices(ctx context.Context, m *mover) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	all, err := o.cfg.Records.Notices(attempt, m.without())
	if err != nil {
		return err
	}
	items := make([]item, len(all))
	for i, n := range all {
		if o.outbound(n.AgencyID) == nil { // perhaps its delivery was confirmed a moment ago
			if err := o.refresh(); err != nil {
				return err
			}
		}
		items[i] = item{n.ID, n.AgencyID, func(out *outbound) (*Receipt, error) { return o.notify(out, uint32(n.ID), hi1Of(n)) }} //nolint:gosec // numbers wrap
	}
	done := m.move(attempt, items)
	if len(done) == 0 {
		return nil
	}
	return o.cfg.Records.DropNotices(attempt, done)
}

func hi1Of(n warrant.Notice) etsi.HI1 {
	what := etsi.HI1Modified
	switch n.What {
	case "activated":
		what = etsi.HI1Activated
	case "deactivated":
		what = etsi.HI1Deactivated
	}
	return etsi.HI1{What: what, LIID: n.LIID, At: n.At}
}

// alarmLIID stands in the header of an alarm that concerns no single intercept.
const alarmLIID li.LIID = "alarm"

// notify puts an HI1 operation on its way; nil = the agency wants none.
func (o *Outlet) notify(out *outbound, seq uint32, hi1 etsi.HI1) (*Receipt, error) {
	switch {
	case !out.delivery.HI1 || out.delivery.HI2 == "":
		return nil, nil
	case out.iri == nil:
		return nil, errNoSpool
	}
	liid := hi1.LIID
	if liid == "" {
		liid = alarmLIID
	}
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: liid, AuthCountry: out.delivery.AuthCountry, Operator: o.operator(out.delivery), DeliveryCountry: out.delivery.DeliveryCountry})
	if err != nil {
		return nil, err
	}
	pdu, err := enc.AppendHI1(nil, seq, o.cfg.Now(), &hi1)
	if err != nil {
		return nil, err
	}
	return out.iri.push(bare(pdu))
}

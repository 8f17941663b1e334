package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

const pumpEvery = 200 * time.Millisecond

// pump moves what commits entailed, and what agencies are to be told, from the
// database onto the spools. A crash in between moves it twice: an integrity check has
// its number, a notice its time.
func (o *Outlet) pump(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.cfg.Hold(ctx, "handover outbox", func(ctx context.Context) error {
			full := map[warrant.AgencyID]time.Time{}
			for pause(ctx, pumpEvery) {
				if err := errors.Join(o.moveOutbox(ctx, full), o.moveNotices(ctx)); err != nil {
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

const fullPause = 5 * time.Second // before an agency whose spool is full is tried again

// moveOutbox moves what waits. full holds the agencies whose spool had no room, so
// that they hold nobody else up: theirs waits in the database.
func (o *Outlet) moveOutbox(ctx context.Context, full map[warrant.AgencyID]time.Time) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var without []warrant.AgencyID
	for id, at := range full {
		if o.cfg.Now().Sub(at) < fullPause {
			without = append(without, id)
		}
	}
	all, err := o.cfg.Outbox.Outbox(attempt, without)
	if err != nil || len(all) == 0 {
		return err
	}
	moved := make([]*Receipt, len(all))
	wait, done := context.WithTimeout(attempt, time.Second)
	defer done()
	for i, w := range all {
		if moved[i] = o.moving[w.ID]; moved[i] != nil {
			continue
		}
		if out := o.outbound(w.AgencyID); out != nil && out.iri != nil { // else nothing is pushed to it any more
			if moved[i], err = out.queue(w.Kind).push(bare(w.PDU)); err != nil {
				return err
			}
		}
	}
	var ids []int64
	for i, w := range all {
		switch err := settled(wait, moved[i]); {
		case err == nil:
			delete(o.moving, w.ID)
			ids = append(ids, w.ID)
		case errors.Is(err, errNotYet): // its own agency's matter: the push stands
			o.moving[w.ID] = moved[i]
			full[w.AgencyID] = o.cfg.Now()
		default:
			delete(o.moving, w.ID)
			full[w.AgencyID] = o.cfg.Now()
		}
	}
	return o.cfg.Outbox.Dispatched(attempt, ids)
}

func (o *Outlet) outbound(id warrant.AgencyID) *outbound {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.agencies[id]
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
	case <-ctx.Done():
		return errNotYet
	}
}

func (o *Outlet) moveNotices(ctx context.Context) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	all, err := o.cfg.Records.Notices(attempt)
	if err != nil {
		return err
	}
	for _, n := range all {
		if o.outbound(n.AgencyID) == nil { // perhaps its delivery was confirmed a moment ago
			if err := o.refresh(); err != nil {
				return err
			}
		}
		if out := o.outbound(n.AgencyID); out != nil && out.delivery.HI1 {
			err := o.notify(out, notice{seq: uint32(n.ID), hi1: hi1Of(n)}) //nolint:gosec // numbers wrap
			if errors.Is(err, bus.ErrFull) {
				continue // it waits in the database
			}
			if err != nil {
				return err
			}
		}
		if err := o.cfg.Records.DropNotice(attempt, n.ID); err != nil {
			return err
		}
	}
	return nil
}

// notice is one HI1 operation.
type notice struct {
	seq uint32
	hi1 etsi.HI1
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

func noticeOf(text string, at time.Time) notice {
	return notice{hi1: etsi.HI1{What: etsi.HI1Alarm, At: at, Text: text}}
}

// notify puts an HI1 operation on its way and waits until it is on the spool.
func (o *Outlet) notify(out *outbound, n notice) error {
	if !out.delivery.HI1 || out.iri == nil {
		return nil
	}
	liid := n.hi1.LIID
	if liid == "" {
		liid = alarmLIID
	}
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: liid, AuthCountry: out.delivery.AuthCountry, Operator: o.operator(out.delivery), DeliveryCountry: out.delivery.DeliveryCountry})
	if err != nil {
		return err
	}
	pdu, err := enc.AppendHI1(nil, n.seq, o.cfg.Now(), &n.hi1)
	if err != nil {
		return err
	}
	r, err := out.queue(segment.KindIRI).push(bare(pdu))
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	return settled(wait, r)
}

package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

const pumpEvery = 200 * time.Millisecond

// pump moves what commits entailed, and what agencies are to be told, from the
// database onto the spools. A crash in between moves it twice: an integrity check has
// its number, a notice its time.
func (o *Outlet) pump(ctx context.Context) {
	o.hold(ctx, "outbox", "hold_outbox", func(ctx context.Context) error {
		entailed, notices := newMover(o), newMover(o)
		for pause(ctx, pumpEvery) {
			if err := errors.Join(o.moveOutbox(ctx, entailed), o.moveNotices(ctx, notices)); err != nil {
				o.trouble(ctx, "outbox", err)
				pause(ctx, time.Second)
			}
		}
		return nil
	})
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
		items[i] = item{w.ID, evidence.Lane{Agency: w.AgencyID, Kind: w.Kind}, func(dst []byte, _ *outbound) ([]byte, error) { return appendEntailed(dst, w.Entailed), nil }}
	}
	done, err := m.move(attempt, items)
	if len(done) == 0 {
		return err
	}
	return errors.Join(err, o.cfg.Outbox.Dispatched(attempt, done))
}

// appendEntailed appends a PDU for its spool, or a note for the capture files.
func appendEntailed(dst []byte, e evidence.Entailed) []byte {
	if e.Kind == evidence.ForFiles {
		return append(dst, e.PDU...)
	}
	return appendBare(dst, e.PDU)
}

// bare is a run of one PDU that no counter counts.
func bare(pdu []byte) func([]byte) ([]byte, error) {
	return func(dst []byte) ([]byte, error) { return appendBare(dst, pdu), nil }
}

func appendBare(dst, pdu []byte) []byte {
	start := len(dst)
	dst = append(beginRun(dst, 0, 0, 1, time.Time{}), pdu...)
	endRun(dst, start)
	return dst
}

func (o *Outlet) moveNotices(ctx context.Context, m *mover) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var without []warrant.AgencyID
	for _, l := range m.without() {
		without = append(without, l.Agency)
	}
	all, err := o.cfg.Records.Notices(attempt, without)
	if err != nil {
		return err
	}
	items := make([]item, len(all))
	for i, n := range all {
		items[i] = item{n.ID, evidence.Lane{Agency: n.AgencyID, Kind: segment.KindIRI}, func(dst []byte, out *outbound) ([]byte, error) {
			return o.appendHI1(dst, out, uint32(n.ID), hi1Of(n)) //nolint:gosec // numbers wrap
		}}
	}
	done, err := m.move(attempt, items)
	if len(done) == 0 {
		return err
	}
	return errors.Join(err, o.cfg.Records.DropNotices(attempt, done))
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

// notify puts an HI1 operation on its way, unless the agency wants none.
func (o *Outlet) notify(out *outbound, seq uint32, hi1 etsi.HI1) error {
	switch {
	case !out.delivery.HI1 || out.delivery.HI2 == "":
		return nil
	case out.iri == nil:
		return errNoSpool
	}
	_, err := out.iri.push(func(dst []byte) ([]byte, error) { return o.appendHI1(dst, out, seq, hi1) })
	return err
}

// appendHI1 appends an HI1 operation for the HI2 spool; nothing where the agency wants
// none.
func (o *Outlet) appendHI1(dst []byte, out *outbound, seq uint32, hi1 etsi.HI1) ([]byte, error) {
	if !out.delivery.HI1 {
		return dst, nil
	}
	liid := hi1.LIID
	if liid == "" {
		liid = alarmLIID
	}
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: liid, AuthCountry: out.delivery.AuthCountry, Operator: o.operator(out.delivery), DeliveryCountry: out.delivery.DeliveryCountry})
	if err != nil {
		return dst, err
	}
	pdu, err := enc.AppendHI1(nil, seq, o.cfg.Now(), &hi1)
	if err != nil {
		return dst, err
	}
	return appendBare(dst, pdu), nil
}

package admf

import (
	"context"
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// The kinds of alarm.
const (
	AlarmGatewayDown = "gateway_unreachable" // object: the gateway
	AlarmTapsLost    = "taps_lost"           // object: the gateway; over once refilled
	AlarmTaskRefused = "task_refused"        // object: gateway and XID; over once it runs or is not wanted
	AlarmTapStays    = "removal_refused"     // object: gateway and XID; over once it is gone
	AlarmRogueTap    = "rogue_tap"           // object: gateway and XID; stays open for a person to close
	AlarmAlteredTap  = "altered_tap"         // likewise
	AlarmExpiredTap  = "expired_tap"         // likewise; its end has passed and it ran
	AlarmUnproven    = "unproven_warrant"    // object: XID; a person closes it
	AlarmRogueDest   = "rogue_destination"   // object: gateway and DID; a person closes it
	AlarmClockSkew   = "clock_skew"          // object: the gateway; over once its clock is right
)

// alarm names one alarm.
type alarm struct{ kind, object string }

// change is an alarm that opens or closes, or a tap that is frozen or gone.
type change struct {
	alarm
	open bool

	frozen  *warrant.Orphan
	removed li.XID
	at      time.Time // of the removal; zero = none
}

// confirmation is what the store is to know of one Task.
type confirmation struct {
	on     bool
	at     time.Time
	unsure bool // the store may not know this XID at all
}

// notes are what a gateway's goroutine has yet to tell the store. One goroutine
// owns them. What the store does not take is kept and told again, in order.
type notes struct {
	gateway  string
	store    store
	overflow func()

	open     map[alarm]bool          // alarms as they ought to be
	changes  []change                // not yet told
	told     map[li.XID]bool         // what the store was told of each Task
	confirms map[li.XID]confirmation // not yet told; the latest counts
}

// maxChanges bounds what piles up while the store is away.
const maxChanges = 4096

func newNotes(gateway string, s store, overflow func()) *notes {
	return &notes{
		gateway: gateway, store: s, overflow: overflow,
		open: map[alarm]bool{}, told: map[li.XID]bool{}, confirms: map[li.XID]confirmation{},
	}
}

// raise opens an alarm and reports whether it was not open before.
func (n *notes) raise(a alarm) bool {
	if n.open[a] {
		return false
	}
	n.open[a] = true
	n.push(change{alarm: a, open: true})
	return true
}

func (n *notes) clear(a alarm) {
	if n.open[a] {
		delete(n.open, a)
		n.push(change{alarm: a})
	}
}

// settle closes an alarm that an earlier process may have left open.
func (n *notes) settle(a alarm) { n.push(change{alarm: a}) }

// freeze keeps a tap as it was found.
func (n *notes) freeze(o warrant.Orphan) { n.push(change{frozen: &o}) }

// removed notes that a frozen tap is gone.
func (n *notes) removed(xid li.XID, at time.Time) { n.push(change{removed: xid, at: at}) }

// forget lets an alarm stay open in the store and be raised anew next time.
func (n *notes) forget(a alarm) { delete(n.open, a) }

func (n *notes) push(c change) {
	if len(n.changes) >= maxChanges {
		n.overflow()
		return
	}
	n.changes = append(n.changes, c)
}

// confirm notes that a Task is on or off since at, unless the store knows.
func (n *notes) confirm(xid li.XID, on bool, at time.Time) {
	if pending, ok := n.confirms[xid]; ok && pending.on == on {
		return
	}
	if told, ok := n.told[xid]; ok && told == on {
		delete(n.confirms, xid)
		return
	}
	n.confirms[xid] = confirmation{on: on, at: at}
}

// confirmGone notes that a Task is off which this process did not place. An earlier
// one may have, and then the store takes it to be on.
func (n *notes) confirmGone(xid li.XID, at time.Time) {
	n.confirms[xid] = confirmation{at: at, unsure: true}
}

// flush tells the store what it can until stop says so, and reports whether all was told.
func (n *notes) flush(ctx context.Context, stop func(began time.Time) bool) (done bool, err error) {
	began := time.Now()
	if err := n.flushAlarms(ctx); err != nil {
		return false, err
	}
	for xid, c := range n.confirms {
		if stop(began) {
			return false, nil
		}
		if err := n.within(ctx, func(ctx context.Context) error {
			return n.store.ConfirmTask(ctx, xid, n.gateway, c.on, c.at)
		}); err != nil && (!c.unsure || !errors.Is(err, warrant.ErrNotFound)) {
			return false, err
		}
		delete(n.confirms, xid)
		n.told[xid] = c.on
		if !c.on {
			delete(n.told, xid) // ended; the map holds live Tasks only
		}
	}
	return true, nil
}

func (n *notes) flushAlarms(ctx context.Context) error {
	for len(n.changes) > 0 {
		if err := n.within(ctx, n.changes[0].teller(n.store, n.gateway)); err != nil {
			return err
		}
		n.changes = n.changes[1:]
	}
	return nil
}

// teller is the call of the store that a change wants.
func (c change) teller(s store, gateway string) func(context.Context) error {
	return func(ctx context.Context) error {
		switch {
		case c.frozen != nil:
			return s.FreezeTap(ctx, *c.frozen)
		case !c.at.IsZero():
			return s.TapRemoved(ctx, gateway, c.removed, c.at)
		case c.open:
			return s.OpenAlarm(ctx, c.kind, c.object)
		}
		return s.CloseAlarm(ctx, c.kind, c.object)
	}
}

func (n *notes) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return f(ctx)
}

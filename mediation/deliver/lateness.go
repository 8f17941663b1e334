package deliver

import (
	"context"
	"strings"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/warrant"
)

// lateness is of what the lag alarm speaks, and whether it is open.
type lateness struct {
	agency warrant.AgencyID
	iface  string // of metrics
	name   string // of alarms
	late   bool
}

// newLateness names an agency's interface, hi2, hi3 or drop.
func newLateness(id warrant.AgencyID, iface string) lateness {
	return lateness{agency: id, iface: iface, name: "agency " + string(id) + " " + iface}
}

// lag shows what waits too long, here and to the LEMF.
func (k *keeper) lag(ctx context.Context) {
	out := k.way.now.Load()
	for _, c := range k.channels {
		if out == nil {
			break
		}
		late, oldest := k.late(ctx, c.lateness, c.spool, out.delivery.LagAlarm)
		if late == c.late {
			continue
		}
		if c.late = late; late {
			k.warn(ctx, out, c, "delivery is late: the oldest record waits since "+oldest.UTC().Format(time.RFC3339))
		} else {
			k.warn(ctx, out, c, "delivery is in time again")
		}
	}
	if k.drop == nil {
		return
	}
	limit := k.cfg.Drop.Every + time.Minute
	if out != nil {
		limit = k.cfg.Drop.Every + out.delivery.LagAlarm
	}
	k.drop.late, _ = k.late(ctx, k.drop.lateness, k.drop.spool, limit)
}

// late shows what waits for longer than a limit. It returns whether the alarm is open
// now, and since when the oldest message waits.
func (o *Outlet) late(ctx context.Context, l lateness, spool *bus.Spool, limit time.Duration) (open bool, oldest time.Time) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	b, err := spool.Backlog(attempt)
	if err != nil {
		return l.late, time.Time{}
	}
	o.metrics.backlog(l.agency, l.iface, b.Messages, b.Octets)
	late := b.Messages > 0 && o.cfg.Now().Sub(b.Oldest) > limit
	switch {
	case late && !l.late:
		return openAlarm(ctx, o.cfg.Alarms, alarmLag, l.name), b.Oldest
	case !late && l.late:
		return !closeAlarm(ctx, o.cfg.Alarms, alarmLag, l.name), b.Oldest
	}
	return l.late, b.Oldest
}

// warn tells the LEMF by an HI1 alarm, behind what waits for HI2.
func (o *Outlet) warn(ctx context.Context, out *outbound, c *channel, text string) {
	if err := o.notify(out, 0, etsi.HI1{What: etsi.HI1Alarm, At: o.cfg.Now(), Text: strings.ToUpper(c.iface) + ": " + text}); err != nil {
		o.trouble(ctx, "notify", err)
	}
}

package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

const (
	confirmTCP  = warrant.ConfirmTCP
	dialTimeout = 10 * time.Second
	firstRedial = 200 * time.Millisecond
	triLIID     = "keep-alive" // the header of TRI PDUs needs one; any value will do (clause 6.3.4)
)

// Timing are the times of clause 6.3; zero = the default.
type Timing struct {
	Idle     time.Duration // without anything sent, before a keep-alive (TIME1); default 3m
	NoAnswer time.Duration // after a question, before the connection is dropped (TIME3); default 1m
	Confirm  time.Duration // between questions while something is unconfirmed; default 500ms
	Redial   time.Duration // longest pause between attempts to connect; default 30s
	Down     time.Duration // without a connection, before the alarm; default 30s
}

func (t Timing) withDefaults() Timing {
	orElse := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	orElse(&t.Idle, 3*time.Minute)
	orElse(&t.NoAnswer, time.Minute)
	orElse(&t.Confirm, 500*time.Millisecond)
	orElse(&t.Redial, 30*time.Second)
	orElse(&t.Down, 30*time.Second)
	return t
}

// link keeps one connection to one agency's LEMF, for HI2 or HI3, and empties its
// spool over it.
type link struct {
	name      string // of the alarms: agency and interface
	kind      segment.Kind
	addr      string
	delivery  warrant.Delivery
	tls       *tls.Config
	spool     *bus.Spool
	timing    Timing
	operator  string
	log       *slog.Logger
	metrics   *linkMetrics
	alarms    alarms
	confirmed *marks
}

// run connects again and again until ctx ends.
func (l *link) run(ctx context.Context) {
	down, shown := time.Now(), false
	for wait := firstRedial; ctx.Err() == nil; wait = min(2*wait, l.timing.Redial) {
		began := time.Now()
		worked, err := l.session(ctx, func() {
			if shown {
				shown = !closeAlarm(ctx, l.alarms, alarmDown, l.name)
			}
		})
		if ctx.Err() != nil {
			return
		}
		l.metrics.ended(err)
		if worked || time.Since(began) > l.timing.Redial {
			wait, down = firstRedial, time.Now()
		}
		if !shown && time.Since(down) >= l.timing.Down {
			shown = openAlarm(ctx, l.alarms, alarmDown, l.name)
			l.log.WarnContext(ctx, "no connection to a LEMF", slog.Any("err", err))
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

var errDial = errors.New("deliver: the LEMF cannot be reached")

// errTLS says nothing of the cause: it may quote a certificate.
var errTLS = errors.New("deliver: the LEMF's certificate is not the confirmed one, or it refused ours")

// session is one connection, from dialling to its end. worked says that the LEMF
// answered over it.
func (l *link) session(ctx context.Context, up func()) (worked bool, err error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	raw, err := dialer.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return false, errDial
	}
	count := &counted{Conn: raw}
	secured := tls.Client(count, l.tls)
	defer func() { _ = raw.Close() }()
	shake, done := context.WithTimeout(ctx, dialTimeout)
	defer done()
	if err := secured.HandshakeContext(shake); err != nil {
		return false, errTLS
	}
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: triLIID, AuthCountry: l.delivery.AuthCountry, Operator: l.operator, DeliveryCountry: l.delivery.DeliveryCountry})
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	now := time.Now()
	c := &conn{link: l, tls: secured, count: count, enc: enc, room: make(chan struct{}), lastSend: now, minute: now}
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	if err := c.negotiate(); err != nil {
		return false, err
	}
	l.metrics.connections.Inc()
	l.metrics.up.Set(1)
	defer l.metrics.up.Set(0)
	up()
	g.Go(c.read)
	g.Go(func() error { return c.watch(ctx) })
	g.Go(func() error { return c.pour(ctx) })
	err = g.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.answeredAt.IsZero(), err
}

// negotiate asks for PDU acknowledgements where the delivery wants them (clause
// 6.3.5). Until the LEMF agrees, keep-alive answers confirm.
func (c *conn) negotiate() error {
	if c.link.delivery.Confirm != warrant.ConfirmPDUAck {
		return nil
	}
	c.mu.Lock()
	seq := c.seq
	c.seq++
	c.options = true
	c.mu.Unlock()
	c.write.Lock()
	defer c.write.Unlock()
	return c.say(c.enc.AppendOptionRequest(nil, seq, time.Now(), true))
}

// pour sends what stands on the spool, oldest first, and goes on with what comes.
// What was sent over an earlier connection and confirmed is not sent again.
func (c *conn) pour(ctx context.Context) error {
	last := c.link.confirmed.copy()
	var failed error
	consume, stop := context.WithCancel(ctx)
	defer stop()
	err := c.link.spool.Consume(consume, func(m bus.SpoolMessage) {
		if failed != nil || !c.waitRoom(consume) {
			return
		}
		if failed = c.deliver(m, last); failed != nil {
			stop()
		}
	})
	return errors.Join(failed, err)
}

// deliver sends one message of the spool. last is what of each session's counter was
// sent over this connection or confirmed before.
func (c *conn) deliver(m bus.SpoolMessage, last *marks) error {
	c.write.Lock()
	defer c.write.Unlock()
	c.out = c.out[:0]
	s := sent{ack: m.Ack, octets: len(m.Data)}
	now := time.Now()
	for rest := m.Data; len(rest) > 0; {
		r, after, err := nextRun(rest)
		if err != nil {
			c.link.metrics.malformed.Inc() // the bus key is right, so it is our own doing
			break
		}
		rest = after
		fresh := last.fresh(r)
		if len(fresh) == 0 {
			c.link.metrics.duplicates.Add(float64(r.count))
			continue
		}
		if r.session != 0 {
			s.last = append(s.last, mark{r.session, span{r.first, r.first + r.count - 1}})
		}
		if r.session != 0 && !r.sealed && c.link.delivery.Encryption != warrant.NoEncryption {
			if err := c.withhold(r); err != nil {
				return err
			}
			continue
		}
		c.out = append(c.out, fresh...)
		c.link.metrics.pdus.Add(float64(max(r.count, 1)))
		if r.at != 0 {
			c.link.metrics.lag.Observe(max(0, now.Sub(time.Unix(0, r.at)).Seconds()))
		}
	}
	if err := c.send(c.out); err != nil {
		return err
	}
	s.end = c.count.written()
	c.mu.Lock()
	c.flight = append(c.flight, s)
	c.unconfirmed += s.octets
	c.unasked += s.octets
	c.total++
	c.mu.Unlock()
	return nil
}

// withhold reports PDUs instead of sending them: they were put on the spool in clear,
// and a delivery that orders the encryption container counts now. The report goes in
// their place. write is held.
func (c *conn) withhold(r run) error {
	c.link.metrics.withheld.Add(float64(r.count))
	p, _, err := etsi.Decode(r.pdus)
	if err != nil {
		c.link.metrics.malformed.Inc()
		return nil
	}
	d := c.link.delivery
	enc, err := etsi.NewEncoder(etsi.Stream{LIID: p.LIID, AuthCountry: d.AuthCountry, Operator: c.link.operator, CIN: p.CIN, HasCIN: true, DeliveryCountry: d.DeliveryCountry})
	if err != nil {
		return err
	}
	text := fmt.Sprintf("CIN %d %s: sequence numbers %d to %d were taken before encryption was ordered and are not sent; the sealed store has them", p.CIN, c.link.kind, r.first, r.first+r.count-1)
	pdu, err := enc.AppendOperatorMessage(nil, 0, time.Now(), true, text)
	if err != nil {
		return err
	}
	c.out = append(c.out, pdu...)
	return nil
}

package deliver

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Config is what an Outlet needs; fields without a default are required.
type Config struct {
	Bus     *bus.Bus // whose spools hold what waits for a LEMF
	Records records
	Outbox  outbox
	Alarms  alarms
	Log     *slog.Logger
	LIReg   prometheus.Registerer // LI figures; nil = none

	TLS      func(lemf string) *tls.Config // towards the LEMF with that certificate, showing ours
	Signer   *ecdsa.PrivateKey             // signs integrity checks
	Operator string                        // operatorIdentifier, 1 to 16 octets
	Element  string                        // networkElementIdentifier, at most 16 octets
	Key      func(warrant.AgencyID) ([]byte, error)
	Hold     func(ctx context.Context, name string, run func(context.Context) error) error // one process at a time; nil = there is one only

	Drop    Drop // where capture files go
	Timing  Timing
	Refresh time.Duration    // how soon a new delivery counts; default 1s
	Now     func() time.Time // default time.Now
}

// records is warrant/pgstore.Store.
type records interface {
	ActiveDeliveries(ctx context.Context) ([]warrant.Delivery, error)
	Notices(ctx context.Context, without []warrant.AgencyID) ([]warrant.Notice, error)
	DropNotices(ctx context.Context, ids []int64) error
}

// outbox is evidence.Store.
type outbox interface {
	Outbox(ctx context.Context, without []evidence.Lane) ([]evidence.Waiting, error)
	Dispatched(ctx context.Context, ids []int64) error
}

// alarms shows that a person must look, and that it is over.
type alarms interface {
	OpenAlarm(ctx context.Context, kind, object string) error
	CloseAlarm(ctx context.Context, kind, object string) error
}

// Outlet pushes records to all agencies that take any.
type Outlet struct {
	cfg     Config
	metrics *metrics
	ready   chan struct{}

	refresh func(context.Context) error // looks which deliveries count now; set before ready is closed

	mu   sync.Mutex // guards ways, briefly
	ways map[warrant.AgencyID]*way
}

// way is how one agency's records go, whichever of its deliveries counts. It is never
// replaced: what began under an older delivery sees that another one counts, or none.
type way struct {
	now atomic.Pointer[outbound] // nil = nothing is pushed any more
}

// outbound is the way out under one delivery. It is never changed, but replaced.
type outbound struct {
	queues

	delivery warrant.Delivery
	whole    bool // all its spools are open, with its limits
	stuck    bool // they could not be opened for long: what comes meanwhile is refused
}

// queues lead to an agency's spools.
type queues struct {
	iri, cc *queue // nil = nothing is pushed, or their spools are not open
	drop    *queue // nil = no capture files, or their spool is not open
}

// newOutbound is the way out under a delivery, as far as spools are open.
func newOutbound(d warrant.Delivery, open queues) *outbound {
	if d.HI2 == "" {
		open.iri, open.cc = nil, nil
	}
	if !d.FileDrop {
		open.drop = nil
	}
	return &outbound{delivery: d, queues: open}
}

// queue is where PDUs of a kind go; nil = its spool is not open.
func (q queues) queue(kind segment.Kind) *queue {
	switch kind {
	case segment.KindIRI:
		return q.iri
	case segment.KindCC:
		return q.cc
	case evidence.ForFiles:
		return q.drop
	}
	return nil
}

// waits reports whether a spool will be open that is not.
func (o *outbound) waits() bool {
	return !o.whole && !o.stuck && (o.delivery.HI2 != "" && o.iri == nil || o.delivery.FileDrop && o.drop == nil)
}

// way returns an agency's.
func (o *Outlet) way(id warrant.AgencyID) *way {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.ways[id]
	if w == nil {
		w = &way{}
		o.ways[id] = w
	}
	return w
}

func (o *Outlet) outbound(id warrant.AgencyID) *outbound { return o.way(id).now.Load() }

// New validates the configuration; Run does the work.
func New(cfg Config) (*Outlet, error) {
	if cfg.Bus == nil || cfg.Records == nil || cfg.Outbox == nil || cfg.Alarms == nil || cfg.Log == nil || cfg.TLS == nil || cfg.Signer == nil || cfg.Operator == "" {
		return nil, errors.New("deliver: Bus, Records, Outbox, Alarms, Log, TLS, Signer and Operator are required")
	}
	if cfg.Key == nil {
		cfg.Key = func(warrant.AgencyID) ([]byte, error) { return nil, errNoKey }
	}
	if cfg.Hold == nil {
		cfg.Hold = func(ctx context.Context, _ string, run func(context.Context) error) error { return run(ctx) }
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Timing, cfg.Drop = cfg.Timing.withDefaults(), cfg.Drop.withDefaults()
	m, err := newMetrics(cfg.LIReg)
	if err != nil {
		return nil, err
	}
	return &Outlet{cfg: cfg, metrics: m, ready: make(chan struct{}), ways: map[warrant.AgencyID]*way{}}, nil
}

var errNoKey = errors.New("deliver: the delivery wants an encryption container, and no key of the agency is configured")

// Ready is closed once it is known which agencies take records.
func (o *Outlet) Ready() <-chan struct{} { return o.ready }

var errWaits = errors.New("deliver: the spools of an agency are not open yet")

// Line returns how the records of a session are pushed from now on; nil = not at all.
// It waits for the database where an agency's delivery is not known, until ctx ends, and
// must not be called before Ready.
// A delivery that cannot work is shown as an alarm: the sealed store goes on.
// An error is trouble that passes: ask again.
func (o *Outlet) Line(ctx context.Context, info warrant.TaskInfo, p *evidence.Progress) (*Line, error) {
	w := o.way(info.AgencyID)
	if w.now.Load() == nil { // a delivery that was confirmed a moment ago counts
		if err := o.refresh(ctx); err != nil {
			return nil, err
		}
	}
	out := w.now.Load()
	switch {
	case out == nil:
		return nil, nil
	case out.waits():
		return nil, errWaits
	}
	l, err := o.newLine(w, out.delivery, info, p)
	if err != nil {
		o.trouble(ctx, "make_line", err)
		openAlarm(ctx, o.cfg.Alarms, alarmBroken, "agency "+string(info.AgencyID))
		return nil, nil
	}
	return l, nil
}

func (o *Outlet) newLine(w *way, d warrant.Delivery, info warrant.TaskInfo, p *evidence.Progress) (*Line, error) {
	l := &Line{way: w, delivery: d, ordered: info.Media, liid: p.LIID, cin: p.CIN, started: p.StartedAt}
	if d.HI2 == "" {
		return l, nil
	}
	times := etsi.TimeMicro
	if d.Times == warrant.TimesGeneralized {
		times = etsi.TimeGeneralized
	}
	var err error
	l.enc, err = etsi.NewEncoder(etsi.Stream{
		LIID: p.LIID, AuthCountry: d.AuthCountry, Operator: o.operator(d), Element: o.cfg.Element, CIN: uint32(p.CIN), HasCIN: true,
		DeliveryCountry: d.DeliveryCountry, PointID: d.PointID, Times: times,
	})
	if err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	l.signer, l.hash, l.media = o.cfg.Signer, hashOf(d.Hash), info.Media && d.HI3 != ""
	l.iri, l.cc = sessionName(p.LIID, p.CIN, segment.KindIRI), sessionName(p.LIID, p.CIN, segment.KindCC)
	if err := o.encrypt(l, d); err != nil {
		return nil, err
	}
	return l, nil
}

func (o *Outlet) operator(d warrant.Delivery) string {
	if d.Operator != "" {
		return d.Operator
	}
	return o.cfg.Operator
}

// encrypt sets up the encryption container, if the delivery wants one. Without the
// agency's key nothing is pushed: never in clear instead.
func (o *Outlet) encrypt(l *Line, d warrant.Delivery) error {
	if d.Encryption == warrant.NoEncryption {
		return nil
	}
	kind := etsi.EncAES256
	if d.Encryption == warrant.AES192 {
		kind = etsi.EncAES192
	}
	key, err := o.cfg.Key(d.AgencyID)
	if err != nil {
		return errNoKey
	}
	if l.seal, err = etsi.NewSealer(kind, key); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	l.shown, err = etsi.NewSealer(etsi.EncNone, nil)
	return err
}

func hashOf(n warrant.HashName) etsi.HashAlgorithm {
	switch n {
	case warrant.SHA384:
		return etsi.HashSHA384
	case warrant.SHA512:
		return etsi.HashSHA512
	case warrant.SHA256:
	}
	return etsi.HashSHA256
}

package deliver

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
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
	Notices(ctx context.Context) ([]warrant.Notice, error)
	DropNotice(ctx context.Context, id int64) error
}

// outbox is evidence.Store.
type outbox interface {
	Outbox(ctx context.Context, without []warrant.AgencyID) ([]evidence.Waiting, error)
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

	refresh func() error // looks which deliveries count now; set before ready is closed

	mu       sync.Mutex // guards agencies, briefly
	agencies map[warrant.AgencyID]*outbound
	moving   map[int64]*Receipt // of the outbox, by the pump only
}

// outbound is one agency's way out. It stays while its deliveries change.
type outbound struct {
	delivery warrant.Delivery // of the lines made from it
	iri, cc  *queue           // nil = nothing is pushed
	drop     *queue           // nil = no capture files
	gone     atomic.Bool      // nothing is pushed any more
	dropGone atomic.Bool      // no capture files any more
}

func (o *outbound) queue(kind segment.Kind) *queue {
	if kind == segment.KindIRI {
		return o.iri
	}
	return o.cc
}

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
	return &Outlet{cfg: cfg, metrics: m, ready: make(chan struct{}), moving: map[int64]*Receipt{}, agencies: map[warrant.AgencyID]*outbound{}}, nil
}

var errNoKey = errors.New("deliver: the delivery wants an encryption container, and no key of the agency is configured")

// Ready is closed once it is known which agencies take records.
func (o *Outlet) Ready() <-chan struct{} { return o.ready }

// Line returns how the records of a session are pushed from now on; nil = not at all.
// It waits for the database where an agency's delivery is not known, and must not be
// called before Ready.
// A delivery that cannot work is shown as an alarm: the sealed store goes on.
// An error is trouble that passes: ask again.
func (o *Outlet) Line(ctx context.Context, info warrant.TaskInfo, p *evidence.Progress) (*Line, error) {
	out := o.outbound(info.AgencyID)
	if out == nil { // a delivery that was confirmed a moment ago counts
		if err := o.refresh(); err != nil {
			return nil, err
		}
		out = o.outbound(info.AgencyID)
	}
	if out == nil {
		return nil, nil
	}
	l, err := o.newLine(out, info, p)
	if err != nil {
		o.trouble(ctx, "make_line", err)
		openAlarm(ctx, o.cfg.Alarms, alarmBroken, "agency "+string(info.AgencyID))
		return nil, nil
	}
	return l, nil
}

func (o *Outlet) newLine(out *outbound, info warrant.TaskInfo, p *evidence.Progress) (*Line, error) {
	d := out.delivery
	if d.HI2 == "" {
		return &Line{agency: out, ordered: info.Media, liid: p.LIID, cin: p.CIN}, nil
	}
	times := etsi.TimeMicro
	if d.Times == warrant.TimesGeneralized {
		times = etsi.TimeGeneralized
	}
	enc, err := etsi.NewEncoder(etsi.Stream{
		LIID: p.LIID, AuthCountry: d.AuthCountry, Operator: o.operator(d), Element: o.cfg.Element, CIN: uint32(p.CIN), HasCIN: true,
		DeliveryCountry: d.DeliveryCountry, PointID: d.PointID, Times: times,
	})
	if err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	l := &Line{
		agency: out, liid: p.LIID, cin: p.CIN, signer: o.cfg.Signer, enc: enc, started: p.StartedAt, ordered: info.Media, media: info.Media && d.HI3 != "", frame: d.Frame, hash: hashOf(d.Hash),
		iri: sessionName(p.LIID, p.CIN, segment.KindIRI), cc: sessionName(p.LIID, p.CIN, segment.KindCC),
	}
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

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

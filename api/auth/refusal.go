package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/audit"
)

// Reason is why somebody was refused. The set is closed: it labels a metric.
type Reason string

// The reasons.
const (
	NoProof     Reason = "no-proof"      // nothing was shown that is known
	BadBinding  Reason = "binding"       // a session from elsewhere than where it was opened
	BadOrigin   Reason = "cross-site"    // a cookie, and a request from another site
	BadRole     Reason = "role"          // the role may not
	BadAct      Reason = "rule"          // a rule of the domain forbids it
	BadScope    Reason = "scope"         // the machine token does not name the operation
	StaleFactor Reason = "second-factor" // the second factor is not fresh
	TooFast     Reason = "rate"          // too many attempts from one address
	Locked      Reason = "locked"        // too many failures
	BadLogin    Reason = "sign-in"       // what was shown at sign-in does not hold
	BadCounter  Reason = "counter"       // a passkey's counter fell: it may have been copied
	BadLink     Reason = "enrolment"     // no such link, or it does not count
)

// Reasons lists all of them.
func Reasons() []Reason {
	return []Reason{NoProof, BadBinding, BadOrigin, BadRole, BadAct, BadScope, StaleFactor, TooFast, Locked, BadLogin, BadCounter, BadLink}
}

// Recorder writes to the audit log.
type Recorder interface {
	Record(ctx context.Context, e audit.Entry) error
}

// RefusalsConfig is what Refusals need.
type RefusalsConfig struct {
	Log     Recorder
	OwnLog  *slog.Logger
	Metrics prometheus.Registerer // nil = not shown
	Now     func() time.Time      // default time.Now
}

// Refusals counts and records refusals.
type Refusals struct {
	cfg     RefusalsConfig
	counter *prometheus.CounterVec

	mu        sync.Mutex // guards strangers, for a map access
	strangers map[string]gathered
}

// gathered are a stranger's refusals since the last entry.
type gathered struct {
	since  time.Time
	silent int
}

const (
	gatherFor    = time.Minute
	maxStrangers = 10_000
	recordFor    = 5 * time.Second
	stranger     = "unknown"
)

// NewRefusals registers the counter.
func NewRefusals(cfg RefusalsConfig) (*Refusals, error) {
	if cfg.Log == nil || cfg.OwnLog == nil {
		return nil, fmt.Errorf("auth: Log and OwnLog are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Refusals{cfg: cfg, strangers: map[string]gathered{}}
	r.counter = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_auth_refusals_total", Help: "Requests refused, by reason, without identity.",
	}, []string{"reason"})
	for _, reason := range Reasons() {
		r.counter.WithLabelValues(string(reason))
	}
	if cfg.Metrics == nil {
		return r, nil
	}
	if err := cfg.Metrics.Register(r.counter); err != nil {
		return nil, fmt.Errorf("auth: register metrics: %w", err)
	}
	return r, nil
}

// Refused is one refusal. Who and Role are empty for who is not known.
type Refused struct {
	Why    Reason
	Who    string // person's or token's id
	Role   string
	Object string // operation id, if known
	Source string
}

// Refuse counts and records. An entry that cannot be written is logged; the refusal
// stands either way.
func (r *Refusals) Refuse(ctx context.Context, f Refused) {
	r.count(f.Why)
	e := audit.Entry{Actor: f.Who, Role: f.Role, Action: "access", Object: f.Object, Result: "refused", Source: f.Source}
	e.Detail = map[string]string{"rule": string(f.Why)}
	if f.Who == "" {
		e.Actor = stranger
		silent, record := r.gather(string(f.Why) + " " + f.Source)
		if !record {
			return
		}
		if silent > 0 {
			e.Detail["before"] = strconv.Itoa(silent)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	if err := r.cfg.Log.Record(ctx, e); err != nil {
		r.cfg.OwnLog.ErrorContext(ctx, "refusal not recorded", slog.Any("err", err))
	}
}

func (r *Refusals) count(why Reason) { r.counter.WithLabelValues(string(why)).Inc() }

// gather tells whether a stranger's refusal gets an entry of its own, and how many
// had none since the last.
func (r *Refusals) gather(key string) (silent int, record bool) {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	g, known := r.strangers[key]
	if known && now.Sub(g.since) < gatherFor {
		g.silent++
		r.strangers[key] = g
		return 0, false
	}
	if len(r.strangers) >= maxStrangers {
		r.forget(now)
	}
	r.strangers[key] = gathered{since: now}
	return g.silent, true
}

// forget drops what is old; if nothing is, everything: entries are then written more
// often, never less.
func (r *Refusals) forget(now time.Time) {
	for k, g := range r.strangers {
		if now.Sub(g.since) >= gatherFor {
			delete(r.strangers, k)
		}
	}
	if len(r.strangers) >= maxStrangers {
		clear(r.strangers)
	}
}

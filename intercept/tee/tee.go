package tee

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li/x2x3"
)

// Config is what a Tee needs; fields without a default are required.
type Config struct {
	Log     *slog.Logger // not used: a line about copies would tell that there are any
	Out     publisher
	NFID    string                // this network element, the X1 neIdentifier
	X2Slots int                   // SIP messages that may wait; default 4096
	X3Slots int                   // media packets that may wait; default 16384 (26 MB)
	LIReg   prometheus.Registerer // LI figures; nil = none
}

// publisher stores one message a partition for mediation and empties the slots that
// are durably stored; nil means all are. The octets may be reused after the call. It
// is called from one goroutine.
type publisher interface {
	PublishAll(ctx context.Context, kind x2x3.Type, batch *bus.Batch) error
}

const (
	defaultX2Slots = 4096
	defaultX3Slots = 16384
	maxX3Slots     = 1 << 20
	maxBatchBytes  = 48 << 10  // a bus message that has reached this is sent
	maxRoundBytes  = 512 << 10 // and so are the messages of all partitions together
	gatherTime     = 20 * time.Millisecond
	minRetry       = 50 * time.Millisecond
	maxRetry       = 2 * time.Second
	drainTime      = 3 * time.Second
)

// Tee copies calls to the bus.
type Tee struct {
	out      publisher
	nfid     string
	messages chan message
	ring     *ring

	mu   sync.Mutex                // guards taps, for map work only
	taps map[*tasking.Tap]struct{} // those that have lines; dead ones are dropped when they are listed

	dropped   map[x2x3.Type]prometheus.Counter // read only after New
	published map[x2x3.Type]prometheus.Counter // read only after New
	retries   prometheus.Counter
	sealed    prometheus.Counter
}

// New validates the configuration; Run does the work.
func New(cfg Config) (*Tee, error) {
	if cfg.Out == nil || cfg.NFID == "" || cfg.X2Slots < 0 || cfg.X3Slots < 0 || cfg.X3Slots > maxX3Slots {
		return nil, ErrConfig
	}
	if cfg.X2Slots == 0 {
		cfg.X2Slots = defaultX2Slots
	}
	if cfg.X3Slots == 0 {
		cfg.X3Slots = defaultX3Slots
	}
	t := &Tee{
		out: cfg.Out, nfid: cfg.NFID, taps: map[*tasking.Tap]struct{}{},
		messages: make(chan message, cfg.X2Slots), ring: newRing(cfg.X3Slots),
	}
	return t, t.metrics(cfg.LIReg)
}

func (t *Tee) metrics(reg prometheus.Registerer) error {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_tee_dropped_pdus_total", Help: "Copies that found no room; each shows as a gap.",
	}, []string{"kind"})
	published := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_tee_published_pdus_total", Help: "PDUs that the bus has stored.",
	}, []string{"kind"})
	t.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ligate_tee_publish_retries_total", Help: "Attempts to publish that failed and were made again.",
	})
	t.sealed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ligate_tee_undecrypted_pdus_total", Help: "SRTP and SRTCP packets that no key in the signalling opens; delivered as they came.",
	})
	t.dropped = map[x2x3.Type]prometheus.Counter{x2x3.X2: dropped.WithLabelValues("x2"), x2x3.X3: dropped.WithLabelValues("x3")}
	t.published = map[x2x3.Type]prometheus.Counter{x2x3.X2: published.WithLabelValues("x2"), x2x3.X3: published.WithLabelValues("x3")}
	if reg == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{dropped, published, t.retries, t.sealed} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("tee: register metrics: %w", err)
		}
	}
	return nil
}

// Taps lists the live taps under which calls were copied: what is at work, whatever the
// table of Tasks says.
func (t *Tee) Taps() []*tasking.Tap {
	t.mu.Lock()
	defer t.mu.Unlock()
	var live []*tasking.Tap
	for tap := range t.taps {
		if tap.Live() {
			live = append(live, tap)
		} else {
			delete(t.taps, tap)
		}
	}
	return live
}

// drop counts a copy that found no room.
func (t *Tee) drop(kind x2x3.Type, c *counter) {
	c.lost.Add(1)
	t.dropped[kind].Inc()
}

// Run looks for copies every gatherTime, whether there are taps or not: a call path
// that woke it would be slower for the tapped. It publishes until ctx ends; then it publishes what still waits, for at
// most drainTime, and returns nil. Copies that the bus did not take by then are
// counted as dropped and make ErrLeft.
func (t *Tee) Run(ctx context.Context) error {
	work, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	var clock sync.WaitGroup
	defer clock.Wait()
	defer giveUp()
	clock.Go(func() {
		select {
		case <-work.Done():
			return
		case <-ctx.Done():
		}
		if pause(work, drainTime) {
			giveUp()
		}
	})
	p := &pump{tee: t}
	for work.Err() == nil {
		if p.round(work) {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		pause(ctx, gatherTime)
	}
	p.discard()
	return ErrLeft
}

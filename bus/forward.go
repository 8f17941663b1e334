package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// ForwarderConfig is what a Forwarder needs; fields without a default are required.
type ForwarderConfig struct {
	From  *Bus                  // a server of our own, the spool
	To    *Bus                  // a cluster
	LIReg prometheus.Registerer // LI figures; nil = none
}

// Forwarder moves what one bus holds to another one, each partition in order. A
// message leaves the first only after the second has stored it. It keeps the position
// that it had there, so that one that is forwarded twice, because an answer was lost,
// is known at the other end. It logs nothing: a line would tell that there are copies.
type Forwarder struct {
	from, to *Bus
	moved    prometheus.Counter
	retries  prometheus.Counter
}

// NewForwarder validates the configuration; Run does the work.
func NewForwarder(cfg ForwarderConfig) (*Forwarder, error) {
	if cfg.From == nil || cfg.From.sealer != nil || cfg.To == nil || cfg.To.sealer == nil {
		return nil, errors.New("bus: From must have a server of its own, To a cluster")
	}
	cfg.From.link.quiet = true
	f := &Forwarder{
		from: cfg.From, to: cfg.To,
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ligate_bus_forwarded_messages_total", Help: "Messages that the cluster has stored.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ligate_bus_forward_retries_total", Help: "Attempts to forward that failed and were made again.",
		}),
	}
	if cfg.LIReg == nil {
		return f, nil
	}
	for _, c := range []prometheus.Collector{f.moved, f.retries} {
		if err := cfg.LIReg.Register(c); err != nil {
			return nil, fmt.Errorf("bus: register metrics: %w", err)
		}
	}
	return f, nil
}

// Run forwards until ctx ends, which is no error.
func (f *Forwarder) Run(ctx context.Context) error {
	select {
	case <-f.to.ready:
	case <-ctx.Done():
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for p := range Partitions {
		g.Go(func() error {
			return f.from.Consume(ctx, p, func(m Message) { f.forward(ctx, p, m) })
		})
	}
	return g.Wait()
}

// forward tries until the message is stored or ctx ends. The next one waits.
func (f *Forwarder) forward(ctx context.Context, partition int, m Message) {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := f.to.store(ctx, partition, m)
		if err == nil {
			break
		}
		if !pause(ctx, wait) {
			return
		}
		f.retries.Inc()
	}
	f.moved.Inc()
	_ = m.Ack() // else it comes again, and its name is known
}

// fromHeader says where a forwarded message was stored first.
const fromHeader = "Ligate-From"

// store publishes another bus's message under its own position.
func (b *Bus) store(ctx context.Context, partition int, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, b.link.ackTimeout)
	defer cancel()
	from := m.Stream + "." + strconv.FormatUint(m.Seq, 10)
	msg := &nats.Msg{Subject: subject(m.Kind, partition), Header: nats.Header{fromHeader: []string{from}}}
	msg.Data = b.seal(place(msg.Subject, from), m.Data)
	if _, err := b.link.js.PublishMsg(ctx, msg, jetstream.WithMsgID(from)); err != nil {
		return publishError(err)
	}
	return nil
}

// place is what a message is sealed to.
func place(subject, from string) string { return subject + " " + from }

func parseOrigin(from string) (stream string, seq uint64, err error) {
	stream, digits, _ := strings.Cut(from, ".")
	if seq, err = strconv.ParseUint(digits, 10, 64); err != nil || stream == "" {
		return "", 0, ErrSealed
	}
	return stream, seq, nil
}

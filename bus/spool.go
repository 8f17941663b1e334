package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Spool holds what waits for one receiver outside: a stream of its own with a limit
// of its own, so that one receiver's backlog takes no room from another's. Its files
// are protected like the bus's. It is safe for concurrent use; Publish keeps the order
// of one caller.
type Spool struct {
	bus  *Bus
	name string // of the stream
}

const (
	spoolPrefix   = "HO-"
	spoolConsumer = "out"
	spoolPrefetch = 64
)

// Spool opens the spool of that name (letters, digits, - and _, at most 100), or makes
// it. maxBytes is its limit and may change from one opening to the next.
func (b *Bus) Spool(ctx context.Context, name string, maxBytes int64) (*Spool, error) {
	select {
	case <-b.ready:
	default:
		return nil, ErrStopped
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`).MatchString(name) || maxBytes <= 0 {
		return nil, errors.New("bus: a spool needs a name of letters, digits, - or _ and a limit")
	}
	s := &Spool{bus: b, name: spoolPrefix + name}
	cfg := jetstream.StreamConfig{
		Name: s.name, Subjects: []string{s.subject()}, Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxBytes: maxBytes, Duplicates: dedupWindow,
	}
	if b.cfg.Cluster != nil {
		cfg.Replicas = b.cfg.Cluster.Replicas
	}
	if err := b.keepStream(ctx, cfg); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Spool) subject() string { return "ho." + s.name }

// Publish stores a message; nil means stored, ErrFull that the limit is reached. A
// caller that tries again within two minutes under the same id stores it once.
func (s *Spool) Publish(ctx context.Context, id string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := s.bus.link.js.Publish(ctx, s.subject(), s.bus.seal(s.subject(), data), jetstream.WithMsgID(id))
	if isFull(err) {
		return ErrFull
	}
	if err != nil {
		return fmt.Errorf("bus: publish to spool: %w", err)
	}
	return nil
}

// SpoolMessage is one message of a spool. Ack lets the spool forget it.
type SpoolMessage struct {
	Data []byte // the receiver's own
	Ack  func() error
}

// Consume hands out what nobody acknowledged, oldest first, one at a time, and goes
// on with what comes until ctx ends, which is no error. Only one Consume runs on a
// spool; each begins with the oldest message that is not acknowledged.
func (s *Spool) Consume(ctx context.Context, handle func(SpoolMessage)) error {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		got, err := s.round(ctx, handle)
		if ctx.Err() != nil {
			return nil
		}
		if got {
			wait = minRetry
		}
		s.bus.cfg.Log.WarnContext(ctx, "consuming from a spool begins again", slog.Any("err", err))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// round consumes in order until something breaks the order or ctx ends.
func (s *Spool) round(ctx context.Context, handle func(SpoolMessage)) (got bool, err error) {
	consumer, _, err := s.bus.link.freshConsumer(ctx, s.name, jetstream.ConsumerConfig{Durable: spoolConsumer})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(spoolPrefetch), jetstream.PullExpiry(pullTime), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return false, fmt.Errorf("bus: open spool's consumer: %w", err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for delivered := uint64(1); ; delivered++ {
		raw, err := messages.Next()
		if err != nil {
			return got, errInterrupted
		}
		meta, err := raw.Metadata()
		if err != nil {
			return got, fmt.Errorf("bus: message without position: %w", err)
		}
		if ctx.Err() != nil || meta.Sequence.Consumer != delivered {
			return got, errInterrupted
		}
		data, err := s.bus.unseal(s.subject(), raw.Data())
		if err != nil {
			return got, err
		}
		got = true
		handle(SpoolMessage{Data: data, Ack: raw.Ack})
	}
}

// Backlog is what waits on a spool.
type Backlog struct {
	Messages, Octets uint64
	Oldest           time.Time // when the oldest message was stored; zero = none waits
}

// Backlog asks the server.
func (s *Spool) Backlog(ctx context.Context) (Backlog, error) {
	stream, err := s.bus.link.js.Stream(ctx, s.name)
	if err != nil {
		return Backlog{}, fmt.Errorf("bus: read spool's backlog: %w", err)
	}
	state := stream.CachedInfo().State
	b := Backlog{Messages: state.Msgs, Octets: state.Bytes}
	if state.Msgs > 0 {
		b.Oldest = state.FirstTime
	}
	return b, nil
}

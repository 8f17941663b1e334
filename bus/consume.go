package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/li/x2x3"
)

const (
	ackWait       = 30 * time.Minute // an ack follows the seal; see Consume
	maxAckPending = 200_000
	prefetch      = 32              // messages of a partition on their way to us
	heartbeat     = 3 * time.Second // two that do not come begin a new round
	minRetry      = 100 * time.Millisecond
	maxRetry      = 5 * time.Second
)

// Message is one stored message. Data holds whole PDUs of Kind, back to back.
type Message struct {
	Stream string // names the stream's files: Seq counts anew when they are made anew
	Seq    uint64 // position in the stream, from 1, ascending
	Kind   x2x3.Type
	Data   []byte // the receiver's own
	Ack    func() error
}

// link is a connection to a bus from which messages are consumed.
type link struct {
	log  *slog.Logger
	conn *nats.Conn          // set by open, then read only
	js   jetstream.JetStream // set by open, then read only

	mu   sync.Mutex         // guards stop, for a change or the calls
	stop [Partitions]func() // ends the round that runs; nil = none
}

// handlers make each loss of the connection begin a new round: what was on its way
// then would otherwise come after what followed it.
func (l *link) handlers() []nats.Option {
	return []nats.Option{nats.DisconnectErrHandler(func(*nats.Conn, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, stop := range l.stop {
			if stop != nil {
				stop()
			}
		}
	})}
}

func (l *link) open(conn *nats.Conn) error {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(publishTimeout))
	if err != nil {
		conn.Close()
		return fmt.Errorf("bus: open JetStream: %w", err)
	}
	l.conn, l.js = conn, js
	return nil
}

func (l *link) setStop(partition int, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop[partition] = f
}

// Consume hands every message of a partition that nobody acknowledged to handle,
// oldest first, one at a time, and goes on with new ones until ctx ends, which is no
// error. Trouble makes it begin again with the oldest that is not acknowledged, and a
// message that stays so for half an hour comes again: Stream and Seq tell. Ack may be
// called from any goroutine. Partitions do not wait for each other; each is for one
// Consume at a time, and one that begins elsewhere takes the partition over.
func (b *Bus) Consume(ctx context.Context, partition int, handle func(Message)) error {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil
	}
	return b.link.consume(ctx, partition, handle)
}

func (l *link) consume(ctx context.Context, partition int, handle func(Message)) error {
	if partition < 0 || partition >= Partitions {
		return ErrPartition
	}
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		got, err := l.round(ctx, partition, handle)
		if ctx.Err() != nil {
			return nil
		}
		if got {
			wait = minRetry
		}
		l.log.WarnContext(ctx, "consuming from the bus begins again", slog.Bool("result", got), slog.Any("err", err))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

var errInterrupted = errors.New("bus: the connection was interrupted")

// round consumes in order until something breaks the order or ctx ends. got says
// whether there was any message.
func (l *link) round(ctx context.Context, partition int, handle func(Message)) (got bool, err error) {
	consumer, stream, err := l.freshConsumer(ctx, partition)
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return false, fmt.Errorf("bus: open consumer: %w", err)
	}
	defer messages.Stop()
	l.setStop(partition, messages.Stop)
	defer l.setStop(partition, nil)
	defer context.AfterFunc(ctx, messages.Stop)()
	for delivered := uint64(1); ; delivered++ {
		raw, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return got, errInterrupted
		}
		if err != nil {
			return got, fmt.Errorf("bus: next message: %w", err)
		}
		meta, err := raw.Metadata()
		if err != nil {
			return got, fmt.Errorf("bus: message without position: %w", err)
		}
		if ctx.Err() != nil || meta.Sequence.Consumer != delivered {
			return got, errInterrupted
		}
		got = true
		handle(Message{Stream: stream, Seq: meta.Sequence.Stream, Kind: kindOf(raw.Subject()), Data: raw.Data(), Ack: raw.Ack})
	}
}

// freshConsumer replaces the consumer, so that what the last one had in hand is
// handed out again, in order, at once.
func (l *link) freshConsumer(ctx context.Context, partition int) (jetstream.Consumer, string, error) {
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stream, err := l.js.Stream(start, streamName)
	if err != nil {
		return nil, "", fmt.Errorf("bus: find stream: %w", err)
	}
	if err := stream.DeleteConsumer(start, consumerOf(partition)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, "", fmt.Errorf("bus: replace consumer: %w", err)
	}
	consumer, err := stream.CreateConsumer(start, jetstream.ConsumerConfig{
		Durable: consumerOf(partition), FilterSubject: subjectsOf(partition), AckPolicy: jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy, AckWait: ackWait, MaxAckPending: maxAckPending,
	})
	if err != nil {
		return nil, "", fmt.Errorf("bus: make consumer: %w", err)
	}
	return consumer, strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36), nil
}

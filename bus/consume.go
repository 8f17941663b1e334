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
	heartbeat     = 2 * time.Second // two that do not come begin a new round
	pullTime      = 5 * time.Second // what a reader that is gone asked for is void after so long
	resetTime     = 3 * time.Second // a server that does not answer by then is not there
	minRetry      = 100 * time.Millisecond
	maxRetry      = 2 * time.Second
	logEvery      = 10 * time.Second
)

// Message is one stored message. Data holds whole PDUs of Kind, back to back. Stream
// and Seq say where it was stored first: a message that was forwarded keeps them.
type Message struct {
	Stream string // names the stream's files: Seq counts anew when they are made anew
	Seq    uint64 // position in the stream, from 1, ascending in each partition
	Kind   x2x3.Type
	Data   []byte // the receiver's own
	Ack    func() error
}

// link is a connection to a bus.
type link struct {
	log        *slog.Logger
	sealer     *sealer             // nil = messages are not sealed
	ackTimeout time.Duration       // of a publish
	quiet      bool                // a new round is not logged
	conn       *nats.Conn          // set by open, then read only
	js         jetstream.JetStream // set by open, then read only

	mu   sync.Mutex         // guards the rest, for a change or the calls
	stop [Partitions]func() // ends the round that runs; nil = none
	told time.Time          // when a new round was last logged
}

// options make each loss of the connection begin a new round: what was on its way
// then would otherwise come after what followed it. What the client has to say may
// quote subjects, and is withheld.
func (l *link) options() []nats.Option {
	return []nats.Option{
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { l.log.Warn("bus client error withheld") }), //nolint:noctx // has none
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, stop := range l.stop {
				if stop != nil {
					stop()
				}
			}
		}),
	}
}

func (l *link) open(conn *nats.Conn) error {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(l.ackTimeout))
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
	return b.ConsumeWhile(ctx, partition, owned, handle)
}

// ConsumeWhile is Consume for who shares the partitions with other processes. owns is
// asked each time before it begins, or begins again, with the oldest message; an error
// ends it. So a process that was paused, and does not know yet that another one has
// taken over, gets nothing that the other one has seen.
func (b *Bus) ConsumeWhile(ctx context.Context, partition int, owns func(context.Context) error, handle func(Message)) error {
	return b.link.consume(ctx, b.ready, partition, owns, handle)
}

func owned(context.Context) error { return nil }

func (l *link) consume(ctx context.Context, ready <-chan struct{}, partition int, owns func(context.Context) error, handle func(Message)) error {
	if partition < 0 || partition >= Partitions {
		return ErrPartition
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return nil
	}
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		if err := owns(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bus: not the owner of a partition: %w", err)
		}
		got, err := l.round(ctx, partition, handle)
		if ctx.Err() != nil {
			return nil
		}
		if got {
			wait = minRetry
		}
		l.tell(ctx, err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// tell logs that a round ended, once for all partitions that the same has hit.
func (l *link) tell(ctx context.Context, err error) {
	l.mu.Lock()
	recent := time.Since(l.told) < logEvery
	if !recent {
		l.told = time.Now()
	}
	l.mu.Unlock()
	if !recent && !l.quiet {
		l.log.WarnContext(ctx, "consuming from the bus begins again", slog.Any("err", err))
	}
}

var errInterrupted = errors.New("bus: the connection was interrupted")

// round consumes in order until something breaks the order or ctx ends. got says
// whether there was any message.
func (l *link) round(ctx context.Context, partition int, handle func(Message)) (got bool, err error) {
	consumer, stream, err := l.freshConsumer(ctx, streamName, jetstream.ConsumerConfig{Durable: consumerOf(partition), FilterSubject: subjectsOf(partition)})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullExpiry(pullTime), jetstream.PullHeartbeat(heartbeat))
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
		m := Message{Stream: stream, Seq: meta.Sequence.Stream, Kind: kindOf(raw.Subject()), Ack: raw.Ack}
		if m.Data, err = l.read(raw, &m); err != nil {
			return got, err
		}
		got = true
		handle(m)
	}
}

// read opens a message and learns where it comes from.
func (l *link) read(raw jetstream.Msg, m *Message) ([]byte, error) {
	if l.sealer == nil {
		return raw.Data(), nil
	}
	from := raw.Headers().Get(fromHeader)
	data, err := l.sealer.unseal(place(raw.Subject(), from), raw.Data())
	if err != nil || from == "" {
		return data, err
	}
	m.Stream, m.Seq, err = parseOrigin(from)
	return data, err
}

// freshConsumer returns a stream's durable consumer as if it were new, so that what was
// in anybody's hand is handed out again, in order, at once; and the stream's name,
// which is another one when the stream is made anew.
func (l *link) freshConsumer(ctx context.Context, streamName string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, string, error) {
	limit := resetTime
	if !canReset(l.conn.ConnectedServerVersion()) {
		limit = startTimeout // to make one takes an election, perhaps with a dead candidate
	}
	start, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stream, err := l.js.Stream(start, streamName)
	if err != nil {
		return nil, "", fmt.Errorf("bus: find stream: %w", err)
	}
	name := strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36)
	consumer, err := stream.Consumer(start, cfg.Durable)
	if err == nil {
		if err = l.reset(start, stream, cfg.Durable); err == nil {
			return consumer, name, nil
		}
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, "", fmt.Errorf("bus: reset consumer: %w", err)
	}
	cfg.AckPolicy, cfg.DeliverPolicy, cfg.AckWait, cfg.MaxAckPending = jetstream.AckExplicitPolicy, jetstream.DeliverAllPolicy, ackWait, maxAckPending
	if consumer, err = stream.CreateConsumer(start, cfg); err != nil {
		return nil, "", fmt.Errorf("bus: make consumer: %w", err)
	}
	return consumer, name, nil
}

// reset puts a consumer back to the oldest message that is left. A server that does
// not know how has it deleted, and the caller makes it anew.
func (l *link) reset(ctx context.Context, stream jetstream.Stream, consumer string) error {
	if !canReset(l.conn.ConnectedServerVersion()) {
		if err := stream.DeleteConsumer(ctx, consumer); err != nil {
			return err
		}
		return jetstream.ErrConsumerNotFound
	}
	_, err := stream.ResetConsumerToSequence(ctx, consumer, 1)
	return err
}

// canReset reports whether a server of that version can reset a consumer (2.14).
func canReset(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d.", &major, &minor)
	return err == nil && (major > 2 || major == 2 && minor >= 14)
}

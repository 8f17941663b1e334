package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	ackWait       = 30 * time.Minute // an ack follows the seal; see Consume
	maxAckPending = 200_000
	heartbeat     = 2 * time.Second       // two that do not come begin a new round
	pullTime      = 5 * time.Second       // what a reader that is gone asked for is void after so long
	resetTime     = 3 * time.Second       // a server that does not answer by then is not there
	askAgain      = 50 * time.Millisecond // see next
	renewAfter    = 3                     // rounds that could not begin, before the consumer is made anew
	minRetry      = 100 * time.Millisecond
	maxRetry      = 2 * time.Second
)

// source is what is read in order: a partition, or a spool.
type source struct {
	stream   string
	consumer jetstream.ConsumerConfig    // Durable and FilterSubject
	prefetch int                         // messages on their way to us
	owns     func(context.Context) error // asked before each round; an error ends it all
	tell     func(context.Context, error)
	// hand opens a message and hands it out. name is the stream's: see Message.Stream.
	hand func(raw jetstream.Msg, name string, meta *jetstream.MsgMetadata) error
}

var (
	errInterrupted = errors.New("bus: the connection was interrupted")
	errReset       = errors.New("bus: a consumer does not begin anew")
)

// inOrder runs one round after another until ctx ends, which is no error.
func (l *link) inOrder(ctx context.Context, src source) error {
	stuck := 0
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		if err := src.owns(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("bus: not the owner of a partition: %w", err)
		}
		got, err := l.round(ctx, src, stuck >= renewAfter)
		if ctx.Err() != nil {
			return nil
		}
		if stuck++; !errors.Is(err, errReset) {
			stuck = 0
		}
		if got {
			wait = minRetry
		}
		src.tell(ctx, err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// round begins with the oldest message that is left and hands out in order until
// something breaks the order, the connection is lost or ctx ends. got says whether
// there was any message.
func (l *link) round(ctx context.Context, src source, renew bool) (got bool, err error) {
	ctx, end := l.whileConnected(ctx)
	defer end()
	consumer, name, err := l.freshConsumer(ctx, src.stream, src.consumer, renew)
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(src.prefetch), jetstream.PullExpiry(pullTime), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return false, fmt.Errorf("bus: open consumer: %w", err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for delivered := uint64(1); ; delivered++ {
		raw, err := next(messages)
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
		if err := src.hand(raw, name, meta); err != nil {
			return got, err
		}
		got = true
	}
}

// next waits for a message. The client asks for more only when Next begins or something
// comes, and not while it still sends what it asked before: who reads all of that in
// the meantime would wait for a heartbeat that nobody asked for. So it is begun twice.
func next(messages jetstream.MessagesContext) (jetstream.Msg, error) {
	raw, err := messages.Next(jetstream.NextMaxWait(askAgain))
	if errors.Is(err, nats.ErrTimeout) {
		return messages.Next()
	}
	return raw, err
}

// freshConsumer returns a stream's durable consumer as if it were new, so that what was
// in anybody's hand is handed out again, in order, at once; and the stream's name,
// which is another one when the stream is made anew. With renew the consumer is deleted
// first: in a cluster it may be without a leader, and stay so, after servers died. What
// nobody acknowledged is the stream's, not the consumer's.
func (l *link) freshConsumer(ctx context.Context, streamName string, cfg jetstream.ConsumerConfig, renew bool) (jetstream.Consumer, string, error) {
	limit := resetTime
	if renew || !canReset(l.conn.ConnectedServerVersion()) {
		limit = startTimeout // to make one takes an election, perhaps with a dead candidate
	}
	start, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stream, err := l.js.Stream(start, streamName)
	if err != nil {
		return nil, "", fmt.Errorf("bus: find stream: %w", err)
	}
	name := strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36)
	if renew {
		if err := stream.DeleteConsumer(start, cfg.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, "", fmt.Errorf("%w: %w", errReset, err)
		}
	}
	consumer, err := stream.Consumer(start, cfg.Durable)
	if err == nil {
		if err = l.reset(start, stream, cfg.Durable); err == nil {
			return consumer, name, nil
		}
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, "", fmt.Errorf("%w: %w", errReset, err)
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

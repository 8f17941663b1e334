package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/li/x2x3"
)

const prefetch = 32 // messages of a partition on their way to us

// Message is one stored message. Data holds whole PDUs of Kind, back to back. Stream
// and Seq say where it was stored first: a message that was forwarded keeps them.
type Message struct {
	Stream string // names the stream's files: Seq counts anew when they are made anew
	Seq    uint64 // position in the stream, from 1, ascending in each partition
	Kind   x2x3.Type
	Stored time.Time // when the bus that is read stored it, by its clock; UTC
	Data   []byte    // the receiver's own
	Ack    func() error
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
	return l.inOrder(ctx, source{
		stream: streamName, prefetch: prefetch, owns: owns, tell: l.tell,
		consumer: jetstream.ConsumerConfig{Durable: consumerOf(partition), FilterSubject: subjectsOf(partition)},
		hand: func(raw jetstream.Msg, name string, meta *jetstream.MsgMetadata) (err error) {
			m := Message{Stream: name, Seq: meta.Sequence.Stream, Kind: kindOf(raw.Subject()), Stored: meta.Timestamp.UTC(), Ack: raw.Ack}
			if m.Data, err = l.read(raw, &m); err != nil {
				return err
			}
			handle(m)
			return nil
		},
	})
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

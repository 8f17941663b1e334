package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	maxSpoolName  = 100
)

// Spool opens the spool of that name (letters, digits, - and _, at most 100), or makes
// it. maxBytes is its limit and may change from one opening to the next.
func (b *Bus) Spool(ctx context.Context, name string, maxBytes int64) (*Spool, error) {
	select {
	case <-b.ready:
	default:
		return nil, ErrStopped
	}
	if !isSpoolName(name) || maxBytes <= 0 {
		return nil, errors.New("bus: a spool needs a name of letters, digits, - or _ and a limit")
	}
	s := &Spool{bus: b, name: spoolPrefix + name}
	if err := b.keepStream(ctx, b.workQueue(s.name, s.subject(), maxBytes)); err != nil {
		return nil, err
	}
	return s, nil
}

// isSpoolName holds a name against the rules: it becomes part of a stream's name and of
// a subject.
func isSpoolName(name string) bool {
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if digit := c >= '0' && c <= '9'; !letter && !digit && c != '-' && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxSpoolName
}

func (s *Spool) subject() string { return "ho." + s.name }

// Publish stores a message; nil means stored, ErrFull that the limit is reached. A
// caller that tries again within two minutes under the same id stores it once.
func (s *Spool) Publish(ctx context.Context, id string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := s.bus.link.js.Publish(ctx, s.subject(), s.bus.seal(s.subject(), data), jetstream.WithMsgID(id))
	if err != nil {
		return publishError(err)
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
	return s.bus.link.inOrder(ctx, source{
		stream: s.name, prefetch: spoolPrefetch, owns: owned, tell: s.tell,
		consumer: jetstream.ConsumerConfig{Durable: spoolConsumer},
		hand: func(raw jetstream.Msg, _ string, _ *jetstream.MsgMetadata) error {
			data, err := s.bus.unseal(s.subject(), raw.Data())
			if err != nil {
				return err
			}
			handle(SpoolMessage{Data: data, Ack: raw.Ack})
			return nil
		},
	})
}

func (s *Spool) tell(ctx context.Context, err error) {
	s.bus.cfg.Log.WarnContext(ctx, "consuming from a spool begins again", slog.Any("err", err))
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

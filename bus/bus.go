package bus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/li/x2x3"
)

// Errors of the bus.
var (
	ErrFull    = errors.New("bus: the store is full: mediation is behind, or bus.max_bytes is too small")
	ErrStopped = errors.New("bus: not running")
	ErrMessage = errors.New("bus: a message of unknown kind")
)

// Config is what a Bus needs; fields without a default are required.
type Config struct {
	Dir        string // its files
	Key        []byte // 32 octets; the files are readable with it only
	Log        *slog.Logger
	MaxBytes   int64 // what may wait; default 8 GiB
	SyncAlways bool  // fsync before each acknowledgement
}

const (
	keyBytes        = 32
	defaultMaxBytes = 8 << 30
	streamName      = "LI"
	subjectX2       = "li.x2"
	subjectX3       = "li.x3"
	consumerName    = "mdf"
	startTimeout    = 20 * time.Second
	publishTimeout  = 5 * time.Second
	ackWait         = 30 * time.Minute // an ack follows the seal; see Consume
	maxAckPending   = 200_000
	syncInterval    = 2 * time.Minute
	maxPayload      = 1 << 20
)

// Bus is an embedded server and a connection to it.
type Bus struct {
	cfg    Config
	server *server.Server
	ready  chan struct{}

	conn *nats.Conn          // set before ready is closed
	js   jetstream.JetStream // set before ready is closed
}

// New validates the configuration; Run starts the server.
func New(cfg Config) (*Bus, error) {
	if cfg.Dir == "" || len(cfg.Key) != keyBytes || cfg.Log == nil {
		return nil, errors.New("bus: Dir, Log and a Key of 32 octets are required")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "ligate", DontListen: true, NoSigs: true, NoLog: true, MaxPayload: maxPayload,
		JetStream: true, StoreDir: cfg.Dir, JetStreamKey: hex.EncodeToString(cfg.Key), JetStreamCipher: server.ChaCha,
		JetStreamMaxStore: cfg.MaxBytes + 64<<20, JetStreamMaxMemory: 64 << 20,
		SyncInterval: syncInterval, SyncAlways: cfg.SyncAlways, DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("bus: make server: %w", err)
	}
	return &Bus{cfg: cfg, server: srv, ready: make(chan struct{})}, nil
}

// Ready is closed once Publish and Consume work.
func (b *Bus) Ready() <-chan struct{} { return b.ready }

// Run serves until ctx ends, which is no error; then the files are closed.
func (b *Bus) Run(ctx context.Context) error {
	b.server.Start()
	defer func() {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}()
	if !b.server.ReadyForConnections(startTimeout) {
		return errors.New("bus: the server did not start: is the bus key the one its files were written with?")
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	defer b.conn.Close()
	close(b.ready)
	<-ctx.Done()
	return nil
}

func (b *Bus) connect(ctx context.Context) error {
	conn, err := nats.Connect("", nats.InProcessServer(b.server), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("bus: connect: %w", err)
	}
	b.conn = conn
	if b.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("bus: open JetStream: %w", err)
	}
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err = b.js.CreateOrUpdateStream(start, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectX2, subjectX3}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: b.cfg.MaxBytes,
		Duplicates: 2 * time.Minute,
	})
	if err != nil {
		return fmt.Errorf("bus: make stream: %w", err)
	}
	return nil
}

// Publish stores encoded PDUs of one kind. nil means stored. It tries once; a
// caller that tries again may store the PDUs twice, which mediation sees by their
// sequence numbers.
func (b *Bus) Publish(ctx context.Context, kind x2x3.Type, pdus []byte) error {
	select {
	case <-b.ready:
	default:
		return ErrStopped
	}
	subject := subjectX3
	if kind == x2x3.X2 {
		subject = subjectX2
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := b.js.Publish(ctx, subject, pdus)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code == 503 {
		return ErrFull
	}
	if err != nil {
		return fmt.Errorf("bus: publish: %w", err)
	}
	return nil
}

// Message is one stored message. Data holds whole PDUs of Kind, back to back.
type Message struct {
	Seq  uint64 // position in the stream, ascending
	Kind x2x3.Type
	Data []byte
	ack  func() error
}

// Ack removes the message from the store. It may be called from any goroutine.
func (m Message) Ack() error {
	if err := m.ack(); err != nil {
		return fmt.Errorf("bus: acknowledge: %w", err)
	}
	return nil
}

// Consume hands every message that nobody acknowledged to handle, oldest first,
// one at a time, and goes on with new ones until ctx ends, which is no error.
// Only one Consume runs on a bus. A message that stays unacknowledged for half an
// hour is handed out again.
func (b *Bus) Consume(ctx context.Context, handle func(Message)) error {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil
	}
	consumer, err := b.freshConsumer(ctx)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(500))
	if err != nil {
		return fmt.Errorf("bus: open consumer: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	for {
		raw, err := messages.Next()
		switch {
		case ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			return fmt.Errorf("bus: next message: %w", err)
		}
		m, err := decode(raw)
		if err != nil {
			return err
		}
		handle(m)
	}
}

// freshConsumer replaces the consumer, so that what the last one had in hand is
// handed out again, in order, at once.
func (b *Bus) freshConsumer(ctx context.Context) (jetstream.Consumer, error) {
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := b.js.DeleteConsumer(start, streamName, consumerName); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("bus: replace consumer: %w", err)
	}
	consumer, err := b.js.CreateConsumer(start, streamName, jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: ackWait, MaxAckPending: maxAckPending,
	})
	if err != nil {
		return nil, fmt.Errorf("bus: make consumer: %w", err)
	}
	return consumer, nil
}

func decode(raw jetstream.Msg) (Message, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("bus: message without position: %w", err)
	}
	m := Message{Seq: meta.Sequence.Stream, Data: raw.Data(), ack: raw.Ack}
	switch raw.Subject() {
	case subjectX2:
		m.Kind = x2x3.X2
	case subjectX3:
		m.Kind = x2x3.X3
	default:
		return Message{}, ErrMessage
	}
	return m, nil
}

// Backlog is how many messages nobody has acknowledged yet, and their octets.
func (b *Bus) Backlog(ctx context.Context) (messages, octets uint64, err error) {
	select {
	case <-b.ready:
	default:
		return 0, 0, ErrStopped
	}
	stream, err := b.js.Stream(ctx, streamName)
	if err != nil {
		return 0, 0, fmt.Errorf("bus: read backlog: %w", err)
	}
	state := stream.CachedInfo().State
	return state.Msgs, state.Bytes, nil
}

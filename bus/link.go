package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const logEvery = 10 * time.Second

// link is a connection to a bus.
type link struct {
	log        *slog.Logger
	sealer     *sealer             // nil = messages are not sealed
	ackTimeout time.Duration       // of a publish
	quiet      bool                // a new round is not logged
	conn       *nats.Conn          // set by open, then read only
	js         jetstream.JetStream // set by open, then read only

	mu     sync.Mutex                       // guards the rest, for a change or the calls
	rounds map[*context.CancelFunc]struct{} // of those that run
	told   time.Time                        // when a new round was last logged
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
			for stop := range l.rounds {
				(*stop)()
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

// whileConnected returns the context of a round, which ends when the connection is
// lost. The caller calls end when the round is over.
func (l *link) whileConnected(ctx context.Context) (round context.Context, end func()) {
	round, stop := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rounds == nil {
		l.rounds = map[*context.CancelFunc]struct{}{}
	}
	l.rounds[&stop] = struct{}{}
	return round, func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.rounds, &stop)
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

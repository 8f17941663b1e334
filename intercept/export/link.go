package export

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/li/x2x3"
)

// link is one connection to a destination.
type link struct {
	*lane

	conn   net.Conn
	worked atomic.Bool // a keep-alive was answered
	seq    uint32      // of the next keep-alive; the writer's own, as are the next two
	alive  time.Time   // when the last keep-alive was sent
	out    []byte
}

// connect dials and serves until the connection ends. worked says that the MDF
// answered.
func (l *lane) connect(ctx context.Context) (why reason, worked bool) {
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := l.cfg.Dial(dial, "tcp", l.addr)
	if err != nil {
		return reasonDial, false
	}
	defer raw.Close()
	secured := tls.Client(raw, l.cfg.TLS)
	if secured.HandshakeContext(dial) != nil {
		return reasonHandshake, false
	}
	c := &link{lane: l, conn: secured}
	l.begin()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	var reading sync.WaitGroup
	defer reading.Wait()
	var read reason
	reading.Go(func() {
		read = c.read(ctx)
		end(nil)
	})
	why = c.write(ctx)
	end(nil)
	_ = raw.Close()
	reading.Wait()
	if why == reasonStopped { // the reader knows better
		why = read
	}
	return why, c.worked.Load()
}

// read takes the answers to keep-alives.
func (c *link) read(ctx context.Context) reason {
	in := x2x3.NewReader(c.conn)
	for {
		p, err := in.Next()
		switch {
		case err != nil && in.Ready():
			return reasonForeign
		case err != nil:
			return reasonClosed
		case p.Type != x2x3.KeepaliveAck || !p.HasSequence || !c.answered(p.Sequence):
			return reasonForeign
		}
		if !c.worked.Swap(true) {
			c.metrics.up[c.kind].Set(1)
			c.cfg.Log.InfoContext(ctx, "the MDF answers", slog.String("component", "export"), slog.String("stream", name(c.kind)))
		}
	}
}

// write sends what there is, and behind it a keep-alive where one is due.
func (c *link) write(ctx context.Context) reason {
	for ctx.Err() == nil {
		now := time.Now()
		if oldest := c.oldest(); !oldest.IsZero() && now.Sub(oldest) >= c.cfg.Answer {
			return reasonUnanswered
		}
		c.out = c.next(c.out[:0])
		if c.ask(c.seq, now, now.Sub(c.alive)) {
			c.out = x2x3.AppendKeepalive(c.out, c.seq)
			c.seq++
			c.alive = now
		}
		if len(c.out) == 0 {
			c.wait(ctx, now)
			continue
		}
		if c.conn.SetWriteDeadline(now.Add(c.cfg.Answer)) != nil {
			return reasonClosed
		}
		if _, err := c.conn.Write(c.out); err != nil {
			return c.unwritten(ctx, err)
		}
	}
	return reasonStopped
}

// unwritten says why octets could not be written; stopped leaves it to the reader.
func (c *link) unwritten(ctx context.Context, err error) reason {
	switch {
	case ctx.Err() != nil:
		return reasonStopped
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonWrite
	}
	return reasonClosed
}

// wait blocks until there may be something to send, or the time to ask or to give up
// has come.
func (c *link) wait(ctx context.Context, now time.Time) {
	timer := time.NewTimer(c.patience(now, now.Sub(c.alive)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wake:
	case <-timer.C:
	}
}

package deliver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ligate/ligate/bus"
)

const (
	chunkBytes    = 512 << 10 // octets that close a chunk
	minRetry      = 50 * time.Millisecond
	maxRetry      = 2 * time.Second
	publishAlarm  = 30 * time.Second // trouble with the spool that lasts so long is shown
	publishFor    = 10 * time.Second // one attempt
	maxChunkBytes = 900 << 10        // below the bus's largest message
	maxWaiting    = 16 << 20         // octets that wait for a spool in trouble
)

// errShed is a spool that takes nothing for long, while more waits for it than memory is
// for: other agencies need it. It is no room, and told like that. One that was tried
// may be on the spool all the same, and go.
var errShed = fmt.Errorf("deliver: the spool takes nothing: %w", bus.ErrFull)

// Receipt tells how a push ended.
type Receipt struct {
	done chan struct{}
	err  error // set before done is closed
}

// Done reports whether the push has ended, and how: nil = on the spool, bus.ErrFull =
// the agency's limit is reached and it will not go over the stream.
func (r *Receipt) Done() (ended bool, err error) {
	if r == nil {
		return true, nil
	}
	select {
	case <-r.done:
		return true, r.err
	default:
		return false, nil
	}
}

// chunk is runs that go onto the spool as one message.
type chunk struct {
	data    []byte
	receipt *Receipt
}

// queue puts runs onto one spool, in order: all that came while one message was on
// its way is the next message.
type queue struct {
	wake chan struct{} // capacity 1

	mu     sync.Mutex // guards chunks and octets; held while a run is encoded
	chunks []*chunk
	octets int // of chunks

	stuck time.Time // since when the spool takes nothing; zero = it does. Of the goroutine that runs
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push has encode append a run to the chunk that is being filled.
func (q *queue) push(encode func(dst []byte) ([]byte, error)) (*Receipt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 || len(q.chunks[len(q.chunks)-1].data) >= chunkBytes {
		q.chunks = append(q.chunks, &chunk{receipt: &Receipt{done: make(chan struct{})}})
	}
	last := q.chunks[len(q.chunks)-1]
	before := len(last.data)
	data, err := encode(last.data)
	if err != nil {
		last.data = last.data[:before]
		return nil, err
	}
	q.octets += len(data) - before
	if len(data) > maxChunkBytes && before > 0 { // a message of its own
		last.data = last.data[:before]
		last = &chunk{data: append([]byte(nil), data[before:]...), receipt: &Receipt{done: make(chan struct{})}}
		q.chunks = append(q.chunks, last)
	} else {
		last.data = data
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return last.receipt, nil
}

// take returns the oldest chunk; nil = there is none.
func (q *queue) take() *chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.chunks) > 0 {
		c := q.chunks[0]
		q.chunks[0] = nil
		if q.chunks = q.chunks[1:]; len(q.chunks) == 0 {
			q.chunks = nil
		}
		if q.octets -= len(c.data); len(c.data) > 0 {
			return c
		}
		close(c.receipt.done) // nothing had to go
	}
	return nil
}

// spool is bus.Spool, or one that fails in tests.
type spool interface {
	Publish(ctx context.Context, id string, data []byte) error
}

// run publishes until ctx ends. What is not published then comes again from the tap's
// bus: its segment is not committed.
func (q *queue) run(ctx context.Context, to spool, trouble func(since time.Time, err error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		for c := q.take(); c != nil; c = q.take() {
			c.receipt.err = q.publish(ctx, to, c.data, trouble)
			if ctx.Err() != nil {
				return // nobody learns: it comes again
			}
			close(c.receipt.done)
			if errors.Is(c.receipt.err, errShed) {
				q.shed()
			}
		}
	}
}

// publish tries until the spool has a chunk, or has no room for it, or too much waits.
func (q *queue) publish(ctx context.Context, to spool, data []byte, trouble func(time.Time, error)) error {
	id := rand.Text()
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, publishFor)
		err := to.Publish(attempt, id, data)
		cancel()
		if err == nil || errors.Is(err, bus.ErrFull) {
			q.stuck = time.Time{}
			return err
		}
		if q.stuck.IsZero() {
			q.stuck = began
		}
		trouble(q.stuck, err)
		if time.Since(q.stuck) >= publishAlarm && q.waiting() > maxWaiting {
			return errShed
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.octets
}

// shed refuses all that waits.
func (q *queue) shed() {
	for c := q.take(); c != nil; c = q.take() {
		c.receipt.err = errShed
		close(c.receipt.done)
	}
}

// pause waits and reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

package correlate_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li/x2x3"
)

// feed is a bus that hands out what a test gives it, and counts.
type feed struct {
	messages chan bus.Message

	mu    sync.Mutex // guards the rest
	taken int
	acks  map[uint64]int
}

func newFeed() *feed { return &feed{messages: make(chan bus.Message), acks: map[uint64]int{}} }

// ConsumeWhile has messages in one partition only.
func (f *feed) ConsumeWhile(ctx context.Context, partition int, _ func(context.Context) error, handle func(bus.Message)) error {
	if partition > 0 {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-f.messages:
			handle(m)
			f.mu.Lock()
			f.taken++
			f.mu.Unlock()
		}
	}
}

func (f *feed) message(seq uint64, data []byte) bus.Message {
	return bus.Message{Stream: "b", Seq: seq, Kind: x2x3.X3, Data: data, Ack: func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.acks[seq]++
		if f.acks[seq] == 1 && seq == 2 {
			return errors.New("the bus did not hear")
		}
		return nil
	}}
}

func (f *feed) counts() (taken, acked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.acks {
		acked += n
	}
	return f.taken, acked
}

// What the bus hands out again, held or settled, is taken once; what it did not
// hear acknowledged is acknowledged again.
func TestHandedOutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	w.tasks.set(info, errors.New("down"))
	cfg, f := w.quick(), newFeed()
	cfg.Bus = f
	w.mediate(cfg)
	l := newLine(info, 1)
	var all []bus.Message
	for seq := range uint64(3) {
		all = append(all, f.message(seq+1, l.media(10)))
	}
	send := func() {
		for _, m := range all {
			f.messages <- m
		}
	}
	send()
	send() // while they are held
	if _, acked := f.counts(); acked != 0 {
		t.Errorf("%d acknowledged that are not stored", acked)
	}
	w.tasks.set(info, nil)
	w.until("acknowledge", func() bool { _, acked := f.counts(); return acked == 3 })
	send() // after they were settled
	w.until("acknowledge again", func() bool { _, acked := f.counts(); return acked == 6 })
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(30)) {
		t.Errorf("packets %v", c.taps())
	}
}

// While the database is away memory stays bounded: the bus keeps the rest.
func TestHeldOctetsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	w.tasks.set(info, errors.New("down"))
	cfg, f := w.quick(), newFeed()
	cfg.Bus, cfg.MaxHeldBytes = f, 4<<20
	w.mediate(cfg)
	l := newLine(info, 1)
	const size = 200 // packets a message, about 60 kB
	refill := make(chan struct{})
	go func() {
		defer close(refill)
		for seq := range uint64(100) {
			select {
			case f.messages <- f.message(seq+1, l.media(size)):
			case <-t.Context().Done():
				return
			}
		}
	}()
	w.until("fill memory", func() bool { taken, _ := f.counts(); return taken >= 20 })
	select {
	case <-refill:
		t.Error("all was taken into memory")
	default:
	}
	w.tasks.set(info, nil)
	w.until("take all", func() bool { _, acked := f.counts(); return acked >= 100 })
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(100*size)) {
		t.Errorf("%d packets", len(c.cc))
	}
}

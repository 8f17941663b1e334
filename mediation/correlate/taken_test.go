package correlate_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
)

func yes(context.Context) error { return nil }

// An owner was paused; meanwhile another one took the partition, mediated the same
// messages and more. When the first one goes on, with what it holds and with what it
// gets next, nothing of it is stored: it learns that the partition is taken.
func TestPausedOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	l := newLine(info, 1)
	var all []bus.Message
	old, young := newFeed(), newFeed()
	for seq := range uint64(9) {
		all = append(all, old.message(seq+10, l.media(10)))
	}
	run := func(f *feed, every time.Duration) <-chan error {
		cfg := w.quick()
		cfg.Bus, cfg.CCEvery = f, every
		c, err := correlate.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		start(t, func(ctx context.Context) error { ended <- c.RunPartition(ctx, 0, yes); return nil })
		return ended
	}
	paused := run(old, time.Second) // holds for long what it gets
	for _, m := range all[:3] {
		old.messages <- m
	}
	w.until("open the session", func() bool { // as it stands before the other one comes
		_, err := w.store.SessionByCIN(t.Context(), "LIID-1", 1)
		return err == nil
	})
	run(young, time.Millisecond)
	for _, m := range all[:6] {
		young.messages <- m
	}
	w.until("store", func() bool {
		doc, err := w.store.SessionByCIN(t.Context(), "LIID-1", 1)
		return err == nil && doc.CCRecords == 60
	})
	for _, m := range all[6:] { // the old one does not know of three in between
		old.messages <- m
	}
	select {
	case err := <-paused:
		if !errors.Is(err, correlate.ErrTaken) {
			t.Errorf("the old owner ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the old owner goes on")
	}
	for _, m := range all[6:] {
		young.messages <- m
	}
	w.until("store the rest", func() bool {
		doc, err := w.store.SessionByCIN(t.Context(), "LIID-1", 1)
		return err == nil && doc.CCRecords == 90
	})
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(90)) || len(c.gaps) != 0 || c.doc.Missing != 0 {
		t.Errorf("packets %v, %d gaps", c.taps(), len(c.gaps))
	}
}

// Two processes both believe that they own everything, and take the consumers from
// each other all the time: still each packet is stored once, in order, without a gap.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lines := []*line{newLine(w.task("LIID-1", true), 1), newLine(w.task("LIID-2", true), 2), newLine(w.task("LIID-3", true), 3)}
	for range 2 {
		cfg := w.quick()
		c, err := correlate.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for p := range bus.Partitions {
			start(t, func(ctx context.Context) error {
				for ctx.Err() == nil {
					if err := c.RunPartition(ctx, p, yes); err != nil && !errors.Is(err, correlate.ErrTaken) {
						return err
					}
				}
				return nil
			})
		}
	}
	const rounds = 100
	for _, l := range lines {
		w.publish(x2x3.X2, l.sip(sipevent.Begin, "INVITE", 0))
	}
	for range rounds {
		for _, l := range lines {
			w.publish(x2x3.X3, l.media(3))
		}
		time.Sleep(10 * time.Millisecond) // a call in progress
	}
	for _, l := range lines {
		w.publish(x2x3.X2, l.sip(sipevent.End, "BYE", 200))
	}
	for _, liid := range []string{"LIID-1", "LIID-2", "LIID-3"} {
		w.closed(li.LIID(liid), 1)
	}
	w.drained()
	for _, liid := range []string{"LIID-1", "LIID-2", "LIID-3"} {
		c := w.open(li.LIID(liid), 1)
		if !slices.Equal(c.taps(), consecutive(3*rounds)) || len(c.gaps) != 0 || c.doc.Missing != 0 {
			t.Errorf("%s: packets %v, %d gaps, %d missing", liid, c.taps(), len(c.gaps), c.doc.Missing)
		}
		if got, want := c.types(), []string{"begin", "end"}; !slices.Equal(got, want) {
			t.Errorf("%s: IRI types %v, want %v", liid, got, want)
		}
	}
}

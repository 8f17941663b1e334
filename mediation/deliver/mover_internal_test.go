package deliver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// faulty is a spool of which some attempts fail.
type faulty struct {
	fail func(attempt int) error
	n    int
	got  []string
}

func (f *faulty) Publish(_ context.Context, _ string, data []byte) error {
	f.n++
	if err := f.fail(f.n); err != nil {
		return err
	}
	for len(data) > 0 {
		r, rest, err := nextRun(data)
		if err != nil {
			return err
		}
		f.got, data = append(f.got, string(r.pdus)), rest
	}
	return nil
}

func row(id int64, text string) item {
	return item{id, evidence.Lane{Agency: "a", Kind: segment.KindIRI}, func(dst []byte, _ *outbound) ([]byte, error) { return appendBare(dst, []byte(text)), nil }}
}

// Rows reach their spool in order, also where it has no room for the first, or is slow.
func TestMoverKeepsOrder(t *testing.T) {
	t.Parallel()
	o := newOutlet(t, Config{})
	q := newQueue()
	o.way("a").now.Store(newOutbound(warrant.Delivery{HI2: "x"}, queues{iri: q, cc: q}))
	sp := &faulty{fail: func(n int) error {
		time.Sleep(20 * time.Millisecond)
		if n%2 == 1 {
			return bus.ErrFull
		}
		return nil
	}}
	go q.run(t.Context(), sp, func(time.Time, error) {})
	m := newMover(o)
	var items []item
	var want strings.Builder
	for i := range 6 {
		text := strings.Repeat(string(rune('1'+i)), runBytes/2-100) // three flights
		items = append(items, row(int64(i), text))
		want.WriteString(text)
	}
	for rounds := 0; len(items) > 0; rounds++ {
		done, err := m.move(t.Context(), items)
		if err != nil || rounds > 20 {
			t.Fatal(err, rounds)
		}
		items = without(items, done)
		clear(m.stuck) // five seconds later
	}
	if got := strings.Join(sp.got, ""); got != want.String() {
		t.Errorf("%d octets of rows reached the spool in another order, or not once; want %d", len(got), want.Len())
	}
}

// Where one spool of an agency has no room its other one goes on.
func TestFullSpoolHoldsUpItsOwnRowsOnly(t *testing.T) {
	t.Parallel()
	o := newOutlet(t, Config{})
	iri, cc := newQueue(), newQueue()
	o.way("a").now.Store(newOutbound(warrant.Delivery{HI2: "x", HI3: "x"}, queues{iri: iri, cc: cc}))
	open, full := &faulty{fail: func(int) error { return nil }}, &faulty{fail: func(int) error { return bus.ErrFull }}
	go iri.run(t.Context(), open, func(time.Time, error) {})
	go cc.run(t.Context(), full, func(time.Time, error) {})
	m := newMover(o)
	stuck := row(1, "check of content")
	stuck.Kind = segment.KindCC
	for i := range int64(3) {
		if done, err := m.move(t.Context(), []item{stuck, row(2+i, "report")}); err != nil || len(done) != 1 || done[0] != 2+i {
			t.Fatalf("done with %v, %v", done, err)
		}
		if got := m.without(); len(got) != 1 || got[0] != stuck.Lane {
			t.Fatalf("without %v", got)
		}
	}
}

// A row that its agency has no use for is done with, and holds nobody up.
func TestMoverRowThatNeedsNotGo(t *testing.T) {
	t.Parallel()
	o := newOutlet(t, Config{})
	q := newQueue()
	o.way("a").now.Store(newOutbound(warrant.Delivery{HI2: "x"}, queues{iri: q, cc: q}))
	go q.run(t.Context(), &faulty{fail: func(int) error { return nil }}, func(time.Time, error) {})
	m := newMover(o)
	nothing := item{1, evidence.Lane{Agency: "a", Kind: segment.KindIRI}, func(dst []byte, _ *outbound) ([]byte, error) { return dst, nil }}
	if done, err := m.move(t.Context(), []item{nothing}); err != nil || len(done) != 1 {
		t.Errorf("done with %v, %v", done, err)
	}
}

// oneRow is a table with a row that another mediation wrote.
type oneRow struct{ gone []int64 }

func (r *oneRow) Outbox(context.Context, []evidence.Lane) ([]evidence.Waiting, error) {
	return []evidence.Waiting{{ID: 1, AgencyID: "a", Entailed: evidence.Entailed{Kind: segment.KindIRI, PDU: []byte("check")}}}, nil
}

func (r *oneRow) Dispatched(_ context.Context, ids []int64) error {
	r.gone = append(r.gone, ids...)
	return nil
}

// A row of a delivery that was confirmed a moment ago waits for its spool; one of which
// no delivery counts is dropped.
func TestOutboxOfADeliveryNotSeenYet(t *testing.T) {
	t.Parallel()
	table := &oneRow{}
	o := newOutlet(t, Config{Outbox: table})
	o.refresh = func(context.Context) error {
		o.way("a").now.Store(newOutbound(to("a", 1), queues{}))
		return nil
	}
	if err := o.moveOutbox(t.Context(), newMover(o)); err != nil || len(table.gone) > 0 {
		t.Errorf("dropped %v, %v; a delivery counts", table.gone, err)
	}
	o.refresh = func(context.Context) error { return nil }
	o.way("a").now.Store(nil)
	if err := o.moveOutbox(t.Context(), newMover(o)); err != nil || len(table.gone) != 1 {
		t.Errorf("dropped %v, %v; no delivery counts", table.gone, err)
	}
}

var errHangs = errors.New("no answer")

// A spool that takes nothing for long keeps no more than its share of memory: what waits
// is told as not sent, and when it takes again what comes then goes.
func TestSpoolThatTakesNothingForLong(t *testing.T) {
	t.Parallel()
	q := newQueue()
	hangs := true
	sp := &faulty{fail: func(int) error {
		if hangs {
			return errHangs
		}
		return nil
	}}
	var receipts []*Receipt
	for range 2 * maxWaiting / chunkBytes {
		r, err := q.push(bare(make([]byte, chunkBytes)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	q.stuck = time.Now().Add(-publishAlarm)
	ctx := t.Context()
	first := q.take()
	if err := q.publish(ctx, sp, first.data, func(time.Time, error) {}); !errors.Is(err, bus.ErrFull) {
		t.Fatalf("%v; want no room", err)
	}
	q.shed()
	for i, r := range receipts[1:] {
		if ended, err := r.Done(); !ended || !errors.Is(err, bus.ErrFull) {
			t.Fatalf("chunk %d: ended %v, %v", i+1, ended, err)
		}
	}
	hangs = false
	go q.run(ctx, sp, func(time.Time, error) {})
	r, err := q.push(bare([]byte("after")))
	if err != nil {
		t.Fatal(err)
	}
	if err := settled(ctx, r); err != nil || q.waiting() != 0 || strings.Join(sp.got, "") != "after" {
		t.Errorf("%v, %d octets wait, %q went", err, q.waiting(), sp.got)
	}
}

// What waits for a spool that takes nothing for a while is kept, while it is little.
func TestSpoolThatTakesNothingForAWhile(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.stuck = time.Now().Add(-publishAlarm)
	sp := &faulty{fail: func(n int) error {
		if n < 3 {
			return errHangs
		}
		return nil
	}}
	if err := q.publish(t.Context(), sp, nil, func(time.Time, error) {}); err != nil {
		t.Error(err)
	}
}

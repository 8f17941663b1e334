package tee_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// store keeps what was published; it refuses while down.
type store struct {
	mu   sync.Mutex // guards the fields
	down bool
	pdus []x2x3.PDU
	news chan struct{}
}

func (s *store) PublishAll(_ context.Context, _ x2x3.Type, batch *bus.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("down")
	}
	for partition, b := range batch {
		for b = bytes.Clone(b); len(b) > 0; {
			p, n, err := x2x3.DecodePDU(b)
			if err != nil {
				return err
			}
			if bus.Partition(p.XID, p.Correlation) != partition {
				return errors.New("a PDU in the message of another partition")
			}
			s.pdus, b = append(s.pdus, p), b[n:]
		}
		batch[partition] = batch[partition][:0]
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

// await returns the PDUs once there are n.
func (s *store) await(t *testing.T, n int) []x2x3.PDU {
	t.Helper()
	for {
		s.mu.Lock()
		got := s.pdus
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-s.news:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d PDUs, want %d", len(got), n)
		}
	}
}

func (s *store) set(down bool) { s.mu.Lock(); s.down = down; s.mu.Unlock() }

type world struct {
	index *tasking.Index
	tee   *tee.Tee
	store *store
	stop  func() error
}

func newWorld(t testing.TB, x2Slots, x3Slots int) *world {
	t.Helper()
	index, err := tasking.New(tasking.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{index: index, store: &store{news: make(chan struct{}, 1)}}
	if w.tee, err = tee.New(tee.Config{Log: slog.New(slog.DiscardHandler), Out: w.store, NFID: "gw-1", X2Slots: x2Slots, X3Slots: x3Slots}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.tee.Run(ctx) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = w.stop() })
}

func (w *world) tap(t testing.TB, content bool) *tasking.Tap {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget("+4930123456")
	if err != nil {
		t.Fatal(err)
	}
	iri := li.IRITask{XID: li.NewXID(), Targets: []li.Identity{id}, Until: time.Now().Add(24 * time.Hour)}
	var task li.Task = iri
	if content {
		task = li.ContentTask{IRITask: iri}
	}
	if err := w.index.Activate(task); err != nil {
		t.Fatal(err)
	}
	for _, tap := range w.index.Match(id) {
		if tap.XID() == iri.XID {
			return tap
		}
	}
	t.Fatal("the Task does not match its target")
	return nil
}

var (
	src = netip.MustParseAddrPort("192.0.2.1:4000")
	dst = netip.MustParseAddrPort("192.0.2.2:4002")
)

func TestCopiesArriveInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 42)
	w.run(t)
	at := time.Unix(1_700_000_000, 5000).UTC()
	for i := range 100 {
		line.X3(tap.Media(), at, x2x3.FromTarget, src, dst, []byte{byte(i)})
	}
	line.X2(at, x2x3.ToTarget, src, dst, sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}, []byte("INVITE"))
	var media uint32
	for _, p := range w.store.await(t, 101) {
		if p.Correlation != 42 || p.XID != tap.XID() || !p.Time.Equal(at) || p.NFID != "gw-1" {
			t.Fatalf("PDU %+v", p)
		}
		if p.Type == x2x3.X2 {
			ev, err := sipevent.DecodeEvent(p.Event)
			if err != nil || ev.Method != "INVITE" || string(p.Payload) != "INVITE" || p.Src != src || p.Sequence != 0 {
				t.Errorf("X2 %+v, %v", p, err)
			}
			continue
		}
		from, to, payload, err := x2x3.ParseDatagram(p.Payload, p.Format)
		if err != nil || from != src || to != dst || p.Sequence != media || payload[0] != byte(media) {
			t.Fatalf("X3 %d: %+v, %v", media, p, err)
		}
		media++
	}
}

func TestNothingWithoutALiveGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	iri, content := w.tap(t, false), w.tap(t, true)
	line := w.tee.Line(iri, 1)
	line.X3(iri.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("a"))     // no grant
	line.X3(content.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("b")) // another Task's grant
	ended := w.tee.Line(content, 2)
	if err := w.index.Deactivate(content.XID()); err != nil {
		t.Fatal(err)
	}
	ended.X3(content.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("c"))
	ended.X2(time.Now(), x2x3.FromTarget, src, dst, sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}, []byte("d"))
	w.run(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if len(w.store.pdus) != 0 {
		t.Errorf("%d PDUs, want none", len(w.store.pdus))
	}
}

// While the bus is away the call goes on; what found no room shows as a gap, and
// everything that found room arrives.
func TestFullRingLeavesAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, 8)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 7)
	w.store.set(true)
	for range 20 {
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
		line.X2(time.Now(), x2x3.FromTarget, src, dst, sipevent.Event{Stage: sipevent.Continue, Method: "INFO"}, []byte("y"))
	}
	w.run(t)
	w.store.set(false)
	w.store.await(t, 12)
	line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
	last := w.store.await(t, 13)[12]
	if last.Sequence != 20 {
		t.Errorf("next sequence number %d, want 20", last.Sequence)
	}
}

func TestStopPublishesWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 7)
	for range 500 {
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, make([]byte, 172))
	}
	w.run(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if len(w.store.pdus) != 500 {
		t.Errorf("%d PDUs, want 500", len(w.store.pdus))
	}
}

func TestX3DoesNotAllocate(t *testing.T) {
	w := newWorld(t, 0, 4096)
	tap := w.tap(t, true)
	line, grant, payload, at := w.tee.Line(tap, 7), tap.Media(), make([]byte, 172), time.Now()
	if n := testing.AllocsPerRun(1000, func() { line.X3(grant, at, x2x3.FromTarget, src, dst, payload) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// BenchmarkX3 is what a tapped packet costs the call. The part that found no room
// shows whether Run keeps up with one thread that does nothing else.
func BenchmarkX3(b *testing.B) {
	w := newWorld(b, 0, 0)
	var stored int
	out := publish(func(_ context.Context, _ x2x3.Type, pdus []byte) error { stored += len(pdus); return nil })
	var err error
	if w.tee, err = tee.New(tee.Config{Out: out, NFID: "gw-1"}); err != nil {
		b.Fatal(err)
	}
	tap := w.tap(b, true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.tee.Run(ctx) }()
	line, grant, payload, at := w.tee.Line(tap, 7), tap.Media(), make([]byte, 172), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		line.X3(grant, at, x2x3.FromTarget, src, dst, payload)
	}
	b.StopTimer()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	const pduBytes = 40 + 8 + 8 + 12 + 28 + 172
	b.ReportMetric(float64(stored)/pduBytes/float64(b.N)*100, "%stored")
}

// Under a Task of signalling only, what is content in a message's body never leaves
// the gateway; under one of content it does.
func TestSignallingOnlyHasNoTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	w.run(t)
	text := []byte("MESSAGE sip:bob@example.net SIP/2.0\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nsecret")
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	for i, media := range []bool{false, true} {
		line := w.tee.Line(w.tap(t, media), uint64(i)+1)
		line.X2(time.Now(), x2x3.FromTarget, at, at, sipevent.Event{Stage: sipevent.Report, Method: "MESSAGE"}, text)
	}
	for _, p := range w.store.await(t, 2) {
		if got, want := bytes.Contains(p.Payload, []byte("secret")), p.Correlation == 2; got != want || !bytes.Contains(p.Payload, []byte("Content-Length: 6")) {
			t.Errorf("call %d: the text is there: %t, want %t", p.Correlation, got, want)
		}
	}
}

package tee_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
)

// publish is a bus made of one function.
type publish func(ctx context.Context, kind x2x3.Type, pdus []byte) error

func (f publish) PublishAll(ctx context.Context, kind x2x3.Type, batch *bus.Batch) error {
	for i, pdus := range batch {
		if len(pdus) == 0 {
			continue
		}
		if err := f(ctx, kind, pdus); err != nil {
			return err
		}
		batch[i] = pdus[:0]
	}
	return nil
}

func info() sipevent.Event { return sipevent.Event{Stage: sipevent.Continue, Method: "INFO"} }

// A bus that is dead, or hangs, delays neither the call nor the end of the gateway,
// and what is lost by it is counted.
func TestDeadBus(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]publish{
		"refuses": func(context.Context, x2x3.Type, []byte) error { return errors.New("dead") },
		"hangs":   func(ctx context.Context, _ x2x3.Type, _ []byte) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				w := newWorld(t, 0, 0)
				var err error
				if w.tee, err = tee.New(tee.Config{Out: out, NFID: "gw-1", X2Slots: 100, X3Slots: 256, LIReg: reg}); err != nil {
					t.Fatal(err)
				}
				tap := w.tap(t, true)
				line := w.tee.Line(tap, 1)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- w.tee.Run(ctx) }()
				begin := time.Now()
				for range 1000 {
					line.X3(tap.Media(), begin, x2x3.FromTarget, src, dst, make([]byte, 172))
					line.X2(begin, x2x3.FromTarget, src, dst, info(), []byte("x"))
				}
				if d := time.Since(begin); d != 0 {
					t.Errorf("copying took %v", d)
				}
				time.Sleep(time.Minute)
				cancel()
				stop := time.Now()
				if err := <-done; !errors.Is(err, tee.ErrLeft) {
					t.Errorf("got %v, want ErrLeft", err)
				}
				if d := time.Since(stop); d > 5*time.Second {
					t.Errorf("the stop took %v", d)
				}
				want := `# HELP ligate_tee_dropped_pdus_total Copies that found no room; each shows as a gap.
# TYPE ligate_tee_dropped_pdus_total counter
ligate_tee_dropped_pdus_total{kind="x2"} 1000
ligate_tee_dropped_pdus_total{kind="x3"} 1000
`
				if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "ligate_tee_dropped_pdus_total"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The bus is away for an hour: what found room comes afterwards, in order, and the
// numbers tell what did not.
func TestBusAwayForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64, 64)
		w.store.set(true)
		tap := w.tap(t, true)
		line := w.tee.Line(tap, 1)
		w.run(t)
		for range 3600 {
			line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
			line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), []byte("y"))
			time.Sleep(time.Second)
		}
		w.store.set(false)
		time.Sleep(10 * time.Second)
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
		line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), []byte("y"))
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
			seqs := w.store.sequences(kind, 1)
			if n := len(seqs); n < 65 || !slices.IsSorted(seqs) || seqs[0] != 0 || seqs[n-2] != uint32(n-2) || seqs[n-1] != 3600 {
				t.Errorf("kind %d: %d PDUs, numbers %d", kind, n, seqs)
			}
		}
	})
}

// sequences returns the numbers of a call's PDUs as they arrived.
func (s *store) sequences(kind x2x3.Type, correlation uint64) []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var seqs []uint32
	for _, p := range s.pdus {
		if p.Type == kind && p.Correlation == correlation {
			seqs = append(seqs, p.Sequence)
		}
	}
	return seqs
}

// Threads of the relay and shards of the proxy copy at once into small rings: each
// line's numbers rise strictly, and numbers and losses add up.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	w := newWorld(t, 0, 0)
	var err error
	if w.tee, err = tee.New(tee.Config{Out: w.store, NFID: "gw-1", X2Slots: 16, X3Slots: 16, LIReg: reg}); err != nil {
		t.Fatal(err)
	}
	tap := w.tap(t, true)
	lines := []*tee.Line{w.tee.Line(tap, 1), w.tee.Line(tap, 2)}
	w.run(t)
	const writers, each = 4, 2000
	var busy sync.WaitGroup
	for range writers {
		busy.Go(func() {
			for range each {
				for _, line := range lines {
					line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
					line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), []byte("y"))
				}
			}
		})
	}
	busy.Wait()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
		arrived := 0
		for id := range uint64(2) {
			seqs := w.store.sequences(kind, id+1)
			arrived += len(seqs)
			for i := 1; i < len(seqs); i++ {
				if seqs[i] <= seqs[i-1] {
					t.Fatalf("number %d came after %d", seqs[i], seqs[i-1])
				}
			}
			if len(seqs) > 0 && seqs[len(seqs)-1] >= writers*each {
				t.Errorf("number %d of %d copies", seqs[len(seqs)-1], writers*each)
			}
		}
		if lost := dropped(t, reg, kind); arrived+lost != 2*writers*each {
			t.Errorf("kind %d: %d arrived and %d lost, want %d in all", kind, arrived, lost, 2*writers*each)
		}
	}
}

func dropped(t *testing.T, reg *prometheus.Registry, kind x2x3.Type) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	label := map[x2x3.Type]string{x2x3.X2: "x2", x2x3.X3: "x3"}[kind]
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "ligate_tee_dropped_pdus_total" && m.GetLabel()[0].GetValue() == label {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("no figure for %s", label)
	return 0
}

// Copies are few messages for the bus, each below its limit, and hold one kind.
func TestBatches(t *testing.T) {
	t.Parallel()
	var sizes []int
	kinds := map[x2x3.Type]int{}
	out := publish(func(_ context.Context, kind x2x3.Type, b []byte) error {
		sizes = append(sizes, len(b))
		for len(b) > 0 {
			p, n, err := x2x3.DecodePDU(b)
			if err != nil || p.Type != kind {
				t.Errorf("kind %d in a message of kind %d, %v", p.Type, kind, err)
				break
			}
			kinds[kind]++
			b = b[n:]
		}
		return nil
	})
	w := newWorld(t, 0, 0)
	var err error
	if w.tee, err = tee.New(tee.Config{Out: out, NFID: "gw-1"}); err != nil {
		t.Fatal(err)
	}
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 1)
	for range 2000 {
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, make([]byte, 172))
	}
	for range 200 {
		line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), make([]byte, 1200))
	}
	w.run(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if kinds[x2x3.X3] != 2000 || kinds[x2x3.X2] != 200 {
		t.Errorf("got %v, want 200 X2 and 2000 X3", kinds)
	}
	if n := len(sizes); n > 20 || slices.Max(sizes) > 64<<10 {
		t.Errorf("%d messages of up to %d octets; want at most 20 of 64 kB", n, slices.Max(sizes))
	}
}

// What cannot be encoded takes its number and hurts nothing else.
func TestUnfitCopiesLeaveAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 1)
	copyX3 := func(from netip.AddrPort, size int) {
		line.X3(tap.Media(), time.Now(), x2x3.FromTarget, from, dst, make([]byte, size))
	}
	copyX3(src, 1600)
	copyX3(src, 1601)                                       // larger than a relay reads
	copyX3(netip.MustParseAddrPort("[2001:db8::1]:1"), 172) // two families
	copyX3(netip.AddrPort{}, 172)
	copyX3(src, 0)
	line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), make([]byte, 1<<17+1))
	line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), []byte("y"))
	w.run(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if got := w.store.sequences(x2x3.X3, 1); !slices.Equal(got, []uint32{0, 4}) {
		t.Errorf("X3 numbers %d, want 0 and 4", got)
	}
	if got := w.store.sequences(x2x3.X2, 1); !slices.Equal(got, []uint32{1}) {
		t.Errorf("X2 numbers %d, want 1", got)
	}
}

// The proxy reuses its buffer as soon as X2 returns, and the relay after X3.
func TestCopiesAreCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 0)
	tap := w.tap(t, true)
	line := w.tee.Line(tap, 1)
	buf := []byte("before")
	line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), buf)
	line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, buf)
	copy(buf, "after!")
	w.run(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.store.pdus {
		if !strings.HasSuffix(string(p.Payload), "before") {
			t.Errorf("kind %d: payload ends %q", p.Type, p.Payload[max(0, len(p.Payload)-6):])
		}
	}
	if len(w.store.pdus) != 2 {
		t.Errorf("%d PDUs, want 2", len(w.store.pdus))
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]tee.Config{
		"no bus":         {NFID: "gw"},
		"no name":        {Out: &store{}},
		"negative slots": {Out: &store{}, NFID: "gw", X2Slots: -1},
		"too many slots": {Out: &store{}, NFID: "gw", X3Slots: 1<<20 + 1},
	} {
		if _, err := tee.New(cfg); !errors.Is(err, tee.ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// halting is a bus that stores some partitions of a batch at each attempt, and says
// that it failed until all are stored.
type halting struct {
	store

	attempts int
}

func (h *halting) PublishAll(ctx context.Context, kind x2x3.Type, batch *bus.Batch) error {
	h.attempts++
	var part bus.Batch
	left := false
	for i := range batch {
		if len(batch[i]) == 0 {
			continue
		}
		if (i+h.attempts)%3 > 0 {
			left = true
			continue
		}
		part[i], batch[i] = batch[i], batch[i][:0]
	}
	if err := h.store.PublishAll(ctx, kind, &part); err != nil || !left {
		return err
	}
	return errors.New("not all")
}

// A bus that takes some partitions of a round only gets the others again, and nothing
// newer before: each call's copies arrive once and in order, and are counted once.
func TestPartOfARoundIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		w := newWorld(t, 0, 0)
		out := &halting{store: store{news: make(chan struct{}, 1)}}
		var err error
		if w.tee, err = tee.New(tee.Config{Out: out, NFID: "gw-1", LIReg: reg}); err != nil {
			t.Fatal(err)
		}
		tap := w.tap(t, true)
		const calls, each = 40, 50
		var lines []*tee.Line
		for i := range uint64(calls) {
			lines = append(lines, w.tee.Line(tap, i))
		}
		w.run(t)
		for range each {
			for _, line := range lines {
				line.X3(tap.Media(), time.Now(), x2x3.FromTarget, src, dst, []byte("x"))
				line.X2(time.Now(), x2x3.FromTarget, src, dst, info(), []byte("y"))
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []x2x3.Type{x2x3.X2, x2x3.X3} {
			for call := range uint64(calls) {
				seqs := out.sequences(kind, call)
				if len(seqs) != each || !slices.IsSorted(seqs) || seqs[each-1] != each-1 {
					t.Errorf("kind %d, call %d: numbers %d", kind, call, seqs)
				}
			}
		}
		want := `# HELP ligate_tee_published_pdus_total PDUs that the bus has stored.
# TYPE ligate_tee_published_pdus_total counter
ligate_tee_published_pdus_total{kind="x2"} 2000
ligate_tee_published_pdus_total{kind="x3"} 2000
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "ligate_tee_published_pdus_total"); err != nil {
			t.Error(err)
		}
	})
}

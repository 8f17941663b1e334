package deliver

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/natstest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

type fakeRecords struct{ all []warrant.Delivery }

func (f *fakeRecords) ActiveDeliveries(context.Context) ([]warrant.Delivery, error) {
	return f.all, nil
}

func (f *fakeRecords) Notices(context.Context, []warrant.AgencyID) ([]warrant.Notice, error) {
	return nil, nil
}

func (f *fakeRecords) DropNotices(context.Context, []int64) error { return nil }

func to(id warrant.AgencyID, number int) warrant.Delivery {
	return warrant.Delivery{AgencyID: id, Number: number, HI2: "127.0.0.1:1", HI3: "127.0.0.1:1", BufferIRI: 1 << 20, BufferCC: 1 << 20}
}

// newOutlet is an outlet without what New sets up for links.
func newOutlet(t *testing.T, cfg Config) *Outlet {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log, cfg.Now, cfg.Alarms, cfg.Refresh = slog.New(slog.DiscardHandler), time.Now, noAlarms{}, 10*time.Millisecond
	return &Outlet{cfg: cfg, metrics: m, ways: map[warrant.AgencyID]*way{}}
}

// managed is an outlet of which no goroutine looks by itself.
func managed(t *testing.T, b *bus.Bus, rec *fakeRecords) *manager {
	t.Helper()
	m := newManager(newOutlet(t, Config{Bus: b, Records: rec}))
	ctx := t.Context()
	m.refresh = func(asked context.Context) error { return m.look(ctx, asked) }
	return m
}

func lineOf(ctx context.Context, m *manager, id warrant.AgencyID) (*Line, error) {
	return m.Line(ctx, warrant.TaskInfo{AgencyID: id}, &evidence.Progress{LIID: "LI-1", CIN: li.CIN(1)})
}

// A delivery whose spools do not open counts; once it is withdrawn sessions go on
// without it.
func TestWithdrawnBeforeItsSpoolsOpened(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Config{Dir: t.TempDir(), Key: make([]byte, 32), MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rec := &fakeRecords{all: []warrant.Delivery{to("a", 1)}}
	m := managed(t, b, rec) // the bus does not run
	if err := m.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := lineOf(t.Context(), m, "a"); err == nil {
		t.Fatal("a delivery counts whose spools are not open, and a session began without")
	}
	rec.all = nil
	if err := m.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, err := lineOf(t.Context(), m, "a"); err != nil || l != nil {
		t.Errorf("no delivery counts, and Line gives %v, %v: the agency's calls are never sealed", l, err)
	}
}

// Where the bus does not answer, deliveries come to count and are withdrawn all the
// same.
func TestDeliveriesChangeWhileTheBusHangs(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	b, err := bus.New(bus.Config{
		Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler), MaxBytes: 64 << 20, Cluster: &bus.Cluster{URLs: c.URLs, TLS: c.TLS(), Replicas: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.Run(t.Context()) }()
	<-b.Ready()
	c.Kill(0)
	c.Kill(1) // no majority: what is asked for waits for its deadline
	rec := &fakeRecords{all: []warrant.Delivery{to("a", 1), to("b", 1)}}
	m := managed(t, b, rec)
	soon, cancel := context.WithTimeout(t.Context(), attemptTimeout/3)
	defer cancel()
	if err := m.refresh(soon); err != nil {
		t.Fatal(err)
	}
	if m.outbound("a") == nil || m.outbound("b") == nil {
		t.Error("deliveries that count do not, while spools open")
	}
	time.Sleep(100 * time.Millisecond) // the keepers ask for their spools
	rec.all = rec.all[:1]
	if err := m.refresh(soon); err != nil {
		t.Fatal(err)
	}
	if m.outbound("b") != nil {
		t.Error("a withdrawn delivery counts until spools are open")
	}
	if l, err := lineOf(soon, m, "c"); l != nil || err != nil {
		t.Errorf("the call of an agency that takes nothing gets %v, %v", l, err)
	}
}

// Who asks for a line waits for another's look no longer than it may.
func TestLineWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	m := managed(t, nil, &fakeRecords{})
	m.looking <- struct{}{} // a look that hangs
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lineOf(ctx, m, "b"); err == nil {
		t.Error("nobody knows whether a delivery counts, and a session begins without")
	}
}

package admf_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant/admf"
)

func TestApprovalAndRevocationWithinASecond(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	a := run(t, admf.Config{Store: s, ProbeEvery: time.Hour, ReconcileEvery: time.Hour}, n)
	task := content(t, "+4930123456")
	s.want(task)
	a.Nudge()
	n.wait(within, "approval", task)
	s.wait(t, "on gw-1 "+task.XID.String())
	tap := n.index.Match(task.Targets[0])[0]
	if !tap.Live() || tap.Media() == nil {
		t.Error("the tap of a content task must be live and have media")
	}
	s.revoke(task.XID)
	a.Nudge()
	n.wait(within, "revocation")
	if tap.Live() {
		t.Error("the tap outlived its revocation")
	}
	s.wait(t, "on gw-1 "+task.XID.String(), "off gw-1 "+task.XID.String())
	if s.count("open rogue_tap gw-1 "+task.XID.String()) != 0 {
		t.Error("an ordinary revocation raised the alarm of a rogue tap")
	}
}

// A change by another process comes by the database's notification.
func TestWake(t *testing.T) {
	t.Parallel()
	n, s, wake := newNode(t, "gw-1"), newStore(), make(chan struct{})
	run(t, admf.Config{Store: s, Wake: wake, ProbeEvery: time.Hour, ReconcileEvery: time.Hour}, n)
	task := iri(t, "+4930123456")
	s.want(task)
	wake <- struct{}{}
	n.wait(within, "notification", task)
	close(wake)
}

// A warrant begins and ends at its times without anybody's doing.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	task := iri(t, "+4930123456")
	task.Until = time.Now().Add(3 * time.Second)
	s.wantFrom(task, time.Now().Add(time.Second))
	run(t, admf.Config{Store: s, ReconcileEvery: time.Hour}, n)
	n.wait(time.Second+within, "beginning", task)
	n.wait(3*time.Second+within, "end")
	s.wait(t, "on gw-1 "+task.XID.String(), "off gw-1 "+task.XID.String())
}

func TestGatewayRestartsEmpty(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	tasks := []li.Task{iri(t, "+4930123456"), content(t, "+4930123457")}
	s.want(tasks...)
	run(t, admf.Config{Store: s, ReconcileEvery: time.Hour}, n)
	n.wait(patience, "first filling", tasks...)
	for _, task := range tasks {
		s.wait(t, "on gw-1 "+task.Signalling().XID.String()) // the ADMF knows too
	}
	n.stop()
	n.start()
	n.wait(3*time.Second, "refilling", tasks...)
	s.wait(t, "open taps_lost gw-1", "close taps_lost gw-1")
}

// A tap that nobody ordered is on record before it is removed.
func TestRogueTap(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	good, rogue := iri(t, "+4930123456"), content(t, "+4930999999")
	var live []bool
	var mu sync.Mutex
	s.onOpen = func(kind, _ string) {
		mu.Lock()
		defer mu.Unlock()
		live = append(live, kind == admf.AlarmRogueTap && len(n.index.Match(rogue.Targets[0])) == 1)
	}
	s.want(good)
	reg := prometheus.NewRegistry()
	run(t, admf.Config{Store: s, LIReg: reg, ReconcileEvery: time.Hour}, n)
	n.wait(patience, "filling", good)
	if err := n.index.Activate(rogue); err != nil {
		t.Fatal(err)
	}
	n.wait(3*time.Second, "removal of the rogue", good)
	s.wait(t, "open rogue_tap gw-1 "+rogue.XID.String())
	mu.Lock()
	defer mu.Unlock()
	if len(live) != 1 || !live[0] {
		t.Errorf("got %v, want one alarm while the rogue was still there", live)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP ligate_admf_rogue_taps_total Taps found on the gateway that no warrant orders or that differ from it.
# TYPE ligate_admf_rogue_taps_total counter
ligate_admf_rogue_taps_total{gateway="gw-1"} 1
`), "ligate_admf_rogue_taps_total"); err != nil {
		t.Error(err)
	}
}

// Same XID, another target, later end or another kind: a rogue in a warrant's name.
func TestAlteredTap(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*testing.T, li.IRITask) li.Task{
		"another target": func(t *testing.T, task li.IRITask) li.Task {
			task.Targets = iri(t, "+4930999999").Targets
			return task
		},
		"later end": func(_ *testing.T, task li.IRITask) li.Task {
			task.Until = task.Until.Add(time.Hour)
			return task
		},
		"media too": func(_ *testing.T, task li.IRITask) li.Task { return li.ContentTask{IRITask: task} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, s := newNode(t, "gw-1"), newStore()
			task := iri(t, "+4930123456")
			if err := n.index.Activate(alter(t, task)); err != nil {
				t.Fatal(err)
			}
			s.want(task)
			run(t, admf.Config{Store: s}, n)
			n.wait(patience, "restoration", task)
			s.wait(t, "open altered_tap gw-1 "+task.XID.String(), "on gw-1 "+task.XID.String())
		})
	}
}

// A dead gateway delays no other, raises its alarm, and is filled when it is back.
func TestGatewayDownAndBack(t *testing.T) {
	t.Parallel()
	dead, alive, s := newNode(t, "gw-1"), newNode(t, "gw-2"), newStore()
	dead.stop()
	a := run(t, admf.Config{Store: s, AlarmAfter: time.Second}, dead, alive)
	task := content(t, "+4930123456")
	s.want(task)
	a.Nudge()
	alive.wait(within, "the gateway that is up", task)
	s.wait(t, "open gateway_unreachable gw-1")
	if got := a.Gateways(); len(got) != 2 || got[0].Up || !got[1].Up || got[0].ID != "gw-1" {
		t.Errorf("status: got %+v", got)
	}
	revoked := iri(t, "+4930123457")
	s.want(revoked)
	a.Nudge()
	alive.wait(within, "second task", task, revoked)
	s.revoke(revoked.XID)
	a.Nudge()
	alive.wait(within, "revocation", task)
	dead.start()
	dead.wait(patience, "the gateway that came back", task)
	s.wait(t, "open gateway_unreachable gw-1", "close gateway_unreachable gw-1")
}

// Without the store nothing is added, nothing ordered is removed, and what is not
// ordered is removed all the same and recorded later.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	good, rogue := iri(t, "+4930123456"), iri(t, "+4930999999")
	s.want(good)
	run(t, admf.Config{Store: s, ProbeEvery: 100 * time.Millisecond, ReconcileEvery: 100 * time.Millisecond}, n)
	n.wait(patience, "filling", good)
	s.wait(t, "on gw-1 "+good.XID.String())
	s.setDown(true)
	if err := n.index.Activate(rogue); err != nil {
		t.Fatal(err)
	}
	n.wait(patience, "removal of the rogue", good)
	s.setDown(false)
	s.wait(t, "open rogue_tap gw-1 "+rogue.XID.String())
	n.wait(0, "the ordered tap", good)
}

// While the audit log cannot be asked nothing new is tapped, what was ordered stays, and
// what is revoked ends.
func TestNothingNewWithoutProof(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	stays, goes, comes := iri(t, "+4930123456"), iri(t, "+4930123457"), iri(t, "+4930123458")
	s.want(stays, goes)
	a := run(t, admf.Config{Store: s, ProbeEvery: 100 * time.Millisecond, ReconcileEvery: 100 * time.Millisecond}, n)
	n.wait(patience, "filling", stays, goes)
	s.setBlind(true)
	s.want(comes)
	s.revoke(goes.XID)
	a.Nudge()
	n.wait(patience, "revocation", stays)
	s.setBlind(false)
	n.wait(patience, "proof", stays, comes)
}

// Before the store has been asked nothing is known, so nothing is done: an ADMF that
// starts with its database down must not end lawful taps.
func TestNothingBeforeTheFirstPlan(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	task := content(t, "+4930123456")
	if err := n.index.Activate(task); err != nil {
		t.Fatal(err)
	}
	tap := n.index.Match(task.Targets[0])[0]
	s.want(task)
	s.setDown(true)
	reg := prometheus.NewRegistry()
	run(t, admf.Config{Store: s, ProbeEvery: 20 * time.Millisecond, OpsReg: reg}, n)
	poll(t, func() bool { return sample(t, reg, "ligate_admf_store_errors_total") >= 2 })
	s.setDown(false)
	s.wait(t, "on gw-1 "+task.XID.String())
	if !tap.Live() {
		t.Error("a lawful tap was ended or replaced")
	}
	if s.count("open rogue_tap gw-1 "+task.XID.String()) != 0 {
		t.Error("a lawful tap raised the alarm of a rogue")
	}
}

// poll waits for what nobody signals.
func poll(t *testing.T, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited in vain")
		}
	}
}

func sample(t *testing.T, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// stubborn is a gateway that refuses one XID whatever is asked.
type stubborn struct {
	*x1.Client
	xid li.XID
}

func (c stubborn) Activate(ctx context.Context, a x1.ActivateTask) error {
	if a.Task.Signalling().XID == c.xid {
		return &x1.Error{Of: x1.KindActivateTask, Code: x1.CodeActivateFailed}
	}
	return c.Client.Activate(ctx, a)
}

func (c stubborn) Deactivate(ctx context.Context, xid li.XID) error {
	if xid == c.xid {
		return &x1.Error{Of: x1.KindDeactivateTask, Code: x1.CodeDeactivateFailed}
	}
	return c.Client.Deactivate(ctx, xid)
}

// ActivateAll refuses one of several.
func (c stubborn) ActivateAll(ctx context.Context, orders []x1.ActivateTask) ([]error, error) {
	each := make([]error, len(orders))
	for i, o := range orders {
		each[i] = c.Activate(ctx, o)
	}
	return each, nil
}

// One Task that the gateway refuses is an alarm and holds up no other.
func TestRefusals(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	good, refused := iri(t, "+4930123456"), iri(t, "+4930123457")
	s.want(good, refused)
	gateways := []admf.Gateway{{ID: n.id, Client: stubborn{n.client(), refused.XID}}}
	a := run(t, admf.Config{Store: s, Gateways: gateways, ProbeEvery: 50 * time.Millisecond})
	n.wait(patience, "the good task", good)
	object := " gw-1 " + refused.XID.String()
	s.wait(t, "open task_refused"+object)
	if err := n.index.Activate(refused); err != nil { // as if it had been accepted late
		t.Fatal(err)
	}
	s.wait(t, "open task_refused"+object, "close task_refused"+object, "on"+object)
	s.revoke(refused.XID)
	a.Nudge()
	s.wait(t, "on"+object, "open removal_refused"+object)
	if err := n.index.Deactivate(refused.XID); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "open removal_refused"+object, "close removal_refused"+object)
	n.wait(0, "the good task", good)
}

// mumbling is a gateway whose answers to activations are lost.
type mumbling struct{ *x1.Client }

func (c mumbling) Activate(ctx context.Context, a x1.ActivateTask) error {
	if err := c.Client.Activate(ctx, a); err != nil {
		return err
	}
	return x1.ErrHTTP
}

// A Task that was placed though the answer was lost is no rogue when it is withdrawn.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	task := iri(t, "+4930123456")
	s.want(task)
	a := run(t, admf.Config{Store: s, Gateways: []admf.Gateway{{ID: n.id, Client: mumbling{n.client()}}}, ReconcileEvery: time.Hour})
	n.wait(patience, "filling", task)
	s.revoke(task.XID)
	a.Nudge()
	n.wait(patience, "revocation")
	s.wait(t, "off gw-1 "+task.XID.String())
	if s.count("open rogue_tap gw-1 "+task.XID.String()) != 0 {
		t.Error("our own task raised the alarm of a rogue")
	}
}

// What operations see reads the same with none and with many.
func TestOpsSeeNoTasks(t *testing.T) {
	t.Parallel()
	seen := func(tasks int) (string, string) {
		n, s := newNode(t, "gw-1"), newStore()
		var want []li.Task
		for range tasks {
			want = append(want, content(t, "+4930123456"))
		}
		s.want(want...)
		reg, log := prometheus.NewRegistry(), &lockedBuffer{}
		a := run(t, admf.Config{Store: s, OpsReg: reg, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
			Level: slog.LevelDebug, ReplaceAttr: func(_ []string, at slog.Attr) slog.Attr {
				if at.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return at
			},
		}))}, n)
		n.wait(patience, "filling", want...)
		poll(t, func() bool { return a.Gateways()[0].Up })
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var metrics strings.Builder
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&metrics, f); err != nil {
				t.Fatal(err)
			}
		}
		return metrics.String(), log.String()
	}
	noMetrics, noLog := seen(0)
	manyMetrics, manyLog := seen(20)
	if diff := cmp.Diff(noMetrics, manyMetrics); diff != "" || noMetrics == "" {
		t.Errorf("metrics differ: %s", diff)
	}
	if diff := cmp.Diff(noLog, manyLog); diff != "" || noLog == "" {
		t.Errorf("logs differ: %s", diff)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestConfig(t *testing.T) {
	t.Parallel()
	log, s := slog.New(slog.DiscardHandler), newStore()
	c := &x1.Client{}
	for name, cfg := range map[string]admf.Config{
		"no store":         {Log: log},
		"no log":           {Store: s},
		"gateway unnamed":  {Store: s, Log: log, Gateways: []admf.Gateway{{Client: c}}},
		"gateway unserved": {Store: s, Log: log, Gateways: []admf.Gateway{{ID: "gw-1"}}},
		"gateway twice":    {Store: s, Log: log, Gateways: []admf.Gateway{{ID: "gw-1", Client: c}, {ID: "gw-1", Client: c}}},
	} {
		if _, err := admf.New(cfg); !errors.Is(err, admf.ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

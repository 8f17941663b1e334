package admf_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant/admf"
)

// listeners are where an element that is not ours is to deliver.
func listeners() []x1.Destination {
	return []x1.Destination{
		{DID: x1.DID{1}, Name: "X2", Delivery: x1.DeliverX2, Addr: netip.MustParseAddrPort("192.0.2.7:6543")},
		{DID: x1.DID{2}, Name: "X3", Delivery: x1.DeliverX3, Addr: netip.MustParseAddrPort("192.0.2.7:6544")},
	}
}

// element is a network element that knows nothing of our extension: what comes with it,
// it would refuse, and it taps for days if nobody tells it to stop.
func element(t *testing.T, keepalive time.Duration, tell func(x1.Body)) *node {
	t.Helper()
	n := newNode(t, "sbc-1")
	n.stop()
	n.server = func(cfg *tasking.ServerConfig) {
		cfg.Longest, cfg.Keepalive, cfg.Tell = 48*time.Hour, keepalive, tell
		for _, d := range listeners() {
			cfg.Destinations = append(cfg.Destinations, d.Addr)
		}
	}
	n.start()
	return n
}

// An element that is not ours gets destinations first and Tasks without an end, signalling
// goes to X2 alone, and the ADMF ends the Task at its time.
func TestForeignElement(t *testing.T) {
	t.Parallel()
	n, s := element(t, 0, nil), newStore()
	both, signalling := content(t, "+4930123456"), iri(t, "+4930123457")
	both.Until = time.Now().Add(4 * time.Second)
	s.want(both, signalling)
	stray := x1.Destination{DID: x1.DID{9}, Delivery: x1.DeliverX2, Addr: listeners()[0].Addr}
	must(t, n.client().CreateDestination(t.Context(), stray))
	run(t, admf.Config{Store: s, ProbeEvery: 200 * time.Millisecond, ReconcileEvery: time.Hour, Gateways: []admf.Gateway{
		{ID: n.id, Client: n.client(), Foreign: true, Destinations: listeners()},
	}})
	s.wait(t, "on sbc-1 "+both.XID.String())
	s.wait(t, "on sbc-1 "+signalling.XID.String())
	all, _, err := n.client().All(t.Context())
	must(t, err)
	for _, task := range all.Tasks {
		want := []x1.DID{{1}}
		if task.Task.Signalling().XID == both.XID {
			want = append(want, x1.DID{2})
		}
		if !task.Bare || !slices.Equal(task.DIDs, want) {
			t.Errorf("bare %v, destinations %v, want a bare task with %v", task.Bare, task.DIDs, want)
		}
	}
	s.wait(t, "open rogue_destination sbc-1 "+stray.DID.String())
	if len(all.Destinations) != 2 || all.Destinations[0].Destination != listeners()[0] {
		t.Errorf("got destinations %+v, want ours alone", all.Destinations)
	}
	s.wait(t, "on sbc-1 "+both.XID.String(), "off sbc-1 "+both.XID.String())
	if late := time.Since(both.Until); late < 0 || late > 2*time.Second {
		t.Errorf("the ADMF ended the task %v after its end", late)
	}
	if s.count("open expired_tap sbc-1 "+both.XID.String()) != 0 || s.count("open altered_tap sbc-1 "+both.XID.String()) != 0 {
		t.Error("an ordinary end raised an alarm")
	}
	if tasks := n.index.Tasks(); len(tasks) != 1 || tasks[0].Signalling().XID != signalling.XID {
		t.Errorf("%d tasks are left, want the other one", len(tasks))
	}
}

// While the ADMF lives its keep-alives hold the element's Tasks; when it dies the element
// drops them by itself.
func TestForeignElementLosesItsADMF(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []x1.Body
	n := element(t, 2*time.Second, func(b x1.Body) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, b)
	})
	s := newStore()
	task := content(t, "+4930123456")
	s.want(task)
	t.Run("alive", func(t *testing.T) { // its ADMF ends with the subtest
		run(t, admf.Config{Store: s, ProbeEvery: 300 * time.Millisecond, Gateways: []admf.Gateway{
			{ID: n.id, Client: n.client(), Foreign: true, Destinations: listeners(), Keepalive: time.Second},
		}})
		s.wait(t, "on sbc-1 "+task.XID.String())
		deadline := time.Now().Add(3 * time.Second)
		poll(t, func() bool { return time.Now().After(deadline) })
		if got := n.index.Tasks(); len(got) != 1 {
			t.Fatalf("%d tasks while the ADMF lives", len(got))
		}
	})
	poll(t, func() bool { return len(n.index.Tasks()) == 0 })
	poll(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == 2 })
	if got := told[1]; got != x1.Body(x1.ReportNEIssue{Issue: x1.NEAlert, Code: x1.CodeDatabaseCleared}) {
		t.Errorf("got %v, want the report that all is cleared", got)
	}
}

// A later end changes the tap and does not replace it: a running call goes on under it.
func TestExtensionKeepsTheTap(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	task := content(t, "+4930123456")
	s.want(task)
	a := run(t, admf.Config{Store: s, ProbeEvery: time.Hour, ReconcileEvery: time.Hour}, n)
	n.wait(patience, "filling", task)
	s.wait(t, "on gw-1 "+task.XID.String())
	tap := n.index.Match(task.Targets[0])[0]
	longer := task
	longer.Until = task.Until.Add(time.Hour)
	s.want(longer)
	a.Nudge()
	n.wait(within, "extension", longer)
	if !tap.Live() {
		t.Error("the tap was replaced")
	}
	if s.count("off gw-1 "+task.XID.String()) != 0 {
		t.Error("the store was told that the tap had stopped")
	}
}

// A gateway that comes back empty is filled by many Tasks at once, and one that cannot be
// written does not keep the others from it.
func TestRefillInBatches(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	var tasks []li.Task
	for i := range 100 {
		tasks = append(tasks, content(t, fmt.Sprintf("+4930%06d", 100000+i)))
	}
	unwritable := iri(t, "+4930123456")
	unwritable.Targets = nil
	s.want(append(slices.Clone(tasks), unwritable)...)
	run(t, admf.Config{Store: s, ReconcileEvery: time.Hour}, n)
	n.wait(patience, "filling", tasks...)
	s.wait(t, "open task_refused gw-1 "+unwritable.XID.String())
}

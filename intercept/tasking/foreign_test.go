package tasking_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// ask sends any messages and returns the codes of the answers, 0 = done.
func (g gateway) ask(t *testing.T, bodies ...x1.Body) ([]int, []x1.Response) {
	t.Helper()
	var reqs []x1.Request
	for _, body := range bodies {
		reqs = append(reqs, x1.Request{Header: x1.Header{ADMF: "admf-1", NE: "gw-1", Time: time.Now(), Transaction: x1.NewTransactionID()}, Body: body})
	}
	doc, err := x1.EncodeRequests(reqs)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := x1.DecodeResponses(post(t, g.http(t, x1.ADMFBinding("admf-1")), g.url+x1.PathNE, "application/xml", string(doc)))
	if err != nil || len(answers) != len(reqs) {
		t.Fatalf("got %d answers: %v", len(answers), err)
	}
	codes := make([]int, len(answers))
	for i, a := range answers {
		if refusal, ok := a.Answer.(*x1.Error); ok {
			codes[i] = refusal.Code
		}
	}
	return codes, answers
}

// An ADMF that is not ours knows no end of Tasks: without leave they are refused, with
// it they end after the longest time that was configured.
func TestTasksWithoutEnd(t *testing.T) {
	t.Parallel()
	bare := x1.ActivateTask{Task: iri(t, time.Now().Add(time.Hour), "+4930123456"), Bare: true}
	if codes, _ := newGateway(t).ask(t, bare); codes[0] != x1.CodeActivateFailed {
		t.Errorf("without leave: got code %d, want 3000", codes[0])
	}
	g := newGatewayWith(t, tasking.ServerConfig{Longest: 10 * time.Minute})
	codes, answers := g.ask(t, bare, x1.GetAllDetails{})
	if codes[0] != 0 || len(g.index.Tasks()) != 1 {
		t.Fatalf("got code %d and %d tasks, want one", codes[0], len(g.index.Tasks()))
	}
	if left := time.Until(g.index.Tasks()[0].Signalling().Until); left > 10*time.Minute || left < 9*time.Minute {
		t.Errorf("the task lives %v more, want about ten minutes", left)
	}
	if all, ok := answers[1].Answer.(x1.AllDetails); !ok || len(all.Tasks) != 1 || !all.Tasks[0].Bare {
		t.Error("what came without our extension must be told of without it")
	}
}

// Destinations are held against where we deliver anyway.
func TestDestinations(t *testing.T) {
	t.Parallel()
	ours, other := netip.MustParseAddrPort("192.0.2.7:6543"), netip.MustParseAddrPort("192.0.2.8:6543")
	g := newGatewayWith(t, tasking.ServerConfig{Destinations: []netip.AddrPort{ours}})
	d := x1.Destination{DID: x1.DID(li.NewXID()), Name: "mdf", Delivery: x1.DeliverBoth, Addr: ours}
	elsewhere, unknown := d, x1.DID(li.NewXID())
	elsewhere.DID, elsewhere.Addr = unknown, other
	renamed := d
	renamed.Name = "mdf two"
	away := d
	away.Addr = other
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	for _, step := range []struct {
		name string
		body x1.Body
		code int
	}{
		{"task before its destination", x1.ActivateTask{Task: task, DIDs: []x1.DID{d.DID}}, x1.CodeDIDUnknown},
		{"create", x1.CreateDestination{Destination: d}, 0},
		{"create again", x1.CreateDestination{Destination: d}, x1.CodeDIDExists},
		{"create elsewhere", x1.CreateDestination{Destination: elsewhere}, x1.CodeDestinationFailed},
		{"modify", x1.ModifyDestination{Destination: renamed}, 0},
		{"modify to elsewhere", x1.ModifyDestination{Destination: away}, x1.CodeDestinationFailed},
		{"modify none", x1.ModifyDestination{Destination: elsewhere}, x1.CodeDIDUnknown},
		{"details", x1.GetDestinationDetails{DID: d.DID}, 0},
		{"details of none", x1.GetDestinationDetails{DID: unknown}, x1.CodeDIDUnknown},
		{"task", x1.ActivateTask{Task: task, DIDs: []x1.DID{d.DID}}, 0},
		{"remove in use", x1.RemoveDestination{DID: d.DID}, x1.CodeDIDInUse},
		{"remove none", x1.RemoveDestination{DID: unknown}, x1.CodeDIDUnknown},
		{"remove all", x1.RemoveAllDestinations{}, x1.CodeRemoveAllDisabled},
		{"deactivate all", x1.DeactivateAllTasks{}, 0},
		{"remove", x1.RemoveDestination{DID: d.DID}, 0},
		{"keepalive", x1.Keepalive{}, x1.CodeNoKeepalive},
	} {
		if codes, _ := g.ask(t, step.body); codes[0] != step.code {
			t.Errorf("%s: got code %d, want %d", step.name, codes[0], step.code)
		}
		if step.name != "task" {
			continue
		}
		_, answers := g.ask(t, x1.GetTaskDetails{XID: task.XID}, x1.ListAllDetails{}, x1.GetAllTaskDetails{}, x1.GetAllDestinationDetails{}, x1.GetNEStatus{})
		if got, ok := answers[0].Answer.(x1.TaskDetails); !ok || !slices.Equal(got.DIDs, []x1.DID{d.DID}) {
			t.Error("the task's destination is not told")
		}
		if got, ok := answers[1].Answer.(x1.AllIdentifiers); !ok || !slices.Equal(got.XIDs, []li.XID{task.XID}) || !slices.Equal(got.DIDs, []x1.DID{d.DID}) {
			t.Errorf("list: got %+v", answers[1].Answer)
		}
		if got, ok := answers[2].Answer.(x1.AllTaskDetails); !ok || len(got.Tasks) != 1 {
			t.Errorf("all tasks: got %+v", answers[2].Answer)
		}
		if got, ok := answers[3].Answer.(x1.AllDestinationDetails); !ok || len(got.Destinations) != 1 || got.Destinations[0].Destination != renamed {
			t.Errorf("all destinations: got %+v", answers[3].Answer)
		}
		if got, ok := answers[4].Answer.(x1.NEStatus); !ok || len(got.Faults) != 0 {
			t.Errorf("status: got %+v", answers[4].Answer)
		}
	}
	if len(g.index.Tasks()) != 0 {
		t.Error("tasks outlived DeactivateAllTasks")
	}
}

// A change of the end keeps the tap and its running calls; another target takes another.
func TestModifyTask(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	longer, elsewhere := task, task
	longer.Until = task.Until.Add(time.Hour)
	elsewhere.Targets = []li.Identity{target(t, "+4930123457")}
	if codes, _ := g.ask(t, x1.ModifyTask{Task: task}); codes[0] != x1.CodeXIDUnknown {
		t.Errorf("modify none: got code %d, want 2020", codes[0])
	}
	g.ask(t, x1.ActivateTask{Task: task})
	tap := g.index.Match(task.Targets[0])[0]
	if codes, _ := g.ask(t, x1.ModifyTask{Task: longer}); codes[0] != 0 || !tap.Live() || !x1.Equal(g.index.Tasks()[0], longer) {
		t.Errorf("longer: got code %d, want the same tap with the later end", codes[0])
	}
	if codes, _ := g.ask(t, x1.ModifyTask{Task: elsewhere}); codes[0] != 0 || tap.Live() || len(g.index.Match(task.Targets[0])) != 0 || len(g.index.Match(elsewhere.Targets[0])) != 1 {
		t.Errorf("another target: got code %d, want another tap and the first dead", codes[0])
	}
}

// hiding is a table that does not show one Task, as somebody who tampered with the
// gateway's memory would have it.
type hiding struct {
	*tasking.Index
	xid li.XID
}

func (h hiding) Taps() []*tasking.Tap {
	return slices.DeleteFunc(h.Index.Taps(), func(tap *tasking.Tap) bool { return tap.XID() == h.xid })
}

func (h hiding) Tap(xid li.XID) *tasking.Tap {
	if xid == h.xid {
		return nil
	}
	return h.Index.Tap(xid)
}

func (h hiding) Deactivate(xid li.XID) error {
	if xid == h.xid {
		return tasking.ErrUnknown
	}
	return h.Index.Deactivate(xid)
}

// What is at work without standing in the table is told of as such, and can be ended.
func TestUnlistedTap(t *testing.T) {
	t.Parallel()
	index := newIndex(t, tasking.Config{})
	good, rogue, copied := iri(t, time.Now().Add(time.Hour), "+4930123456"), iri(t, time.Now().Add(time.Hour), "+4930999999"), iri(t, time.Now().Add(time.Hour), "+4930888888")
	elsewhere := newIndex(t, tasking.Config{}) // its taps stand in no table and no index of this gateway
	if err := errors.Join(index.Activate(good), index.Activate(rogue), elsewhere.Activate(copied)); err != nil {
		t.Fatal(err)
	}
	atWork := elsewhere.Match(copied.Targets[0])[0]
	atWork.Count(true, 160, time.Now())
	g := newGatewayWith(t, tasking.ServerConfig{Tasks: hiding{index, rogue.XID}, Copying: func() []*tasking.Tap { return []*tasking.Tap{atWork} }})
	_, answers := g.ask(t, x1.GetAllDetails{})
	all, ok := answers[0].Answer.(x1.AllDetails)
	if !ok || len(all.Tasks) != 3 {
		t.Fatalf("got %d tasks, want three", len(all.Tasks))
	}
	for _, task := range all.Tasks {
		if xid := task.Task.Signalling().XID; task.Status.Unlisted != (xid != good.XID) {
			t.Errorf("unlisted = %v for the wrong task", task.Status.Unlisted)
		} else if xid == copied.XID && (task.Status.X3 != 160 || task.Status.LastIntercept.IsZero()) {
			t.Error("what was copied is not counted")
		}
	}
	tap := index.Match(rogue.Targets[0])[0]
	if codes, _ := g.ask(t, x1.DeactivateTask{XID: rogue.XID}, x1.DeactivateTask{XID: copied.XID}); codes[0] != 0 || codes[1] != 0 {
		t.Errorf("got codes %v, want the hidden taps ended", codes)
	}
	if tap.Live() || atWork.Live() || len(index.Match(rogue.Targets[0])) != 0 {
		t.Error("a hidden tap outlived its deactivation")
	}
	if len(index.Match(good.Targets[0])) != 1 {
		t.Error("the good tap is gone")
	}
}

// The gate opens once the ADMF has looked and then said so, not before.
func TestFilled(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	open := func() bool {
		select {
		case <-g.server.Filled():
			return true
		default:
			return false
		}
	}
	g.ask(t, x1.Ping{})
	if open() {
		t.Error("a ping alone opened the gate")
	}
	g.ask(t, x1.GetAllDetails{})
	if open() {
		t.Error("a look alone opened the gate")
	}
	g.ask(t, x1.Ping{}, x1.Ping{})
	if !open() {
		t.Error("the gate is closed after look and ping")
	}
}

// An ADMF that falls silent is warned of and then loses all its Tasks; one that was
// never heard and one that speaks do not.
func TestKeepaliveLoss(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []x1.Body
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(told) }
	g := newGatewayWith(t, tasking.ServerConfig{Keepalive: 2 * time.Second, Tell: func(b x1.Body) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, b)
	}})
	before := iri(t, time.Now().Add(time.Hour), "+4930123455")
	if err := g.index.Activate(before); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- g.server.Run(ctx) }()
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	if codes, _ := g.ask(t, x1.Keepalive{}, x1.ActivateTask{Task: task}); codes[0] != 0 || codes[1] != 0 {
		t.Fatalf("got codes %v", codes)
	}
	for range 5 { // longer than the window in all
		pause(t, 600*time.Millisecond)
		g.ask(t, x1.Keepalive{})
	}
	if len(g.index.Tasks()) != 2 || count() != 0 {
		t.Fatalf("%d tasks and %d reports while the ADMF speaks, want two and none", len(g.index.Tasks()), count())
	}
	deadline := time.Now().Add(10 * time.Second)
	for count() < 2 && time.Now().Before(deadline) {
		pause(t, 20*time.Millisecond)
	}
	mu.Lock()
	got := slices.Clone(told)
	mu.Unlock()
	want := []x1.Body{x1.ReportNEIssue{Issue: x1.NEFaultReport, Code: x1.CodeKeepaliveLost}, x1.ReportNEIssue{Issue: x1.NEAlert, Code: x1.CodeDatabaseCleared}}
	if !slices.Equal(got, want) || len(g.index.Tasks()) != 0 {
		t.Errorf("got %v and %d tasks, want %v and none", got, len(g.index.Tasks()), want)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

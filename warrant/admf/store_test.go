package admf_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

var errStoreDown = errors.New("store is down")

// fakeStore keeps the store's contract in memory, so that it can fail at will. The
// real one is used in pgstore_test.go.
type fakeStore struct {
	mu      sync.Mutex
	tasks   map[li.XID]startedTask
	down    bool
	blind   bool     // the audit log cannot be asked
	events  []string // confirmations and alarms in order
	orphans []warrant.Orphan
	onOpen  func(kind, object string)
	changed chan struct{}
}

type startedTask struct {
	li.Task
	from time.Time
}

func newStore() *fakeStore {
	return &fakeStore{tasks: map[li.XID]startedTask{}, changed: make(chan struct{})}
}

func (s *fakeStore) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *fakeStore) want(tasks ...li.Task) {
	for _, task := range tasks {
		s.wantFrom(task, time.Time{})
	}
}

func (s *fakeStore) wantFrom(task li.Task, from time.Time) {
	s.change(func() { s.tasks[task.Signalling().XID] = startedTask{task, from} })
}

func (s *fakeStore) revoke(xid li.XID) { s.change(func() { delete(s.tasks, xid) }) }

func (s *fakeStore) setDown(down bool) { s.change(func() { s.down = down }) }

func (s *fakeStore) setBlind(blind bool) { s.change(func() { s.blind = blind }) }

// wait blocks until the events are there, in this order but not alone.
func (s *fakeStore) wait(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		changed, got := s.changed, slices.Clone(s.events)
		s.mu.Unlock()
		if inOrder(got, want) {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("got events %q, want %q in order", got, want)
		}
	}
}

func inOrder(got, want []string) bool {
	for _, g := range got {
		if len(want) > 0 && g == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

func (s *fakeStore) count(event string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.events {
		if e == event {
			n++
		}
	}
	return n
}

func (s *fakeStore) Due(context.Context, time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errStoreDown
	}
	return nil
}

func (s *fakeStore) WantedTasks(_ context.Context, now time.Time) ([]li.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errStoreDown
	}
	var tasks []li.Task
	for _, t := range s.tasks {
		if !t.from.After(now) && t.Signalling().Until.After(now) {
			tasks = append(tasks, t.Task)
		}
	}
	return tasks, nil
}

func (s *fakeStore) NextDeadline(_ context.Context, now time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for _, t := range s.tasks {
		for _, at := range []time.Time{t.from, t.Signalling().Until} {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next, nil
}

func (s *fakeStore) record(event string) error {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down {
		return errStoreDown
	}
	s.change(func() { s.events = append(s.events, event) })
	return nil
}

func (s *fakeStore) ConfirmTask(_ context.Context, xid li.XID, gateway string, on bool, _ time.Time) error {
	if on {
		return s.record("on " + gateway + " " + xid.String())
	}
	return s.record("off " + gateway + " " + xid.String())
}

func (s *fakeStore) OpenAlarm(_ context.Context, kind, object string) error {
	if s.onOpen != nil {
		s.onOpen(kind, object)
	}
	return s.record("open " + kind + " " + object)
}

func (s *fakeStore) Unproven(context.Context, []li.XID) ([]li.XID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.blind {
		return nil, errStoreDown
	}
	return nil, nil // what the real store says is tested with the real store
}

func (s *fakeStore) FreezeTap(_ context.Context, o warrant.Orphan) error {
	if err := s.record("freeze " + o.Gateway + " " + o.XID.String() + " " + string(o.Kind)); err != nil {
		return err
	}
	s.change(func() { s.orphans = append(s.orphans, o) })
	return nil
}

func (s *fakeStore) TapRemoved(_ context.Context, gateway string, xid li.XID, _ time.Time) error {
	return s.record("removed " + gateway + " " + xid.String())
}

func (s *fakeStore) CloseAlarm(_ context.Context, kind, object string) error {
	return s.record("close " + kind + " " + object)
}

package tasking

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li"
)

// Config is what an Index needs; every field has a default.
type Config struct {
	LIReg prometheus.Registerer // LI figures; nil = none
	OnEnd func(li.XID)          // called when a Task ended at its own end time; default nothing

	Wall    func() time.Time     // default time.Now
	Elapsed func() time.Duration // monotonic; default the time since New
}

// Index is the set of active Tasks, looked up by identity.
type Index struct {
	clock clock
	onEnd func(li.XID)

	view atomic.Pointer[view] // what readers see; replaced as a whole

	mu      sync.Mutex // guards the fields below and the replacement of view; held for map work only
	taps    map[li.XID]*Tap
	changed chan struct{} // closed and replaced at each change
}

// view is immutable.
type view struct {
	byTarget map[li.Identity][]*Tap
}

// New makes an empty Index.
func New(cfg Config) (*Index, error) {
	x := &Index{clock: clock{wall: cfg.Wall, elapsed: cfg.Elapsed}, onEnd: cfg.OnEnd, taps: map[li.XID]*Tap{}, changed: make(chan struct{})}
	if x.clock.wall == nil {
		x.clock.wall = time.Now
	}
	if x.clock.elapsed == nil {
		start := time.Now()
		x.clock.elapsed = func() time.Duration { return time.Since(start) }
	}
	if x.onEnd == nil {
		x.onEnd = func(li.XID) {}
	}
	x.view.Store(&view{})
	if cfg.LIReg != nil {
		err := cfg.LIReg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ligate_tasking_tasks", Help: "Tasks that are active on this gateway.",
		}, func() float64 { return float64(len(x.Tasks())) }))
		if err != nil {
			return nil, errors.New("tasking: register metrics")
		}
	}
	return x, nil
}

// Activate begins a Task. It refuses an XID that is active, an end that has
// passed and a Task without targets.
func (x *Index) Activate(task li.Task) error {
	tap, err := newTap(task, x.clock)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.taps[tap.xid]; ok && old.Live() {
		return ErrExists
	}
	x.taps[tap.xid] = tap
	x.publish()
	return nil
}

// Deactivate ends a Task: when it returns, no further copy is taken.
func (x *Index) Deactivate(xid li.XID) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	tap, ok := x.taps[xid]
	if !ok {
		return ErrUnknown
	}
	tap.dead.Store(true)
	delete(x.taps, xid)
	x.publish()
	return nil
}

// Tasks returns the Tasks that are live now, in the order of their XIDs.
func (x *Index) Tasks() []li.Task {
	x.mu.Lock()
	defer x.mu.Unlock()
	var tasks []li.Task
	for _, xid := range slices.SortedFunc(maps.Keys(x.taps), func(a, b li.XID) int { return slices.Compare(a[:], b[:]) }) {
		if tap := x.taps[xid]; tap.Live() {
			tasks = append(tasks, tap.task)
		}
	}
	return tasks
}

// Match returns the taps on an identity. The slice is shared: read it only. A tap
// in it may have died since; ask Live at each copy.
func (x *Index) Match(id li.Identity) []*Tap { return x.view.Load().byTarget[id] }

// Changed returns a channel that is closed at the next change.
func (x *Index) Changed() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changed
}

// Run drops Tasks at their end until ctx ends, which is no error. Copies stop at
// the end time even when Run does not run: Live looks at the clocks itself.
func (x *Index) Run(ctx context.Context) error {
	for {
		next, changed := x.drop()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// maxSleep bounds how long a step of the wall clock can go unseen by Run.
const maxSleep = 500 * time.Millisecond

// drop removes what has ended and says when to look again.
func (x *Index) drop() (time.Duration, <-chan struct{}) {
	x.mu.Lock()
	next := maxSleep
	var ended []li.XID
	for xid, tap := range x.taps {
		if !tap.Live() {
			ended = append(ended, xid)
			delete(x.taps, xid)
			continue
		}
		next = min(next, tap.left())
	}
	if len(ended) > 0 {
		x.publish()
	}
	changed := x.changed
	x.mu.Unlock()
	for _, xid := range ended {
		x.onEnd(xid)
	}
	return next, changed
}

// publish gives readers a new view. The caller holds mu.
func (x *Index) publish() {
	v := &view{byTarget: make(map[li.Identity][]*Tap, len(x.taps))}
	for _, tap := range x.taps {
		for _, id := range tap.task.Signalling().Targets {
			v.byTarget[id] = append(v.byTarget[id], tap)
		}
	}
	x.view.Store(v)
	close(x.changed)
	x.changed = make(chan struct{})
}

package tasking

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
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

	seed   maphash.Seed
	shards [shardCount]atomic.Pointer[shard] // what readers see; a shard is replaced as a whole

	mu      sync.Mutex // guards the fields below and the replacement of shards; held for map work only
	taps    map[li.XID]*Tap
	changed chan struct{} // closed and replaced at each change
}

// shard is the taps on some of the identities. Neither it nor its slices ever change.
type shard map[li.Identity][]*Tap

// shardCount keeps a change cheap where ten thousand Tasks are active.
const shardCount = 256

// New makes an empty Index.
func New(cfg Config) (*Index, error) {
	x := &Index{
		clock: clock{wall: cfg.Wall, elapsed: cfg.Elapsed}, onEnd: cfg.OnEnd,
		seed: maphash.MakeSeed(), taps: map[li.XID]*Tap{}, changed: make(chan struct{}),
	}
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
	for i := range x.shards {
		x.shards[i].Store(&shard{})
	}
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
	old, ok := x.taps[tap.xid]
	if ok && old.Live() {
		return ErrExists
	}
	if ok {
		x.hide(old)
	}
	x.taps[tap.xid] = tap
	x.show(tap)
	x.tell()
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
	x.hide(tap)
	x.tell()
	return nil
}

// Replace changes a Task that is active: where only the end differs the tap goes on,
// otherwise another takes its place.
func (x *Index) Replace(task li.Task) error {
	next, err := newTap(task, x.clock)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	old, ok := x.taps[next.xid]
	if !ok || !old.Live() {
		return ErrUnknown
	}
	if x1.EqualButEnd(old.Task(), next.Task()) {
		old.hold(next.Task().Signalling())
		x.tell()
		return nil
	}
	old.dead.Store(true)
	x.taps[next.xid] = next
	x.show(next)
	x.hide(old)
	x.tell()
	return nil
}

// Expel ends a tap that readers see, whether the table knows it or not.
func (x *Index) Expel(tap *Tap) {
	x.mu.Lock()
	defer x.mu.Unlock()
	tap.dead.Store(true)
	if x.taps[tap.xid] == tap {
		delete(x.taps, tap.xid)
	}
	x.hide(tap)
	x.tell()
}

// Clear ends all Tasks.
func (x *Index) Clear() {
	for _, tap := range x.Taps() {
		x.Expel(tap)
	}
}

// Tasks returns the Tasks that are live now, in the order of their XIDs.
func (x *Index) Tasks() []li.Task {
	var tasks []li.Task
	for _, tap := range x.Taps() {
		tasks = append(tasks, tap.Task())
	}
	return tasks
}

// Taps returns the taps of the Tasks that are live now, in the order of their XIDs.
func (x *Index) Taps() []*Tap {
	x.mu.Lock()
	defer x.mu.Unlock()
	var taps []*Tap
	for _, xid := range slices.SortedFunc(maps.Keys(x.taps), func(a, b li.XID) int { return slices.Compare(a[:], b[:]) }) {
		if tap := x.taps[xid]; tap.Live() {
			taps = append(taps, tap)
		}
	}
	return taps
}

// Tap returns the live tap of a Task, nil without one.
func (x *Index) Tap(xid li.XID) *Tap {
	x.mu.Lock()
	defer x.mu.Unlock()
	if tap := x.taps[xid]; tap != nil && tap.Live() {
		return tap
	}
	return nil
}

// Shown returns the live taps that the call path can see. It is read from what the call
// path reads and not from the table, so that the two can be compared.
func (x *Index) Shown() []*Tap {
	var taps []*Tap
	seen := map[*Tap]bool{}
	for i := range x.shards {
		for _, of := range *x.shards[i].Load() {
			for _, tap := range of {
				if !seen[tap] && tap.Live() {
					seen[tap] = true
					taps = append(taps, tap)
				}
			}
		}
	}
	return taps
}

// Match returns the taps on an identity. The slice is shared: read it only. A tap
// in it may have died since; ask Live at each copy.
func (x *Index) Match(id li.Identity) []*Tap { return (*x.shard(id).Load())[id] }

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
			x.hide(tap)
			continue
		}
		next = min(next, tap.left())
	}
	if len(ended) > 0 {
		x.tell()
	}
	changed := x.changed
	x.mu.Unlock()
	for _, xid := range ended {
		x.onEnd(xid)
	}
	return next, changed
}

func (x *Index) shard(id li.Identity) *atomic.Pointer[shard] {
	return &x.shards[maphash.Comparable(x.seed, id)%shardCount]
}

// show lets readers find a tap. The caller holds mu.
func (x *Index) show(tap *Tap) {
	for _, id := range tap.Task().Signalling().Targets {
		x.replace(id, func(taps []*Tap) []*Tap { return append(slices.Clip(taps), tap) })
	}
}

// hide takes a tap out of the readers' sight. The caller holds mu.
func (x *Index) hide(tap *Tap) {
	for _, id := range tap.Task().Signalling().Targets {
		x.replace(id, func(taps []*Tap) []*Tap {
			return slices.DeleteFunc(slices.Clone(taps), func(t *Tap) bool { return t == tap })
		})
	}
}

// replace gives readers a new shard in which id has other taps.
func (x *Index) replace(id li.Identity, change func([]*Tap) []*Tap) {
	at := x.shard(id)
	next := maps.Clone(*at.Load())
	if next[id] = change(next[id]); len(next[id]) == 0 {
		delete(next, id)
	}
	at.Store(&next)
}

// tell wakes those who wait for a change. The caller holds mu.
func (x *Index) tell() {
	close(x.changed)
	x.changed = make(chan struct{})
}

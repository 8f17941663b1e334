package sipproxy

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// inboxSize is how many messages may wait for one shard.
const inboxSize = 4096

// event is one message from a peer.
type event struct {
	at   time.Time
	flow flow
	from *peer
	msg  *wire.Message
}

// shard owns everything about its Call-IDs. Whoever holds mu, one goroutine at a time,
// deals with a message wholly before the next one.
type shard struct {
	proxy   *Proxy
	inbox   chan event
	waiting atomic.Int64 // messages in inbox or taken from it and not dealt with
	failed  chan string  // keys of client transactions whose message could not be sent
	wake    *time.Timer

	mu       sync.Mutex // guards the fields below; held while a message or timer is dealt with
	keys     *keyring
	now      time.Time
	timers   timerHeap
	armed    time.Time // when wake is due
	fired    time.Time // when timers were looked at last
	servers  map[string]*serverTx
	clients  map[string]*clientTx
	calls    map[leg]*call
	byCallID map[string][]*call
	lines    map[lineKey]*sharedLine
	todo     []func() // what waits until the message in hand has gone on
	pings    []*ping  // of the peers that this shard asks
	stale    []*call  // whose taps are to be looked up again: a Task came or went
}

// staleATime bounds how many calls are looked up between two messages, so that a
// change of Tasks delays no call.
const staleATime = 64

func newShard(p *Proxy) *shard {
	s := &shard{
		proxy: p, inbox: make(chan event, inboxSize), failed: make(chan string, inboxSize), keys: newKeyring(p.cfg.Secret), wake: time.NewTimer(time.Hour),
		servers: map[string]*serverTx{}, clients: map[string]*clientTx{}, calls: map[leg]*call{}, byCallID: map[string][]*call{}, lines: map[lineKey]*sharedLine{},
	}
	s.armed = time.Now().Add(time.Hour)
	return s
}

// offer deals with a message at once, in the reader's goroutine, where nothing waits
// before it and the reader has nothing else to read; else it queues it. Handing a
// message over wakes another thread, which costs as much as dealing with it.
func (s *shard) offer(ctx context.Context, e event, busy bool) {
	if !busy && s.waiting.Load() == 0 && s.mu.TryLock() {
		if s.waiting.Load() == 0 {
			s.deal(e)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
	s.waiting.Add(1)
	select {
	case s.inbox <- e:
	case <-ctx.Done():
	}
}

// deal takes a message. The caller holds mu.
func (s *shard) deal(e event) {
	s.now = e.at
	s.take(e)
	s.catchUp()
}

// run serves until ctx ends, then frees the calls' media.
func (s *shard) run(ctx context.Context) {
	defer s.wake.Stop()
	defer s.closeCalls()
	changed := s.proxy.cfg.Index.Changed()
	s.locked(func() {
		for _, p := range s.pings {
			s.ask(p)
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = s.proxy.cfg.Index.Changed() // before the look: no change is missed
			s.locked(s.retap)
		case e := <-s.inbox:
			s.locked(func() { s.deal(e) })
			s.waiting.Add(-1)
		case key := <-s.failed:
			s.locked(func() {
				if c := s.clients[key]; c != nil {
					c.transportFailed()
				}
			})
		case <-s.wake.C:
			s.locked(s.tick)
		}
	}
}

// locked does something that is no message.
func (s *shard) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = time.Now()
	do()
	s.catchUp()
}

// retap marks every call for a look at its taps.
func (s *shard) retap() {
	s.stale = s.stale[:0]
	for _, c := range s.calls {
		s.stale = append(s.stale, c)
	}
	s.arm(s.now)
}

// tick does what is due.
func (s *shard) tick() {
	s.fired = s.now
	s.fire(s.now)
	s.lookAgain()
	next := s.now.Add(time.Hour)
	if at, ok := s.timers.next(); ok {
		next = at
	}
	if len(s.stale) > 0 {
		next = s.now
	}
	s.armed = next.Add(time.Hour) // whatever it was, it is over
	s.arm(next)
}

// ticksOfT1 is how exact timers are: a wake-up for each of many thousands would cost
// more than they do.
const ticksOfT1 = 50

// arm sees to it that tick comes at a time, or soon after.
func (s *shard) arm(at time.Time) {
	if soonest := s.fired.Add(s.proxy.cfg.Timers.T1 / ticksOfT1); len(s.stale) == 0 && at.Before(soonest) {
		at = soonest
	}
	if at.Before(s.armed) {
		s.armed = at
		s.wake.Reset(time.Until(at))
	}
}

// later does something once the message or timer in hand is dealt with. Copies are
// taken there: what only tapped calls need must not delay them.
func (s *shard) later(do func()) { s.todo = append(s.todo, do) }

func (s *shard) catchUp() {
	for i, do := range s.todo {
		do()
		s.todo[i] = nil
	}
	s.todo = s.todo[:0]
}

// lookAgain brings the taps of some stale calls up to date: a Task may begin or end
// in the middle of a call.
func (s *shard) lookAgain() {
	n := min(len(s.stale), staleATime)
	for _, c := range s.stale[len(s.stale)-n:] {
		if !c.ended {
			s.refreshTaps(c)
		}
	}
	clear(s.stale[len(s.stale)-n:])
	s.stale = s.stale[:len(s.stale)-n]
}

func (s *shard) take(e event) {
	if e.msg.IsRequest() {
		s.request(e)
		return
	}
	s.response(e)
}

func (s *shard) closeCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		c.closeMedia()
	}
}

// timer is one thing to do later. stop makes it do nothing.
type timer struct {
	at time.Time
	do func() // nil when stopped
}

func (t *timer) stop() {
	if t != nil {
		t.do = nil
	}
}

// after arms a timer.
func (s *shard) after(d time.Duration, do func()) *timer {
	t := &timer{at: time.Now().Add(d), do: do}
	heap.Push(&s.timers, t)
	s.arm(t.at)
	return t
}

// fire does what is due.
func (s *shard) fire(now time.Time) {
	for len(s.timers) > 0 && !s.timers[0].at.After(now) {
		t := heap.Pop(&s.timers).(*timer)
		if do := t.do; do != nil {
			t.do = nil
			s.now = now
			do()
		}
	}
}

// timerHeap orders timers by time.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(*timer)) }

func (h *timerHeap) Pop() any {
	old := *h
	last := len(old) - 1
	t := old[last]
	old[last] = nil
	*h = old[:last]
	return t
}

// next is when the first timer that was not stopped is due. Stopped ones before it are
// dropped.
func (h *timerHeap) next() (at time.Time, ok bool) {
	for len(*h) > 0 {
		if (*h)[0].do != nil {
			return (*h)[0].at, true
		}
		heap.Pop(h)
	}
	return time.Time{}, false
}

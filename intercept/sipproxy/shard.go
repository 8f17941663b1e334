package sipproxy

import (
	"container/heap"
	"context"
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

// shard owns everything about its Call-IDs. Only its own goroutine touches the
// fields below the channels.
type shard struct {
	proxy  *Proxy
	inbox  chan event
	failed chan string // keys of client transactions whose message could not be sent

	keys     *keyring
	now      time.Time
	timers   timerHeap
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
	return &shard{
		proxy: p, inbox: make(chan event, inboxSize), failed: make(chan string, inboxSize), keys: newKeyring(p.cfg.Secret),
		servers: map[string]*serverTx{}, clients: map[string]*clientTx{}, calls: map[leg]*call{}, byCallID: map[string][]*call{}, lines: map[lineKey]*sharedLine{},
	}
}

// run serves until ctx ends, then frees the calls' media.
func (s *shard) run(ctx context.Context) {
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	defer s.closeCalls()
	changed := s.proxy.cfg.Index.Changed()
	for _, p := range s.pings {
		s.ask(p)
	}
	for {
		wait := s.timers.wait(time.Now())
		if len(s.stale) > 0 {
			wait = 0
		}
		wake.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = s.proxy.cfg.Index.Changed() // before the look: no change is missed
			s.now = time.Now()
			s.stale = s.stale[:0]
			for _, c := range s.calls {
				s.stale = append(s.stale, c)
			}
		case e := <-s.inbox:
			s.now = e.at
			s.take(e)
		case key := <-s.failed:
			s.now = time.Now()
			if c := s.clients[key]; c != nil {
				c.transportFailed()
			}
		case <-wake.C:
		}
		s.catchUp()
		s.fire(time.Now())
		s.lookAgain()
		s.catchUp()
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

// wait says how long nothing is due.
func (h timerHeap) wait(now time.Time) time.Duration {
	if len(h) == 0 {
		return time.Hour
	}
	return max(h[0].at.Sub(now), 0)
}

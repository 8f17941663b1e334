package deliver

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// marks is which numbers of each session's counter went out. What a full spool
// refused may go later than what follows it: a highest number alone would take it for
// something that went before.
type marks struct {
	mu  sync.Mutex // guards the fields below, briefly
	all map[uint64]reached
}

// span is consecutive numbers, both ends included.
type span struct{ first, last uint32 }

// reached is the numbers of one session, in order, with room between the spans. It is
// never changed, but replaced.
type reached struct {
	spans []span
	at    time.Time
}

const (
	manyMarks = 100_000   // from so many on, old ones are forgotten
	oldMark   = time.Hour // of which nothing comes any more
	manySpans = 64        // of a session; the oldest is forgotten, which may send it twice
)

func newMarks() *marks { return &marks{all: map[uint64]reached{}} }

func (m *marks) copy() *marks {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &marks{all: maps.Clone(m.all)}
}

func (m *marks) set(k mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(k)
}

func (m *marks) put(k mark) {
	now := time.Now()
	if len(m.all) >= manyMarks {
		maps.DeleteFunc(m.all, func(_ uint64, r reached) bool { return now.Sub(r.at) > oldMark })
	}
	m.all[k.session] = reached{merged(m.all[k.session].spans, k.span), now}
}

// merged returns the spans with one more.
func merged(spans []span, s span) []span {
	all := make([]span, 0, len(spans)+1)
	for _, o := range spans {
		if uint64(o.last)+1 < uint64(s.first) || uint64(s.last)+1 < uint64(o.first) {
			all = append(all, o)
			continue
		}
		s = span{min(o.first, s.first), max(o.last, s.last)}
	}
	at, _ := slices.BinarySearchFunc(all, s, func(a, b span) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	all = slices.Insert(all, at, s)
	return all[max(0, len(all)-manySpans):]
}

// fresh returns those PDUs of a run that did not go out before, and marks them. Such
// that lie between others that did go again with those, and are recognised.
func (m *marks) fresh(r run) []byte {
	if r.session == 0 || r.count == 0 {
		return r.pdus
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	whole, before := span{r.first, r.first + r.count - 1}, uint32(0) // of its numbers, how many at its begin went
	for _, s := range m.all[r.session].spans {
		if s.first <= whole.first && whole.first <= s.last {
			before = min(s.last, whole.last) - whole.first + 1
		}
	}
	if before == r.count {
		return nil
	}
	m.put(mark{r.session, whole})
	pdus := r.pdus
	for range before {
		n, err := etsi.Frame(pdus)
		if err != nil || n > len(pdus) {
			return r.pdus
		}
		pdus = pdus[n:]
	}
	return pdus
}

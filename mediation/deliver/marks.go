package deliver

import (
	"maps"
	"sync"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// marks is how far the counters of sessions go.
type marks struct {
	mu  sync.Mutex // guards the fields below, briefly
	all map[uint64]reached
}

type reached struct {
	number uint32
	at     time.Time
}

const (
	manyMarks = 100_000   // from so many on, old ones are forgotten
	oldMark   = time.Hour // of which nothing comes any more
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
	m.put(k.session, k.number)
}

func (m *marks) put(session uint64, number uint32) {
	now := time.Now()
	if len(m.all) >= manyMarks {
		maps.DeleteFunc(m.all, func(_ uint64, r reached) bool { return now.Sub(r.at) > oldMark })
	}
	m.all[session] = reached{number, now}
}

// fresh returns those PDUs of a run that come behind the mark, and moves it.
func (m *marks) fresh(r run) []byte {
	if r.session == 0 || r.count == 0 {
		return r.pdus
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.all[r.session]
	last := r.first + r.count - 1
	if known && before.number-last < 1<<31 { // numbers wrap
		return nil
	}
	m.put(r.session, last)
	pdus := r.pdus
	if skip := before.number + 1 - r.first; known && skip > 0 && skip < r.count {
		for range skip {
			n, err := etsi.Frame(pdus)
			if err != nil || n > len(pdus) {
				return r.pdus
			}
			pdus = pdus[n:]
		}
	}
	return pdus
}

package tee

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/li/x2x3"
)

// maxMediaBytes is the largest media datagram that is copied; a relay reads no
// larger ones.
const maxMediaBytes = 1600

// slot is one copied packet.
type slot struct {
	turn atomic.Uint64 // whose turn this slot is, see ring
	line *Line
	lost uint32 // copies of the line that were lost before this one
	dir  x2x3.Direction
	at   time.Time
	src  netip.AddrPort
	dst  netip.AddrPort
	size int
	data [maxMediaBytes]byte
}

// ring is a bounded queue for many writers and one reader, after Vyukov: each slot
// carries the turn in which it may be written (turn == position) or read
// (turn == position+1). Neither side waits for the other.
type ring struct {
	slots []slot
	mask  uint64
	head  atomic.Uint64 // next position to write
	tail  uint64        // next position to read; the reader's own
}

// newRing makes a ring of at least n slots. One slot alone could not tell its turns
// apart.
func newRing(n int) *ring {
	size := 2
	for size < n {
		size *= 2
	}
	r := &ring{slots: make([]slot, size), mask: uint64(size - 1)}
	for i := range r.slots {
		r.slots[i].turn.Store(uint64(i))
	}
	return r
}

// claim returns a slot to fill, nil when the ring is full. The writer hands it
// over with publish.
func (r *ring) claim() (*slot, uint64) {
	for {
		pos := r.head.Load()
		s := &r.slots[pos&r.mask]
		switch turn := s.turn.Load(); {
		case turn == pos:
			if r.head.CompareAndSwap(pos, pos+1) {
				return s, pos
			}
		case turn < pos:
			return nil, 0
		}
	}
}

func (s *slot) publish(pos uint64) { s.turn.Store(pos + 1) }

// next returns the oldest filled slot, nil when there is none. The reader gives it
// back with release before it calls next again.
func (r *ring) next() *slot {
	s := &r.slots[r.tail&r.mask]
	if s.turn.Load() != r.tail+1 {
		return nil
	}
	return s
}

func (r *ring) release(s *slot) {
	s.line = nil
	s.turn.Store(r.tail + uint64(len(r.slots)))
	r.tail++
}

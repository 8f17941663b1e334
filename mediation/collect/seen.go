package collect

import (
	"sync"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

const (
	firstStamps = 64      // remembered of a count; doubled where that is not enough
	maxStamps   = 1 << 14 // more than two minutes of both sides' voice
	maxRecalled = 4 << 20 // stamps of all counts together, some 64 MiB
	quietAfter  = 5 * time.Minute
)

// count names what is numbered together (TS 103 221-2 clause 5.3.9).
type count struct {
	element     string
	kind        x2x3.Type
	xid         li.XID
	correlation uint64
	did, ipid   string
}

// stamp tells one PDU of a count from all others; nano 0 is none.
type stamp struct {
	seq  uint32
	nano int64
}

// history is the newest stamps of a count, by number.
type history struct {
	stamps []stamp
	used   time.Time
}

// seen remembers what is stored, so that what an element sends again after a lost
// connection, for want of an answer, is not stored twice. A PDU counts as known only
// if number and time are the same: nothing else is ever dropped.
type seen struct {
	now func() time.Time

	mu       sync.Mutex // guards the fields below, briefly
	counts   map[count]*history
	recalled int // stamps of all counts
}

func newSeen(now func() time.Time) *seen { return &seen{now: now, counts: map[count]*history{}} }

// stored is a PDU that will be known once it is stored.
type stored struct {
	count count
	stamp stamp
}

// of names a PDU; ok is false for one that cannot be told from others.
func (s *seen) of(e *Element, p *x2x3.PDU) (st stored, ok bool) {
	st = stored{count{element: e.ID, kind: p.Type, xid: p.XID, correlation: p.Correlation}, stamp{p.Sequence, p.Time.UnixNano()}}
	if p.Extra != nil {
		st.count.did, st.count.ipid = p.Extra.DID, p.Extra.IPID
	}
	return st, p.HasSequence
}

// knows reports whether a PDU is stored already.
func (s *seen) knows(st stored) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.counts[st.count]
	return h != nil && h.stamps[int(st.stamp.seq)%len(h.stamps)] == st.stamp
}

// remember is called once PDUs are stored.
func (s *seen) remember(all []stored) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range all {
		h := s.counts[all[i].count]
		if h == nil {
			h = &history{stamps: make([]stamp, firstStamps)}
			s.counts[all[i].count] = h
			s.recalled += firstStamps
		}
		h.used = now
		s.recalled += h.put(all[i].stamp)
	}
	if s.recalled > maxRecalled {
		s.forget(now)
	}
}

// put keeps a stamp and returns by how many the history grew.
func (h *history) put(st stamp) (grown int) {
	for {
		slot := &h.stamps[int(st.seq)%len(h.stamps)]
		if slot.nano == 0 || slot.seq == st.seq || len(h.stamps) == maxStamps {
			*slot = st
			return grown
		}
		old := h.stamps
		h.stamps = make([]stamp, 2*len(old))
		for _, o := range old {
			h.stamps[int(o.seq)%len(h.stamps)] = o
		}
		grown += len(old)
	}
}

// forget drops the counts that are quiet; all, where that is not enough. mu is held.
func (s *seen) forget(now time.Time) {
	for c, h := range s.counts {
		if now.Sub(h.used) >= quietAfter {
			s.recalled -= len(h.stamps)
			delete(s.counts, c)
		}
	}
	if s.recalled > maxRecalled/2 {
		clear(s.counts)
		s.recalled = 0
	}
}

package correlate

import (
	"encoding/binary"
	"slices"
)

// newTracker goes on where a session stands: last is the highest number of the tap that
// is committed, -1 = none, and stored its window then. So what came twice before a
// crash is known after it, and the records behind it get the numbers that they had. A
// window that cannot be read is an empty one.
func newTracker(last int64, stored []byte) tracker {
	t := tracker{last: last}
	for seq, nano := uint64(0), int64(0); len(stored) > 0; {
		ahead, n := binary.Uvarint(stored)
		later, m := binary.Varint(stored[max(n, 0):])
		if n <= 0 || m <= 0 {
			return tracker{last: last}
		}
		seq, nano, stored = seq+ahead, nano+later, stored[n+m:]
		if t.seen == nil {
			t.seen = new([window]stamp)
		}
		t.seen[seq%window] = stamp{uint32(seq), nano} //nolint:gosec // as it was stored
	}
	return t
}

// window is what the tracker remembers, for newTracker: each number less the one
// before, and its time less the time before.
func (t *tracker) window() []byte {
	if t.seen == nil {
		return nil
	}
	stamps := slices.DeleteFunc(slices.Clone(t.seen[:]), func(s stamp) bool { return s.nano == 0 })
	slices.SortFunc(stamps, func(a, b stamp) int { return int(int64(a.seq) - int64(b.seq)) })
	var b []byte
	var before stamp
	for _, s := range stamps {
		b = binary.AppendUvarint(b, uint64(s.seq-before.seq))
		b = binary.AppendVarint(b, s.nano-before.nano)
		before = s
	}
	return b
}

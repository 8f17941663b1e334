package correlate

import "github.com/ligate/ligate/mediation/evidence"

// taken reports, after a conflict, whether somebody else committed messages of our
// buses: more than our earlier attempt can have, if it succeeded unseen. What this
// run holds in memory then no longer follows on what is stored, and it must end: it
// was paused, and another process owns the partition, or it is the new owner and the
// old one has woken up. Messages of a bus that this run never saw are no such sign:
// two gateways' buses may carry one call.
func (w *worker) taken(before, now *evidence.Progress, s *session) bool {
	for _, bus := range w.desk.buses() {
		for _, st := range []*stream{s.iri, s.cc} {
			is := now.Position(bus, st.kind)
			ours := now.Segments == before.Segments+1 && len(st.waiting) > 0 && st.waiting[0].sealed != nil && st.waiting[0].position(bus) == is
			if is != before.Position(bus, st.kind) && !ours {
				return true
			}
		}
	}
	return false
}

// position is how far the batch covers a bus; 0 = not at all.
func (b *batch) position(bus string) uint64 {
	for _, pos := range b.through() {
		if pos.Bus == bus {
			return pos.Seq
		}
	}
	return 0
}

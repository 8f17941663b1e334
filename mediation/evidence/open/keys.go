package open

import (
	"encoding/binary"
	"slices"
	"time"
)

// Key is a pressed key that came as a telephone event (RFC 4733) and not as sound.
type Key struct {
	Key        string    `json:"key"`
	Time       time.Time `json:"time"` // of the first packet that tells of it
	DurationMS int64     `json:"duration_ms"`
}

const (
	telephoneEvent = "TELEPHONE-EVENT/8000"
	keyNames       = "0123456789*#ABCD" // events 0 to 15
)

// keys lists the keys of a run. All packets of one event have one timestamp; the
// duration grows from packet to packet.
func (r *run) keys() (all []Key) {
	places := map[uint32]int{} // in all, by timestamp
	for _, p := range r.packets {
		if p.codec != telephoneEvent || len(p.payload) < 4 || int(p.payload[0]) >= len(keyNames) {
			continue
		}
		at, known := places[p.stamp]
		if !known {
			at = len(all)
			places[p.stamp] = at
			all = append(all, Key{Key: keyNames[p.payload[0] : p.payload[0]+1], Time: p.at})
		}
		all[at].DurationMS = max(all[at].DurationMS, int64(binary.BigEndian.Uint16(p.payload[2:]))*1000/sampleRate)
	}
	return all
}

func sortKeys(all []Key) {
	slices.SortStableFunc(all, func(a, b Key) int { return a.Time.Compare(b.Time) })
}

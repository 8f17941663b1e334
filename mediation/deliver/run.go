package deliver

import (
	"encoding/binary"
	"errors"
	"time"
)

// run is consecutive PS-PDUs of one session and kind, as it stands on the spool. It
// lets a link see what it sent already without reading the PDUs.
type run struct {
	session uint64 // hash of (LIID, CIN, kind); 0 = PDUs without such a number
	first   uint32 // number of the first PDU
	count   uint32 // how many PDUs
	sealed  bool   // each in an encryption container
	at      int64  // when the first was intercepted, Unix nanoseconds; 0 = it was not
	pdus    []byte
}

// sealedRun is the bit of count that says that the PDUs are sealed.
const sealedRun = 1 << 31

// runHead is the octets before a run's PDUs.
//
//	 0         8       12      16     24       28
//	+---------+-------+-------+------+--------+------
//	| session | first | count | at   | length | PDUs
//	+---------+-------+-------+------+--------+------
const runHead = 28

var errRun = errors.New("deliver: a message on the spool is malformed")

// beginRun appends a head, to be completed by endRun once the PDUs stand behind it.
func beginRun(dst []byte, session uint64, first, count uint32, at time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, session)
	dst = binary.BigEndian.AppendUint32(dst, first)
	dst = binary.BigEndian.AppendUint32(dst, count)
	nano := uint64(0)
	if !at.IsZero() {
		nano = uint64(at.UnixNano()) //nolint:gosec // read back the same way
	}
	dst = binary.BigEndian.AppendUint64(dst, nano)
	return binary.BigEndian.AppendUint32(dst, 0)
}

// endRun completes the head that begins at start.
func endRun(b []byte, start int) {
	binary.BigEndian.PutUint32(b[start+runHead-4:], uint32(len(b)-start-runHead)) //nolint:gosec // a message is below 1 MiB
}

// nextRun reads the first run of b and returns what follows. PDUs alias b.
func nextRun(b []byte) (r run, rest []byte, err error) {
	if len(b) < runHead {
		return run{}, nil, errRun
	}
	n := binary.BigEndian.Uint32(b[24:])
	if uint64(n) > uint64(len(b)-runHead) {
		return run{}, nil, errRun
	}
	count := binary.BigEndian.Uint32(b[12:])
	return run{
		session: binary.BigEndian.Uint64(b), first: binary.BigEndian.Uint32(b[8:]), count: count &^ sealedRun, sealed: count&sealedRun != 0,
		at:   int64(binary.BigEndian.Uint64(b[16:])), //nolint:gosec // see beginRun
		pdus: b[runHead : runHead+n : runHead+n],
	}, b[runHead+n:], nil
}

// setCount completes how many PDUs the run that begins at start has, and whether they
// are sealed.
func setCount(b []byte, start int, count uint32, sealed bool) {
	if sealed {
		count |= sealedRun
	}
	binary.BigEndian.PutUint32(b[start+12:], count)
}

package bus

import "errors"

// Errors of the bus.
var (
	ErrFull      = errors.New("bus: the store is full: mediation is behind, or bus.max_bytes is too small")
	ErrStopped   = errors.New("bus: not running")
	ErrKind      = errors.New("bus: only X2 and X3 travel here")
	ErrPartition = errors.New("bus: no such partition")
	ErrStart     = errors.New("bus: the server did not open its files: are they whole, and is the bus key the one they were written with?")
)

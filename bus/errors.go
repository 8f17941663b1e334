package bus

import "errors"

// Errors of the bus.
var (
	ErrFull      = errors.New("bus: the store is full: mediation is behind, or bus.max_bytes is too small")
	ErrStopped   = errors.New("bus: not running")
	ErrKind      = errors.New("bus: only X2 and X3 travel here")
	ErrSealed    = errors.New("bus: a message does not open: is bus.key the same on every node, and was the message put there by one of them?")
	ErrKey       = errors.New("bus: the cluster's stream was made with another bus.key: copy data_dir/secrets/bus.key to every node")
	ErrPartition = errors.New("bus: no such partition")
	ErrStart     = errors.New("bus: the server did not open its files: are they whole, and is the bus key the one they were written with?")
)

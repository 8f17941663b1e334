package bus

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

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

// Codes of JetStream that say that there is no room: the stream's limit or the disk,
// the account's storage, the server's resources.
const (
	codeStoreFailed  = 10077
	codeStorageLimit = 10047
	codeResources    = 10023
)

// isFull tells a lack of room from other trouble, which passes.
func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == codeStoreFailed || api.ErrorCode == codeStorageLimit || api.ErrorCode == codeResources)
}

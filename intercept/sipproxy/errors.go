package sipproxy

import "errors"

// Errors of New.
var (
	ErrConfig = errors.New("sipproxy: Log, Secret of 32 octets, Relay, Index, Tee, listeners and peers are required")
	ErrListen = errors.New("sipproxy: a listener needs net udp or tcp and a concrete address")
	ErrPeer   = errors.New("sipproxy: a peer needs a unique name, a role, and a net and address family that a listener serves")
)

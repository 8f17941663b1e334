package sipproxy

import "errors"

// Errors of New.
var (
	ErrConfig = errors.New("sipproxy: Log, Secret of 32 octets, Relay, Index, Tee, listeners and peers are required")
	ErrListen = errors.New("sipproxy: a listener needs net udp, tcp or tls and a concrete address")
	ErrTLS    = errors.New("sipproxy: TLS listeners and peers known by certificate need the gateway's own certificate and net tls")
	ErrPeer   = errors.New("sipproxy: a peer needs a unique name, a role, and either a name or an address that a listener serves")
)

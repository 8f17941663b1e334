package export

import "errors"

// errConfig says what an Exporter needs.
var errConfig = errors.New("export: want Bus, X2, X3, TLS and Log, and times that are not negative")

// reason is why there is no connection any more, as figures and logs name it.
type reason string

const (
	reasonDial       reason = "dial"
	reasonHandshake  reason = "handshake" // a certificate that is not the pinned one, most often
	reasonClosed     reason = "closed"    // by the MDF or the network
	reasonWrite      reason = "write"     // the MDF does not read
	reasonUnanswered reason = "unanswered"
	reasonForeign    reason = "foreign" // the MDF sent what is no answer to a keep-alive of ours
	reasonStopped    reason = "stopped"
)

func reasons() []reason {
	return []reason{reasonDial, reasonHandshake, reasonClosed, reasonWrite, reasonUnanswered, reasonForeign, reasonStopped}
}

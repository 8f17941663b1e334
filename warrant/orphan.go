package warrant

import (
	"time"

	"github.com/ligate/ligate/li"
)

// OrphanKind says why a tap has no order.
type OrphanKind string

// The kinds.
const (
	OrphanRogue    OrphanKind = "rogue"    // no warrant orders it
	OrphanUnlisted OrphanKind = "unlisted" // at work without standing in the gateway's table
	OrphanAltered  OrphanKind = "altered"  // a warrant's XID with other targets, scope or end
	OrphanExpired  OrphanKind = "expired"  // its end has passed and it runs
	OrphanUnproven OrphanKind = "unproven" // its warrant is in the tables and not on the audit log
)

// Orphan is a tap that was found without an order, frozen as it was found: what it
// was, where it went, since when. It names no target.
type Orphan struct {
	Gateway       string // empty for an unproven warrant
	XID           li.XID
	Kind          OrphanKind
	Media         bool
	Targets       []string // keyed hashes, hexadecimal
	Destinations  []string // DIDs or addresses; none = the gateway's own bus
	Until         time.Time
	Since         time.Time // when the gateway began it, as it says; zero = not told
	LastIntercept time.Time // when it copied last; zero = never, or not told
	X2, X3        int64     // octets copied, as the gateway says
	FoundAt       time.Time
	RemovedAt     time.Time // zero = not yet
}

package sipproxy

import (
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
)

// Side is where media comes from.
type Side uint8

// The sides. The zero value is invalid.
const (
	Access Side = iota + 1 // subscribers
	Trunk
)

func (s Side) other() Side { return Access + Trunk - s }

// Relay carries media. It must be safe for concurrent use: each shard opens
// sessions of its own.
type Relay interface {
	// Open begins the media of one bridged call whose sides speak IPv6 or not. An
	// error refuses the call.
	Open(ipv6 Families) (MediaSession, error)
}

// Families says which sides speak IPv6.
type Families struct{ Access, Trunk bool }

// MediaSession is the media of one call. One goroutine at a time uses it.
type MediaSession interface {
	// Stream returns the i-th media line's stream, made at first use.
	Stream(i int) (MediaStream, error)
	// SetTaps replaces the rights to copy; none for an untapped call.
	SetTaps(taps []ContentTap)
	// LastMedia is when a packet came last, the zero time for never.
	LastMedia() time.Time
	// Close frees the ports.
	Close()
}

// MediaStream is one media line.
type MediaStream interface {
	// Anchor is where the peer on that side must send.
	Anchor(s Side) (rtp, rtcp netip.AddrPort)
	// SetRemote says where the peer on that side wants media. An invalid rtcp means
	// the port after rtp's. The same address again must disturb nothing.
	SetRemote(s Side, rtp, rtcp netip.AddrPort)
}

// ContentTap is a right to copy a call's media.
type ContentTap struct {
	Line   *tee.Line
	Grant  *tasking.MediaGrant
	Target Side // packets that arrive from here are the target's
}

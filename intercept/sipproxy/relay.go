package sipproxy

import (
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
)

// side is where media comes from, with the relay's values.
type side uint8

const (
	access side = iota + 1 // subscribers
	trunk
)

func (s side) other() side { return access + trunk - s }

// relay carries media. intercept/media implements it, through the adapter below;
// tests have one that hands out addresses.
type relay interface {
	open() (mediaSession, error)
}

// mediaSession is the media of one call. It is used by one goroutine.
type mediaSession interface {
	// stream returns the i-th media line's stream, made at first use.
	stream(i int) (mediaStream, error)
	setTaps(taps []contentTap)
	lastMedia() time.Time
	close()
}

// mediaStream is one media line.
type mediaStream interface {
	// anchor is where the peer on that side must send.
	anchor(s side) (rtp, rtcp netip.AddrPort)
	// setRemote says where the peer on that side wants media.
	setRemote(s side, rtp, rtcp netip.AddrPort)
}

// contentTap is a right to copy a call's media.
type contentTap struct {
	line   *tee.Line
	grant  *tasking.MediaGrant
	target side
}

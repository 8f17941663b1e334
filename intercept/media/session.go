package media

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
)

// Errors of a session.
var (
	ErrClosed = errors.New("media: the session is closed")
	ErrStream = errors.New("media: no such stream: at most 16 a call")
)

const maxStreams = 16

// Tapping copies a session's media under one Task.
type Tapping struct {
	Line   *tee.Line
	Grant  *tasking.MediaGrant
	Target Side // packets from this side are from the target
}

// Session is the media of one dialog.
type Session struct {
	relay  *Relay
	thread *thread
	addr   [3]netip.Addr // by Side
	opened time.Time
	taps   atomic.Pointer[[]Tapping] // read by the relay thread at each packet
	last   atomic.Int64              // Unix nanoseconds of the last packet

	mu      sync.Mutex // guards the fields below
	streams []*Stream
	closed  bool
}

// Stream is one m= line: an RTP and an RTCP port on each side.
type Stream struct {
	ends [3][2]*end // by Side, then RTP and RTCP
}

// Stream returns the i-th stream; its ports are taken at the first use.
func (s *Session) Stream(i int) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if i < 0 || i >= maxStreams {
		return nil, ErrStream
	}
	for len(s.streams) <= i {
		s.streams = append(s.streams, nil)
	}
	if s.streams[i] != nil {
		return s.streams[i], nil
	}
	st := &Stream{}
	for _, side := range []Side{Access, Trunk} {
		pair, err := s.bindPair(side)
		if err != nil {
			s.release(st)
			return nil, err
		}
		st.ends[side] = pair
	}
	for i := range st.ends[Access] {
		st.ends[Access][i].peer, st.ends[Trunk][i].peer = st.ends[Trunk][i], st.ends[Access][i]
	}
	for _, side := range []Side{Access, Trunk} {
		for _, e := range st.ends[side] {
			if err := s.thread.watch(e.fd, e); err != nil {
				s.release(st)
				return nil, err
			}
		}
	}
	s.streams[i] = st
	return st, nil
}

// bindTries is how many pairs are tried when somebody else holds a port.
const bindTries = 20

func (s *Session) bindPair(side Side) ([2]*end, error) {
	var last error
	for range bindTries {
		port, err := s.relay.ports[s.addr[side]].take()
		if err != nil {
			return [2]*end{}, err
		}
		rtp, err := bind(s, side, port)
		if err == nil {
			var rtcp *end
			if rtcp, err = bind(s, side, port+1); err == nil {
				return [2]*end{rtp, rtcp}, nil
			}
			rtp.close()
		}
		s.relay.ports[s.addr[side]].give(port)
		last = err
	}
	return [2]*end{}, fmt.Errorf("media: bind ports: %w", last)
}

// release closes a stream's sockets and gives its ports back.
func (s *Session) release(st *Stream) {
	for _, side := range []Side{Access, Trunk} {
		pair := st.ends[side]
		if pair[0] == nil {
			continue
		}
		for _, e := range pair {
			s.thread.remove(e)
		}
		s.relay.ports[s.addr[side]].give(int(pair[0].local.Port()))
	}
}

// Anchor is where the peer on that side has to send.
func (st *Stream) Anchor(side Side) (rtp, rtcp netip.AddrPort) {
	return st.ends[side][0].local, st.ends[side][1].local
}

// SetRemote says where the peer on that side wants its media, as its SDP says. An
// invalid rtcp is the port after rtp. The same address again changes nothing; a
// new one unlocks the side. A zero rtp (hold, rejected) stops sending there.
func (st *Stream) SetRemote(side Side, rtp, rtcp netip.AddrPort) {
	if !rtcp.IsValid() && rtp.IsValid() {
		rtcp = netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
	}
	st.ends[side][0].negotiate(rtp)
	st.ends[side][1].negotiate(rtcp)
}

// SetTaps replaces the tappings. It takes effect with the next packet.
func (s *Session) SetTaps(taps []Tapping) {
	own := append([]Tapping{}, taps...)
	s.taps.Store(&own)
}

// LastMedia is when the last packet was relayed, or when the session was opened.
func (s *Session) LastMedia() time.Time {
	if n := s.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return s.opened
}

// Close frees the ports. It may be called more than once.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, st := range s.streams {
		if st != nil {
			s.release(st)
		}
	}
	s.relay.mu.Lock()
	delete(s.relay.sessions, s)
	s.relay.mu.Unlock()
}

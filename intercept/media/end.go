package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// end is one port of one side of one stream. Its bound socket hears everybody;
// once the side is locked a second socket on the same port, connected to the locked
// source, carries the call (cheaper in the kernel), and the first hears strangers
// only. The end's thread reads and sends; signalling changes only route.
type end struct {
	session *Session
	side    Side
	fd      int // bound
	local   netip.AddrPort
	peer    *end
	route   atomic.Pointer[route]
	gone    atomic.Bool // removed; the thread closes the sockets
	ssrc    uint32      // of the last RTP packet; of the thread
	heard   bool        // ssrc is set

	mu sync.Mutex // guards changes of route
}

// route is where an end's remote peer is. It is immutable.
type route struct {
	negotiated netip.AddrPort // from SDP
	locked     netip.AddrPort // where its packets come from; zero = not yet
	to         target         // where packets for it go; zero = nowhere
	flow       int            // the connected socket; noSocket when there is none
}

const noSocket = -1

func bind(s *Session, side Side, port int) (*end, error) {
	local := netip.AddrPortFrom(s.addr[side], uint16(port))
	family := unix.AF_INET
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("media: make socket: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(local)); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("media: bind: %w", err)
	}
	e := &end{session: s, side: side, fd: fd, local: local}
	e.route.Store(&route{flow: noSocket})
	return e, nil
}

func (e *end) close() {
	_ = unix.Close(e.fd)
	if flow := e.route.Load().flow; flow != noSocket {
		_ = unix.Close(flow)
	}
}

// negotiate takes what the SDP says. A changed address forgets the lock.
func (e *end) negotiate(addr netip.AddrPort) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.route.Load()
	if old.negotiated == addr {
		return
	}
	r := &route{negotiated: addr, flow: noSocket}
	if addr.IsValid() && addr.Port() != 0 && !addr.Addr().IsUnspecified() {
		r.to = targetOf(addr)
	}
	e.route.Store(r)
	if old.flow != noSocket {
		e.session.thread.retire(old.flow)
	}
}

// accept decides whether a packet from src is the call's, and locks the side at
// the first that is. Another source than the negotiated one is believed only where
// the negotiated one cannot be reached at all: a private address, as a phone behind
// a NAT writes into its SDP, on the access side, and only with RTP or RTCP. Whoever
// negotiated a public address cannot be robbed of the call (RTPBleed).
func (e *end) accept(src netip.AddrPort, packet []byte) bool {
	r := e.route.Load()
	if r.locked.IsValid() {
		return src == r.locked
	}
	if !r.negotiated.IsValid() {
		return false
	}
	rtp := len(packet) >= 8 && packet[0]>>6 == 2
	if src.Addr() != r.negotiated.Addr() && (e.side != Access || !rtp || !unreachable(r.negotiated.Addr())) {
		return false
	}
	return e.lock(r, src)
}

// lock binds the side to a source. It reports false when signalling was faster.
func (e *end) lock(r *route, src netip.AddrPort) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.route.Load() != r {
		return false
	}
	next := &route{negotiated: r.negotiated, locked: src, to: targetOf(src), flow: noSocket}
	if flow, err := e.connect(src); err == nil { // else the bound socket goes on alone
		next.flow = flow
	}
	e.route.Store(next)
	return true
}

// connect opens the second socket on the end's port. SO_REUSEPORT stands only while
// it is made, so that nobody else can share the port.
func (e *end) connect(src netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if e.local.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return noSocket, fmt.Errorf("media: make socket: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	if err == nil {
		err = unix.Bind(fd, sockaddr(e.local))
	}
	err = errors.Join(err, unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0))
	if err == nil {
		err = unix.Connect(fd, sockaddr(src))
	}
	if err == nil {
		err = e.session.thread.watch(fd, e)
	}
	if err != nil {
		_ = unix.Close(fd)
		return noSocket, fmt.Errorf("media: connect: %w", err)
	}
	return fd, nil
}

// watchSource counts changes of the synchronisation source (RFC 3550 clause 8). A
// transfer or music on hold changes it rightly, so the packet passes; a source that
// changes to and fro is somebody who forges the locked address.
func (e *end) watchSource(packet []byte) {
	if len(packet) < rtpHeaderBytes || packet[0]>>6 != 2 || rtcpType(packet[1]) {
		return
	}
	ssrc := binary.BigEndian.Uint32(packet[8:])
	if e.heard && ssrc != e.ssrc {
		e.session.relay.counts.sources.Add(1)
	}
	e.ssrc, e.heard = ssrc, true
}

const rtpHeaderBytes = 12

// rtcpType tells RTCP from RTP where both share a port (RFC 5761 clause 4).
func rtcpType(second byte) bool { return second >= 192 && second <= 223 }

// unreachable reports whether an address means nothing outside its own network
// (RFC 1918, RFC 4193, RFC 6598, link-local).
func unreachable(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || shared.Contains(a)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if addr := a.Addr().Unmap(); addr.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: addr.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// target is a socket address as the kernel reads it.
type target struct {
	raw  unix.RawSockaddrInet6 // or a RawSockaddrInet4 in its place
	size uint32
}

func targetOf(a netip.AddrPort) (t target) {
	if addr := a.Addr().Unmap(); addr.Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&t.raw))
		v4.Family, v4.Port, v4.Addr = unix.AF_INET, swap(a.Port()), addr.As4()
		t.size = unix.SizeofSockaddrInet4
		return t
	}
	t.raw.Family, t.raw.Port, t.raw.Addr = unix.AF_INET6, swap(a.Port()), a.Addr().As16()
	t.size = unix.SizeofSockaddrInet6
	return t
}

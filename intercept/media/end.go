package media

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// end is one bound socket: one port of one side of one stream. Its thread reads
// and sends; signalling changes only route.
type end struct {
	session *Session
	side    Side
	fd      int
	local   netip.AddrPort
	peer    *end
	route   atomic.Pointer[route]
	gone    atomic.Bool // removed; the thread closes the socket
}

// route is where an end's remote peer is. It is immutable.
type route struct {
	negotiated netip.AddrPort // from SDP
	locked     netip.AddrPort // where its packets come from; zero = not yet
	to         unix.Sockaddr  // where packets for it go; nil = nowhere
}

func bind(s *Session, side Side, port int) (*end, error) {
	local := netip.AddrPortFrom(s.relay.addr[side], uint16(port))
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
	e.route.Store(&route{})
	return e, nil
}

func (e *end) close() { _ = unix.Close(e.fd) }

// negotiate takes what the SDP says. A changed address forgets the lock.
func (e *end) negotiate(addr netip.AddrPort) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if e.route.Load().negotiated == addr {
		return
	}
	r := &route{negotiated: addr}
	if addr.IsValid() && addr.Port() != 0 && !addr.Addr().IsUnspecified() {
		r.to = sockaddr(addr)
	}
	e.route.Store(r)
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
	return e.route.CompareAndSwap(r, &route{negotiated: r.negotiated, locked: src, to: sockaddr(src)})
}

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

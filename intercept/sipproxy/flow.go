package sipproxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// socket is one listener.
type socket struct {
	net    string // one of the nets below
	local  netip.AddrPort
	sentBy string // host:port as it stands in Via
	via    string // "SIP/2.0/UDP host:port"
	udp    *net.UDPConn
	tcp    *net.TCPListener
	pool   *pool // TCP or TLS connections
}

const (
	netUDP = "udp"
	netTCP = "tcp"
	netTLS = "tls"
)

const socketBuffer = 4 << 20 // octets that may wait in the kernel

func openSocket(ctx context.Context, l Listen) (*socket, error) {
	s := &socket{net: l.Net, pool: newPool()}
	var lc net.ListenConfig
	if l.Net == netUDP {
		pc, err := lc.ListenPacket(ctx, "udp", l.Addr.String())
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		s.udp = pc.(*net.UDPConn)
		// The kernel may grant less; that is no reason not to serve.
		_ = s.udp.SetReadBuffer(socketBuffer)
		_ = s.udp.SetWriteBuffer(socketBuffer)
		s.local = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	} else {
		ln, err := lc.Listen(ctx, "tcp", l.Addr.String())
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		s.tcp = ln.(*net.TCPListener)
		s.local = s.tcp.Addr().(*net.TCPAddr).AddrPort()
	}
	s.local = netip.AddrPortFrom(s.local.Addr().Unmap(), s.local.Port())
	s.sentBy = s.local.String()
	s.via = "SIP/2.0/" + strings.ToUpper(s.net) + " " + s.sentBy
	return s, nil
}

func (s *socket) close() {
	if s.udp != nil {
		_ = s.udp.Close()
	}
	if s.tcp != nil {
		_ = s.tcp.Close()
	}
}

// reliable reports whether the transport retransmits by itself.
func (s *socket) reliable() bool { return s.tcp != nil }

// is reports whether a host and port name this socket.
func (s *socket) is(host string, port uint16) bool {
	if port == 0 {
		port = portOf(s.net)
	}
	return port == s.local.Port() && hostAddr(host) == s.local.Addr()
}

const (
	defaultPort    = 5060
	defaultTLSPort = 5061
)

// portOf is where a transport is spoken when nobody says where.
func portOf(network string) uint16 {
	if network == netTLS {
		return defaultTLSPort
	}
	return defaultPort
}

// hostAddr reads an address as it stands in a URI, invalid for a name.
func hostAddr(host string) netip.Addr {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// flow is how a message came or goes: a socket, the far address and, over TCP, the
// connection if there is one.
type flow struct {
	sock   *socket
	remote netip.AddrPort
	conn   *conn
}

// back is where responses to a request go (RFC 3261 clause 18.2.2, RFC 3581).
func (f flow) back(m *wire.Message) flow {
	if m.TopVia.HasRPort && !f.sock.reliable() {
		return f
	}
	port := m.TopVia.Port
	if port == 0 {
		port = portOf(f.sock.net)
	}
	f.remote = netip.AddrPortFrom(f.remote.Addr(), port)
	return f
}

// failure names the client transaction that must hear when a message could not be
// sent. The zero value means nobody.
type failure struct {
	shard *shard
	key   string
}

// send hands a message to the network. It never blocks: UDP drops, a TCP
// connection that does not take its octets is closed.
func (p *Proxy) send(f flow, b []byte, fail failure) {
	if len(b) == 0 {
		return
	}
	ok := true
	if f.sock.udp != nil {
		_, err := f.sock.udp.WriteToUDPAddrPort(b, f.remote)
		ok = err == nil
	} else {
		ok = f.sock.pool.send(f, b, fail)
	}
	if !ok {
		p.metrics.reject(rejectSend)
		fail.tell()
	}
}

// tell lets the shard know without waiting for it: the shard itself may call.
func (f failure) tell() {
	if f.shard == nil {
		return
	}
	select {
	case f.shard.failed <- f.key:
	default: // the transaction's timer B or F does it later
	}
}

// socketFor picks the listener towards an address: of several that could, the one
// whose address the kernel would send from.
func (p *Proxy) socketFor(network string, addr netip.Addr) *socket {
	var found []*socket
	for _, s := range p.sockets {
		if s.net == network && s.local.Addr().Is4() == addr.Is4() {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > 1 {
		local := sourceTowards(addr)
		for _, s := range found {
			if s.local.Addr() == local {
				return s
			}
		}
		for _, s := range found {
			if s.local.Addr().IsLoopback() == addr.IsLoopback() {
				return s
			}
		}
	}
	return found[0]
}

// sourceTowards asks the kernel; nothing is sent.
func sourceTowards(addr netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, defaultPort)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// mine reports whether host and port name one of the proxy's sockets.
func (p *Proxy) mine(host string, port uint16) bool {
	for _, s := range p.sockets {
		if s.is(host, port) {
			return true
		}
	}
	return false
}

// routeURI is the proxy's own Record-Route value for a socket.
func routeURI(s *socket, scheme, cookie string) string {
	if scheme != "sips" {
		scheme = "sip" // a tel: or urn: request is routed alike
	}
	transport := ""
	if s.net != netUDP && scheme == "sip" {
		transport = ";transport=" + s.net
	}
	host := s.local.Addr().String()
	if s.local.Addr().Is6() {
		host = "[" + host + "]"
	}
	return "<" + scheme + ":" + host + ":" + strconv.Itoa(int(s.local.Port())) + transport + ";lr;" + cookieParam + "=" + cookie + ">"
}

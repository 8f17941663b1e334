package sipproxy

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// serveUDP reads datagrams until ctx ends.
func (p *Proxy) serveUDP(ctx context.Context, s *socket) error {
	buf := make([]byte, wire.MaxMessageBytes)
	for {
		begun := time.Now()
		n, src, err := s.udp.ReadFromUDPAddrPort(buf)
		read := reading{at: time.Now()}
		read.busy = read.at.Sub(begun) < waitedFor
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sipproxy: read UDP: %w", err)
		}
		if keepAlive(buf[:n]) {
			continue
		}
		src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
		f := flow{sock: s, remote: src}
		// What is wrong with a datagram was counted; the socket lives on.
		_ = p.receive(ctx, f, p.peers.bySource(src), bytes.Clone(buf[:n]), read)
	}
}

// waitedFor is how long a read takes at least that had to wait for its datagram.
const waitedFor = 10 * time.Microsecond

// keepAlive reports whether a datagram only keeps a NAT binding open.
func keepAlive(b []byte) bool { return len(bytes.Trim(b, "\r\n\x00 ")) == 0 }

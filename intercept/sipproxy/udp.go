package sipproxy

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// serveUDP reads datagrams until ctx ends.
func (p *Proxy) serveUDP(ctx context.Context, s *socket) error {
	buf := make([]byte, wire.MaxMessageBytes)
	for {
		n, src, err := s.udp.ReadFromUDPAddrPort(buf)
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
		_ = p.receive(ctx, f, p.peers.bySource(src), bytes.Clone(buf[:n]))
	}
}

// keepAlive reports whether a datagram only keeps a NAT binding open.
func keepAlive(b []byte) bool { return len(bytes.Trim(b, "\r\n\x00 ")) == 0 }

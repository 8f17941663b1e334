package media

import (
	"net/netip"
	"testing"
)

// FuzzPacket gives a port whatever may arrive, from anywhere: a locked side stays
// locked, and an unlocked one with a public address is locked by that address only.
func FuzzPacket(f *testing.F) {
	f.Add([]byte{0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9}, uint32(0xc0000201), uint16(4000), true)
	f.Add([]byte{0x80, 200, 0, 6, 0, 0, 0, 1}, uint32(0x0a000001), uint16(4001), false)
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, uint32(0x7f000001), uint16(1), false)
	negotiated := netip.MustParseAddrPort("192.0.2.1:4000")
	f.Fuzz(func(t *testing.T, packet []byte, addr uint32, port uint16, locked bool) {
		r := &Relay{ports: map[netip.Addr]*ports{}}
		th, err := newThread(r)
		if err != nil {
			t.Skip("no descriptors")
		}
		defer th.close()
		s := &Session{relay: r, thread: th}
		e := &end{session: s, side: Access, fd: noSocket, local: netip.MustParseAddrPort("127.0.0.1:1")}
		e.route.Store(&route{negotiated: negotiated, flow: noSocket})
		if locked {
			e.route.Store(&route{negotiated: negotiated, locked: negotiated, flow: noSocket})
		}
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), port)
		if e.accept(src, packet) && src != negotiated && (locked || src.Addr() != negotiated.Addr()) {
			t.Fatal("a stranger was heard")
		}
		e.watchSource(packet)
		if flow := e.route.Load().flow; flow != noSocket {
			t.Fatal("a socket was made for a port that is not bound")
		}
	})
}

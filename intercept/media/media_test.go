package media_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/intercept/media"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func start(t testing.TB, cfg media.Config) *media.Relay {
	t.Helper()
	if !cfg.AccessAddr.IsValid() {
		cfg.AccessAddr, cfg.TrunkAddr = loopback, netip.MustParseAddr("127.0.0.2")
	}
	if cfg.Ports.Max == 0 {
		cfg.Ports = media.PortRange{Min: 31000, Max: 31999}
	}
	r, err := media.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// phone is one side's socket.
type phone struct {
	*net.UDPConn
	t testing.TB
}

func newPhone(t testing.TB, at string) phone {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return phone{c, t}
}

func (p phone) addr() netip.AddrPort { return p.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p phone) send(to netip.AddrPort, b []byte) {
	p.t.Helper()
	if _, err := p.WriteToUDPAddrPort(b, to); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a packet; wait zero is long enough for any.
func (p phone) hears(wait time.Duration) (b []byte, from netip.AddrPort, ok bool) {
	p.t.Helper()
	if wait == 0 {
		wait = 5 * time.Second
	}
	_ = p.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 2000)
	n, from, err := p.ReadFromUDPAddrPort(buf)
	return buf[:n], from, err == nil
}

func rtp(n byte) []byte {
	return append([]byte{0x80, 8, 0, n, 0, 0, 0, 0, 1, 2, 3, 4}, bytes.Repeat([]byte{n}, 160)...)
}

func open(t testing.TB, r *media.Relay, access, trunk phone) (*media.Session, *media.Stream) {
	t.Helper()
	s := r.Open(media.Families{})
	st, err := s.Stream(0)
	if err != nil {
		t.Fatal(err)
	}
	st.SetRemote(media.Access, access.addr(), netip.AddrPort{})
	st.SetRemote(media.Trunk, trunk.addr(), netip.AddrPort{})
	return s, st
}

func TestRelaysBothWays(t *testing.T) {
	t.Parallel()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31000, Max: 31099}})
	a, b := newPhone(t, "127.0.0.1:0"), newPhone(t, "127.0.0.2:0")
	s, st := open(t, r, a, b)
	defer s.Close()
	toA, _ := st.Anchor(media.Access)
	toB, _ := st.Anchor(media.Trunk)
	for i := range byte(3) {
		a.send(toA, rtp(i))
		if got, from, ok := b.hears(0); !ok || !bytes.Equal(got, rtp(i)) || from != toB {
			t.Fatalf("trunk heard %d octets from %v, %v", len(got), from, ok)
		}
		b.send(toB, rtp(i+100))
		if got, from, ok := a.hears(0); !ok || !bytes.Equal(got, rtp(i+100)) || from != toA {
			t.Fatalf("access heard %d octets from %v, %v", len(got), from, ok)
		}
	}
}

// A stranger can neither put audio into a call nor draw it to itself.
func TestRefusesStrangers(t *testing.T) {
	t.Parallel()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31100, Max: 31199}})
	a, b, stranger := newPhone(t, "127.0.0.1:0"), newPhone(t, "127.0.0.2:0"), newPhone(t, "127.0.0.3:0")
	s, st := open(t, r, a, b)
	defer s.Close()
	toA, _ := st.Anchor(media.Access)
	toB, _ := st.Anchor(media.Trunk)
	stranger.send(toB, rtp(9)) // never from elsewhere, even before the first packet
	stranger.send(toA, rtp(7))
	a.send(toA, rtp(1))
	b.send(toB, rtp(2))
	if got, _, ok := b.hears(0); !ok || got[3] != 1 {
		t.Fatal("the call itself does not flow")
	}
	if got, _, ok := a.hears(0); !ok || got[3] != 2 {
		t.Fatal("the stranger was heard, or the call does not flow")
	}
	stranger.send(toA, rtp(8)) // access side: locked by now
	a.send(toA, rtp(3))
	if got, _, ok := b.hears(0); !ok || got[3] != 3 {
		t.Error("the stranger was heard on the locked side")
	}
	b.send(toB, rtp(4))
	if got, _, ok := a.hears(0); !ok || got[3] != 4 {
		t.Error("audio went elsewhere")
	}
}

// Whoever is refused is counted, before and after the side is locked; so is a change of
// the synchronisation source. RTCP on the RTP port (RFC 5761) has none.
func TestCountsStrangersAndSources(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31500, Max: 31599}, OpsReg: reg})
	a, b, stranger := newPhone(t, "127.0.0.1:0"), newPhone(t, "127.0.0.2:0"), newPhone(t, "127.0.0.3:0")
	s, st := open(t, r, a, b)
	defer s.Close()
	toA, _ := st.Anchor(media.Access)
	toB, _ := st.Anchor(media.Trunk)
	stranger.send(toB, rtp(9))
	for i := range byte(3) {
		b.send(toB, rtp(i))
		if got, _, ok := a.hears(0); !ok || got[3] != i {
			t.Fatal("the call does not flow")
		}
		stranger.send(toB, rtp(9))
	}
	rtcp := append([]byte{0x80, 200, 0, 6}, bytes.Repeat([]byte{9}, 24)...)
	other := rtp(4)
	other[11] = 5
	for _, packet := range [][]byte{rtcp, other} {
		b.send(toB, packet)
		if got, _, ok := a.hears(0); !ok || !bytes.Equal(got, packet) {
			t.Fatal("not relayed")
		}
	}
	a.send(toA, rtp(1)) // the other way needs a lock of its own
	if _, _, ok := b.hears(0); !ok {
		t.Fatal("not relayed")
	}
	want := map[string]float64{"ligate_media_refused_packets_total": 4, "ligate_media_ssrc_changes_total": 1, "ligate_media_packets_total": 6}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		diff := cmp.Diff(want, figures(t, reg, want))
		if diff == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("figures (-want +got):\n%s", diff)
		}
	}
}

func figures(t *testing.T, reg *prometheus.Registry, names map[string]float64) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if _, ok := names[f.GetName()]; ok {
			got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return got
}

// A side that moves by signalling while its connected socket stands is heard at the
// new place only.
func TestMovesWithSignalling(t *testing.T) {
	t.Parallel()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31600, Max: 31699}})
	a, b, moved := newPhone(t, "127.0.0.1:0"), newPhone(t, "127.0.0.2:0"), newPhone(t, "127.0.0.5:0")
	s, st := open(t, r, a, b)
	defer s.Close()
	toB, _ := st.Anchor(media.Trunk)
	toA, _ := st.Anchor(media.Access)
	for i := range byte(20) {
		from := b
		if i%2 == 1 {
			from = moved
		}
		st.SetRemote(media.Trunk, from.addr(), netip.AddrPort{})
		from.send(toB, rtp(i))
		if got, _, ok := a.hears(0); !ok || got[3] != i {
			t.Fatalf("move %d: not heard from the new place", i)
		}
		a.send(toA, rtp(i))
		if got, _, ok := from.hears(0); !ok || got[3] != i {
			t.Fatalf("move %d: not sent to the new place", i)
		}
	}
}

// A phone behind a NAT is heard from where its packets come, and answered there.
func TestLatchesOntoNATedAccess(t *testing.T) {
	t.Parallel()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31200, Max: 31299}})
	a, b := newPhone(t, "127.0.0.4:0"), newPhone(t, "127.0.0.2:0")
	s := r.Open(media.Families{})
	defer s.Close()
	st, err := s.Stream(0)
	if err != nil {
		t.Fatal(err)
	}
	st.SetRemote(media.Access, netip.MustParseAddrPort("192.168.1.20:4000"), netip.AddrPort{})
	st.SetRemote(media.Trunk, b.addr(), netip.AddrPort{})
	toA, _ := st.Anchor(media.Access)
	toB, _ := st.Anchor(media.Trunk)
	a.send(toA, rtp(1))
	if _, _, ok := b.hears(0); !ok {
		t.Fatal("not relayed")
	}
	b.send(toB, rtp(2))
	if _, _, ok := a.hears(0); !ok {
		t.Error("not answered where it came from")
	}
	// Only signalling moves the lock.
	moved := newPhone(t, "127.0.0.5:0")
	st.SetRemote(media.Access, moved.addr(), netip.AddrPort{})
	b.send(toB, rtp(3))
	if got, _, ok := moved.hears(0); !ok || got[3] != 3 {
		t.Error("media did not follow the re-INVITE")
	}
}

// Ports rest after a call and all of them come back, however many calls there were.
func TestPortsRestAndReturn(t *testing.T) {
	t.Parallel()
	r := start(t, media.Config{Ports: media.PortRange{Min: 31300, Max: 31307}, Quiet: time.Millisecond})
	for range 200 {
		s := openAll(t, r, 4)
		if _, err := s.Stream(4); !errors.Is(err, media.ErrNoPorts) {
			t.Fatalf("fifth stream on four pairs: %v", err)
		}
		s.Close()
		if n := r.PortsInUse(); n != 0 {
			t.Fatalf("%d pairs leaked", n)
		}
	}
}

// openAll opens a session with n streams, waiting for ports that rest.
func openAll(t *testing.T, r *media.Relay, n int) *media.Session {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		s := r.Open(media.Families{})
		var err error
		for i := 0; i < n && err == nil; i++ {
			_, err = s.Stream(i)
		}
		if err == nil {
			return s
		}
		s.Close()
		if time.Now().After(deadline) {
			t.Fatalf("ports did not come back: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

func BenchmarkRelay(b *testing.B) {
	r := start(b, media.Config{Ports: media.PortRange{Min: 31400, Max: 31499}, Threads: 1})
	x, y := newPhone(b, "127.0.0.1:0"), newPhone(b, "127.0.0.2:0")
	s, st := open(b, r, x, y)
	defer s.Close()
	to, _ := st.Anchor(media.Access)
	packet := rtp(1)
	b.ReportAllocs()
	for b.Loop() {
		x.send(to, packet)
		if _, _, ok := y.hears(0); !ok {
			b.Fatal("lost")
		}
	}
}

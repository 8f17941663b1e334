package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
)

const (
	payloadPCMA = 8
	framePeriod = 20 * time.Millisecond
	maxRTPBytes = 1500
)

// mediaPort is one side's RTP socket in one call. It sends its speech once and
// records what it hears.
type mediaPort struct {
	conn *net.UDPConn
	ssrc uint32
	seq  uint16

	mu    sync.Mutex // guards heard
	heard map[uint16][]byte
}

func openMedia(addr netip.Addr) (*mediaPort, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("open RTP socket: %w", err)
	}
	m := &mediaPort{conn: conn, ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), heard: map[uint16][]byte{}}
	go m.listen()
	return m, nil
}

func (m *mediaPort) addr() netip.AddrPort { return m.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// listen keeps every packet it hears until the socket closes.
func (m *mediaPort) listen() {
	buf := make([]byte, maxRTPBytes)
	for {
		n, _, err := m.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var p rtp.Packet
		if err != nil || p.Unmarshal(buf[:n]) != nil || p.PayloadType != payloadPCMA {
			continue
		}
		m.mu.Lock()
		m.heard[p.SequenceNumber] = append([]byte(nil), p.Payload...)
		m.mu.Unlock()
	}
}

// speak sends s to the far address, 20 ms a packet, in real time.
func (m *mediaPort) speak(ctx context.Context, to netip.AddrPort, s Speech) error {
	tick := time.NewTicker(framePeriod)
	defer tick.Stop()
	stamp := rand.Uint32()
	for i := 0; i < len(s); i += FrameSamples {
		p := rtp.Packet{
			Header: rtp.Header{
				Version: 2, PayloadType: payloadPCMA, SequenceNumber: m.seq, Timestamp: stamp, SSRC: m.ssrc, Marker: i == 0,
			},
			Payload: s[i:min(i+FrameSamples, len(s))],
		}
		b, err := p.Marshal()
		if err != nil {
			return fmt.Errorf("encode RTP: %w", err)
		}
		if _, err := m.conn.WriteToUDPAddrPort(b, to); err != nil {
			return fmt.Errorf("send RTP: %w", err)
		}
		m.seq++
		stamp += FrameSamples
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// packetsHeard counts the distinct RTP packets that arrived.
func (m *mediaPort) packetsHeard() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.heard)
}

func (m *mediaPort) close() { _ = m.conn.Close() }

package tee

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ligate/ligate/intercept/sdes"
)

// secured opens the copies of a line's SRTP packets. Whoever tells the keys only leaves
// them here: they are read, and packets decrypted, on Run's goroutine.
type secured struct {
	mu    sync.Mutex                  // guards told, for as long as it takes to put in or take out
	told  map[netip.AddrPort]material // not yet read, by RTP port
	fresh atomic.Bool                 // there is something in told

	openers map[netip.AddrPort]*sdes.Opener // by where packets arrive; of Run's goroutine
}

// material is what the signalling says of the keys of one stream from one side.
type material struct {
	rtcp   netip.AddrPort
	crypto []string
}

// SetKeys says that SRTP arrives at a stream's two ports of the relay, and the values of
// a=crypto that its sender described (RFC 4568), those most likely in use first. It
// replaces what was said of these ports; keys that are still among them stay as they
// are. Packets that no key opens are delivered as they came, which is all of them when
// there are no keys, and counted.
func (l *Line) SetKeys(rtp, rtcp netip.AddrPort, crypto []string) {
	s := &l.srtp
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = map[netip.AddrPort]material{}
	}
	s.told[rtp] = material{rtcp: rtcp, crypto: crypto}
	s.fresh.Store(true)
}

// open decrypts a packet that arrived at dst. sealed reports that it is one of a stream
// of SRTP and no key opens it.
func (s *secured) open(dst netip.AddrPort, buf, packet []byte) (plain []byte, ok, sealed bool) {
	if s.fresh.Load() {
		s.read()
	}
	o := s.openers[dst]
	if o == nil || !sdes.Media(packet) {
		return nil, false, false
	}
	plain, ok = o.Open(buf, packet)
	return plain, ok, !ok
}

// read takes what was told. Values that cannot be used are passed over.
func (s *secured) read() {
	s.mu.Lock()
	told := s.told
	s.told = nil
	s.fresh.Store(false)
	s.mu.Unlock()
	if s.openers == nil {
		s.openers = map[netip.AddrPort]*sdes.Opener{}
	}
	for rtp, m := range told {
		var keys []sdes.Key
		for _, value := range m.crypto {
			if k, err := sdes.Parse(value); err == nil {
				keys = append(keys, k...)
			}
		}
		o := s.openers[rtp]
		if o == nil {
			o = &sdes.Opener{}
		}
		_ = o.Set(keys)
		s.openers[rtp], s.openers[m.rtcp] = o, o
	}
}

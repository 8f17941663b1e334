package sdes

import (
	"encoding/binary"

	"github.com/pion/srtp/v3"
)

// maxKeys bounds how many keys of one sender are tried: an offer may hold several, and
// after a change packets under the old one may still arrive.
const maxKeys = 4

// Opener decrypts what one sender sends. A packet's index has a part that packets do
// not carry, how often their numbers have run over: every 65,536 packets, 22 minutes of
// audio (RFC 3711 clause 3.3.1). Where a tap begins later than that, it is guessed.
type Opener struct {
	keys     []Key // newest first
	contexts []*srtp.Context
	guessed  map[uint32]int // packets of a source for which that was tried in vain
}

// Bounds of guessing: run-overs that are tried (three hours of audio), packets of one
// source, sources.
const (
	maxRunOvers = 8
	maxGuesses  = 20
	maxSources  = 64
)

// Add makes a key the first to be tried. A key that is known already changes nothing.
func (o *Opener) Add(k Key) error {
	for _, have := range o.keys {
		if have.equal(k) {
			return nil
		}
	}
	options := []srtp.ContextOption{srtp.SRTPNoReplayProtection(), srtp.SRTCPNoReplayProtection()}
	if len(k.mki) > 0 {
		options = append(options, srtp.MasterKeyIndicator(k.mki))
	}
	if k.plainRTP {
		options = append(options, srtp.SRTPNoEncryption())
	}
	if k.plainRTCP {
		options = append(options, srtp.SRTCPNoEncryption())
	}
	c, err := srtp.CreateContext(k.key, k.salt, k.profile, options...)
	if err != nil {
		return ErrSuite
	}
	o.keys = append([]Key{k}, o.keys...)
	o.contexts = append([]*srtp.Context{c}, o.contexts...)
	if len(o.keys) > maxKeys {
		o.keys, o.contexts = o.keys[:maxKeys], o.contexts[:maxKeys]
	}
	return nil
}

const rtpHeaderBytes = 12

// Open decrypts an SRTP or SRTCP packet into dst and returns the plain packet; ok is
// false when no key fits. packet is not changed.
func (o *Opener) Open(dst, packet []byte) (plain []byte, ok bool) {
	if len(packet) < rtpHeaderBytes || packet[0]>>6 != 2 {
		return nil, false // STUN, DTLS and the like are not SRTP
	}
	if packet[1] >= 192 && packet[1] <= 223 { // RFC 5761 clause 4
		return o.first(func(c *srtp.Context) ([]byte, error) { return c.DecryptRTCP(dst, packet, nil) })
	}
	rtp := func(c *srtp.Context) ([]byte, error) { return c.DecryptRTP(dst, packet, nil) }
	if plain, ok = o.first(rtp); ok {
		return plain, true
	}
	return o.guess(binary.BigEndian.Uint32(packet[8:]), rtp)
}

// first returns what the newest key that fits makes of a packet.
func (o *Opener) first(open func(*srtp.Context) ([]byte, error)) (plain []byte, ok bool) {
	for _, c := range o.contexts {
		if plain, err := open(c); err == nil {
			return plain, true
		}
	}
	return nil, false
}

// guess tries how often the numbers of a source may have run over before the first
// packet that is seen.
func (o *Opener) guess(source uint32, open func(*srtp.Context) ([]byte, error)) (plain []byte, ok bool) {
	if o.guessed[source] >= maxGuesses || len(o.guessed) >= maxSources {
		return nil, false
	}
	for _, c := range o.contexts {
		if _, seen := c.ROC(source); seen && o.guessed[source] == 0 {
			continue // this key has opened packets of the source
		}
		for n := range uint32(maxRunOvers) {
			c.SetROC(source, n+1)
			if plain, err := open(c); err == nil {
				delete(o.guessed, source)
				return plain, true
			}
		}
		c.SetROC(source, 0)
	}
	if o.guessed == nil {
		o.guessed = map[uint32]int{}
	}
	o.guessed[source]++
	return nil, false
}

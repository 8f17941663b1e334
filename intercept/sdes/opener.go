package sdes

import (
	"encoding/binary"
	"slices"

	"github.com/pion/srtp/v3"
)

// MaxKeys bounds how many keys of one sender are tried: an offer may hold several lines
// (RFC 4568 clause 5.1.1), its answer names the one in use, and after a change packets
// under the old keys may still arrive.
const MaxKeys = 16

// Opener decrypts what one sender sends. A packet's index has a part that packets do
// not carry, how often their numbers have run over: every 65,536 packets, 22 minutes of
// audio (RFC 3711 clause 3.3.1). Where a tap begins later than that, it is guessed.
type Opener struct {
	contexts []*context     // the first one is tried first
	guessed  map[uint32]int // packets of a source for which run-overs were tried in vain
}

// context is what is known under one key.
type context struct {
	key    Key
	srtp   *srtp.Context
	opened map[uint32]bool // sources of which it has opened RTP: their run-overs are known
}

// Bounds of guessing: run-overs that are tried (three hours of audio), packets of one
// source, sources.
const (
	maxRunOvers = 8
	maxGuesses  = 20
	maxSources  = 64
)

// Set says which keys are tried from now on, those most likely in use first, MaxKeys of
// them at most; of those that have opened packets none is crowded out before half of
// that. What is known under a key that was there before is kept. The error is
// ErrSuite when a key cannot be used; the others are in force all the same.
func (o *Opener) Set(keys []Key) error {
	var err error
	next := make([]*context, 0, min(len(keys), MaxKeys))
	for _, c := range o.contexts { // what has opened packets is not crowded out by offers
		if len(c.opened) > 0 && len(next) < MaxKeys/2 && slices.ContainsFunc(keys, c.key.equal) {
			next = append(next, c)
		}
	}
	for _, k := range keys {
		if len(next) == MaxKeys {
			break
		}
		if find(next, k) != nil {
			continue
		}
		c := find(o.contexts, k)
		if c == nil {
			s, fault := k.context()
			if fault != nil {
				err = ErrSuite
				continue
			}
			c = &context{key: k, srtp: s, opened: map[uint32]bool{}}
			clear(o.guessed) // packets that came before their key used up the guesses
		}
		next = append(next, c)
	}
	o.contexts = next
	return err
}

func find(list []*context, k Key) *context {
	for _, c := range list {
		if c.key.equal(k) {
			return c
		}
	}
	return nil
}

// context makes pion's. Replay protection is off: what the relay delivered late or
// twice is delivered to the agency so.
func (k Key) context() (*srtp.Context, error) {
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
	return srtp.CreateContext(k.key, k.salt, k.profile, options...)
}

const rtpHeaderBytes = 12

// Media reports whether a packet can be SRTP or SRTCP; STUN, DTLS and the like are not
// (RFC 7983 clause 7).
func Media(packet []byte) bool { return len(packet) >= rtpHeaderBytes && packet[0]>>6 == 2 }

// Open decrypts an SRTP or SRTCP packet into dst and returns the plain packet; ok is
// false when no key fits. packet is not changed.
func (o *Opener) Open(dst, packet []byte) (plain []byte, ok bool) {
	if !Media(packet) {
		return nil, false
	}
	if packet[1] >= 192 && packet[1] <= 223 { // RFC 5761 clause 4
		for _, c := range o.contexts {
			if plain, err := c.srtp.DecryptRTCP(dst, packet, nil); err == nil {
				return plain, true
			}
		}
		return nil, false
	}
	source := binary.BigEndian.Uint32(packet[8:])
	for _, c := range o.contexts {
		if plain, ok = c.open(dst, packet, source); ok {
			return plain, true
		}
	}
	return o.guess(dst, packet, source)
}

func (c *context) open(dst, packet []byte, source uint32) (plain []byte, ok bool) {
	plain, err := c.srtp.DecryptRTP(dst, packet, nil)
	if err != nil {
		return nil, false
	}
	c.opened[source] = true
	return plain, true
}

// guess tries how often the numbers of a source may have run over before the first
// packet that is seen. Where that is known it is left alone.
func (o *Opener) guess(dst, packet []byte, source uint32) (plain []byte, ok bool) {
	if o.guessed[source] >= maxGuesses || len(o.guessed) >= maxSources {
		return nil, false
	}
	for _, c := range o.contexts {
		if c.opened[source] {
			continue
		}
		for n := range uint32(maxRunOvers) {
			c.srtp.SetROC(source, n+1)
			if plain, ok = c.open(dst, packet, source); ok {
				delete(o.guessed, source)
				return plain, true
			}
		}
		c.srtp.SetROC(source, 0)
	}
	if o.guessed == nil {
		o.guessed = map[uint32]int{}
	}
	o.guessed[source]++
	return nil, false
}

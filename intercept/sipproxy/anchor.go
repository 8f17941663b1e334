package sipproxy

import (
	"net/netip"
	"slices"

	"github.com/ligate/ligate/intercept/sipproxy/sdp"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/intercept/tee"
)

// anchor puts the relay's addresses into a message's session description, when
// the call is bridged and the message may carry an offer or answer (RFC 3264, RFC
// 3262, RFC 3311). byA says who sent the message, tag names B's end of the dialog.
// The error is errNoMedia: then nothing was edited. A nil call has no media.
func (c *call) anchor(e *wire.Edits, m *wire.Message, byA bool, tag string) error {
	if c == nil || !c.bridged || c.ended || m.Body.Start == m.Body.End || !negotiates(m.Method) {
		return nil
	}
	body := m.BodyBytes()
	part, ok := sdp.FindPart(m.Value(wire.ContentType), body)
	if !ok {
		return nil
	}
	if _, encoded := m.First(wire.ContentEncoding); encoded {
		c.shard.proxy.metrics.unreadable.Inc()
		return nil
	}
	if err := c.openMedia(); err != nil {
		return errNoMedia
	}
	follow := byA || c.mediaTag == "" || c.mediaTag == tag
	failed := false
	c.flows = false
	out, err := sdp.Rewrite(body[part.Start:part.End], func(st sdp.Stream) (sdp.Anchor, bool) {
		a, err := c.anchorStream(st, byA, follow)
		failed = failed || err != nil
		return a, err == nil
	})
	switch {
	case failed:
		return errNoMedia
	case err != nil:
		c.shard.proxy.metrics.unreadable.Inc() // the far end will not read it either
		return nil
	}
	m.SetBody(e, wire.Span{Start: m.Body.Start + part.Start, End: m.Body.Start + part.End}, string(out))
	return nil
}

func negotiates(method string) bool {
	switch method {
	case "INVITE", "ACK", "PRACK", "UPDATE":
		return true
	}
	return false
}

// anchorStream tells the relay where the sender wants a stream, and returns where
// the receiver shall send. Answers of branches that lost a fork are not followed.
func (c *call) anchorStream(st sdp.Stream, byA, follow bool) (sdp.Anchor, error) {
	stream, err := c.session.Stream(st.Index)
	if err != nil {
		return sdp.Anchor{}, err
	}
	c.flows = c.flows || st.Flows
	sender := c.b.side()
	if byA {
		sender = c.a.side()
	}
	if follow && !st.Held && st.RTP.IsValid() {
		stream.SetRemote(sender, st.RTP, st.RTCP)
	}
	if st.Secure || len(st.Crypto) > 0 {
		c.keep(stream, sender, st.Crypto)
	}
	rtp, rtcp := stream.Anchor(sender.other())
	return sdp.Anchor{RTP: rtp, RTCP: rtcp}, nil
}

// secret is what one side's description said of the keys of a stream.
type secret struct {
	rtp, rtcp netip.AddrPort // where its packets arrive
	crypto    []string       // values of a=crypto; none when the keys are agreed elsewhere
}

func (s secret) equal(o secret) bool {
	return s.rtp == o.rtp && s.rtcp == o.rtcp && slices.Equal(s.crypto, o.crypto)
}

// maxSecrets bounds what is kept of one call.
const maxSecrets = 64

// keep remembers the keys that a side encrypts with (RFC 4568 clause 5.1), the last
// ones last, for whoever taps the call now or later. They are read for tapped calls
// only, once the message has gone on.
func (c *call) keep(stream MediaStream, sender Side, crypto []string) {
	rtp, rtcp := stream.Anchor(sender)
	s := secret{rtp: rtp, rtcp: rtcp, crypto: crypto}
	c.secrets = append(slices.DeleteFunc(c.secrets, s.equal), s)
	if len(c.secrets) > maxSecrets {
		c.secrets = slices.Clone(c.secrets[len(c.secrets)-maxSecrets:])
	}
	c.shard.later(c.applyTaps)
}

// unlock tells a line all keys that are known, those of each port newest first. Within
// a description its own order is kept, which is the sender's preference.
func (c *call) unlock(l *tee.Line) {
	for i, s := range c.secrets {
		if slices.ContainsFunc(c.secrets[:i], func(o secret) bool { return o.rtp == s.rtp }) {
			continue // done with the first of this port
		}
		var crypto []string
		for _, o := range slices.Backward(c.secrets) {
			if o.rtp == s.rtp {
				crypto = append(crypto, o.crypto...)
			}
		}
		l.SetKeys(s.rtp, s.rtcp, crypto)
	}
}

func (c *call) openMedia() error {
	if c.session != nil {
		return nil
	}
	ipv6 := Families{Access: c.a.ipv6(), Trunk: c.b.ipv6()}
	if c.a.side() == Trunk {
		ipv6 = Families{Access: c.b.ipv6(), Trunk: c.a.ipv6()}
	}
	session, err := c.shard.proxy.cfg.Relay.Open(ipv6)
	if err != nil {
		return err
	}
	c.session = session
	c.shard.proxy.metrics.anchored.Inc()
	c.applyTaps()
	return nil
}

func (c *call) closeMedia() {
	if c.session == nil {
		return
	}
	c.session.Close()
	c.session = nil
	c.shard.proxy.metrics.anchored.Dec()
}

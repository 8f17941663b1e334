package sdp

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// Stream is one media line that can be anchored: it uses UDP and is not rejected.
type Stream struct {
	Index  int            // of its m= line, from 0
	Held   bool           // on hold by an address of zeros (RFC 2543)
	Flows  bool           // media is wanted in both directions (RFC 3264 clause 5.1)
	Secure bool           // SRTP by its profile (RFC 3711 clause 12, RFC 5124, RFC 5764), whatever its keys
	Crypto []string       // values of a=crypto (RFC 4568): what its side encrypts with; key material
	RTP    netip.AddrPort // where its side wants media; invalid when held or a host name
	RTCP   netip.AddrPort // invalid when not told: the port after RTP's
}

// Anchor is where the other side shall send instead.
type Anchor struct{ RTP, RTCP netip.AddrPort }

// Rewrite asks anchor about each stream and puts its answers into the description.
// A stream without an answer stays as it is.
func Rewrite(body []byte, anchor func(Stream) (Anchor, bool)) ([]byte, error) {
	d, err := scan(body)
	if err != nil {
		return nil, err
	}
	var e wire.Edits
	var first netip.Addr
	var left []*media // active streams that keep the address of the session
	for i := range d.media {
		m := &d.media[i]
		if m.number == 0 {
			continue
		}
		a, ok := Anchor{}, false
		if m.overUDP() {
			s, err := d.stream(i)
			if err != nil {
				return nil, err
			}
			a, ok = anchor(s)
		}
		if !ok {
			if !m.conn.present() {
				left = append(left, m)
			}
			continue
		}
		if !first.IsValid() {
			first = a.RTP.Addr()
		}
		d.anchor(&e, m, a)
	}
	if first.IsValid() {
		d.session(&e, first, left)
	}
	return e.Apply(body), nil
}

// overUDP tells what the relay can carry: RTP in all its profiles and UDPTL.
func (m *media) overUDP() bool {
	return strings.HasPrefix(m.proto, "RTP/") || strings.HasPrefix(m.proto, "UDP/") || m.proto == "UDPTL" || m.proto == "UDP"
}

func (d *description) stream(i int) (Stream, error) {
	m := &d.media[i]
	c := m.conn
	if !c.present() {
		c = d.conn
	}
	if !c.present() {
		return Stream{}, ErrMalformed
	}
	s := Stream{Index: i, Secure: strings.Contains(m.proto, "/SAVP"), Crypto: m.crypto, Held: c.held(), Flows: !c.held() && (m.flow == "sendrecv" || m.flow == "" && !d.oneWay)}
	if !c.addr.IsValid() || s.Held {
		return s, nil
	}
	s.RTP = netip.AddrPortFrom(c.addr, m.number)
	if m.rtcpAt.Port() != 0 {
		addr := m.rtcpAt.Addr()
		if !addr.IsValid() {
			addr = c.addr
		}
		s.RTCP = netip.AddrPortFrom(addr.Unmap(), m.rtcpAt.Port())
	}
	return s, nil
}

// anchor edits one media section.
func (d *description) anchor(e *wire.Edits, m *media, a Anchor) {
	e.Replace(m.port, strconv.Itoa(int(a.RTP.Port())))
	switch {
	case m.conn.present() && !m.conn.held():
		e.Replace(m.conn.value, connText(a.RTP.Addr()))
	case !m.conn.present() && !d.conn.addr.IsValid() && d.conn.present():
		e.Insert(m.connAt, "c="+connText(a.RTP.Addr())+d.lineEnd())
	}
	if m.rtcp.End > m.rtcp.Start && m.rtcpAt.Port() != 0 {
		text := strconv.Itoa(int(a.RTCP.Port()))
		if m.hasAddr {
			text += " " + connText(a.RTCP.Addr())
		}
		e.Replace(m.rtcp, text)
	}
	for _, s := range m.ice {
		e.Delete(s)
	}
}

// session edits what all streams share. Streams that keep their address get the
// session's old c= line as their own.
func (d *description) session(e *wire.Edits, addr netip.Addr, left []*media) {
	if d.origin.End > d.origin.Start {
		e.Replace(d.origin, connText(addr))
	}
	for _, s := range d.ice {
		e.Delete(s)
	}
	if !d.conn.present() || d.conn.held() {
		return
	}
	e.Replace(d.conn.value, connText(addr))
	for _, m := range left {
		e.Insert(m.connAt, "c="+d.text(d.conn.value)+d.lineEnd())
	}
}

// lineEnd is what ends the first line, so that an inserted line looks the same.
func (d *description) lineEnd() string {
	if l, ok := nextLine(d.body, 0); ok && l.span.End > l.value.End {
		return string(d.body[l.value.End:l.span.End])
	}
	return "\r\n"
}

func connText(addr netip.Addr) string {
	if addr.Unmap().Is4() {
		return "IN IP4 " + addr.Unmap().String()
	}
	return "IN IP6 " + addr.String()
}

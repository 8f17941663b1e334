package demo

import (
	"errors"
	"fmt"
	"net/netip"

	sdplib "github.com/pion/sdp/v3"
)

var errSDP = errors.New("sdp: want one audio stream with an address")

// sdp offers or answers one A-law stream at the address.
func sdp(at netip.AddrPort) []byte {
	family := "IP4"
	if at.Addr().Is6() {
		family = "IP6"
	}
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN %[1]s %[2]s\r\ns=-\r\nc=IN %[1]s %[2]s\r\nt=0 0\r\n"+
		"m=audio %[3]d RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n", family, at.Addr(), at.Port())
}

// sdpAddr returns where the other side wants its audio.
func sdpAddr(body []byte) (netip.AddrPort, error) {
	var d sdplib.SessionDescription
	if err := d.Unmarshal(body); err != nil || len(d.MediaDescriptions) == 0 {
		return netip.AddrPort{}, errSDP
	}
	m := d.MediaDescriptions[0]
	c := m.ConnectionInformation
	if c == nil {
		c = d.ConnectionInformation
	}
	if c == nil || c.Address == nil {
		return netip.AddrPort{}, errSDP
	}
	addr, err := netip.ParseAddr(c.Address.Address)
	if err != nil {
		return netip.AddrPort{}, errSDP
	}
	return netip.AddrPortFrom(addr, uint16(m.MediaName.Port.Value)), nil
}

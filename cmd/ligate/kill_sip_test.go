package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The SIP of the load. Requests without an answer are sent again, as RFC 3261 has it
// over UDP; while the gateway is away nothing is sent.

// invite sends a call's INVITE. mu is held.
func (l *load) invite(c *loadCall, now time.Time) {
	c.tries = now
	body := l.sdp(c, 0)
	l.request(c, fmt.Sprintf("INVITE sip:%[1]s@%[2]s SIP/2.0\r\nVia: SIP/2.0/UDP %[3]s;branch=z9hG4bKi%[4]s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%[5]s@%[3]s>;tag=near%[6]d\r\nTo: <sip:%[1]s@%[2]s>\r\nCall-ID: %[4]s\r\nCSeq: 1 INVITE\r\nContact: <sip:%[5]s@%[3]s>\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: %[7]d\r\n\r\n%[8]s", farNumber, l.proxy, l.addr[0], c.id, c.own, c.n, len(body), body))
}

// sendBye ends a call. mu is held.
func (l *load) sendBye(c *loadCall, now time.Time) {
	c.tries = now
	l.request(c, fmt.Sprintf("BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKb%d%s\r\nMax-Forwards: 70\r\n%sCSeq: %d BYE\r\nContent-Length: 0\r\n\r\n",
		c.target, l.addr[0], c.bye, c.id, c.dialog, c.bye))
}

func (l *load) request(c *loadCall, msg string) {
	c.sent[sipKey(msg)]++
	_, _ = l.sip[0].WriteToUDPAddrPort([]byte(msg), l.proxy) // what is lost is sent again
}

func (l *load) sdp(c *loadCall, side int) string {
	at := c.socket[side].LocalAddr().String()
	addr := netip.MustParseAddrPort(at)
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n", addr.Addr(), addr.Port())
}

// sdpAnchor reads where a body wants media.
func sdpAnchor(msg string) netip.AddrPort {
	_, body, _ := strings.Cut(msg, "\r\n\r\n")
	var addr netip.Addr
	var port uint64
	for line := range strings.SplitSeq(body, "\r\n") {
		if rest, ok := strings.CutPrefix(line, "c=IN IP4 "); ok {
			addr, _ = netip.ParseAddr(rest)
		}
		if rest, ok := strings.CutPrefix(line, "m=audio "); ok {
			text, _, _ := strings.Cut(rest, " ")
			port, _ = strconv.ParseUint(text, 10, 16)
		}
	}
	if !addr.IsValid() || port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// readSIP plays the callers (side 0) or the carrier (1).
func (l *load) readSIP(side int) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := l.sip[side].ReadFromUDPAddrPort(buf)
		if err != nil {
			if strings.Contains(err.Error(), "closed") {
				return
			}
			continue // refused by a gateway that is away
		}
		msg, now := string(buf[:n]), time.Now()
		l.mu.Lock()
		c := l.byID[headerOf(msg, "Call-ID")]
		switch {
		case c == nil:
			if strings.HasPrefix(msg, "OPTIONS ") {
				l.answer(nil, side, from, msg, "200 OK", "")
			}
		case side == 0 && strings.HasPrefix(msg, "SIP/2.0 "):
			l.response(c, msg, now)
		case side == 1 && !strings.HasPrefix(msg, "SIP/2.0 "):
			l.called(c, msg, from, now)
		}
		l.mu.Unlock()
	}
}

// response acts as the caller. mu is held.
func (l *load) response(c *loadCall, msg string, now time.Time) {
	key := sipKey(msg)
	c.heard[key] = append(c.heard[key], now)
	switch status := key[:3]; {
	case strings.HasSuffix(key, "BYE") && status == "200" && c.state == stateEnding:
		c.state, c.over = stateOver, now
	case strings.HasSuffix(key, "INVITE") && status == "200":
		c.anchor[0] = sdpAnchor(msg)
		c.dialog = headersOf(msg, "From", "To", "Call-ID") + strings.ReplaceAll(headersOf(msg, "Record-Route"), "Record-Route", "Route")
		c.target = strings.Trim(headerOf(msg, "Contact"), "<>")
		if c.state == stateInviting {
			c.state = stateUp
		}
		l.request(c, fmt.Sprintf("ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa%s\r\nMax-Forwards: 70\r\n%sCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
			c.target, l.addr[0], c.id, c.dialog))
	case status >= "300":
		l.refused++
		if strings.HasSuffix(key, "INVITE") {
			c.state, c.over = stateOver, now
		}
	}
}

// called acts as the carrier. mu is held.
func (l *load) called(c *loadCall, msg string, from netip.AddrPort, now time.Time) {
	key := sipKey(msg)
	c.heard[key] = append(c.heard[key], now)
	switch method, _, _ := strings.Cut(msg, " "); method {
	case "INVITE":
		c.anchor[1] = sdpAnchor(msg)
		if c.socket[1] == nil {
			return
		}
		l.answer(c, 1, from, msg, "180 Ringing", "")
		l.answer(c, 1, from, msg, "200 OK", l.sdp(c, 1))
	case "BYE":
		l.answer(c, 1, from, msg, "200 OK", "")
	}
}

func (l *load) answer(c *loadCall, side int, from netip.AddrPort, msg, status, body string) {
	to := strings.TrimSuffix(headersOf(msg, "To"), "\r\n")
	if !strings.Contains(to, ";tag=") {
		to += ";tag=far"
	}
	head := headersOf(msg, "Via", "Record-Route", "From", "Call-ID", "CSeq") + to + "\r\n"
	if body != "" {
		body = fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		body = "Content-Length: 0\r\n\r\n"
	}
	reply := fmt.Sprintf("SIP/2.0 %s\r\n%sContact: <sip:%s@%s>\r\n%s", status, head, farNumber, l.addr[side], body)
	if c != nil {
		c.sent[sipKey(reply)]++
	}
	_, _ = l.sip[side].WriteToUDPAddrPort([]byte(reply), from)
}

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// loadSIP keeps o.Calls calls in the air: INVITE, 180, 200, ACK, BYE, 200.
func loadSIP(o order, dec *json.Decoder, enc *json.Encoder) error {
	uac, access, err := listen(accessHost, sipBuffer)
	if err != nil {
		return err
	}
	uas, trunk, err := listen(trunkHost, sipBuffer)
	if err != nil {
		return err
	}
	var proxy addresses
	own := addresses{Access: []netip.AddrPort{access}, Trunk: []netip.AddrPort{trunk}}
	if err := errors.Join(enc.Encode(own), dec.Decode(&proxy)); err != nil {
		return fmt.Errorf("exchange addresses: %w", err)
	}
	if len(proxy.Access) != 1 {
		return errors.New("exchange addresses: want one proxy")
	}
	go answer(uas) // until the process ends
	c := caller{conn: uac, proxy: proxy.Access[0], own: access.String(), last: map[string]time.Time{}}
	return enc.Encode(c.run(o.Calls, o.Length))
}

// answer plays the PSTN gateway.
func answer(conn *net.UDPConn) {
	buf := make([]byte, 64<<10)
	own := conn.LocalAddr().String()
	body := "v=0\r\no=- 1 1 IN IP4 " + trunkHost + "\r\ns=-\r\nc=IN IP4 " + trunkHost + "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		msg := string(buf[:n])
		method, _, _ := strings.Cut(msg, " ")
		if method != "INVITE" && method != "BYE" {
			continue
		}
		head := headers(msg, "Via", "Record-Route", "From", "Call-ID", "CSeq") + strings.TrimSuffix(headers(msg, "To"), "\r\n")
		if method == "BYE" {
			_, _ = conn.WriteToUDPAddrPort([]byte("SIP/2.0 200 OK\r\n"+head+"\r\nContent-Length: 0\r\n\r\n"), from)
			continue
		}
		head += ";tag=uas\r\nContact: <sip:" + own + ">\r\n"
		_, _ = conn.WriteToUDPAddrPort([]byte("SIP/2.0 180 Ringing\r\n"+head+"Content-Length: 0\r\n\r\n"), from)
		_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 200 OK\r\n%sContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body), from)
	}
}

// headers returns the named header lines of a message, in its order.
func headers(msg string, names ...string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(msg, "\r\n") {
		if line == "" {
			break
		}
		name, _, _ := strings.Cut(line, ":")
		for _, n := range names {
			if strings.EqualFold(name, n) {
				b.WriteString(line + "\r\n")
			}
		}
	}
	return b.String()
}

// caller plays the subscribers.
type caller struct {
	conn  *net.UDPConn
	proxy netip.AddrPort
	own   string
	next  int
	last  map[string]time.Time // calls in the air, by Call-ID: when something last happened
	d     done
}

// giveUp is when a call counts as failed: nothing is sent again by this load.
const (
	giveUp    = 2 * time.Second
	lookEvery = 100 * time.Millisecond // for calls to give up
)

func (c *caller) run(window int, d time.Duration) done {
	start := time.Now()
	for range window {
		c.invite()
	}
	buf := make([]byte, 64<<10)
	for looked := start; time.Since(start) < d; {
		now := time.Now()
		if now.Sub(looked) > lookEvery {
			c.expire()
			looked = now
		}
		_ = c.conn.SetReadDeadline(now.Add(lookEvery))
		if n, err := c.conn.Read(buf); err == nil {
			c.response(string(buf[:n]))
		}
	}
	c.d.Took = time.Since(start)
	return c.d
}

func (c *caller) send(s string) { _, _ = c.conn.WriteToUDPAddrPort([]byte(s), c.proxy) }

func (c *caller) invite() {
	c.next++
	id := fmt.Sprintf("bench-%d-%d", c.next, time.Now().UnixNano())
	c.last[id] = time.Now()
	body := "v=0\r\no=- 1 1 IN IP4 " + accessHost + "\r\ns=-\r\nc=IN IP4 " + accessHost + "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
	c.send(fmt.Sprintf("INVITE sip:+4989123456@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:"+targetNumber+"@x>;tag=uac\r\nTo: <sip:+4989123456@x>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", c.proxy, c.own, id, id, c.own, len(body), body))
	c.d.Sent++
}

func (c *caller) response(msg string) {
	id := strings.TrimSpace(strings.TrimPrefix(headers(msg, "Call-ID"), "Call-ID:"))
	if _, known := c.last[id]; !known || !strings.HasPrefix(msg, "SIP/2.0 200") {
		if known && !strings.HasPrefix(msg, "SIP/2.0 1") {
			c.end(id, false)
		}
		return
	}
	if strings.Contains(headers(msg, "CSeq"), "BYE") {
		c.end(id, true)
		return
	}
	c.last[id] = time.Now()
	route := strings.ReplaceAll(headers(msg, "Record-Route"), "Record-Route", "Route")
	contact := strings.Trim(strings.TrimSpace(strings.TrimPrefix(headers(msg, "Contact"), "Contact:")), "<>")
	rest := headers(msg, "From", "To", "Call-ID") + route
	c.send(fmt.Sprintf("ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa%s\r\nMax-Forwards: 70\r\n%sCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", contact, c.own, id, rest))
	c.send(fmt.Sprintf("BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKb%s\r\nMax-Forwards: 70\r\n%sCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n", contact, c.own, id, rest))
}

// end counts a call and begins the next.
func (c *caller) end(id string, ok bool) {
	delete(c.last, id)
	if ok {
		c.d.Calls++
	} else {
		c.d.Failed++
	}
	c.invite()
}

// expire gives up on calls of which nothing was heard.
func (c *caller) expire() {
	for id, at := range c.last {
		if time.Since(at) > giveUp {
			c.end(id, false)
		}
	}
}

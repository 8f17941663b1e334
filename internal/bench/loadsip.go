package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// loadSIP plays both sides of calls: INVITE, 180, 200, ACK, BYE, 200. Of kind "hold"
// it leaves out the BYE, sets up as many calls as each step asks for and ends with
// its input.
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
	a := answerer{conn: uas}
	go a.run() // until the process ends
	c := caller{conn: uac, proxy: proxy.Access[0], own: access.String(), window: o.Calls, rate: o.Rate, calls: map[string]*call{}}
	if o.Kind == "sip" {
		d := c.run(o.Length)
		d.Rang = int(a.rang.Load())
		return enc.Encode(d)
	}
	c.hold = true
	for {
		var s step
		if err := dec.Decode(&s); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read step: %w", err)
		}
		c.d, c.most = done{}, s.Calls
		if err := enc.Encode(c.run(o.Length)); err != nil {
			return fmt.Errorf("say what was done: %w", err)
		}
	}
}

// step asks a load of kind "hold" for more calls.
type step struct {
	Calls int `json:"calls"`
}

// answerer plays the PSTN gateway.
type answerer struct {
	conn *net.UDPConn
	rang atomic.Int64
}

func (a *answerer) run() {
	rang := map[string]bool{}
	buf := make([]byte, 64<<10)
	own := a.conn.LocalAddr().String()
	body := "v=0\r\no=- 1 1 IN IP4 " + trunkHost + "\r\ns=-\r\nc=IN IP4 " + trunkHost + "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buf)
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
			delete(rang, headers(msg, "Call-ID"))
			_, _ = a.conn.WriteToUDPAddrPort([]byte("SIP/2.0 200 OK\r\n"+head+"\r\nContent-Length: 0\r\n\r\n"), from)
			continue
		}
		head += ";tag=uas\r\nContact: <sip:" + own + ">\r\n"
		// An INVITE that the proxy sends again is answered again and counted once.
		if id := headers(msg, "Call-ID"); !rang[id] {
			rang[id] = true
			a.rang.Add(1)
		}
		_, _ = a.conn.WriteToUDPAddrPort([]byte("SIP/2.0 180 Ringing\r\n"+head+"Content-Length: 0\r\n\r\n"), from)
		_, _ = a.conn.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 200 OK\r\n%sContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body), from)
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

// caller plays the subscribers. One goroutine.
type caller struct {
	conn   *net.UDPConn
	proxy  netip.AddrPort
	own    string
	window int  // calls in the air, unless there is a rate
	rate   int  // new calls a second
	most   int  // calls of this run; 0: no limit
	hold   bool // set up, no BYE

	next  int
	calls map[string]*call // in the air, by Call-ID
	d     done
}

// call is one call in the air.
type call struct {
	last     time.Time // when something happened
	rang     bool
	answered bool
}

// giveUp is when a call counts as failed: nothing is sent again by this load.
const (
	giveUp    = 2 * time.Second
	lookEvery = 100 * time.Millisecond // for calls to give up
)

// run begins calls for d, then waits for those in the air.
func (c *caller) run(d time.Duration) done {
	start := time.Now()
	buf := make([]byte, 64<<10)
	for looked := start; ; {
		now := time.Now()
		wait, more := c.begin(now.Sub(start), d)
		if !more && len(c.calls) == 0 {
			break
		}
		if now.Sub(looked) > lookEvery {
			c.expire()
			looked = now
		}
		_ = c.conn.SetReadDeadline(now.Add(wait))
		if n, err := c.conn.Read(buf); err == nil {
			ended := c.d.Calls
			if c.response(string(buf[:n])); c.d.Calls > ended {
				c.d.Took = time.Since(start)
			}
		}
	}
	return c.d
}

// begin starts the calls that are due, and says when the next one is and whether
// any will come.
func (c *caller) begin(passed, d time.Duration) (next time.Duration, more bool) {
	for {
		switch {
		case c.most > 0 && c.d.Sent >= c.most, c.most == 0 && passed >= d:
			return lookEvery, false
		case c.rate == 0 && len(c.calls) >= c.window:
			return lookEvery, true
		case c.rate > 0:
			due := time.Duration(c.d.Sent) * time.Second / time.Duration(c.rate)
			if due > passed {
				return min(due-passed, lookEvery), true
			}
		}
		c.invite()
	}
}

func (c *caller) send(s string) { _, _ = c.conn.WriteToUDPAddrPort([]byte(s), c.proxy) }

func (c *caller) invite() {
	c.next++
	id := fmt.Sprintf("bench-%d-%d", c.next, time.Now().UnixNano())
	c.calls[id] = &call{last: time.Now()}
	body := "v=0\r\no=- 1 1 IN IP4 " + accessHost + "\r\ns=-\r\nc=IN IP4 " + accessHost + "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
	c.send(fmt.Sprintf("INVITE sip:+4989123456@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:"+targetNumber+"@x>;tag=uac\r\nTo: <sip:+4989123456@x>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", c.proxy, c.own, id, id, c.own, len(body), body))
	c.d.Sent++
}

func (c *caller) response(msg string) {
	id := strings.TrimSpace(strings.TrimPrefix(headers(msg, "Call-ID"), "Call-ID:"))
	k := c.calls[id]
	switch {
	case k == nil:
	case strings.HasPrefix(msg, "SIP/2.0 180"):
		c.rings(k)
	case strings.HasPrefix(msg, "SIP/2.0 1"):
	case !strings.HasPrefix(msg, "SIP/2.0 200"):
		c.end(id, false)
	case strings.Contains(headers(msg, "CSeq"), "BYE"):
		c.end(id, true)
	default:
		c.answered(id, k, msg)
	}
}

func (c *caller) rings(k *call) {
	switch {
	case k.rang:
	case k.answered:
		c.d.RangLast++
	default:
		c.d.RangFirst++
	}
	k.rang, k.last = true, time.Now()
}

func (c *caller) answered(id string, k *call, msg string) {
	k.answered, k.last = true, time.Now()
	route := strings.ReplaceAll(headers(msg, "Record-Route"), "Record-Route", "Route")
	contact := strings.Trim(strings.TrimSpace(strings.TrimPrefix(headers(msg, "Contact"), "Contact:")), "<>")
	rest := headers(msg, "From", "To", "Call-ID") + route
	c.send(fmt.Sprintf("ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa%s\r\nMax-Forwards: 70\r\n%sCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", contact, c.own, id, rest))
	if c.hold {
		c.end(id, true)
		return
	}
	c.send(fmt.Sprintf("BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKb%s\r\nMax-Forwards: 70\r\n%sCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n", contact, c.own, id, rest))
}

// end counts a call.
func (c *caller) end(id string, ok bool) {
	delete(c.calls, id)
	if ok {
		c.d.Calls++
	} else {
		c.d.Failed++
	}
}

// expire gives up on calls of which nothing was heard.
func (c *caller) expire() {
	for id, k := range c.calls {
		if time.Since(k.last) > giveUp {
			c.end(id, false)
		}
	}
}

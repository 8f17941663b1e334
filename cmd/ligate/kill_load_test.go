package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	loadTargets   = 20
	loadSIPEvery  = 500 * time.Millisecond // a request without an answer is sent again
	loadCallEvery = 8 * time.Millisecond   // between new calls
	loadTick      = 4 * time.Millisecond
)

// callState is where a call of the load stands.
type callState uint8

const (
	stateInviting callState = iota + 1
	stateUp
	stateEnding
	stateOver
)

// stream is what one side of a call says: packets numbered from 0, each sent once.
type stream struct {
	sent int
	got  []time.Time // by number, when the other side heard it; zero = it did not
}

// loadCall is one call: a SIP dialog and a socket on each side.
type loadCall struct {
	n       int
	id, own string // Call-ID, number of the caller
	ends    time.Time

	// Guarded by load.mu.
	state   callState
	muted   bool // its anchors died with a gateway
	tries   time.Time
	bye     int // CSeq of the last BYE
	over    time.Time
	dialog  string            // headers of further requests
	target  string            // their Request-URI
	anchor  [2]netip.AddrPort // where each side sends
	next    [2]time.Time
	streams [2]stream          // from and to the target
	sent    map[string]int     // SIP messages by key, how often they were sent
	heard   map[string]timings // SIP messages by key, when the other side had them
	socket  [2]*net.UDPConn
}

// timings are when a message came through.
type timings []time.Time

// load keeps a number of calls up through the gateway, all of targets, each with
// numbered packets in both directions, and remembers what came through and when.
type load struct {
	proxy    netip.AddrPort
	sip      [2]*net.UDPConn // callers, carrier
	addr     [2]netip.AddrPort
	want     int
	interval time.Duration // between a stream's packets
	life     time.Duration // of a call, at least; at most twice as long

	mu      sync.Mutex  // guards the rest and the calls, for one message or packet
	calls   []*loadCall // all that there ever were
	active  []*loadCall // those that are not over, or not for long
	byID    map[string]*loadCall
	running bool // the gateway is there and taps
	filling bool // ended calls are replaced
	started time.Time
	kills   []time.Time // of gateways
	most    int         // calls up at once
	refused int         // requests that were answered with an error
	readers sync.WaitGroup
}

func newLoad(t *testing.T, st *story, calls int, interval, life time.Duration) *load {
	t.Helper()
	l := &load{proxy: addrPort(st.world.ports.sip), want: calls, interval: interval, life: life, byID: map[string]*loadCall{}}
	for side, at := range []string{st.world.ports.alice, st.world.ports.pstn} {
		l.addr[side] = addrPort(at)
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(l.addr[side]))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.SetReadBuffer(4<<20), conn.SetWriteBuffer(1<<20) // the defaults serve too
		l.sip[side] = conn
	}
	t.Cleanup(l.close)
	for side := range l.sip {
		l.readers.Go(func() { l.readSIP(side) })
	}
	return l
}

func (l *load) close() {
	for _, c := range l.sip {
		_ = c.Close()
	}
	l.mu.Lock()
	for _, c := range l.active {
		c.hangUp()
	}
	l.mu.Unlock()
	l.readers.Wait()
}

func (c *loadCall) hangUp() {
	for side, s := range c.socket {
		if s != nil {
			_ = s.Close()
		}
		c.socket[side] = nil
	}
}

// run sends what is due until ctx ends.
func (l *load) run(ctx context.Context) error {
	ticker := time.NewTicker(loadTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if err := l.round(now); err != nil {
				return err
			}
		}
	}
}

func (l *load) round(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	up, alive := 0, 0
	l.active = slices.DeleteFunc(l.active, func(c *loadCall) bool {
		long := c.state == stateOver && now.Sub(c.over) > 4*killWindow
		if long {
			c.hangUp()
		}
		return long
	})
	for _, c := range l.active {
		if c.state == stateOver {
			continue
		}
		alive++
		if c.state == stateUp && !c.muted {
			up++
			l.speak(c, now)
		}
		if !l.running {
			continue
		}
		switch {
		case c.state == stateInviting && now.Sub(c.tries) >= loadSIPEvery:
			l.invite(c, now)
		case c.state == stateUp && (c.muted || now.After(c.ends) || !l.filling):
			c.state, c.bye = stateEnding, c.bye+1
			l.sendBye(c, now)
		case c.state == stateEnding && now.Sub(c.tries) >= loadSIPEvery:
			l.sendBye(c, now)
		}
	}
	l.most = max(l.most, up)
	if l.running && l.filling && alive < l.want && now.Sub(l.started) >= loadCallEvery {
		l.started = now
		return l.place(now)
	}
	return nil
}

// place begins a call.
func (l *load) place(now time.Time) error {
	n := len(l.calls)
	c := &loadCall{
		n: n, id: fmt.Sprintf("kill-%d-%d", n, now.UnixNano()), own: loadNumber(n % loadTargets), state: stateInviting, bye: 1,
		ends: now.Add(l.life + l.life*time.Duration(n*7919%1000)/1000), sent: map[string]int{}, heard: map[string]timings{},
	}
	for side := range c.socket {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.addr[side].Addr(), 0)))
		if err != nil {
			return err
		}
		c.socket[side] = conn
		l.readers.Go(func() { l.listen(c, side, conn) })
	}
	l.calls, l.active, l.byID[c.id] = append(l.calls, c), append(l.active, c), c
	l.invite(c, now)
	return nil
}

func loadNumber(i int) string { return fmt.Sprintf("+49306660%03d", i) }

// speak sends each side's next packet when it is due. mu is held.
func (l *load) speak(c *loadCall, now time.Time) {
	for side := range c.streams {
		if !c.anchor[side].IsValid() || now.Before(c.next[side]) {
			continue
		}
		if c.next[side].IsZero() { // streams are spread over the interval
			c.next[side] = now.Add(time.Duration(c.n*2+side) * 997 * time.Microsecond % l.interval)
			continue
		}
		c.next[side] = now.Add(l.interval)
		s := &c.streams[side]
		_, _ = c.socket[side].WriteToUDPAddrPort(loadPacket(c.ssrc(side), s.sent), c.anchor[side]) // a dead gateway refuses
		s.sent++
		s.got = append(s.got, time.Time{})
	}
}

func (c *loadCall) ssrc(side int) uint32 { return uint32(c.n)*2 + uint32(side) + 1 } //nolint:gosec // small

// loadPacket is 20 ms of A-law that repeat its number.
func loadPacket(ssrc uint32, n int) []byte {
	p := make([]byte, 172)
	p[0], p[1] = 0x80, 8
	binary.BigEndian.PutUint16(p[2:], uint16(n))     //nolint:gosec // a call is short
	binary.BigEndian.PutUint32(p[4:], uint32(n*160)) //nolint:gosec // it wraps
	binary.BigEndian.PutUint32(p[8:], ssrc)
	for i := 12; i+8 <= len(p); i += 8 {
		binary.BigEndian.PutUint32(p[i:], ssrc)
		binary.BigEndian.PutUint32(p[i+4:], uint32(n)) //nolint:gosec // a call is short
	}
	return p
}

// listen notes what one side of a call hears from the other.
func (l *load) listen(c *loadCall, side int, conn *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if l.gone(c, side) {
				return
			}
			continue
		}
		now := time.Now()
		if n != 172 || binary.BigEndian.Uint32(buf[8:]) != c.ssrc(1-side) {
			continue
		}
		l.mu.Lock()
		s := &c.streams[1-side]
		if seq := int(binary.BigEndian.Uint16(buf[2:])); seq < len(s.got) && s.got[seq].IsZero() {
			s.got[seq] = now
		}
		l.mu.Unlock()
	}
}

func (l *load) gone(c *loadCall, side int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.socket[side] == nil
}

// gatewayKilled silences the calls of a gateway. What ended at its last moment ends
// again: its tap may not have been told. at is just before the kill.
func (l *load) gatewayKilled(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	l.kills = append(l.kills, at)
	for _, c := range l.active {
		switch {
		case c.state == stateOver && at.Sub(c.over) < 2*killWindow:
			c.state, c.bye = stateEnding, c.bye+1
		case c.state == stateUp:
			c.muted = true
		}
	}
}

func (l *load) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.filling = true, true
}

// finish lets all calls end.
func (l *load) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filling = false
}

// count is how many calls are up with sound, and how many are not over.
func (l *load) count() (up, alive int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.active {
		if c.state == stateUp && !c.muted {
			up++
		}
		if c.state != stateOver {
			alive++
		}
	}
	return up, alive
}

// headersOf returns the named header lines of a message, in its order.
func headersOf(msg string, names ...string) string {
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

func headerOf(msg, name string) string {
	_, value, _ := strings.Cut(headersOf(msg, name), ":")
	return strings.TrimSpace(value)
}

// sipKey names a message of a call: its start and its CSeq.
func sipKey(msg string) string {
	start, _, _ := strings.Cut(msg, "\r\n")
	if rest, ok := strings.CutPrefix(start, "SIP/2.0 "); ok {
		start = rest[:min(3, len(rest))]
	} else {
		start, _, _ = strings.Cut(start, " ")
	}
	return start + " " + headerOf(msg, "CSeq")
}

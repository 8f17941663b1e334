package deliver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// Reasons why a connection ends, as metrics and logs name them.
var (
	errUnanswered = errors.New("deliver: the LEMF did not answer a keep-alive in time (TIME3)")
	errForeign    = errors.New("deliver: the LEMF sent what is no PS-PDU, or one too large")
	errFlood      = errors.New("deliver: the LEMF sends keep-alives without end")
	errStray      = errors.New("deliver: the LEMF answered what was not asked")
	errClosed     = errors.New("deliver: the LEMF closed the connection")
)

const (
	maxUnconfirmed = 8 << 20          // octets on their way; more wait on the spool
	maxAnswerBytes = 64 << 10         // of one PDU of the LEMF
	maxAsked       = 600              // keep-alives of the LEMF a minute
	probeBytes     = 512 << 10        // ask at the latest after so many octets
	pieceBytes     = 64 << 10         // written at once
	writeTimeout   = 30 * time.Second // of a piece
)

// sent is a spool's message on its way.
type sent struct {
	ack    func() error
	octets int
	end    uint64 // octets of the connection when it was written, for ConfirmTCP
	last   []mark
}

// mark is consecutive numbers of a session's counter.
type mark struct {
	session uint64

	span
}

// conn is one connection to a LEMF.
type conn struct {
	link  *link
	tls   *tls.Conn
	count *counted
	enc   *etsi.Encoder

	write sync.Mutex // one writer at a time, for as long as the LEMF takes
	out   []byte     // scratch, under write

	mu          sync.Mutex // guards the fields below, briefly
	flight      []sent
	unconfirmed int
	total       uint64        // messages sent
	confirmed   uint64        // of those
	room        chan struct{} // closed and replaced when something is confirmed
	seq         uint32        // of the next keep-alive or other TRI PDU of ours
	asked       []probe       // not answered, oldest first
	answeredAt  time.Time     // the last answer; zero = there was none
	lastSend    time.Time
	lastProbe   time.Time
	unasked     int  // octets sent since
	pduAck      bool // the LEMF agreed to acknowledge PDUs
	options     bool // it was asked
	flood       int  // keep-alives of the LEMF in this minute
	minute      time.Time
}

// probe is a question to which an answer means that all before it was read.
type probe struct {
	seq   uint32
	total uint64 // messages sent before
	at    time.Time
	ack   bool // a PDU acknowledgement request
}

// counted counts what is written below TLS.
type counted struct {
	net.Conn
	mu sync.Mutex // guards n, briefly
	n  uint64
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mu.Lock()
	c.n += uint64(n) //nolint:gosec // not negative
	c.mu.Unlock()
	return n, err
}

func (c *counted) written() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// send writes PDUs; it blocks for as long as the LEMF takes, a piece at a time. write is
// held.
func (c *conn) send(b []byte) error {
	for len(b) > 0 {
		n := min(pieceBytes, len(b))
		if err := c.tls.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return errClosed
		}
		if _, err := c.tls.Write(b[:n]); err != nil {
			return errClosed
		}
		b = b[n:]
		c.mu.Lock()
		c.lastSend = time.Now()
		c.mu.Unlock()
	}
	return nil
}

// say sends one PDU of the transport. write is held.
func (c *conn) say(pdu []byte, err error) error {
	if err != nil {
		return err
	}
	return c.send(pdu)
}

// tri sends a TRI PDU that has no content.
func (c *conn) tri(seq uint32, t etsi.TRI) error {
	c.write.Lock()
	defer c.write.Unlock()
	return c.say(c.enc.AppendTRI(nil, seq, time.Now(), t))
}

// ask sends a question behind everything that was sent. Its place among the messages
// is right because the write lock keeps others out.
func (c *conn) ask(now time.Time) error {
	c.write.Lock()
	defer c.write.Unlock()
	c.mu.Lock()
	p := probe{seq: c.seq, total: c.total, at: now, ack: c.pduAck && c.total > c.confirmed}
	c.seq++
	c.asked = append(c.asked, p)
	c.lastProbe, c.unasked = now, 0
	c.mu.Unlock()
	t := etsi.TRIKeepalive
	if p.ack {
		t = etsi.TRIPDUAckRequest
	}
	return c.say(c.enc.AppendTRI(nil, p.seq, now, t))
}

// answered takes an answer: all that was sent before its question is confirmed.
func (c *conn) answered(seq uint32, ack bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.asked {
		if p.seq == seq && p.ack == ack {
			c.asked = c.asked[i+1:] // answers come in the order of questions
			c.answeredAt = time.Now()
			if c.link.delivery.Confirm != confirmTCP && (ack || !c.pduAck) {
				c.confirm(p.total)
			}
			return nil
		}
	}
	return errStray
}

// confirm lets the spool forget the messages up to total. mu is held.
func (c *conn) confirm(total uint64) {
	if total <= c.confirmed {
		return
	}
	n := total - c.confirmed
	for _, s := range c.flight[:n] {
		if s.ack() != nil {
			c.link.metrics.ackErrors.Inc() // it comes again and is recognised
		}
		c.unconfirmed -= s.octets
		for _, m := range s.last {
			c.link.confirmed.set(m)
		}
	}
	c.flight = append(c.flight[:0], c.flight[n:]...)
	c.confirmed = total
	close(c.room)
	c.room = make(chan struct{})
}

// waitRoom blocks while too much is unconfirmed.
func (c *conn) waitRoom(ctx context.Context) bool {
	for {
		c.mu.Lock()
		full, room := c.unconfirmed >= maxUnconfirmed, c.room
		c.mu.Unlock()
		if !full {
			return ctx.Err() == nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// read takes what the LEMF sends until the connection ends.
func (c *conn) read() error {
	in := bufio.NewReaderSize(c.tls, maxAnswerBytes)
	for {
		b, err := peekPDU(in)
		if err != nil {
			return err
		}
		p, n, err := etsi.Decode(b)
		if err != nil || p.What != etsi.PayloadTRI {
			return errForeign
		}
		if err := c.heard(&p); err != nil {
			return err
		}
		if _, err := in.Discard(n); err != nil {
			return errClosed
		}
	}
}

// peekPDU returns the next whole PS-PDU of the LEMF.
func peekPDU(in *bufio.Reader) ([]byte, error) {
	for want := 2; ; {
		if _, err := in.Peek(want); err != nil {
			return nil, errClosed
		}
		b, _ := in.Peek(in.Buffered())
		n, err := etsi.Frame(b)
		switch {
		case n > maxAnswerBytes:
			return nil, errForeign
		case errors.Is(err, etsi.ErrShort):
			want = max(n, len(b)+1)
		case err != nil:
			return nil, errForeign
		default:
			return b[:n], nil
		}
		if want > maxAnswerBytes {
			return nil, errForeign
		}
	}
}

// heard acts on one PDU of the LEMF. What is none of a DF's business is passed over.
func (c *conn) heard(p *etsi.PDU) error {
	switch p.TRI {
	case etsi.TRIKeepalive:
		if c.flooded(time.Now()) {
			return errFlood
		}
		return c.tri(p.Seq, etsi.TRIKeepaliveResponse)
	case etsi.TRIKeepaliveResponse:
		return c.answered(p.Seq, false)
	case etsi.TRIPDUAckResponse:
		return c.answered(p.Seq, true)
	case etsi.TRIOptionResponse:
		return c.optionAnswer(p.PDUAckAccepted)
	case etsi.TRIOptionRequest: // we offer what we have, and are offered nothing else
		c.write.Lock()
		defer c.write.Unlock()
		return c.say(c.enc.AppendOptionResponse(nil, p.Seq, time.Now(), false))
	}
	return nil
}

// optionAnswer ends the negotiation of clause 6.3.5.
func (c *conn) optionAnswer(accepted bool) error {
	c.mu.Lock()
	if !c.options {
		c.mu.Unlock()
		return errStray
	}
	c.options, c.pduAck = false, accepted
	seq := c.seq
	c.seq++
	c.mu.Unlock()
	return c.tri(seq, etsi.TRIOptionComplete)
}

func (c *conn) flooded(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.minute) >= time.Minute {
		c.minute, c.flood = now, 0
	}
	c.flood++
	return c.flood > maxAsked
}

// watch sends keep-alives and questions when they are due, and ends a connection
// whose LEMF does not answer.
func (c *conn) watch(ctx context.Context) error {
	ticker := time.NewTicker(max(c.link.timing.Confirm/5, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			due, err := c.due(now)
			if err != nil {
				return err
			}
			if due {
				if err := c.ask(now); err != nil {
					return err
				}
			}
		}
	}
}

// due reports whether a question is due. Behind each probeBytes stands one, so that a
// slow LEMF too answers again and again: it is given up when no answer comes for long.
func (c *conn) due(now time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) > 0 && now.Sub(c.asked[0].at) >= c.link.timing.NoAnswer && now.Sub(c.answeredAt) >= c.link.timing.NoAnswer {
		return false, errUnanswered
	}
	if c.link.delivery.Confirm == confirmTCP && c.total > c.confirmed {
		c.confirm(c.acked())
	}
	switch {
	case now.Sub(c.lastSend) >= c.link.timing.Idle:
		return len(c.asked) == 0, nil
	case c.total == c.confirmed || c.link.delivery.Confirm == confirmTCP:
		return false, nil
	}
	return c.unasked >= probeBytes || len(c.asked) == 0 && now.Sub(c.lastProbe) >= c.link.timing.Confirm, nil
}

// acked is how many messages the LEMF's host has. mu is held.
func (c *conn) acked() uint64 {
	written := c.count.written() // before the queue is read: what is written between must not count
	queued, err := outQueue(c.count.Conn)
	if err != nil {
		return c.confirmed
	}
	there := written - min(queued, written)
	n := c.confirmed
	for _, s := range c.flight {
		if s.end > there {
			break
		}
		n++
	}
	return n
}

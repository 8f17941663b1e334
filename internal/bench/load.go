package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// The players of a measurement, on loopback addresses of their own.
const (
	accessHost = "127.0.0.2"
	trunkHost  = "127.0.0.3"

	targetNumber = "+4930555001" // calls +4989123456
)

// order is what the parent asks of the load process; one JSON object.
type order struct {
	Kind   string        `json:"kind"` // "rtp" or "sip"
	Calls  int           `json:"calls"`
	Length time.Duration `json:"length"`
}

// addresses are the load's sockets, and then where it must send: the relay's
// anchors for them, or in Access the proxy.
type addresses struct {
	Access []netip.AddrPort `json:"access"`
	Trunk  []netip.AddrPort `json:"trunk"`
}

// done is what the load did.
type done struct {
	Sent     int           `json:"sent"`
	Received int           `json:"received"`
	Calls    int           `json:"calls"`
	Failed   int           `json:"failed"`
	Took     time.Duration `json:"took"`
}

// Load is the load process: it takes its orders from in and answers on out.
func Load(in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	var o order
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	switch o.Kind {
	case "rtp":
		return loadRTP(o, dec, enc)
	case "sip":
		return loadSIP(o, dec, enc)
	}
	return errors.New("unknown order")
}

// child is a running load process.
type child struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

// startLoad runs this binary's hidden load command and returns the sockets that it
// opened. The caller kills it in the end. It also dies with ctx.
func startLoad(ctx context.Context, args []string, o order) (*child, addresses, error) {
	var own addresses
	self, err := os.Executable()
	if err != nil {
		return nil, own, fmt.Errorf("find own binary: %w", err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, args...)}
	in, errIn := c.cmd.StdinPipe()
	out, errOut := c.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, own, fmt.Errorf("start load: %w", err)
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return nil, own, fmt.Errorf("start load: %w", err)
	}
	c.in, c.out = json.NewEncoder(in), json.NewDecoder(out)
	if err := c.in.Encode(o); err != nil {
		c.kill()
		return nil, own, fmt.Errorf("order load: %w", err)
	}
	if err := c.out.Decode(&own); err != nil {
		c.kill()
		return nil, own, fmt.Errorf("read load's addresses: %w", err)
	}
	return c, own, nil
}

// finish says where to send, reads the result and waits for the process.
func (c *child) finish(to addresses) (d done, err error) {
	if err := c.in.Encode(to); err != nil {
		return d, fmt.Errorf("start load: %w", err)
	}
	if err := errors.Join(c.out.Decode(&d), c.cmd.Wait()); err != nil {
		return d, fmt.Errorf("run load: %w", err)
	}
	return d, nil
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
}

const (
	frameMillis = 20
	rtpBytes    = 172 // 20 ms of G.711
	rtpBuffer   = 1 << 20
	sipBuffer   = 4 << 20
	drain       = 300 * time.Millisecond
)

// loadRTP sends 50 packets a second in both directions of every call.
func loadRTP(o order, dec *json.Decoder, enc *json.Encoder) error {
	var conns []*net.UDPConn
	var own addresses
	for range o.Calls {
		for _, side := range []struct {
			host string
			list *[]netip.AddrPort
		}{{accessHost, &own.Access}, {trunkHost, &own.Trunk}} {
			c, addr, err := listen(side.host, rtpBuffer)
			if err != nil {
				return err
			}
			conns = append(conns, c)
			*side.list = append(*side.list, addr)
		}
	}
	var anchors addresses
	if err := errors.Join(enc.Encode(own), dec.Decode(&anchors)); err != nil {
		return fmt.Errorf("exchange addresses: %w", err)
	}
	if len(anchors.Access) != o.Calls || len(anchors.Trunk) != o.Calls {
		return errors.New("exchange addresses: not one anchor a call and side")
	}
	to := make([]netip.AddrPort, len(conns))
	for i := range o.Calls {
		to[2*i], to[2*i+1] = anchors.Access[i], anchors.Trunk[i]
	}
	return enc.Encode(blast(conns, to, o.Length))
}

// listen opens a socket with room for what comes while the load is not scheduled.
func listen(host string, buffer int) (*net.UDPConn, netip.AddrPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("bind: %w", err)
	}
	_, _ = c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer) // the defaults serve too
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// blast sends whole frames, one packet a socket, for about d.
func blast(conns []*net.UDPConn, to []netip.AddrPort, d time.Duration) done {
	var received atomic.Int64
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			buf := make([]byte, 2000)
			for {
				if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
					return
				}
				received.Add(1)
			}
		})
	}
	packet := make([]byte, rtpBytes)
	packet[0], packet[1] = 0x80, 8
	start, sent := time.Now(), 0
	for frame := 0; time.Since(start) < d; frame++ {
		packet[2], packet[3] = byte(frame>>8), byte(frame)
		for i, c := range conns {
			// Spread over the frame, as independent senders are.
			due := start.Add(time.Duration(frame)*frameMillis*time.Millisecond + time.Duration(i)*frameMillis*time.Millisecond/time.Duration(len(conns)))
			if i%16 == 0 {
				time.Sleep(time.Until(due))
			}
			if _, err := c.WriteToUDPAddrPort(packet, to[i]); err == nil {
				sent++
			}
		}
	}
	took := time.Since(start)
	time.Sleep(drain)
	for _, c := range conns {
		_ = c.Close()
	}
	wg.Wait()
	return done{Sent: sent, Received: int(received.Load()), Took: took}
}

package bench

import (
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
)

// order is what the parent asks of the load process; one JSON object.
type order struct {
	Kind   string        `json:"kind"` // "rtp" or "sip"
	Calls  int           `json:"calls"`
	Length time.Duration `json:"length"`
	Proxy  string        `json:"proxy,omitempty"` // of SIP
}

// addresses are the load's sockets, and then the relay's anchors for them.
type addresses struct {
	Access []string `json:"access"`
	Trunk  []string `json:"trunk"`
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

// startLoad runs this binary's hidden load command.
func startLoad(args []string, o order) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	c := &child{cmd: exec.Command(self, args...)}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	c.in, c.out = json.NewEncoder(in), json.NewDecoder(out)
	return c, c.in.Encode(o)
}

// finish reads the result and waits for the process.
func (c *child) finish() (d done, err error) {
	err = c.out.Decode(&d)
	return d, errors.Join(err, c.cmd.Wait())
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
}

const (
	frameMillis = 20
	rtpBytes    = 172
	drain       = 300 * time.Millisecond
)

// loadRTP sends 50 packets a second in both directions of every call.
func loadRTP(o order, dec *json.Decoder, enc *json.Encoder) error {
	var conns []*net.UDPConn
	var own addresses
	for range o.Calls {
		for _, side := range []struct {
			host string
			list *[]string
		}{{accessHost, &own.Access}, {trunkHost, &own.Trunk}} {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(side.host), 0)))
			if err != nil {
				return fmt.Errorf("bind: %w", err)
			}
			_ = c.SetReadBuffer(1 << 20) // the default serves too
			conns = append(conns, c)
			*side.list = append(*side.list, c.LocalAddr().String())
		}
	}
	if err := enc.Encode(own); err != nil {
		return err
	}
	var anchors addresses
	if err := dec.Decode(&anchors); err != nil {
		return fmt.Errorf("read anchors: %w", err)
	}
	to := make([]netip.AddrPort, len(conns))
	for i := range o.Calls {
		to[2*i], to[2*i+1] = netip.MustParseAddrPort(anchors.Access[i]), netip.MustParseAddrPort(anchors.Trunk[i])
	}
	return enc.Encode(blast(conns, to, o.Length))
}

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

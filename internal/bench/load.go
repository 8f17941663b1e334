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
	"syscall"
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
	Kind   string        `json:"kind"` // "rtp", "sip" or "hold"
	Calls  int           `json:"calls"`
	Rate   int           `json:"rate"` // sip: calls a second; 0: Calls in the air
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

	Late int           `json:"late"` // packets received after more than tooLate
	P50  time.Duration `json:"p50"`  // from sending to the receiving socket
	P99  time.Duration `json:"p99"`

	Rang      int `json:"rang"`       // calls that the answering side sent a 180 for
	RangFirst int `json:"rang_first"` // calls whose 180 came before their 200
	RangLast  int `json:"rang_last"`  // calls whose 180 came after their 200
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
	case "sip", "hold":
		return loadSIP(o, dec, enc)
	}
	return errors.New("unknown order")
}

// child is this binary in another role, and the talk with it.
type child struct {
	cmd  *exec.Cmd
	pipe io.Closer // its input
	in   *json.Encoder
	out  *json.Decoder
}

// startChild runs this binary with args in a process group of its own, on one core
// if pin names it. The caller kills it in the end. It also dies with ctx, and by
// itself when its input ends.
func startChild(ctx context.Context, pin string, args []string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	self, args = pinned(pin, self, args)
	c := &child{cmd: exec.CommandContext(ctx, self, args...)}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, errIn := c.cmd.StdinPipe()
	out, errOut := c.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, fmt.Errorf("make pipes: %w", err)
	}
	c.cmd.Stderr = os.Stderr
	c.cmd.Cancel = in.Close // a gateway then removes its folder
	c.cmd.WaitDelay = stopLimit
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.pipe, c.in, c.out = in, json.NewEncoder(in), json.NewDecoder(out)
	return c, nil
}

// ask sends a request and reads the answer.
func (c *child) ask(request, answer any) error {
	if err := c.in.Encode(request); err != nil {
		return err
	}
	return c.out.Decode(answer)
}

// group is the child's process group, which it leads.
func (c *child) group() int { return c.cmd.Process.Pid }

// end closes the child's input and waits for it.
func (c *child) end() error {
	err := c.pipe.Close()
	if errors.Is(err, os.ErrClosed) { // the context has ended it
		err = nil
	}
	return errors.Join(err, c.cmd.Wait())
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
}

// startLoad runs a load process and returns the sockets that it opened.
func startLoad(ctx context.Context, cfg Config, o order) (*child, addresses, error) {
	var own addresses
	c, err := startChild(ctx, cfg.pinLoad, cfg.LoadArgs)
	if err != nil {
		return nil, own, fmt.Errorf("start load: %w", err)
	}
	if err := c.ask(o, &own); err != nil {
		c.kill()
		return nil, own, fmt.Errorf("order load: %w", err)
	}
	return c, own, nil
}

// finish says where to send, reads the result and waits for the process.
func (c *child) finish(to addresses) (d done, err error) {
	if err := c.ask(to, &d); err != nil {
		return d, fmt.Errorf("run load: %w", err)
	}
	if err := c.cmd.Wait(); err != nil {
		return d, fmt.Errorf("run load: %w", err)
	}
	return d, nil
}

const sipBuffer = 4 << 20

// listen opens a socket with room for what comes while the load is not scheduled.
func listen(host string, buffer int) (*net.UDPConn, netip.AddrPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("bind: %w", err)
	}
	_, _ = c.SetReadBuffer(buffer), c.SetWriteBuffer(buffer) // the defaults serve too
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

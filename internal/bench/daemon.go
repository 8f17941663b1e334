package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// MissingPeerError says that a program to compare with is not installed.
type MissingPeerError struct{ Program, Package string }

func (e *MissingPeerError) Error() string {
	return fmt.Sprintf("%s is not on PATH: install Debian's package %s (apt-get install %s) or leave this part out", e.Program, e.Package, e.Package)
}

// stopLimit is how long a peer may take to end before it is killed.
const stopLimit = 5 * time.Second

// daemon is a peer's process and its children.
type daemon struct {
	cmd   *exec.Cmd
	log   bytes.Buffer // what it wrote; read only after ended
	ended chan struct{}
}

// peer is a program to compare with.
type peer struct{ program, pkg string }

func peerRTPEngine() peer { return peer{"rtpengine", "rtpengine-daemon"} }

func peerKamailio() peer { return peer{"kamailio", "kamailio"} }

// path finds the program.
func (p peer) path() (string, error) {
	path, err := exec.LookPath(p.program)
	if err != nil {
		return "", &MissingPeerError{p.program, p.pkg}
	}
	return path, nil
}

// startDaemon runs a peer in a process group of its own, on
// one core if pin names it. The caller stops it in the end. It is also stopped with
// ctx.
func startDaemon(ctx context.Context, pin string, p peer, args []string) (*daemon, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	d := &daemon{ended: make(chan struct{})}
	path, args = pinned(pin, path, args)
	d.cmd = exec.CommandContext(ctx, path, args...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = stopLimit
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.program, err)
	}
	go func() {
		_ = d.cmd.Wait() // how it ends is of no interest, that it ends too early is
		close(d.ended)
	}()
	return d, nil
}

func (d *daemon) group() int { return d.cmd.Process.Pid }

// stop ends the process, which ends its children.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-d.ended:
	case <-time.After(stopLimit):
		_ = syscall.Kill(-d.group(), syscall.SIGKILL) // its children too
		<-d.ended
	}
}

const (
	readyLimit = 10 * time.Second
	readyEvery = 50 * time.Millisecond
)

// ready waits until probe succeeds.
func (d *daemon) ready(ctx context.Context, probe func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, errors.New("it does not answer"))
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for probe() != nil {
		select {
		case <-d.ended:
			return fmt.Errorf("it ended at once and said: %s", bytes.TrimSpace(d.log.Bytes()))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// pinned makes a command run on one core only; taskset becomes the program.
func pinned(pin, program string, args []string) (string, []string) {
	if pin == "" {
		return program, args
	}
	return "taskset", append([]string{"-c", pin, program}, args...)
}

// freePort finds a UDP port of loopback for a program that cannot choose one
// itself.
func freePort() (netip.AddrPort, error) {
	c, addr, err := listen("127.0.0.1", sipBuffer)
	if err != nil {
		return addr, err
	}
	return addr, c.Close()
}

// dial opens a socket to a peer's port.
func dial(to netip.AddrPort) (*net.UDPConn, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	return c, nil
}

// runDir makes a folder for one run of a peer.
func runDir() (string, error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	return dir, nil
}

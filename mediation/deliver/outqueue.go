package deliver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// outQueue is how many octets of a TCP connection the peer's host has not
// acknowledged (SIOCOUTQ, tcp(7)).
func outQueue(c net.Conn) (uint64, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, syscall.ENOTSUP
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var ctlErr error
	if err := raw.Control(func(fd uintptr) { n, ctlErr = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); err != nil { //nolint:gosec // a descriptor is small
		return 0, err
	}
	return uint64(max(n, 0)), ctlErr //nolint:gosec // not negative
}

package bench

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	frameMillis = 20
	rtpBytes    = 172 // 20 ms of G.711
	rtpHead     = 12  // then eight octets: when it was sent
	rtpBuffer   = 1 << 20
	drain       = 300 * time.Millisecond
	pause       = 50 * time.Microsecond // while nothing is due
	tooLate     = 100 * time.Millisecond
	maxStep     = 100 * time.Microsecond // of the clock during a run
)

// rtpLoad is 50 packets a second in both directions of every call. One thread
// sends and receives with raw calls, so that the load costs little beside what it
// loads. It receives on a socket when it is the socket's turn to send: the kernel
// notes when a packet came, so that the delay is the network's and the relay's, not
// the load's. One goroutine.
type rtpLoad struct {
	sockets []int // two a call: access, trunk
	packet  [rtpBytes]byte
	in      inbox
	delays  []int64 // ns, of every packet that came
	sent    int
}

// loadRTP plays the phones and the carrier.
func loadRTP(o order, dec *json.Decoder, enc *json.Encoder) error {
	l := &rtpLoad{}
	defer l.close()
	own, err := l.open(o.Calls)
	if err != nil {
		return err
	}
	var anchors addresses
	if err := errors.Join(enc.Encode(own), dec.Decode(&anchors)); err != nil {
		return fmt.Errorf("exchange addresses: %w", err)
	}
	if err := l.connect(o.Calls, anchors); err != nil {
		return err
	}
	// Room for all that can come: no collection during the run.
	l.delays = make([]int64, 0, len(l.sockets)*int(o.Length/(frameMillis*time.Millisecond)+2)*2)
	d, err := l.run(o.Length)
	if err != nil {
		return err
	}
	return enc.Encode(d)
}

func (l *rtpLoad) open(calls int) (own addresses, err error) {
	for range calls {
		for _, side := range []struct {
			host string
			list *[]netip.AddrPort
		}{{accessHost, &own.Access}, {trunkHost, &own.Trunk}} {
			fd, addr, err := rtpSocket(side.host)
			if err != nil {
				return own, err
			}
			l.sockets, *side.list = append(l.sockets, fd), append(*side.list, addr)
		}
	}
	return own, nil
}

// connect says where each socket sends.
func (l *rtpLoad) connect(calls int, anchors addresses) error {
	if len(anchors.Access) != calls || len(anchors.Trunk) != calls {
		return errors.New("exchange addresses: not one anchor a call and side")
	}
	for i := range calls {
		for side, to := range []netip.AddrPort{anchors.Access[i], anchors.Trunk[i]} {
			if !to.Addr().Is4() {
				return errors.New("exchange addresses: not IPv4")
			}
			if err := unix.Connect(l.sockets[2*i+side], &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
				return fmt.Errorf("connect to anchor: %w", err)
			}
		}
	}
	return nil
}

func (l *rtpLoad) close() {
	for _, fd := range l.sockets {
		_ = unix.Close(fd)
	}
}

func rtpSocket(host string) (fd int, addr netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, addr, fmt.Errorf("make socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rtpBuffer) // the default serves too
	host4 := netip.MustParseAddr(host)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: host4.As4()}),
	)
	name, errName := unix.Getsockname(fd)
	bound, ok := name.(*unix.SockaddrInet4)
	if err = errors.Join(err, errName); err != nil || !ok {
		_ = unix.Close(fd)
		return -1, addr, fmt.Errorf("bind: %w", err)
	}
	return fd, netip.AddrPortFrom(host4, uint16(bound.Port)), nil //nolint:gosec // a port
}

// run sends whole frames, one packet a socket, for about d.
func (l *rtpLoad) run(d time.Duration) (done, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.packet[0], l.packet[1] = 0x80, 8
	l.in.prepare()
	start := time.Now()
	for frame := 0; time.Since(start) < d; frame++ {
		for i, fd := range l.sockets {
			// Spread over the frame, as independent senders are.
			due := start.Add(time.Duration(frame)*frameMillis*time.Millisecond + time.Duration(i)*frameMillis*time.Millisecond/time.Duration(len(l.sockets)))
			for time.Now().Before(due) {
				nap(pause)
			}
			l.send(fd, frame, i)
			l.receive(fd)
		}
	}
	took := time.Since(start)
	for end := time.Now().Add(drain); time.Now().Before(end); nap(time.Millisecond) {
		for _, fd := range l.sockets {
			l.receive(fd)
		}
	}
	// Delays are by the wall clock, as the kernel's stamps are.
	if step := time.Now().Round(0).Sub(start.Round(0)) - time.Since(start); step.Abs() > maxStep {
		return done{}, errors.New("the clock was set during the run")
	}
	r := done{Sent: l.sent, Received: len(l.delays), Took: took}
	slices.Sort(l.delays)
	r.P50, r.P99 = percentile(l.delays, 50), percentile(l.delays, 99)
	if i, _ := slices.BinarySearch(l.delays, int64(tooLate)); i < len(l.delays) {
		r.Late = len(l.delays) - i
	}
	return r, nil
}

func (l *rtpLoad) send(fd, frame, i int) {
	p := &l.packet
	binary.BigEndian.PutUint16(p[2:], uint16(frame))                                //nolint:gosec // it wraps
	binary.BigEndian.PutUint32(p[4:], uint32(frame*8*frameMillis))                  //nolint:gosec // it wraps
	binary.BigEndian.PutUint32(p[8:], uint32(i)+1)                                  //nolint:gosec // the source
	binary.BigEndian.PutUint64(p[rtpHead:], uint64(time.Now().Round(0).UnixNano())) //nolint:gosec // after 1970
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(p)), rtpBytes, 0, 0, 0)
	if errno == 0 {
		l.sent++
	}
}

func (l *rtpLoad) receive(fd int) {
	for {
		n := l.in.read(fd)
		for i := range n {
			if m := &l.in.messages[i]; m.n == rtpBytes {
				l.delays = append(l.delays, l.in.delay(i))
			}
		}
		if n < inboxSize {
			return
		}
	}
}

// inboxSize is how many packets one call receives at most. A socket gets one in
// each frame.
const inboxSize = 4

// inbox is what recvmmsg fills.
type inbox struct {
	messages [inboxSize]struct {
		head unix.Msghdr
		n    uint32
	}
	vectors [inboxSize]unix.Iovec
	packets [inboxSize][2 * rtpBytes]byte
	control [inboxSize][64]byte
}

func (in *inbox) prepare() {
	for i := range in.messages {
		in.vectors[i].Base = &in.packets[i][0]
		in.vectors[i].SetLen(len(in.packets[i]))
		in.messages[i].head.Iov = &in.vectors[i]
		in.messages[i].head.SetIovlen(1)
		in.messages[i].head.Control = &in.control[i][0]
	}
}

func (in *inbox) read(fd int) int {
	for i := range in.messages {
		in.messages[i].head.SetControllen(len(in.control[i])) // the kernel overwrites it
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.messages[0])), inboxSize, 0, 0, 0)
	if errno != 0 { // nothing there, or an ICMP error
		return 0
	}
	return int(n)
}

// delay is from just before sending to the arrival at the receiving socket. The
// stamp is the only control message: a header, seconds and nanoseconds.
func (in *inbox) delay(i int) int64 {
	stamp := in.control[i][unix.CmsgLen(0):]
	came := int64(binary.NativeEndian.Uint64(stamp))*int64(time.Second) + int64(binary.NativeEndian.Uint64(stamp[8:])) //nolint:gosec // after 1970
	return came - int64(binary.BigEndian.Uint64(in.packets[i][rtpHead:]))                                              //nolint:gosec // after 1970
}

// nap sleeps without telling the Go scheduler, which has nothing else to do here.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

// percentile returns the smallest value that p percent of the sorted values do not
// exceed; 0 of none.
func percentile(sorted []int64, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return time.Duration(sorted[max(rank, 1)-1])
}

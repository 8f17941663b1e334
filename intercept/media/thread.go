package media

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ligate/ligate/li/x2x3"
)

const (
	maxPacketBytes = 1600 // larger datagrams are no media
	eventsATime    = 128
	waitMillis     = 500
)

// thread relays the packets of its sessions on one operating-system thread.
type thread struct {
	relay *Relay
	epoll int
	bell  int // eventfd that wakes the thread

	mu   sync.Mutex // guards the fields below; held for map work only
	ends map[int32]*end
	gone []int // descriptors that the thread closes, so that none is reused under it
	done bool
}

func newThread(r *Relay) (*thread, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("media: make epoll: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("media: make eventfd: %w", err)
	}
	t := &thread{relay: r, epoll: epoll, bell: bell, ends: map[int32]*end{}}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)}); err != nil {
		return nil, fmt.Errorf("media: watch eventfd: %w", err)
	}
	return t, nil
}

// watch adds one of an end's sockets.
func (t *thread) watch(fd int, e *end) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return ErrClosed
	}
	t.ends[int32(fd)] = e
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		delete(t.ends, int32(fd))
		return fmt.Errorf("media: watch socket: %w", err)
	}
	return nil
}

// remove takes an end out; its thread closes its sockets before it reads anything
// else.
func (t *thread) remove(e *end) {
	if e.gone.Swap(true) {
		return
	}
	e.mu.Lock()
	flow := e.route.Load().flow
	e.route.Store(&route{flow: noSocket})
	e.mu.Unlock()
	t.retire(e.fd)
	if flow != noSocket {
		t.retire(flow)
	}
}

// retire has a socket closed by the thread.
func (t *thread) retire(fd int) {
	t.mu.Lock()
	delete(t.ends, int32(fd))
	done := t.done
	if !done {
		t.gone = append(t.gone, fd)
	}
	t.mu.Unlock()
	if done {
		_ = unix.Close(fd)
		return
	}
	t.wake()
}

func (t *thread) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(t.bell, one) // a full counter wakes as well
}

// sweep closes what was removed.
func (t *thread) sweep() {
	t.mu.Lock()
	gone := t.gone
	t.gone = nil
	t.mu.Unlock()
	for _, fd := range gone {
		_ = unix.Close(fd)
	}
}

// close ends the thread's descriptors after its loop has returned.
func (t *thread) close() {
	t.mu.Lock()
	t.done = true
	t.mu.Unlock()
	t.sweep()
	_ = unix.Close(t.bell)
	_ = unix.Close(t.epoll)
}

// loop relays until ctx ends. It waits in a raw system call and so keeps its
// processor of the Go scheduler (see Relay.Run): giving it back and taking it again at
// each wake-up costs more than a packet. The runtime's preemption signals end the wait,
// so that the garbage collector never waits for it.
func (t *thread) loop(ctx context.Context) error {
	stop := context.AfterFunc(ctx, t.wake)
	defer stop()
	events := make([]unix.EpollEvent, eventsATime)
	found := make([]ready, 0, eventsATime)
	buf := make([]byte, maxPacketBytes)
	for ctx.Err() == nil {
		n, errno := t.wait(events)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("media: wait: %w", errno)
		}
		found = t.find(found[:0], events[:n])
		for _, r := range found {
			t.read(r, buf)
		}
		t.sweep()
	}
	return nil
}

// wait returns how many events there are.
func (t *thread) wait(events []unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(t.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), waitMillis, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// ready is a socket with something to read.
type ready struct {
	fd  int
	end *end
}

// find looks up the sockets of a batch under one lock.
func (t *thread) find(found []ready, events []unix.EpollEvent) []ready {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ev := range events {
		if int(ev.Fd) == t.bell {
			var bell [8]byte
			_, _ = unix.Read(t.bell, bell[:])
			continue
		}
		if e := t.ends[ev.Fd]; e != nil {
			found = append(found, ready{int(ev.Fd), e})
		}
	}
	return found
}

// read relays one packet of a socket. If more wait, the next look at epoll says so:
// that is cheaper than a second read, which would nearly always find nothing. Where
// the packet locked its side, what waits at the bound socket is older than what the
// new one gets, and goes first.
func (t *thread) read(r ready, buf []byte) {
	before := r.end.route.Load()
	for t.readOne(r, buf) {
		if now := r.end.route.Load(); now == before || now.flow == noSocket {
			return
		}
	}
}

func (t *thread) readOne(r ready, buf []byte) bool {
	n, src, ok := receive(r.fd, buf)
	if !ok {
		return false
	}
	if n > 0 && n < len(buf) && !r.end.gone.Load() {
		t.relayPacket(r.end, src, buf[:n])
	}
	return true
}

// relayPacket forwards one packet and copies it for each tapping.
func (t *thread) relayPacket(e *end, src netip.AddrPort, packet []byte) {
	now := time.Now()
	if !e.accept(src, packet) {
		t.relay.counts.refused.Add(1)
		return
	}
	if to := e.peer.route.Load(); to.to.size > 0 && !e.peer.send(packet, to) {
		t.relay.counts.failed.Add(1)
	}
	e.watchSource(packet)
	t.relay.counts.packets.Add(1)
	t.relay.counts.octets.Add(uint64(len(packet)))
	e.session.last.Store(now.UnixNano())
	for _, tap := range *e.session.taps.Load() {
		dir := x2x3.ToTarget
		if tap.Target == e.side {
			dir = x2x3.FromTarget
		}
		tap.Line.X3(tap.Grant, now, dir, src, e.local, packet)
	}
}

// The raw calls below never block, so the scheduler need not know of them.

// receive reads one datagram without allocating; ok is false when none waits.
func receive(fd int, buf []byte) (n int, src netip.AddrPort, ok bool) {
	var raw unix.RawSockaddrInet6
	size := uint32(unix.SizeofSockaddrInet6)
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, src, false // ECONNREFUSED reports an earlier send: epoll tells again what waits
	}
	switch raw.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		src = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swap(a.Port))
	case unix.AF_INET6:
		src = netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), swap(raw.Port))
	}
	return int(r), src, true
}

// send writes one datagram without allocating.
func (e *end) send(packet []byte, r *route) bool {
	fd, to, size := e.fd, unsafe.Pointer(&r.to.raw), uintptr(r.to.size)
	if r.flow != noSocket {
		fd, to, size = r.flow, nil, 0
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)), unix.MSG_DONTWAIT, uintptr(to), size)
	return errno == 0
}

// swap turns a port in network order, as the kernel left it in memory, around.
func swap(p uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&p))
	return binary.BigEndian.Uint16(b[:])
}

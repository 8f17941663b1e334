package media

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ligate/ligate/li/x2x3"
)

const (
	maxPacketBytes = 1600 // larger datagrams are no media
	eventsATime    = 128
	packetsATurn   = 16 // of one socket before the next one's turn
	waitMillis     = 500
)

// thread relays the packets of its sessions on one operating-system thread.
type thread struct {
	relay *Relay
	epoll int
	bell  int // eventfd that wakes the thread

	mu   sync.Mutex // guards the fields below; held for map work only
	ends map[int32]*end
	gone []*end // to be closed by the thread, so that no descriptor is reused under it
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

func (t *thread) add(e *end) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return ErrClosed
	}
	t.ends[int32(e.fd)] = e
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, e.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(e.fd)}); err != nil {
		delete(t.ends, int32(e.fd))
		return fmt.Errorf("media: watch socket: %w", err)
	}
	return nil
}

// remove takes a socket out; its thread closes it before it reads anything else.
func (t *thread) remove(e *end) {
	if e.gone.Swap(true) {
		return
	}
	t.mu.Lock()
	delete(t.ends, int32(e.fd))
	done := t.done
	if !done {
		t.gone = append(t.gone, e)
	}
	t.mu.Unlock()
	if done {
		e.close()
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
	for _, e := range gone {
		e.close()
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

// loop relays until ctx ends.
func (t *thread) loop(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, t.wake)
	defer stop()
	events := make([]unix.EpollEvent, eventsATime)
	buf := make([]byte, maxPacketBytes)
	var bell [8]byte
	for ctx.Err() == nil {
		n, err := unix.EpollWait(t.epoll, events, waitMillis)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("media: wait: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if int(ev.Fd) == t.bell {
				_, _ = unix.Read(t.bell, bell[:])
				continue
			}
			t.mu.Lock()
			e := t.ends[ev.Fd]
			t.mu.Unlock()
			if e != nil {
				t.read(e, buf)
			}
		}
		t.sweep()
	}
	return nil
}

// read relays up to packetsATurn packets of one socket.
func (t *thread) read(e *end, buf []byte) {
	for range packetsATurn {
		n, src, ok := receive(e.fd, buf)
		if !ok {
			return
		}
		if n == 0 || n >= len(buf) || e.gone.Load() {
			continue
		}
		t.relayPacket(e, src, buf[:n])
	}
}

// relayPacket forwards one packet and copies it for each tapping.
func (t *thread) relayPacket(e *end, src netip.AddrPort, packet []byte) {
	now := time.Now()
	if !e.accept(src, packet) {
		t.relay.counts.refused.Add(1)
		return
	}
	if to := e.peer.route.Load().to; to != nil {
		if err := unix.Sendto(e.peer.fd, packet, unix.MSG_DONTWAIT, to); err != nil {
			t.relay.counts.failed.Add(1)
		}
	}
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

// receive reads one datagram without allocating; ok is false when none waits.
func receive(fd int, buf []byte) (n int, src netip.AddrPort, ok bool) {
	var raw unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		// ECONNREFUSED reports an earlier send; the next read may have a packet.
		return 0, src, errno == unix.ECONNREFUSED
	}
	switch raw.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		src = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swap(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&raw))
		src = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), swap(a.Port))
	}
	return int(r), src, true
}

// swap turns a port in network order, as the kernel left it in memory, around.
func swap(p uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&p))
	return binary.BigEndian.Uint16(b[:])
}

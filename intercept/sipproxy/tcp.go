package sipproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

const (
	connQueue   = 1024            // messages that may wait for one connection
	dialTime    = 3 * time.Second // TLS handshake included
	writeTime   = 5 * time.Second
	connIdle    = 15 * time.Minute
	readBuffer  = 64 << 10
	maxConns    = 1024 // of one listener
	acceptPause = 50 * time.Millisecond
)

// conn is one TCP or TLS connection, dialled or accepted.
type conn struct {
	remote netip.AddrPort
	peer   *peer // whose it is; set before anything is read
	queue  chan outgoing
	done   chan struct{} // closed when the connection is gone
	once   sync.Once
}

type outgoing struct {
	b    []byte
	fail failure
}

func newConn(remote netip.AddrPort) *conn {
	return &conn{remote: remote, queue: make(chan outgoing, connQueue), done: make(chan struct{})}
}

func (c *conn) stop() { c.once.Do(func() { close(c.done) }) }

// put queues a message; false means that the connection is gone or stuck.
func (c *conn) put(o outgoing) bool {
	select {
	case <-c.done:
		return false
	default:
	}
	select {
	case c.queue <- o:
		return true
	default:
		c.stop()
		return false
	}
}

// pool holds a listener's connections by far address.
type pool struct {
	ctx   context.Context //nolint:containedctx // the life of Run, for connections dialled on demand
	group *errgroup.Group
	proxy *Proxy

	mu    sync.Mutex // guards conns; held for map work only
	conns map[netip.AddrPort]*conn
	alias map[netip.AddrPort]*conn // by where the far side listens (RFC 5923)

	shaking chan struct{} // one for each TLS handshake of an accepted connection
}

func newPool() *pool {
	return &pool{conns: map[netip.AddrPort]*conn{}, alias: map[netip.AddrPort]*conn{}, shaking: make(chan struct{}, maxHandshakes)}
}

func (l *pool) start(ctx context.Context, group *errgroup.Group, p *Proxy) {
	l.ctx, l.group, l.proxy = ctx, group, p
}

// send uses the flow's connection while it lives, else one to the far address.
func (l *pool) send(f flow, b []byte, fail failure) bool {
	if f.conn != nil && f.conn.put(outgoing{b, fail}) {
		return true
	}
	c, fresh := l.get(f.remote)
	if c == nil {
		return false
	}
	if fresh {
		l.group.Go(func() error { l.dial(f.sock, c); return nil })
	}
	return c.put(outgoing{b, fail})
}

func (l *pool) get(remote netip.AddrPort) (c *conn, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range []*conn{l.conns[remote], l.alias[remote]} {
		if c != nil && c.alive() {
			return c, false
		}
	}
	if len(l.conns) >= maxConns {
		return nil, false
	}
	c = newConn(remote)
	c.peer = l.proxy.peers.near(remote)
	l.conns[remote] = c
	return c, true
}

func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// reuse lets requests to where the peer says that it listens go over the connection
// that it opened (RFC 5923 clause 5). Only a certificate proves that it may say so.
func (l *pool) reuse(c *conn, m *wire.Message) {
	v := m.TopVia
	if !v.HasAlias || c.peer == nil || !c.peer.certified() {
		return
	}
	port := v.Port
	if port == 0 {
		port = defaultTLSPort
	}
	at := netip.AddrPortFrom(c.remote.Addr(), port)
	if l.proxy.peers.near(at) != c.peer {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alias[at] = c
}

func (l *pool) drop(c *conn) {
	c.stop()
	l.mu.Lock()
	if l.conns[c.remote] == c {
		delete(l.conns, c.remote)
	}
	maps.DeleteFunc(l.alias, func(_ netip.AddrPort, x *conn) bool { return x == c })
	l.mu.Unlock()
	for {
		select {
		case o := <-c.queue:
			o.fail.tell()
		default:
			return
		}
	}
}

func (l *pool) dial(s *socket, c *conn) {
	nc, err := l.connect(s, c)
	if err != nil {
		l.proxy.metrics.reject(rejectSend)
		l.drop(c)
		return
	}
	l.carry(s, c, nc)
}

// carry reads and writes one connection until it ends.
func (l *pool) carry(s *socket, c *conn, nc net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { c.write(nc) })
	both.Go(func() { <-c.done; _ = nc.Close() })
	stop := context.AfterFunc(l.ctx, c.stop)
	l.read(s, c, nc)
	stop()
	c.stop()
	both.Wait()
	l.drop(c)
}

func (c *conn) write(nc net.Conn) {
	for {
		select {
		case <-c.done:
			return
		case o := <-c.queue:
			_ = nc.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := nc.Write(o.b); err != nil {
				o.fail.tell()
				c.stop()
				return
			}
		}
	}
}

// read takes messages off the stream until it ends or its framing is lost.
func (l *pool) read(s *socket, c *conn, nc net.Conn) {
	f := flow{sock: s, remote: c.remote, conn: c}
	buf := make([]byte, 0, readBuffer)
	for {
		buf = l.skipKeepAlives(c, buf)
		n, err := wire.FrameLength(buf)
		switch {
		case err != nil:
			// The message has no certain end: answer what can be read, then close.
			l.lastAnswer(f, nc, buf)
			return
		case n > 0:
			// What is wrong with a message was counted; its stream goes on.
			_ = l.proxy.receive(l.ctx, f, c.peer, bytes.Clone(buf[:n]), reading{at: time.Now(), busy: len(buf) > n})
			buf = append(buf[:0], buf[n:]...)
			continue
		case len(buf) == cap(buf):
			return
		}
		_ = nc.SetReadDeadline(time.Now().Add(connIdle))
		got, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+got]
	}
}

// lastAnswer writes past the queue, since the connection is closed right after.
func (l *pool) lastAnswer(f flow, nc net.Conn, buf []byte) {
	l.proxy.metrics.reject(rejectMalformed)
	m, err := wire.Parse(bytes.Clone(buf))
	var fault *wire.Fault
	if m == nil || !errors.As(err, &fault) {
		return
	}
	_ = nc.SetWriteDeadline(time.Now().Add(writeTime))
	_, _ = nc.Write(answer(m, f.remote, fault.Status, reasonOf(fault.Status), "malformed", ""))
}

// skipKeepAlives drops CRLFs between messages and answers a double one (RFC 5626
// clause 4.4.1).
func (l *pool) skipKeepAlives(c *conn, buf []byte) []byte {
	n := 0
	for len(buf) >= n+2 && buf[n] == '\r' && buf[n+1] == '\n' {
		n += 2
	}
	if n >= 4 {
		c.put(outgoing{b: []byte("\r\n")})
	}
	if n == 0 {
		return buf
	}
	return append(buf[:0], buf[n:]...)
}

// serveTCP accepts connections of peers until ctx ends.
func (p *Proxy) serveTCP(ctx context.Context, s *socket) error {
	for {
		nc, err := s.tcp.AcceptTCP()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("sipproxy: accept TCP: %w", err)
		}
		if err != nil { // out of descriptors, or a peer that hung up at once
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		p.accept(s, nc)
	}
}

// accept takes a connection. A stranger's is closed: over TCP at once, over TLS when
// its certificate is known.
func (p *Proxy) accept(s *socket, nc *net.TCPConn) {
	remote := nc.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	who := p.peers.bySource(remote)
	if who == nil && (s.net != netTLS || !p.peers.certified) {
		p.metrics.reject(rejectStranger)
		_ = nc.Close()
		return
	}
	c, fresh := s.pool.get(remote)
	if !fresh {
		_ = nc.Close() // too many, or a second connection from one port, which cannot be
		return
	}
	c.peer = who
	if s.net != netTLS {
		s.pool.group.Go(func() error { s.pool.carry(s, c, nc); return nil })
		return
	}
	select {
	case s.pool.shaking <- struct{}{}:
	default: // too many at once
		_ = nc.Close()
		s.pool.drop(c)
		return
	}
	s.pool.group.Go(func() error { s.pool.welcome(s, c, nc); return nil })
}

// welcome carries an accepted TLS connection once it is known whose it is.
func (l *pool) welcome(s *socket, c *conn, nc net.Conn) {
	sec, who := l.shake(c, nc)
	<-l.shaking
	if who == nil {
		l.proxy.metrics.reject(rejectStranger)
		_ = nc.Close()
		l.drop(c)
		return
	}
	c.peer = who
	l.carry(s, c, sec)
}

package lemf

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/ligate/ligate/mediation/etsi"
)

// Config is what a LEMF needs; fields without a default are required.
type Config struct {
	HI2, HI3 string // host:port; port 0 picks one
	TLS      *tls.Config
	Dir      string
	Log      *slog.Logger
	Signer   *ecdsa.PublicKey // of the operator's integrity checks; nil = signatures are not checked
	Opener   *etsi.Sealer     // opens encryption containers; nil = they stay closed
	PDUAck   bool             // agree to acknowledge PDUs
	Fault    func(string)     // told of each fault; it names no content; nil = Log only
	Late     time.Duration    // how long after a session's end its last checks may come, as after a crash; default 10s
	Now      func() time.Time // default time.Now
}

// LEMF listens for one operator's mediation. It is safe for concurrent use.
type LEMF struct {
	cfg   Config
	ready chan struct{}
	addrs [2]net.Addr // of HI2 and HI3; set before ready is closed

	mu       sync.Mutex // guards the fields below, for one PDU or one sync
	sessions map[Key]*session
	notices  *os.File
	faults   []string
	total    uint64 // faults
	lags     Lags
	hi1      []etsi.HI1
	messages []string // operatorLeaMessage
}

const (
	readTimeout = 10 * time.Minute // TIME1 of the DF is shorter
	defaultLate = 10 * time.Second
	maxFaults   = 1000
	maxSkew     = 10 * time.Second // a PDU from further in the future has a wrong clock
	readBuffer  = 1 << 20
	maxAsked    = 256 // questions that wait for their answer
)

// New validates the configuration; Run listens.
func New(cfg Config) (*LEMF, error) {
	if cfg.HI2 == "" || cfg.HI3 == "" || cfg.TLS == nil || cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("lemf: HI2, HI3, TLS, Dir and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Late == 0 {
		cfg.Late = defaultLate
	}
	return &LEMF{cfg: cfg, ready: make(chan struct{}), sessions: map[Key]*session{}}, nil
}

// Ready is closed once both listeners are open.
func (l *LEMF) Ready() <-chan struct{} { return l.ready }

// Addrs are those of HI2 and HI3, once Ready.
func (l *LEMF) Addrs() (hi2, hi3 net.Addr) { return l.addrs[0], l.addrs[1] }

// Run takes what comes until ctx ends, which is no error.
func (l *LEMF) Run(ctx context.Context) (err error) {
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	l.notices, err = os.OpenFile(filepath.Join(l.cfg.Dir, "notices.ber"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	g, ctx := errgroup.WithContext(ctx)
	var listeners [2]net.Listener
	for i, addr := range []string{l.cfg.HI2, l.cfg.HI3} {
		if listeners[i], err = tls.Listen("tcp", addr, l.cfg.TLS); err != nil {
			return errors.Join(fmt.Errorf("lemf: listen: %w", err), closeAll(listeners[:i]))
		}
		l.addrs[i] = listeners[i].Addr()
	}
	for i, ln := range listeners {
		g.Go(func() error { return l.accept(ctx, g, ln, etsi.KindIRI+etsi.Kind(i)) }) //nolint:gosec // 0 or 1
	}
	close(l.ready)
	<-ctx.Done()
	err = closeAll(listeners[:])
	return errors.Join(g.Wait(), err)
}

func closeAll(all []net.Listener) error {
	var errs error
	for _, ln := range all {
		errs = errors.Join(errs, ln.Close())
	}
	return errs
}

func (l *LEMF) accept(ctx context.Context, g *errgroup.Group, ln net.Listener, kind etsi.Kind) error {
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lemf: accept: %w", err)
		}
		g.Go(func() error {
			defer func() { _ = c.Close() }()
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			if err := l.serve(c, kind); err != nil && ctx.Err() == nil {
				l.cfg.Log.InfoContext(ctx, "connection ended", slog.Any("err", err))
			}
			return nil
		})
	}
}

// errSpeech says that the other side does not speak PS-PDUs.
var errSpeech = errors.New("lemf: what came is no PS-PDU of a mediation")

// serve takes the PDUs of one connection.
func (l *LEMF) serve(c net.Conn, kind etsi.Kind) error {
	in := bufio.NewReaderSize(c, readBuffer)
	enc, err := etsi.NewEncoder(ownStream())
	if err != nil {
		return err
	}
	a := &answerer{conn: c, enc: enc, lemf: l, due: make(chan question, maxAsked)}
	answers := make(chan error, 1)
	go func() {
		answers <- a.run()
		_ = c.Close() // after an error nothing would be answered any more
	}()
	defer func() {
		_ = c.Close()
		close(a.due)
		<-answers
	}()
	var buf []byte
	for {
		if err := c.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
			return err
		}
		if buf, err = readPDU(in, buf[:0]); err != nil {
			return err
		}
		p, _, err := etsi.Decode(buf)
		if err != nil {
			l.fault(fmt.Sprintf("%s: a PS-PDU that does not decode", kindName(kind)))
			return errSpeech
		}
		if err := l.take(&p, kind, a); err != nil {
			return err
		}
	}
}

// readPDU reads one PS-PDU.
func readPDU(in *bufio.Reader, buf []byte) ([]byte, error) {
	for want := 2; ; {
		for len(buf) < want {
			b, err := in.ReadByte()
			if err != nil {
				return nil, err
			}
			buf = append(buf, b)
		}
		n, err := etsi.Frame(buf)
		if errors.Is(err, etsi.ErrShort) && n == 0 {
			want++
			continue
		}
		if err != nil && n == 0 {
			return nil, errSpeech
		}
		at := len(buf)
		buf = append(buf, make([]byte, n-at)...)
		_, err = io.ReadFull(in, buf[at:])
		return buf, err
	}
}

// take acts on one PDU.
func (l *LEMF) take(p *etsi.PDU, kind etsi.Kind, a *answerer) error {
	switch p.What {
	case etsi.PayloadIRI, etsi.PayloadCC, etsi.PayloadEncrypted:
		return l.record(p, kind)
	case etsi.PayloadTRI:
		return l.tri(p, kind, a)
	case etsi.PayloadHI1:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hi1 = append(l.hi1, *p.HI1)
	case etsi.PayloadOther:
		l.fault("a payload that this LEMF does not know")
	}
	return l.notice(p.Raw)
}

func (l *LEMF) notice(raw []byte) error {
	if _, err := l.notices.Write(raw); err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	return nil
}

// record keeps one IRI or CC.
func (l *LEMF) record(p *etsi.PDU, kind etsi.Kind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.HasCIN || p.LIID == "" {
		l.faultLocked("a record without LIID or CIN")
		return nil
	}
	if p.What == etsi.PayloadIRI && kind != etsi.KindIRI || p.What == etsi.PayloadCC && kind != etsi.KindCC {
		l.faultLocked("a record over the wrong interface")
		return nil
	}
	s, err := l.session(Key{p.LIID, p.CIN, kind})
	if err != nil {
		return err
	}
	fresh, fault, err := s.put(p.Seq, p.Raw)
	if err != nil {
		return err
	}
	if fault != "" {
		l.faultLocked(fmt.Sprintf("CIN %d %s: %s", p.CIN, kindName(kind), fault))
	}
	if fresh {
		now := l.cfg.Now()
		if p.Time.After(now.Add(maxSkew)) {
			l.faultLocked(fmt.Sprintf("CIN %d %s: number %d is from the future: a clock is wrong", p.CIN, kindName(kind), p.Seq))
		}
		l.lags.add(now.Sub(p.Time))
	}
	return nil
}

// session returns a Key's session. mu is held.
func (l *LEMF) session(k Key) (*session, error) {
	if s := l.sessions[k]; s != nil {
		return s, nil
	}
	s, err := openSession(l.cfg.Dir, k, verifier{l.cfg.Signer, l.shown})
	if err == nil {
		l.sessions[k] = s
	}
	return s, err
}

// sync makes everything that came durable.
func (l *LEMF) sync() error {
	l.mu.Lock()
	var errs error
	for _, s := range l.sessions {
		errs = errors.Join(errs, s.flush())
	}
	l.judge(l.cfg.Late)
	l.mu.Unlock()
	if errs != nil {
		return errs
	}
	if err := unix.Syncfs(int(l.notices.Fd())); err != nil { // one call for all files
		return fmt.Errorf("lemf: sync: %w", err)
	}
	return nil
}

func (l *LEMF) close() error {
	errs := l.sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judge(0)
	for _, s := range l.sessions {
		errs = errors.Join(errs, s.close())
	}
	return errors.Join(errs, l.notices.Close())
}

// judge looks for sessions that ended so long ago and are not covered by integrity
// checks. mu is held.
func (l *LEMF) judge(after time.Duration) {
	for k, s := range l.sessions {
		n := s.counts.PDUs - min(s.counts.PDUs, s.counts.Checked)
		if n > 0 && !s.ended.IsZero() && !s.judged && l.cfg.Now().Sub(s.ended) >= after {
			s.judged = true
			l.faultLocked(fmt.Sprintf("CIN %d %s: no right integrity check covers %d PDUs at the end of the session", k.CIN, kindName(k.Kind), n))
		}
	}
}

func (l *LEMF) fault(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faultLocked(text)
}

func (l *LEMF) faultLocked(text string) {
	l.total++
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, text)
	}
	if l.cfg.Fault != nil {
		l.cfg.Fault(text)
	}
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// PhoneConfig is what a Phone needs; all fields are required.
type PhoneConfig struct {
	Addr  netip.AddrPort // where it listens, UDP
	User  string         // the number of its line, with "+"
	Proxy netip.AddrPort // where it sends calls
	Says  Speech         // what it says when it is called
	Log   *slog.Logger   // receives sipgo's own lines
}

// Phone is one SIP line: it answers every call and can place calls.
type Phone struct {
	cfg     PhoneConfig
	ua      *sipgo.UserAgent
	conn    *readyConn
	server  *sipgo.Server
	callees *sipgo.DialogServerCache
	callers *sipgo.DialogClientCache

	mu       sync.Mutex           // guards answered
	answered map[string]*answered // by Call-ID, until its BYE
}

// answered is a call that this phone took.
type answered struct {
	media  *mediaPort
	far    netip.AddrPort
	cancel context.CancelFunc
}

// Heard says how a call went.
type Heard struct {
	Status      int // final status of the INVITE
	CallerHeard int // distinct RTP packets that reached the caller
	CallerSent  int
	AnchoredAt  netip.AddrPort // where the caller was told to send its media
}

// NewPhone binds the phone's socket; Run answers calls.
func NewPhone(cfg PhoneConfig) (*Phone, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Addr))
	if err != nil {
		return nil, fmt.Errorf("bind phone: %w", err)
	}
	cfg.Addr = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	p := &Phone{cfg: cfg, conn: &readyConn{UDPConn: conn, ready: make(chan struct{})}, answered: map[string]*answered{}}
	if err := p.build(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *Phone) build() error {
	var err error
	if p.ua, err = sipgo.NewUA(sipgo.WithUserAgent("demo-phone"), sipgo.WithUserAgentHostname(p.cfg.Addr.Addr().String())); err != nil {
		return fmt.Errorf("make user agent: %w", err)
	}
	if p.server, err = sipgo.NewServer(p.ua, sipgo.WithServerLogger(p.cfg.Log)); err != nil {
		return fmt.Errorf("make SIP server: %w", err)
	}
	client, err := sipgo.NewClient(p.ua, sipgo.WithClientLogger(p.cfg.Log), sipgo.WithClientConnectionAddr(p.cfg.Addr.String()))
	if err != nil {
		return fmt.Errorf("make SIP client: %w", err)
	}
	contact := sip.ContactHeader{Address: sip.Uri{
		Scheme: "sip", User: p.cfg.User, Host: p.cfg.Addr.Addr().String(), Port: int(p.cfg.Addr.Port()),
	}}
	p.callees = sipgo.NewDialogServerCache(client, contact)
	p.callers = sipgo.NewDialogClientCache(client, contact)
	p.server.OnInvite(p.onInvite)
	p.server.OnAck(func(req *sip.Request, tx sip.ServerTransaction) { _ = p.callees.ReadAck(req, tx) })
	p.server.OnBye(p.onBye)
	p.server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusOK, "OK", nil))
	})
	return nil
}

// Addr is where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.cfg.Addr }

// Ready is closed once the phone takes and may place calls.
func (p *Phone) Ready() <-chan struct{} { return p.conn.ready }

// readyConn tells when sipgo first reads from it: only then is the socket in
// sipgo's pool, and a call sent before would bind a second one.
type readyConn struct {
	*net.UDPConn
	once  sync.Once
	ready chan struct{}
}

func (c *readyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.ready) })
	return c.UDPConn.ReadFrom(b)
}

// Run serves until ctx ends, which is no error.
func (p *Phone) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.ua.Close(); _ = p.conn.Close() })
	defer stop()
	err := p.server.ServeUDP(p.conn)
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Phone) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	dlg, err := p.callees.ReadInvite(req, tx)
	if err != nil {
		return
	}
	far, err := sdpAddr(req.Body())
	if err != nil {
		_ = dlg.Respond(sip.StatusNotAcceptableHere, "Not Acceptable Here", nil)
		return
	}
	media, err := openMedia(p.cfg.Addr.Addr())
	if err != nil {
		_ = dlg.Respond(sip.StatusInternalServerError, "Server Internal Error", nil)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.mu.Lock()
	p.answered[req.CallID().Value()] = &answered{media: media, far: far, cancel: cancel}
	p.mu.Unlock()
	_ = dlg.Respond(sip.StatusRinging, "Ringing", nil)
	if err := dlg.RespondSDP(sdp(media.addr())); err != nil {
		p.forget(req)
		return
	}
	_ = media.speak(ctx, far, p.cfg.Says)
	<-tx.Done()
}

func (p *Phone) onBye(req *sip.Request, tx sip.ServerTransaction) {
	if err := p.callees.ReadBye(req, tx); err == nil {
		p.forget(req)
		return
	}
	if err := p.callers.ReadBye(req, tx); err != nil {
		_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusCallTransactionDoesNotExists, "Call Does Not Exist", nil))
	}
}

func (p *Phone) forget(req *sip.Request) {
	p.mu.Lock()
	call, ok := p.answered[req.CallID().Value()]
	delete(p.answered, req.CallID().Value())
	p.mu.Unlock()
	if ok {
		call.cancel()
		call.media.close()
	}
}

// Call dials to through the proxy, says s, listens until the far side has said
// farPackets, and hangs up. A refused call is no error: Heard.Status tells.
func (p *Phone) Call(ctx context.Context, to string, s Speech, farPackets int) (Heard, error) {
	media, err := openMedia(p.cfg.Addr.Addr())
	if err != nil {
		return Heard{}, err
	}
	defer media.close()
	dlg, err := p.callers.WriteInvite(ctx, p.invite(to, media.addr()))
	if err != nil {
		return Heard{}, fmt.Errorf("send INVITE: %w", err)
	}
	defer dlg.Close()
	if err := dlg.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		var refused *sipgo.ErrDialogResponse
		if errors.As(err, &refused) {
			return Heard{Status: refused.Res.StatusCode}, nil
		}
		return Heard{}, fmt.Errorf("wait for answer: %w", err)
	}
	far, err := sdpAddr(dlg.InviteResponse.Body())
	if err != nil {
		return Heard{}, err
	}
	if err := dlg.Ack(ctx); err != nil {
		return Heard{}, fmt.Errorf("send ACK: %w", err)
	}
	if err := media.speak(ctx, far, s); err != nil {
		return Heard{}, err
	}
	media.await(ctx, farPackets)
	if err := dlg.Bye(ctx); err != nil {
		return Heard{}, fmt.Errorf("send BYE: %w", err)
	}
	return Heard{
		Status: dlg.InviteResponse.StatusCode, CallerHeard: media.packetsHeard(),
		CallerSent: len(s) / FrameSamples, AnchoredAt: far,
	}, nil
}

// await returns when want packets were heard or nothing new came for a second.
func (m *mediaPort) await(ctx context.Context, want int) {
	tick := time.NewTicker(framePeriod)
	defer tick.Stop()
	last, since := m.packetsHeard(), time.Now()
	for last < want && time.Since(since) < time.Second {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if n := m.packetsHeard(); n != last {
			last, since = n, time.Now()
		}
	}
}

func (p *Phone) invite(to string, media netip.AddrPort) *sip.Request {
	host, port := p.cfg.Proxy.Addr().String(), int(p.cfg.Proxy.Port())
	callee := sip.Uri{Scheme: "sip", User: to, Host: host, Port: port}
	req := sip.NewRequest(sip.INVITE, callee)
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.cfg.User, Host: host}, Params: sip.NewParams()}
	from.Params.Add("tag", sip.GenerateTagN(12))
	req.AppendHeader(&from)
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: host}, Params: sip.NewParams()})
	req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<sip:"+p.cfg.User+"@"+host+">"))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(sdp(media))
	req.SetDestination(p.cfg.Proxy.String())
	return req
}

package lemf

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// answerer writes to one connection.
type answerer struct {
	lemf *LEMF
	enc  *etsi.Encoder
	due  chan question // to be answered once what came before is synced

	mu   sync.Mutex // guards conn's writing
	conn net.Conn
}

// question is a keep-alive or a PDU acknowledgement request.
type question struct {
	seq    uint32
	answer etsi.TRI
}

// run syncs and answers, in the order of the questions, while the connection reads on.
func (a *answerer) run() error {
	enc, err := etsi.NewEncoder(ownStream())
	if err != nil {
		return err
	}
	for q := range a.due {
		if err := a.lemf.sync(); err != nil { // what is answered is kept
			return err
		}
		if err := a.send(enc.AppendTRI(nil, q.seq, a.lemf.cfg.Now(), q.answer)); err != nil {
			return err
		}
	}
	return nil
}

func (a *answerer) send(b []byte, err error) error {
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.conn.Write(b); err != nil {
		return fmt.Errorf("lemf: answer: %w", err)
	}
	return nil
}

// errAsked says that the other side asks faster than a disk syncs.
var errAsked = errors.New("lemf: too many keep-alives wait for their answer")

func ownStream() etsi.Stream { return etsi.Stream{LIID: "lemf", AuthCountry: "XX", Operator: "lemf"} }

// tri acts on a PDU of the transport (TS 102 232-1 clauses 6.3.4 to 6.3.6, 7.2).
func (l *LEMF) tri(p *etsi.PDU, kind etsi.Kind, a *answerer) error {
	now := l.cfg.Now()
	switch p.TRI {
	case etsi.TRIKeepalive, etsi.TRIPDUAckRequest:
		answer := etsi.TRIKeepaliveResponse
		if p.TRI == etsi.TRIPDUAckRequest {
			answer = etsi.TRIPDUAckResponse
		}
		select {
		case a.due <- question{p.Seq, answer}:
			return nil
		default:
			return errAsked
		}
	case etsi.TRIOptionRequest:
		return a.send(a.enc.AppendOptionResponse(nil, p.Seq, now, l.cfg.PDUAck && p.PDUAckRequested))
	case etsi.TRIIntegrityCheck:
		return l.check(p, kind)
	case etsi.TRIOperatorMessage:
		l.mu.Lock()
		l.messages = append(l.messages, p.Message)
		l.mu.Unlock()
		return l.notice(p.Raw)
	case etsi.TRILastSegment:
		return l.ended(p, kind)
	}
	return nil
}

func (l *LEMF) check(p *etsi.PDU, kind etsi.Kind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.session(Key{p.LIID, p.CIN, kind})
	if err != nil {
		return err
	}
	fault, err := s.check(p)
	if fault != "" {
		l.faultLocked(fmt.Sprintf("CIN %d %s: %s", p.CIN, kindName(kind), fault))
	}
	return err
}

// shown is what an integrity check covers: the PDU itself or, of a closed encryption
// container, the same with the container open.
func (l *LEMF) shown(raw []byte) ([]byte, error) {
	p, _, err := etsi.Decode(raw)
	if err != nil || p.What != etsi.PayloadEncrypted || l.cfg.Opener == nil {
		return raw, err
	}
	inner, counter, err := l.cfg.Opener.Open(&p)
	if err != nil {
		return nil, err
	}
	clear, err := etsi.NewSealer(etsi.EncNone, nil)
	if err != nil {
		return nil, err
	}
	return clear.AppendSealed(nil, inner.Raw, counter)
}

func (l *LEMF) ended(p *etsi.PDU, kind etsi.Kind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.session(Key{p.LIID, p.CIN, kind})
	if err != nil {
		return err
	}
	s.counts.Ended, s.ended, s.judged = true, l.cfg.Now(), false
	return nil
}

// Lags is how long PDUs took from the tap, in steps of a millisecond.
type Lags struct {
	count uint64
	steps [maxLag]uint64 // the last step is all that took longer
}

const maxLag = 60_000

func (g *Lags) add(d time.Duration) {
	g.count++
	g.steps[min(max(0, int(d.Milliseconds())), maxLag-1)]++
}

// Count is how many there are.
func (g *Lags) Count() uint64 { return g.count }

// Within returns the share of PDUs that took less than d, to the millisecond.
func (g *Lags) Within(d time.Duration) float64 {
	if g.count == 0 {
		return 0
	}
	n := uint64(0)
	for _, k := range g.steps[:min(max(0, int(d.Milliseconds())), maxLag)] {
		n += k
	}
	return float64(n) / float64(g.count)
}

// Quantile returns the lag that a share q of the PDUs did not pass, to the
// millisecond above; 0 without PDUs.
func (g *Lags) Quantile(q float64) time.Duration {
	want, seen := uint64(q*float64(g.count)), uint64(0)
	for ms, n := range g.steps {
		if seen += n; n > 0 && seen >= want {
			return time.Duration(ms+1) * time.Millisecond
		}
	}
	return 0
}

// State is what a LEMF has seen. Faults holds the first thousand.
type State struct {
	Sessions map[Key]Counts
	Faults   []string
	Total    uint64 // faults
	HI1      []etsi.HI1
	Messages []string
	Lags     *Lags
}

// State copies what was seen so far.
func (l *LEMF) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	lags := l.lags
	st := State{Sessions: map[Key]Counts{}, Total: l.total, Lags: &lags}
	for k, s := range l.sessions {
		st.Sessions[k] = s.counts
	}
	st.Faults = append(st.Faults, l.faults...)
	st.HI1 = append(st.HI1, l.hi1...)
	st.Messages = append(st.Messages, l.messages...)
	return st
}

// ResetLags begins the lags anew.
func (l *LEMF) ResetLags() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lags = Lags{}
}

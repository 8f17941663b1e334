package correlate

import (
	"fmt"
	"time"

	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// The IRI types of TS 102 232-1 clause 5.2.10 and the directions, as records spell
// them.
const (
	typeBegin    = "begin"
	typeContinue = "continue"
	typeEnd      = "end"
	typeReport   = "report"

	fromTarget = "from_target"
	toTarget   = "to_target"
	unknown    = "unknown"
)

const (
	causeBye       = "bye"
	causeCancelled = "cancelled"
	causeTimeout   = "timeout"       // nothing was heard for Config.IdleAfter
	causeNoMedia   = "no_media"      // nobody sent media for too long
	causeWarrant   = "warrant_ended" // the tap stopped during the call
	statusCancel   = 487             // Request Terminated
	methodInvite   = "INVITE"
	methodBye      = "BYE"
	minFinal       = 200
	minFailure     = 300
)

func directionName(d x2x3.Direction) string {
	switch d {
	case x2x3.FromTarget:
		return fromTarget
	case x2x3.ToTarget:
		return toTarget
	case x2x3.DirectionKeepalive, x2x3.DirectionUnknown, x2x3.DirectionSeveral, x2x3.NotApplicable:
	}
	return unknown
}

// facts are what signalling tells of a call.
type facts struct {
	begun      bool
	answeredAt time.Time
	endedAt    time.Time
	endCause   string
	direction  string
}

func factsOf(p *evidence.Progress) facts {
	return facts{begun: p.NextIRI > 0, answeredAt: p.AnsweredAt, endedAt: p.EndedAt, endCause: p.EndCause, direction: p.Direction}
}

func (f facts) onto(p *evidence.Progress) {
	p.AnsweredAt, p.EndedAt, p.EndCause, p.Direction = f.answeredAt, f.endedAt, f.endCause, f.direction
}

// iri makes the record of a SIP message, without its number, and learns from it.
func (f *facts) iri(p *x2x3.PDU, at time.Time) segment.Record {
	ev, err := sipevent.DecodeEvent(p.Event)
	if err != nil { // a network element that is not ours
		if ev, err = sipevent.Classify(p.Payload, !f.answeredAt.IsZero()); err != nil {
			ev = sipevent.Event{Stage: sipevent.Continue, Method: "OTHER"}
		}
	}
	return segment.Record{IRI: &segment.IRIRecord{
		Type: f.learn(ev, p.Direction, at), Time: at, Direction: directionName(p.Direction), Src: p.Src, Dst: p.Dst,
		Method: ev.Method, Status: ev.Status, SIP: p.Payload, Element: p.NFID,
	}}
}

// learn returns the IRI type. A session begins once: an INVITE that is sent again
// with credentials or to another trunk continues it. Such an INVITE, or an answer
// to it, also undoes the end that the first attempt's failure was. What else comes
// after the end is a report.
func (f *facts) learn(ev sipevent.Event, d x2x3.Direction, at time.Time) string {
	if ev.Method == methodInvite && !f.endedAt.IsZero() && f.endCause != causeBye && f.endCause != causeCancelled &&
		(ev.Stage == sipevent.Begin || ev.Stage == sipevent.Continue && ev.Status > 0) {
		f.endedAt, f.endCause = time.Time{}, ""
	}
	ended := !f.endedAt.IsZero()
	switch ev.Stage {
	case sipevent.Begin:
		if f.begun {
			return typeContinue
		}
		f.begun, f.direction = true, directionName(d)
		return typeBegin
	case sipevent.End:
		if ended {
			return typeReport
		}
		f.begun, f.endedAt, f.endCause = true, at, endCause(ev)
		return typeEnd
	case sipevent.Continue:
		if ended {
			return typeReport
		}
		f.begun = true
		if ev.Method == methodInvite && ev.Status >= minFinal && ev.Status < minFailure && f.answeredAt.IsZero() {
			f.answeredAt = at
		}
		return typeContinue
	case sipevent.Report:
	}
	return typeReport
}

func endCause(ev sipevent.Event) string {
	switch {
	case ev.Method == methodBye:
		return causeBye
	case ev.Status == statusCancel:
		return causeCancelled
	case ev.Method == sipevent.NoMedia:
		return causeNoMedia
	case ev.Method == sipevent.Idle:
		return causeTimeout
	}
	return fmt.Sprintf("failed_%d", ev.Status)
}

// cc makes the record of a media packet, without its number.
func cc(p *x2x3.PDU, at time.Time) segment.Record {
	return segment.Record{CC: &segment.CCRecord{Time: at, Direction: p.Direction, Format: p.Format, Decrypted: p.Decrypted, Packet: p.Payload}}
}

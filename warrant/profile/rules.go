package profile

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of dates. Their text is for the person who drafts.
var (
	ErrZone  = errors.New("zone: name the time zone of the order, such as Europe/Berlin")
	ErrOrder = errors.New("until: must be after from")
)

// TooLongError says how long an order may be at most.
type TooLongError struct {
	Code       string
	Longest    Period
	LongestEnd time.Time // UTC
	Zone       *time.Location
	NewOrder   bool
}

func (e *TooLongError) Error() string {
	text := fmt.Sprintf("until: %s allows %s; the order can end at %s (%s) at the latest", e.Code, e.Longest,
		e.LongestEnd.In(e.Zone).Format(time.RFC3339), e.LongestEnd.Format(time.RFC3339))
	if e.NewOrder {
		text += "; a longer measure needs a new order"
	}
	return text
}

// LegalBasis finds a legal basis by its code.
func (p *Profile) LegalBasis(code string) (LegalBasis, bool) {
	i := slices.IndexFunc(p.LegalBases, func(b LegalBasis) bool { return b.Code == code })
	if i < 0 {
		return LegalBasis{}, false
	}
	return p.LegalBases[i], true
}

// Codes lists the codes of the legal bases, in the profile's order.
func (p *Profile) Codes() []string {
	codes := make([]string, len(p.LegalBases))
	for i, b := range p.LegalBases {
		codes[i] = b.Code
	}
	return codes
}

// CodesFor lists the codes of the legal bases that permit a kind of order.
func (p *Profile) CodesFor(k Kind) []string {
	var codes []string
	for _, b := range p.LegalBases {
		if b.Permits(k) {
			codes = append(codes, b.Code)
		}
	}
	return codes
}

// Permits tells whether an order of the kind may rest on the basis.
func (b LegalBasis) Permits(k Kind) bool { return slices.Contains(b.Allows, k) }

// LongestEnd is when an order that begins at from must have ended, as UTC.
func (b LegalBasis) LongestEnd(from time.Time, zone *time.Location) time.Time {
	c := b.calendar
	c.zone = zone
	if b.Count == FromDay {
		from = clockMoment(dateOf(from.In(zone)), zone)
	}
	return b.Longest.addTo(from, c)
}

// CheckDates holds the dates of an order against the longest validity. zone is the
// order's. The error is a *TooLongError, ErrOrder or ErrZone.
func (b LegalBasis) CheckDates(from, until time.Time, zone *time.Location) error {
	if zone == nil {
		return ErrZone
	}
	if !until.After(from) {
		return ErrOrder
	}
	if end := b.LongestEnd(from, zone); until.After(end) {
		return &TooLongError{Code: b.Code, Longest: b.Longest, LongestEnd: end, Zone: zone, NewOrder: b.NewOrder}
	}
	return nil
}

// Location is the zone of orders that name none.
func (p *Profile) Location() *time.Location { return p.calendar.zone }

// OriginalDue is when the original of a provisional order must be there, as UTC;
// then the tap ends by itself. False: the country knows no provisional orders.
func (p *Profile) OriginalDue(receivedAt time.Time) (time.Time, bool) {
	if !p.Provisional.Allowed {
		return time.Time{}, false
	}
	return p.Provisional.OriginalDue.addTo(receivedAt, p.calendar), true
}

// Due is when the named deadline that runs from at ends, as UTC. False: the
// country has no such deadline.
func (p *Profile) Due(name string, at time.Time) (time.Time, bool) {
	for _, d := range p.Deadlines {
		if d.Name == name {
			return d.Within.addTo(at, p.calendar), true
		}
	}
	return time.Time{}, false
}

// RetentionRule finds the operator's rule for a kind of record.
func (p *Profile) RetentionRule(kind RecordKind) (Retention, bool) {
	for _, r := range p.Retention {
		if r.Kind == kind && r.Duty == DutyOperator {
			return r, true
		}
	}
	return Retention{}, false
}

// RetentionEnd is when the operator's retention of a record ends, as UTC, if it runs
// from at (Retention.After says which event that is). False: the country has no
// rule that binds the operator.
func (p *Profile) RetentionEnd(kind RecordKind, at time.Time) (time.Time, bool) {
	r, ok := p.RetentionRule(kind)
	if !ok {
		return time.Time{}, false
	}
	return r.For.addTo(at, p.calendar), true
}

// BufferEnd is until when content that was taken at at may wait for its
// transmission, as UTC. False: the country lets it be stored.
func (p *Profile) BufferEnd(at time.Time) (time.Time, bool) {
	if p.Delivery.Buffer == nil {
		return time.Time{}, false
	}
	return p.Delivery.Buffer.Longest.addTo(at, p.calendar), true
}

// NoticesOn lists what must be told to whom when the event happens.
func (p *Profile) NoticesOn(event string) []Notice {
	var due []Notice
	for _, n := range p.Notices {
		if n.Event == event {
			due = append(due, n)
		}
	}
	return due
}

// NoticeDue is when a notice of what happened at at must have gone out, as UTC.
func (p *Profile) NoticeDue(n Notice, at time.Time) time.Time { return n.Within.addTo(at, p.calendar) }

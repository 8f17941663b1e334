package warrant

import (
	"slices"
	"strings"
	"time"

	"github.com/ligate/ligate/li"
)

// Limits are what a deployment and its law add to the rules of every order. The zero
// value adds the emergency numbers only.
type Limits struct {
	// Bases are the known legal bases and the longest validity of each; nil = any.
	Bases map[string]time.Duration
	// OriginalWithin is how long after its start the original of a provisional order
	// may take, by legal basis. One that is not there takes no provisional order; nil
	// = any deadline.
	OriginalWithin map[string]time.Duration
	// Law is what the jurisdiction holds against an order's legal basis, scope and dates,
	// beside Bases and OriginalWithin; nil = nothing.
	Law func(Order) error
	// OriginalDue is when the original of a provisional order that begins then must have
	// come, where it names no deadline; zero or nil = OriginalWithin says it.
	OriginalDue func(from time.Time) time.Time
	// Deliverable says whether an agency's confirmed delivery suffices for a scope; nil =
	// the agency may fetch, and needs none.
	Deliverable func(Scope, Delivery) error
	// Emergency are numbers that are never targets, as they are dialled; nil = those of
	// EmergencyNumbers.
	Emergency []string
	// CountryCode is the country whose emergency numbers may be written with it.
	CountryCode string
	// InPlan reports whether a number is one of the number plan; nil = all are.
	InPlan func(li.Identity) bool
	// OnNetOnly reports whether a target's calls never reach the PSTN: there is nothing
	// to tap; nil = none is known.
	OnNetOnly func(li.Identity) bool
	// NeedsOrder says that the signed order must be attached before it is submitted.
	NeedsOrder bool
}

// EmergencyNumbers are the numbers that many countries answer emergencies under.
func EmergencyNumbers() []string {
	return []string{"000", "110", "111", "112", "118", "119", "911", "999"}
}

// Check says what the limits hold against an order.
func (l Limits) Check(o Order) error {
	if err := l.checkDates(o); err != nil {
		return err
	}
	if l.Law != nil {
		if err := l.Law(o); err != nil {
			return err
		}
	}
	for _, t := range o.Targets {
		switch {
		case l.emergency(t):
			return broken(RuleTarget, "targets: one is an emergency number; who calls for help is not tapped there")
		case l.InPlan != nil && t.Kind() == li.E164 && !l.InPlan(t):
			return broken(RuleTarget, "targets: one is no number of the number plan; compare it with the order")
		case l.OnNetOnly != nil && l.OnNetOnly(t):
			return broken(RuleTarget, "targets: one calls inside the network only; there is nothing to tap")
		}
	}
	return nil
}

func (l Limits) checkDates(o Order) error {
	if l.Bases != nil {
		longest, known := l.Bases[o.LegalBasis]
		if !known {
			return broken(RuleIncomplete, "legal_basis: not one of the jurisdiction profile")
		}
		if longest > 0 && o.Until.Sub(o.From) > longest {
			return broken(RuleDates, "until: longer than this legal basis allows")
		}
	}
	if l.OriginalWithin != nil && o.Provisional {
		within, known := l.OriginalWithin[o.LegalBasis]
		if !known {
			return broken(RuleIncomplete, "provisional: this legal basis knows no provisional order")
		}
		if o.OriginalDue.Sub(o.From) > within {
			return broken(RuleDates, "original_due: later than this legal basis allows")
		}
	}
	return nil
}

// Complete fills the deadline of a provisional order that names none.
func (l Limits) Complete(o Order) Order {
	if !o.Provisional || !o.OriginalDue.IsZero() {
		return o
	}
	if l.OriginalDue != nil {
		o.OriginalDue = l.OriginalDue(o.From)
	}
	if within := l.OriginalWithin[o.LegalBasis]; o.OriginalDue.IsZero() && within > 0 {
		o.OriginalDue = o.From.Add(within)
	}
	return o
}

// Submittable says whether the papers that are attached suffice.
func (l Limits) Submittable(hasOrder bool) error {
	if l.NeedsOrder && !hasOrder {
		return broken(RuleDocument, "attach the signed order (kind order) first")
	}
	return nil
}

// emergency reports whether a target is an emergency number, as a number, with the
// country code, or as the user of a SIP or urn:service address.
func (l Limits) emergency(t li.Identity) bool {
	numbers := l.Emergency
	if numbers == nil {
		numbers = EmergencyNumbers()
	}
	text := t.Reveal()
	if t.Kind() == li.E164 {
		return slices.Contains(numbers, text) || l.CountryCode != "" && slices.Contains(numbers, strings.TrimPrefix(text, l.CountryCode))
	}
	_, rest, _ := strings.Cut(text, ":")
	user, _, _ := strings.Cut(rest, "@")
	return slices.Contains(numbers, strings.TrimPrefix(user, "+")) || l.CountryCode != "" && slices.Contains(numbers, strings.TrimPrefix(user, "+"+l.CountryCode))
}

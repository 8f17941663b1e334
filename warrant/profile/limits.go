package profile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ligate/ligate/warrant"
)

// Limits adds what the profile says to the limits of a deployment. The profile's
// zone is that of every order.
func (p *Profile) Limits(l warrant.Limits) warrant.Limits {
	l.Law, l.Emergency = p.law, slices.Clone(p.Emergency.Numbers)
	l.OriginalDue = func(from time.Time) time.Time {
		due, _ := p.OriginalDue(from)
		return due
	}
	if p.Delivery.Mode == BufferOnly {
		l.Deliverable = p.deliverable
	}
	return l
}

func refuse(r warrant.Rule, format string, args ...any) error {
	return &warrant.RuleError{Rule: r, Reason: fmt.Sprintf(format, args...)}
}

// law holds an order's legal basis, scope and dates against the profile.
func (p *Profile) law(o warrant.Order) error {
	b, known := p.LegalBasis(o.LegalBasis)
	if !known {
		return refuse(warrant.RuleIncomplete, "legal_basis: want one of the profile %s: %s", p.Name, strings.Join(p.Codes(), ", "))
	}
	if !b.covers(o.Scope) {
		return refuse(warrant.RuleScope, "scope: %s permits %s, not %s; want one of %s", b.Code, b.allowed(), o.Scope,
			strings.Join(p.CodesFor(Kind(o.Scope.String())), ", "))
	}
	if err := b.CheckDates(o.From, o.Until, p.Location()); err != nil {
		return refuse(warrant.RuleDates, "%s", err)
	}
	return p.provisionalLaw(o)
}

func (p *Profile) provisionalLaw(o warrant.Order) error {
	if !o.Provisional {
		return nil
	}
	due, allowed := p.OriginalDue(o.From)
	switch {
	case !allowed:
		return refuse(warrant.RuleIncomplete, "provisional: the profile %s knows no provisional orders; wait for the original", p.Name)
	case o.OriginalDue.After(due):
		return refuse(warrant.RuleDates, "original_due: %s after the start at the latest, that is %s (%s)", p.Provisional.OriginalDue,
			due.In(p.Location()).Format(time.RFC3339), due.Format(time.RFC3339))
	}
	return nil
}

// covers tells whether an order of the scope may rest on the basis. Test taps and
// orders before the regular one may have either.
func (b LegalBasis) covers(s warrant.Scope) bool {
	return b.Permits(Kind(s.String())) || b.Permits(Test) || b.Permits(Urgent)
}

func (b LegalBasis) allowed() string {
	kinds := make([]string, len(b.Allows))
	for i, k := range b.Allows {
		kinds[i] = string(k)
	}
	return strings.Join(kinds, ", ")
}

// deliverable asks that records leave as they come, where content must not be kept
// until somebody fetches it.
func (p *Profile) deliverable(s warrant.Scope, d warrant.Delivery) error {
	if d.HI2 == "" || s == warrant.IRIAndCC && d.HI3 == "" {
		return refuse(warrant.RuleDelivery,
			"the profile %s allows no storing until the agency fetches: two people have to add the agency's delivery first, hi2, and hi3 for content", p.Name)
	}
	return nil
}

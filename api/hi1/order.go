package hi1

import (
	"errors"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
)

// OrderOf returns the function that turns an Authorisation and a Task into what a
// warrant says. It decides nothing about the warrant's life.
func OrderOf(plan li.NumberPlan) func(warrant.AgencyID, *hi1.Authorisation, *hi1.Task) (warrant.Order, error) {
	return func(agency warrant.AgencyID, a *hi1.Authorisation, t *hi1.Task) (warrant.Order, error) {
		o, err := orderOf(plan, agency, a, t)
		if err != nil {
			return warrant.Order{}, &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: err.reason}
		}
		return o, nil
	}
}

func orderOf(plan li.NumberPlan, agency warrant.AgencyID, a *hi1.Authorisation, t *hi1.Task) (warrant.Order, *refusal) {
	o := warrant.Order{LIID: t.Reference, Authority: authority(a), Reference: a.Reference, LegalBasis: legalBasis(a), AgencyID: agency}
	switch {
	case o.LIID == "":
		return o, refuse(codeLIID, "Reference of the Task: required, the LIID of 1 to 25 visible characters")
	case o.Authority == "":
		return o, refuse(codeIncomplete, "AuthorisationLegalEntity: required, who ordered")
	case o.Reference == "":
		return o, refuse(codeIncomplete, "AuthorisationReference: required, the authority's file number")
	case o.LegalBasis == "":
		return o, refuse(codeIncomplete, "AuthorisationLegalType: required; with ETSI's value Manual, AuthorisationManualInformation says the legal basis")
	}
	var err *refusal
	if o.From, o.Until, err = dates(a, t); err != nil {
		return o, err
	}
	switch {
	case t.DeliveryType.Is(hi1.DictDeliveryType, "IRIOnly"):
		o.Scope = warrant.IRIOnly
	case t.DeliveryType.Is(hi1.DictDeliveryType, "IRIandCC"):
		o.Scope = warrant.IRIAndCC
	default:
		return o, refuse(codeIncomplete, "DeliveryType: required, ETSI's TaskDeliveryType IRIOnly or IRIandCC; content alone is not served")
	}
	if o.Targets, err = targets(plan, t.Target); err != nil {
		return o, err
	}
	return o, nil
}

func authority(a *hi1.Authorisation) string {
	if a.LegalEntity != "" {
		return a.LegalEntity
	}
	for _, approval := range a.Approvals {
		if approval.Approver != nil && approval.Approver.Name != "" {
			return approval.Approver.Name
		}
	}
	return ""
}

func legalBasis(a *hi1.Authorisation) string {
	if a.LegalType.Is(hi1.DictLegalType, "Manual") || a.LegalType == nil {
		return a.ManualInfo
	}
	return a.LegalType.Value
}

// dates are the Task's, which lie within the Authorisation's; a bound that the Task
// does not give is the Authorisation's.
func dates(a *hi1.Authorisation, t *hi1.Task) (from, until time.Time, err *refusal) {
	var outer hi1.Timespan
	if a.Timespan != nil {
		outer = *a.Timespan
	}
	from, until = outer.Start, outer.End
	if t.Timespan != nil {
		if !t.Timespan.Terminated.IsZero() || !t.Timespan.Provisioned.IsZero() || !t.Timespan.Deprovisioning.IsZero() {
			return from, until, refuse(codeDates, "Timespan: only StartTime and EndTime can be ordered; the other times are the operator's to tell")
		}
		if !t.Timespan.Start.IsZero() {
			from = t.Timespan.Start
		}
		if !t.Timespan.End.IsZero() {
			until = t.Timespan.End
		}
	}
	switch {
	case from.IsZero() || until.IsZero():
		return from, until, refuse(codeDates, "Timespan: StartTime and EndTime are required, of the Task or of its Authorisation")
	case !until.After(from):
		return from, until, refuse(codeDates, "Timespan: EndTime must be after StartTime")
	case !outer.Start.IsZero() && from.Before(outer.Start), !outer.End.IsZero() && until.After(outer.End):
		return from, until, refuse(codeDates, "Timespan: the Task's times must lie within AuthorisationTimespan")
	}
	return from, until, nil
}

// targets reads the Task's one target identifier. Several could mean that all of them
// must match: reading them as alternatives would widen the order.
func targets(plan li.NumberPlan, t *hi1.Target) ([]li.Identity, *refusal) {
	if t == nil || len(t.Values) != 1 {
		return nil, refuse(codeTarget, "TargetIdentifierValues: want exactly one; send one Task for each identifier")
	}
	if t.Service != nil {
		return nil, refuse(codeTarget, "ServiceType: not served, since all calls of a target are intercepted: leave it out")
	}
	v := t.Values[0]
	if v.Owner != "ETSI" {
		return nil, refuse(codeTarget, "FormatOwner: want ETSI")
	}
	text := v.Value.Reveal()
	switch v.Name {
	case "InternationalE164":
		text = "+" + text
	case "SIPURI", "TELURI":
	default:
		return nil, refuse(codeTarget, "FormatName: want InternationalE164, SIPURI or TELURI")
	}
	id, err := plan.ParseTarget(text)
	switch {
	case errors.Is(err, li.ErrShort):
		return nil, refuse(codeTarget, "Value of the target: too short for a subscriber's number")
	case err != nil || v.Name == "SIPURI" && id.Kind() != li.SIPURI || v.Name != "SIPURI" && id.Kind() != li.E164:
		return nil, refuse(codeTarget, "Value of the target: not of the format that FormatName says (InternationalE164 is digits without +)")
	}
	return []li.Identity{id}, nil
}

// ruled turns a broken rule of warrants into a refusal.
func ruled(err error) *refusal {
	var rule *warrant.RuleError
	if !errors.As(err, &rule) {
		return refuse(codeInternal, "internal error")
	}
	switch rule.Rule { //nolint:exhaustive // the others cannot break before there is a warrant
	case warrant.RuleDates:
		return refuse(codeDates, rule.Reason)
	case warrant.RuleTarget:
		return refuse(codeTarget, rule.Reason)
	}
	return refuse(codeIncomplete, rule.Reason)
}

package warrant

import "errors"

// Errors that several packages share.
var (
	ErrNotFound    = errors.New("not found")
	ErrForbidden   = errors.New("your role may not do this")
	ErrVersion     = errors.New("somebody changed it meanwhile: read it again")
	ErrIdempotency = errors.New("the idempotency key was used for another request")
	ErrExists      = errors.New("there is one of that name already")
	ErrPage        = errors.New("bad cursor or limit")
)

// Rule names a rule of law that an act broke. The names are part of the API.
type Rule string

// The rules.
const (
	RuleState       Rule = "state"             // the act does not fit the warrant's state
	RuleFourEyes    Rule = "four-eyes"         // one person may not do both
	RuleRetyped     Rule = "retyped-not-equal" // target or end date differ from the order as drafted
	RuleIncomplete  Rule = "incomplete"        // a field that the law asks for is missing
	RuleDates       Rule = "dates"             // the validity is no validity
	RuleTarget      Rule = "target"            // no or too many targets
	RuleScope       Rule = "scope"             // neither IRI nor IRI and CC
	RuleAgency      Rule = "agency"            // the agency is not confirmed or cannot receive
	RuleDelivery    Rule = "delivery"          // the delivery cannot work as it is written
	RuleReason      Rule = "reason"            // the act needs a reason
	RuleNotEnrolled Rule = "not-enrolled"      // the person is not confirmed
	RuleNarrow      Rule = "narrow"            // it would not become less
	RuleHold        Rule = "legal-hold"        // what is held is not purged
	RuleDocument    Rule = "document"          // the paper is missing or is none
	RuleProtected   Rule = "protected-number"  // the entry is none
)

// RuleError says which rule an act broke and what to do. Reason never holds a
// target's identity.
type RuleError struct {
	Rule   Rule
	Reason string
}

func (e *RuleError) Error() string { return string(e.Rule) + ": " + e.Reason }

func broken(r Rule, reason string) error { return &RuleError{Rule: r, Reason: reason} }

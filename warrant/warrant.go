package warrant

import (
	"time"

	"github.com/ligate/ligate/li"
)

// State is where a warrant stands in its life.
type State uint8

// The states. The zero value is invalid.
const (
	Draft State = iota + 1
	Submitted
	Rejected
	Approved
	Active
	Suspended
	Expired
	Revoked
	Purged
)

func stateNames() map[State]string {
	return map[State]string{
		Draft: "draft", Submitted: "submitted", Rejected: "rejected", Approved: "approved", Active: "active",
		Suspended: "suspended", Expired: "expired", Revoked: "revoked", Purged: "purged",
	}
}

func (s State) String() string { return stateNames()[s] }

// ParseState reads a state's name.
func ParseState(s string) (State, error) {
	for state, name := range stateNames() {
		if s == name {
			return state, nil
		}
	}
	return 0, ErrNotFound
}

// Scope is what a warrant orders.
type Scope uint8

// The scopes. The zero value is invalid.
const (
	IRIOnly  Scope = iota + 1 // signalling
	IRIAndCC                  // signalling and content
)

func (s Scope) String() string {
	switch s {
	case IRIOnly:
		return "iri"
	case IRIAndCC:
		return "iri+cc"
	}
	return "invalid"
}

// ParseScope reads "iri" or "iri+cc".
func ParseScope(s string) (Scope, error) {
	switch s {
	case "iri":
		return IRIOnly, nil
	case "iri+cc":
		return IRIAndCC, nil
	}
	return 0, broken(RuleScope, "scope: want iri or iri+cc")
}

// Order is what a warrant says, as the drafter copies it from the signed paper
// (terms after TS 103 120).
type Order struct {
	LIID        li.LIID
	Authority   string // who ordered
	Reference   string // the authority's file number
	LegalBasis  string
	AgencyID    AgencyID
	Targets     []li.Identity
	Scope       Scope
	From, Until time.Time // From included, Until excluded, UTC
	Notes       string    // minimisation and the like; never a target
	Predecessor ID        // the warrant that this one extends; empty = none

	Provisional bool      // the original order is still to come
	OriginalDue time.Time // when the original must have come; zero = the order is the original
}

// Warrant is an order and its life. Each change makes a new Version.
type Warrant struct {
	ID      ID
	Version int
	State   State
	Order

	Drafter        PersonID
	Approver       PersonID  // empty until approved
	SecondApprover PersonID  // the third person, where a protected number is a target
	Protected      bool      // names a protected number
	Original       Original  // zero until the original of a provisional order came
	StoppedAt      time.Time // when it was revoked, suspended or expired; zero while it may run
	PurgeBy        PersonID  // who asked for the purge; empty = nobody
	PurgedBy       PersonID  // who purged; empty = nobody
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Ends is when the tap ends by itself: at the end of the order, or when the original
// of a provisional one has not come.
func (w Warrant) Ends() time.Time {
	if w.Provisional && w.OriginalDue.Before(w.Until) {
		return w.OriginalDue
	}
	return w.Until
}

// Limits of an order.
const (
	maxTargets = 50
	maxText    = 2000
	maxLength  = 366 * 24 * time.Hour
)

// Validate says what the order lacks. now is when it is drafted or submitted.
func (o Order) Validate(now time.Time) error {
	for _, f := range []struct{ name, text string }{
		{"authority", o.Authority}, {"reference", o.Reference}, {"legal_basis", o.LegalBasis}, {"agency_id", string(o.AgencyID)},
	} {
		if f.text == "" || len(f.text) > maxText {
			return broken(RuleIncomplete, f.name+": required, at most 2000 octets")
		}
	}
	if _, err := li.ParseLIID(string(o.LIID)); err != nil {
		return broken(RuleIncomplete, err.Error())
	}
	switch {
	case len(o.Notes) > maxText:
		return broken(RuleIncomplete, "notes: at most 2000 octets")
	case len(o.Targets) == 0 || len(o.Targets) > maxTargets:
		return broken(RuleTarget, "targets: want 1 to 50")
	case len(identities(o.Targets)) != len(o.Targets):
		return broken(RuleTarget, "targets: one stands there twice")
	case o.Scope != IRIOnly && o.Scope != IRIAndCC:
		return broken(RuleScope, "scope: want iri or iri+cc")
	case o.From.IsZero() || !o.Until.After(o.From):
		return broken(RuleDates, "until: must be after from")
	case !o.Until.After(now):
		return broken(RuleDates, "until: lies in the past")
	case o.Until.Sub(o.From) > maxLength:
		return broken(RuleDates, "until: at most 366 days after from; a longer measure needs a new order")
	case names(o.Notes, o.Targets):
		return broken(RuleIncomplete, "notes: they name a target; describe it otherwise")
	}
	return o.validateProvisional(now)
}

// identities is the set of targets.
func identities(targets []li.Identity) map[li.Identity]bool {
	set := make(map[li.Identity]bool, len(targets))
	for _, t := range targets {
		set[t] = true
	}
	return set
}

// Task is what a gateway is to copy under the warrant: nothing unless it is
// active and now lies within its dates.
func (w Warrant) Task(xid li.XID, now time.Time) (li.Task, bool) {
	if w.State != Active || now.Before(w.From) || !now.Before(w.Ends()) {
		return nil, false
	}
	iri := li.IRITask{XID: xid, Targets: w.Targets, Until: w.Ends()}
	switch w.Scope {
	case IRIOnly:
		return iri, true
	case IRIAndCC:
		return li.ContentTask{IRITask: iri}, true
	}
	return nil, false
}

// TaskInfo is what mediation must know of a Task: under which warrant, for whom,
// and when it was allowed.
type TaskInfo struct {
	XID        li.XID
	WarrantID  ID
	LIID       li.LIID
	AgencyID   AgencyID
	Recipients []string // age recipients of the agency, now
	Media      bool     // false: content is refused
	From       time.Time
	Until      time.Time
	StoppedAt  time.Time // zero while it may run
	MediaUntil time.Time // when a narrowing took content away; zero = none did

	// Quarantined says that the original order has not come: what is taken is kept and
	// not delivered. It may end at any time, and then all of it may be.
	Quarantined bool
}

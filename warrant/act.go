package warrant

import (
	"maps"
	"time"

	"github.com/ligate/ligate/li"
)

// transitions are the legal steps. The database holds the same table.
func transitions() map[State][]State {
	return map[State][]State{
		Draft:     {Submitted},
		Submitted: {Approved, Rejected},
		Rejected:  {Draft},
		Approved:  {Active, Revoked, Expired},
		Active:    {Suspended, Revoked, Expired},
		Suspended: {Active, Revoked, Expired},
		Expired:   {Purged},
		Revoked:   {Purged},
		Purged:    {},
	}
}

// step moves w to the state, if the law knows the step.
func step(w Warrant, to State, now time.Time) (Warrant, error) {
	for _, s := range transitions()[w.State] {
		if s == to {
			w.State = to
			return stay(w, now), nil
		}
	}
	return Warrant{}, broken(RuleState, "a warrant that is "+w.State.String()+" cannot become "+to.String())
}

// stay makes the next version in the same state.
func stay(w Warrant, now time.Time) Warrant {
	w.Version, w.UpdatedAt = w.Version+1, now
	return w
}

// may checks that the actor is confirmed and has one of the roles.
func may(by Actor, roles ...Role) error {
	if !by.Confirmed {
		return broken(RuleNotEnrolled, "a second system administrator has to confirm this person first")
	}
	for _, r := range roles {
		if by.Role == r {
			return nil
		}
	}
	return ErrForbidden
}

func (w Warrant) reasoned(reason string) error {
	if reason == "" || len(reason) > maxText {
		return broken(RuleReason, "reason: required, at most 2000 octets")
	}
	if names(reason, w.Targets) {
		return broken(RuleReason, "reason: it names a target; say why without it")
	}
	return nil
}

// New drafts a warrant. Drafter and approver alike may draft; who drafts cannot
// approve.
func New(id ID, o Order, by Actor, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if err := o.Validate(now); err != nil {
		return Warrant{}, err
	}
	return Warrant{ID: id, Version: 1, State: Draft, Order: o, Drafter: by.ID, CreatedAt: now, UpdatedAt: now}, nil
}

// Edit replaces the order of a draft, or of a rejected warrant, which becomes a
// draft again. Who edits becomes the drafter.
func Edit(w Warrant, o Order, by Actor, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if w.State != Draft && w.State != Rejected {
		return Warrant{}, broken(RuleState, "only a draft can be changed; a change to an approved warrant is a new order")
	}
	if err := o.Validate(now); err != nil {
		return Warrant{}, err
	}
	w.State, w.Order, w.Drafter, w.Protected = Draft, o, by.ID, false
	return stay(w, now), nil
}

// Submit hands a draft to the approver.
func Submit(w Warrant, by Actor, agency Agency, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if by.ID != w.Drafter {
		return Warrant{}, broken(RuleFourEyes, "only who drafted it submits it")
	}
	if err := w.Order.Validate(now); err != nil {
		return Warrant{}, err
	}
	if !agency.Confirmed || agency.ID != w.AgencyID {
		return Warrant{}, broken(RuleAgency, "a second person has to confirm the agency first")
	}
	return step(w, Submitted, now)
}

// Retyped is what the approver typed from the order, without seeing the draft.
type Retyped struct {
	Targets []li.Identity
	Until   time.Time
}

// Approve is the second person's word, and the third's where a protected number is a
// target: the first of the two leaves it submitted. The answer to unequal typing does
// not say which part differs.
func Approve(w Warrant, by Actor, typed Retyped, agency Agency, now time.Time) (Warrant, error) {
	if err := may(by, Approver); err != nil {
		return Warrant{}, err
	}
	if w.State != Submitted {
		return Warrant{}, broken(RuleState, "only a submitted warrant can be approved")
	}
	if by.ID == w.Drafter {
		return Warrant{}, broken(RuleFourEyes, "the approver must be another person than the drafter")
	}
	if by.ID == w.Approver {
		return Warrant{}, broken(RuleFourEyes, "a target is protected: a third person has to approve")
	}
	if !agency.Confirmed || agency.ID != w.AgencyID {
		return Warrant{}, broken(RuleAgency, "a second person has to confirm the agency first")
	}
	if !typed.Until.Equal(w.Until) || !maps.Equal(identities(typed.Targets), identities(w.Targets)) {
		return Warrant{}, broken(RuleRetyped, "target or end date differ from the draft: compare both with the order")
	}
	if !w.Ends().After(now) {
		return Warrant{}, broken(RuleDates, "its end, or the day when its original is due, lies in the past")
	}
	switch {
	case w.Approver != "":
		w.SecondApprover = by.ID
	case w.Protected:
		w.Approver = by.ID
		return stay(w, now), nil
	default:
		w.Approver = by.ID
	}
	return step(w, Approved, now)
}

// Reject sends a submitted warrant back, with a reason.
func Reject(w Warrant, by Actor, reason string, now time.Time) (Warrant, error) {
	if err := may(by, Approver); err != nil {
		return Warrant{}, err
	}
	if by.ID == w.Drafter {
		return Warrant{}, broken(RuleFourEyes, "the approver must be another person than the drafter")
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	w.Approver, w.SecondApprover = "", ""
	return step(w, Rejected, now)
}

// Start makes an approved warrant active once its dates have begun.
func Start(w Warrant, now time.Time) (Warrant, error) {
	if now.Before(w.From) || !now.Before(w.Ends()) {
		return Warrant{}, broken(RuleDates, "now lies outside the warrant's dates")
	}
	if w.State != Approved {
		return Warrant{}, broken(RuleState, "only an approved warrant starts")
	}
	return step(w, Active, now)
}

// Suspend pauses a running tap. One person suffices to stop.
func Suspend(w Warrant, by Actor, reason string, now time.Time) (Warrant, error) {
	return halt(w, Suspended, by, reason, now)
}

// Revoke ends a warrant for good. One person suffices to stop.
func Revoke(w Warrant, by Actor, reason string, now time.Time) (Warrant, error) {
	return halt(w, Revoked, by, reason, now)
}

func halt(w Warrant, to State, by Actor, reason string, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	w, err := step(w, to, now)
	if err == nil && w.StoppedAt.IsZero() {
		w.StoppedAt = now
	}
	return w, err
}

// Resume continues a suspended tap. It takes an approver who did not draft.
func Resume(w Warrant, by Actor, reason string, now time.Time) (Warrant, error) {
	if err := may(by, Approver); err != nil {
		return Warrant{}, err
	}
	if by.ID == w.Drafter {
		return Warrant{}, broken(RuleFourEyes, "the approver must be another person than the drafter")
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	if w.State != Suspended {
		return Warrant{}, broken(RuleState, "only a suspended warrant can be resumed")
	}
	if !now.Before(w.Ends()) {
		return Warrant{}, broken(RuleDates, "until: lies in the past")
	}
	w.StoppedAt = time.Time{}
	return step(w, Active, now)
}

// Expire ends a warrant whose time is over.
func Expire(w Warrant, now time.Time) (Warrant, error) {
	if now.Before(w.Until) {
		return Warrant{}, broken(RuleDates, "its end has not come")
	}
	w, err := step(w, Expired, now)
	if err == nil && w.StoppedAt.IsZero() {
		w.StoppedAt = w.Until
	}
	return w, err
}

// Extend drafts the successor of a warrant: a new order with its own LIID.
func Extend(w Warrant, id ID, o Order, by Actor, now time.Time) (Warrant, error) {
	if w.State != Approved && w.State != Active && w.State != Suspended && w.State != Expired {
		return Warrant{}, broken(RuleState, "only a warrant that was approved can be extended")
	}
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	o.Predecessor = w.ID
	if err := o.Follows(w); err != nil {
		return Warrant{}, err
	}
	return New(id, o, by, now)
}

// Follows checks that an extension joins the warrant that it extends: no moment is
// under both, and, while that one runs, none is under neither.
func (o Order) Follows(w Warrant) error {
	switch {
	case o.From.Before(w.Until):
		return broken(RuleDates, "from: an extension begins when what it extends ends, not before")
	case o.From.After(w.Until) && w.State != Expired && w.State != Revoked && w.State != Purged:
		return broken(RuleDates, "from: an extension begins when what it extends ends; a gap would be untapped")
	}
	return nil
}

// RequestPurge is the first of two people who destroy what was intercepted.
func RequestPurge(w Warrant, by Actor, reason string, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	if w.State != Expired && w.State != Revoked {
		return Warrant{}, broken(RuleState, "only an expired or revoked warrant can be purged")
	}
	if w.PurgeBy == by.ID {
		return Warrant{}, broken(RuleFourEyes, "you asked for the purge already: another person has to purge")
	}
	w.PurgeBy = by.ID
	return stay(w, now), nil
}

// Purge is the second person's word. held says that a legal hold is in force.
func Purge(w Warrant, by Actor, reason string, held bool, now time.Time) (Warrant, error) {
	if err := may(by, Approver); err != nil {
		return Warrant{}, err
	}
	if w.PurgeBy == "" || w.PurgeBy == by.ID {
		return Warrant{}, broken(RuleFourEyes, "another person has to ask for the purge first")
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	if held {
		return Warrant{}, broken(RuleHold, "a legal hold is in force: two people have to release it first")
	}
	w.PurgedBy = by.ID
	return step(w, Purged, now)
}

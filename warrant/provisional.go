package warrant

import (
	"regexp"
	"time"
)

// Original is the original of a provisional order.
type Original struct {
	SHA256 string // of the paper, lower-case hexadecimal
	By     PersonID
	At     time.Time
}

func (o Order) validateProvisional(now time.Time) error {
	switch {
	case !o.Provisional && !o.OriginalDue.IsZero():
		return broken(RuleIncomplete, "original_due: only a provisional order has an original that is due")
	case !o.Provisional:
		return nil
	case o.OriginalDue.IsZero():
		return broken(RuleIncomplete, "original_due: required for a provisional order")
	case !o.OriginalDue.After(o.From) || !o.OriginalDue.After(now):
		return broken(RuleDates, "original_due: must be after from, and not in the past")
	}
	return nil
}

// Quarantined reports whether what the tap takes is kept from the agency.
func (w Warrant) Quarantined() bool { return w.Provisional }

// ConfirmOriginal says that the original of a provisional order came in time. It
// takes an approver who did not draft, and the paper's hash.
func ConfirmOriginal(w Warrant, sha256 string, by Actor, now time.Time) (Warrant, error) {
	if err := may(by, Approver); err != nil {
		return Warrant{}, err
	}
	if by.ID == w.Drafter {
		return Warrant{}, broken(RuleFourEyes, "the original must be confirmed by another person than the drafter")
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(sha256) {
		return Warrant{}, broken(RuleDocument, "sha256: want the SHA-256 of the original, 64 lower-case hexadecimal digits")
	}
	switch w.State {
	case Draft, Submitted, Rejected, Purged:
		return Warrant{}, broken(RuleState, "only a warrant that was approved waits for its original")
	case Approved, Active, Suspended, Expired, Revoked:
	}
	if !w.Provisional {
		return Warrant{}, broken(RuleState, "no original is awaited")
	}
	if !now.Before(w.OriginalDue) {
		return Warrant{}, broken(RuleDates, "the original came too late: what was taken stays in quarantine")
	}
	w.Provisional, w.Original = false, Original{SHA256: sha256, By: by.ID, At: now}
	return stay(w, now), nil
}

// ReasonLapsed stands in the history of a warrant that ended because its original
// did not come.
const ReasonLapsed = "the original did not come"

// Lapse ends a provisional warrant whose original did not come in time.
func Lapse(w Warrant, now time.Time) (Warrant, error) {
	if !w.Provisional || now.Before(w.OriginalDue) {
		return Warrant{}, broken(RuleDates, "no original is overdue")
	}
	w, err := step(w, Revoked, now)
	if err == nil && w.StoppedAt.IsZero() {
		w.StoppedAt = w.OriginalDue
	}
	return w, err
}

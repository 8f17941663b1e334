package warrant

import (
	"strings"
	"time"

	"github.com/ligate/ligate/li"
)

// Narrow takes targets away, or content, at once: one person suffices to tap less.
// keep are the targets that stay.
func Narrow(w Warrant, keep []li.Identity, scope Scope, by Actor, reason string, now time.Time) (Warrant, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Warrant{}, err
	}
	if err := w.reasoned(reason); err != nil {
		return Warrant{}, err
	}
	if w.State != Approved && w.State != Active && w.State != Suspended {
		return Warrant{}, broken(RuleState, "only a warrant that is approved, active or suspended can be narrowed")
	}
	kept, had := identities(keep), identities(w.Targets)
	switch {
	case len(keep) == 0 || len(kept) != len(keep):
		return Warrant{}, broken(RuleNarrow, "targets: want at least one that stays, each once; to stop all, revoke")
	case !within(kept, had):
		return Warrant{}, broken(RuleNarrow, "targets: one was not ordered; a new target needs a new order")
	case scope != w.Scope && scope != IRIOnly:
		return Warrant{}, broken(RuleNarrow, "scope: can only become iri")
	case len(kept) == len(had) && scope == w.Scope:
		return Warrant{}, broken(RuleNarrow, "nothing would be less than now")
	}
	w.Targets, w.Scope = keep, scope
	return stay(w, now), nil
}

func within(some, all map[li.Identity]bool) bool {
	for id := range some {
		if !all[id] {
			return false
		}
	}
	return true
}

// telling is how many of a number's last digits name it.
const telling = 7

// names reports whether a text names one of the targets, however it is spaced.
func names(text string, targets []li.Identity) bool {
	plain := strings.NewReplacer(" ", "", "-", "", "/", "", ".", "", "(", "", ")", "").Replace(text)
	for _, t := range targets {
		id := t.Reveal()
		if t.Kind() == li.E164 {
			if strings.Contains(plain, id[max(0, len(id)-telling):]) {
				return true
			}
			continue
		}
		_, bare, _ := strings.Cut(id, ":")
		if strings.Contains(strings.ToLower(text), strings.ToLower(bare)) {
			return true
		}
	}
	return false
}

package warrant

import (
	"time"

	"github.com/ligate/ligate/li"
)

// IncidentActKind is what was done about an incident.
type IncidentActKind string

// The kinds.
const (
	IncidentAction       IncidentActKind = "action"
	IncidentTold         IncidentActKind = "told"
	IncidentClose        IncidentActKind = "close"
	IncidentConfirmClose IncidentActKind = "confirm-close"
)

// IncidentAct is one act; the findings stand with IncidentClose only.
type IncidentAct struct {
	Number       int
	Kind         IncidentActKind
	Text         string    // what was done, or who was told
	At           time.Time // when that was
	Intrusion    string    // yes or no
	Unauthorised []string  // numbers
	RootCause    string
	Prevention   string
	By           PersonID
	MadeAt       time.Time
}

// Incident is an error, an unauthorised interception or a leak, and what was done
// about it.
type Incident struct {
	ID           string
	FoundAt      time.Time
	FoundHow     string
	What         string
	Warrants     []li.LIID
	Intrusion    string // yes, no, not yet known: as it was found
	Unauthorised []string
	OpenedBy     PersonID
	OpenedAt     time.Time
	Acts         []IncidentAct
}

// last is the newest act, or the zero value.
func (i Incident) last() IncidentAct {
	if len(i.Acts) == 0 {
		return IncidentAct{}
	}
	return i.Acts[len(i.Acts)-1]
}

// Closed reports whether two have closed it.
func (i Incident) Closed() bool { return i.last().Kind == IncidentConfirmClose }

// Closing is the newest closing, if the last word is that or its confirmation.
func (i Incident) Closing() (IncidentAct, bool) {
	n := len(i.Acts)
	switch {
	case i.Closed():
		return i.Acts[n-2], true
	case i.last().Kind == IncidentClose:
		return i.last(), true
	}
	return IncidentAct{}, false
}

// Act adds an act to an incident. Two close it, one after the other; whatever comes
// between takes the first one's word back.
func (i Incident) Act(a IncidentAct, by Actor, now time.Time) (Incident, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Incident{}, err
	}
	if i.Closed() {
		return Incident{}, broken(RuleState, "the incident is closed: open another one")
	}
	if a.Kind == IncidentConfirmClose {
		switch {
		case i.last().Kind != IncidentClose:
			return Incident{}, broken(RuleState, "another person has to close it first, with its cause")
		case i.last().By == by.ID:
			return Incident{}, broken(RuleFourEyes, "another person than who closed it has to confirm that")
		}
	}
	a.Number, a.By, a.MadeAt = len(i.Acts)+1, by.ID, now
	i.Acts = append(i.Acts[:len(i.Acts):len(i.Acts)], a)
	return i, nil
}

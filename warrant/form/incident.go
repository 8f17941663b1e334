package form

import (
	"slices"
	"time"
)

// Intrusion says whether somebody's privacy was intruded upon.
type Intrusion string

// The answers. NotYetKnown does for a first report only.
const (
	IntrusionYes Intrusion = "yes"
	IntrusionNo  Intrusion = "no"
	NotYetKnown  Intrusion = "not yet known"
)

// Incident is the report of an error, an unauthorised interception or a leak.
type Incident struct {
	Operator     string    `json:"operator"`
	Reference    string    `json:"reference"`
	First        bool      `json:"first_report"` // another follows: cause, prevention and intrusion may be open
	FoundAt      time.Time `json:"found_at"`
	FoundHow     string    `json:"found_how"`
	What         string    `json:"what"` // what happened, and how
	Warrants     []string  `json:"warrants,omitempty"`
	Intrusion    Intrusion `json:"intrusion"`
	Unauthorised []string  `json:"unauthorised,omitempty"` // numbers; required if there was intrusion
	Actions      []string  `json:"actions"`
	Told         []Told    `json:"told,omitempty"`
	RootCause    string    `json:"root_cause"`
	Prevention   string    `json:"prevention"`
	ClosedBy     []string  `json:"closed_by,omitempty"` // two people
	Zone         string    `json:"zone"`
}

// Told is who was told of an incident, and when.
type Told struct {
	Who string    `json:"who"`
	At  time.Time `json:"at"`
}

// Name is the name that profiles list.
func (Incident) Name() string { return "incident" }

// Validate names every mandatory field that is missing.
func (i Incident) Validate() error {
	var m missing
	m.text(i.Operator, "operator")
	m.text(i.Reference, "reference")
	m.time(i.FoundAt, "found_at")
	m.text(i.FoundHow, "found_how")
	m.text(i.What, "what")
	m.want(slices.Contains([]Intrusion{IntrusionYes, IntrusionNo, NotYetKnown}, i.Intrusion), "intrusion (yes, no or not yet known)")
	m.want(i.Intrusion != IntrusionYes || len(i.Unauthorised) > 0, "unauthorised (the numbers, if there was intrusion)")
	m.texts(i.Actions, "actions")
	if !i.First {
		m.want(i.Intrusion != NotYetKnown, "intrusion (the last report must say yes or no)")
		m.text(i.RootCause, "root_cause")
		m.text(i.Prevention, "prevention")
	}
	for _, t := range i.Told {
		m.want(t.Who != "" && !t.At.IsZero(), "told (who and when)")
	}
	m.want(i.closed(), "closed_by (two different people, for a last report only)")
	m.zone(i.Zone)
	return m.err(i)
}

func (i Incident) closed() bool {
	switch len(i.ClosedBy) {
	case 0:
		return true
	case 2:
		return !i.First && i.ClosedBy[0] != i.ClosedBy[1] && i.ClosedBy[0] != "" && i.ClosedBy[1] != ""
	}
	return false
}

func (i Incident) page() page {
	told := make([]string, len(i.Told))
	for n, t := range i.Told {
		told[n] = t.Who + ", " + moment(t.At, i.Zone)
	}
	title := "Report of an incident"
	if i.First {
		title = "First report of an incident"
	}
	return page{
		title: title, basis: "TKÜV § 15; 47 CFR 1.20003; error reports to the UK commissioner",
		sections: []Section{
			{Heading: "Finding", Rows: []Row{
				row("Operator", i.Operator), row("Reference", i.Reference), row("Found", moment(i.FoundAt, i.Zone)), row("Found how", i.FoundHow),
			}},
			{Heading: "What happened", Rows: []Row{
				row("What and how", i.What), row("Warrants", orNone(i.Warrants)...), row("Intrusion", string(i.Intrusion)),
				row("Unauthorised numbers", i.numbers()...),
			}},
			{Heading: "What was done", Rows: []Row{
				row("Actions", i.Actions...), row("Told", orNone(told)...), row("Root cause", orOpen(i.RootCause)),
				row("Prevention", orOpen(i.Prevention)), row("Closed by", orNone(i.ClosedBy)...),
			}},
		},
	}
}

// numbers never says none where nobody knows yet.
func (i Incident) numbers() []string {
	if i.Intrusion == NotYetKnown && len(i.Unauthorised) == 0 {
		return []string{string(NotYetKnown)}
	}
	return orNone(i.Unauthorised)
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{"none"}
	}
	return list
}

func orOpen(s string) string {
	if s == "" {
		return "open"
	}
	return s
}

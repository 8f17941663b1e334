package form

import "time"

// OutageNotice tells an agency that its measures suffer (TKÜV § 13). It names that
// agency's measures only.
type OutageNotice struct {
	Operator    string    `json:"operator"`
	Reference   string    `json:"reference"` // the operator's, repeated on recovery
	Agency      string    `json:"agency"`
	LIIDs       []string  `json:"liids"` // of this agency
	Kind        string    `json:"kind"`  // of the fault, or the reason of the interruption
	Effect      string    `json:"effect"`
	Begin       time.Time `json:"begin"`
	ExpectedEnd time.Time `json:"expected_end"`
	Contact     string    `json:"contact"`
	SentAt      time.Time `json:"sent_at"`
	Zone        string    `json:"zone"`
}

// Name is the name that profiles list.
func (OutageNotice) Name() string { return "outage_notice" }

// Validate names every mandatory field that is missing.
func (o OutageNotice) Validate() error {
	var m missing
	m.text(o.Operator, "operator")
	m.text(o.Reference, "reference")
	m.text(o.Agency, "agency")
	m.texts(o.LIIDs, "liids")
	m.text(o.Kind, "kind")
	m.text(o.Effect, "effect")
	m.time(o.Begin, "begin")
	m.want(o.ExpectedEnd.After(o.Begin), "expected_end (after begin)")
	m.text(o.Contact, "contact")
	m.time(o.SentAt, "sent_at")
	m.zone(o.Zone)
	return m.err(o)
}

func (o OutageNotice) page() page {
	return page{
		title: "Notice of a fault or interruption", basis: "TKÜV § 13; ETSI TS 101 331 (notice of faults)",
		sections: []Section{
			{Heading: "Notice", Rows: []Row{
				row("From", o.Operator), row("To", o.Agency), row("Reference", o.Reference), row("Sent", moment(o.SentAt, o.Zone)),
				row("Contact", o.Contact),
			}},
			{Heading: "Fault", Rows: []Row{
				row("Kind or reason", o.Kind), row("Effect on measures", o.Effect), row("Measures (LIID)", o.LIIDs...),
				row("Begin", moment(o.Begin, o.Zone)), row("Expected length", o.ExpectedEnd.Sub(o.Begin).String()),
				row("Expected end", moment(o.ExpectedEnd, o.Zone)),
			}},
		},
	}
}

// RecoveryNotice tells an agency since when its measures run again (TKÜV § 13).
type RecoveryNotice struct {
	Operator    string    `json:"operator"`
	Reference   string    `json:"reference"` // that of the OutageNotice
	Agency      string    `json:"agency"`
	LIIDs       []string  `json:"liids"`
	Begin       time.Time `json:"begin"`
	RecoveredAt time.Time `json:"recovered_at"`
	Missing     string    `json:"missing"` // what was not delivered, or "nothing"
	SentAt      time.Time `json:"sent_at"`
	Zone        string    `json:"zone"`
}

// Name is the name that profiles list.
func (RecoveryNotice) Name() string { return "recovery_notice" }

// Validate names every mandatory field that is missing.
func (r RecoveryNotice) Validate() error {
	var m missing
	m.text(r.Operator, "operator")
	m.text(r.Reference, "reference")
	m.text(r.Agency, "agency")
	m.texts(r.LIIDs, "liids")
	m.time(r.Begin, "begin")
	m.want(r.RecoveredAt.After(r.Begin), "recovered_at (after begin)")
	m.text(r.Missing, "missing (what was not delivered, or nothing)")
	m.time(r.SentAt, "sent_at")
	m.zone(r.Zone)
	return m.err(r)
}

func (r RecoveryNotice) page() page {
	return page{
		title: "Notice of recovery", basis: "TKÜV § 13; ETSI TS 101 331 (notice of faults)",
		sections: []Section{
			{Heading: "Notice", Rows: []Row{
				row("From", r.Operator), row("To", r.Agency), row("Reference", r.Reference), row("Sent", moment(r.SentAt, r.Zone)),
			}},
			{Heading: "Recovery", Rows: []Row{
				row("Measures (LIID)", r.LIIDs...), row("Fault began", moment(r.Begin, r.Zone)),
				row("Available again since", moment(r.RecoveredAt, r.Zone)), row("Not delivered", r.Missing),
			}},
		},
	}
}

package form

import (
	"slices"
	"time"
)

// InterceptionType is the type of an interception, in the words of 47 CFR 1.20004.
type InterceptionType string

// The types.
const (
	PenRegister  InterceptionType = "pen register"
	TrapAndTrace InterceptionType = "trap and trace"
	TitleIII     InterceptionType = "Title III"
	FISA         InterceptionType = "FISA"
	OtherType    InterceptionType = "other"
)

// Authority says whether there was authority for an interception.
type Authority string

// The answers. A rogue tap is certified, too.
const (
	WithAuthority    Authority = "with"
	WithoutAuthority Authority = "without"
)

// CALEACertificate is the single certification of one interception (47 CFR 1.20004).
// The overseer signs its JSON.
type CALEACertificate struct {
	Carrier       string           `json:"carrier"`
	Reference     string           `json:"reference"` // LIID, or the incident's for a tap without authority
	Numbers       []string         `json:"numbers"`   // telephone numbers and circuit identifiers
	Authority     Authority        `json:"authority"`
	Circumstances string           `json:"circumstances,omitempty"` // required without authority: how it came to be
	Start         time.Time        `json:"start"`
	End           time.Time        `json:"end,omitzero"` // zero while it runs
	Officer       string           `json:"officer"`      // who presented the authorization
	Signer        string           `json:"signer"`       // who signed the authorization
	Type          InterceptionType `json:"type"`
	TypeNote      string           `json:"type_note,omitempty"` // required with type other
	Overseer      string           `json:"overseer"`            // who is responsible for overseeing, and signs
	CompiledAt    time.Time        `json:"compiled_at"`
	Zone          string           `json:"zone"`
}

// Name is the name that profiles list.
func (CALEACertificate) Name() string { return "calea_certificate" }

// Validate names every mandatory field that is missing.
func (c CALEACertificate) Validate() error {
	var m missing
	m.text(c.Carrier, "carrier")
	m.text(c.Reference, "reference")
	m.texts(c.Numbers, "numbers")
	m.time(c.Start, "start")
	m.want(c.End.IsZero() || c.End.After(c.Start), "end (after start)")
	switch c.Authority {
	case WithAuthority:
		m.text(c.Officer, "officer")
		m.text(c.Signer, "signer")
	case WithoutAuthority:
		m.text(c.Circumstances, "circumstances (how it came to be without authority)")
		m.want(c.Officer == "" && c.Signer == "", "officer, signer (none without authority)")
	default:
		m.want(false, "authority (with or without)")
	}
	m.want(slices.Contains([]InterceptionType{PenRegister, TrapAndTrace, TitleIII, FISA, OtherType}, c.Type), "type")
	m.want(c.Type != OtherType || c.TypeNote != "", "type_note")
	m.text(c.Overseer, "overseer")
	m.time(c.CompiledAt, "compiled_at")
	m.want(c.CompiledAt.IsZero() || !c.CompiledAt.Before(c.Start), "compiled_at (not before start)")
	m.zone(c.Zone)
	return m.err(c)
}

func (c CALEACertificate) page() page {
	officer, signer := c.Officer, c.Signer
	authority := "with authorization"
	if c.Authority == WithoutAuthority {
		authority, officer, signer = "WITHOUT authorization", "none: made without authorization", "none: made without authorization"
	}
	kind := []string{string(c.Type)}
	if c.TypeNote != "" {
		kind = append(kind, c.TypeNote)
	}
	end := "still running when compiled"
	if !c.End.IsZero() {
		end = moment(c.End, c.Zone)
	}
	rows := []Row{
		row("Carrier", c.Carrier), row("Reference", c.Reference), row("Numbers or circuits", c.Numbers...), row("Made", authority),
		row("Start", moment(c.Start, c.Zone)), row("End", end), row("Type", kind...),
	}
	if c.Circumstances != "" {
		rows = append(rows, row("Circumstances", c.Circumstances))
	}
	return page{
		title: "Certification of an interception", basis: "47 CFR 1.20004(a)",
		statement: "I am responsible for overseeing this interception and act in accordance with the carrier's policies under\n" +
			"47 CFR 1.20003. I certify by my signature that this record is complete and accurate.",
		sections: []Section{
			{Heading: "Interception", Rows: rows},
			{Heading: "Persons", Rows: []Row{
				row("Officer presenting", officer), row("Signer of the order", signer), row("Overseen by", c.Overseer),
				row("Compiled", moment(c.CompiledAt, c.Zone)),
			}},
		},
	}
}

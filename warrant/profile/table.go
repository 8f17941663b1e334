package profile

import (
	"fmt"
	"slices"
	"strings"
)

// Row is one value of a profile for people to read, with where it comes from.
type Row struct {
	Field string
	Value string
	Source
}

// Table lists every value of the profile with its source.
func (p *Profile) Table() []Row {
	rows := []Row{
		{"zone", p.Zone.Name, p.Zone.Source},
		{"working days", "not " + strings.Join(slices.Concat(p.WorkingDays.Weekend, p.WorkingDays.Holidays), ", "), p.WorkingDays.Source},
		{"scope", string(p.Scope.Policy), p.Scope.Source},
	}
	for _, b := range p.LegalBases {
		rows = append(rows, Row{"legal basis " + b.Code, b.describe(), b.Source})
	}
	rows = append(rows, p.Provisional.row(), Row{"delivery", string(p.Delivery.Mode), p.Delivery.Source})
	if b := p.Delivery.Buffer; b != nil {
		rows = append(rows, Row{"longest buffering of content", b.Longest.String(), b.Source})
	}
	for _, d := range p.Deadlines {
		rows = append(rows, Row{"deadline " + d.Name, d.Within.String(), d.Source})
	}
	for _, r := range p.Retention {
		rows = append(rows, Row{"retention of " + string(r.Kind), fmt.Sprintf("%s %s after %s (%s)", r.Rule, r.For, r.After, r.Duty), r.Source})
	}
	rows = append(rows, p.Review.row())
	for _, n := range p.Notices {
		rows = append(rows, Row{"notice of " + n.Event, fmt.Sprintf("%s, to %s, by %s: %s", n.Within, n.To, n.Form, strings.Join(n.Fields, ", ")), n.Source})
	}
	for _, f := range p.Forms {
		rows = append(rows, Row{"form", f.Name, f.Source})
	}
	lines := "any line"
	if p.TestTaps.RegisteredLinesOnly {
		lines = "registered lines only"
	}
	return append(rows, Row{"test taps", lines, p.TestTaps.Source}, Row{"emergency numbers", strings.Join(p.Emergency.Numbers, ", "), p.Emergency.Source})
}

func (b LegalBasis) describe() string {
	kinds := make([]string, len(b.Allows))
	for i, k := range b.Allows {
		kinds[i] = string(k)
	}
	text := fmt.Sprintf("%s: %s, at most %s from the %s of the start", b.Title, strings.Join(kinds, ", "), b.Longest, b.Count)
	if b.NewOrder {
		text += "; an extension is a new order"
	}
	return text
}

func (v Provisional) row() Row {
	if !v.Allowed {
		return Row{"provisional orders", "no", v.Source}
	}
	return Row{"provisional orders", "the original is due within " + v.OriginalDue.String(), v.Source}
}

func (r Review) row() Row {
	text := fmt.Sprintf("each %s, at least %g %%", r.Every, r.Share*100)
	if len(r.Always) > 0 {
		text += ", and all that are " + strings.Join(r.Always, " or ")
	}
	if r.SendTo != "" {
		text += "; to " + r.SendTo
	}
	return Row{"review", text, r.Source}
}

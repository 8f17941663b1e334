// Package formtest holds whole forms for the tests of others: with a name for each
// variant that a form has.
package formtest

import (
	"strings"
	"time"

	"github.com/ligate/ligate/warrant/form"
)

// Samples are whole forms, by a name that begins with the form's.
func Samples() map[string]form.Form {
	without := CALEA()
	without.Authority, without.Officer, without.Signer = form.WithoutAuthority, "", ""
	without.Circumstances = "found by reconcile; planted in the gateway's memory"
	without.End, without.Type, without.TypeNote = at(13, 0), form.OtherType, "call content and signalling"
	first := Incident()
	first.First, first.Intrusion, first.Unauthorised = true, form.NotYetKnown, nil
	first.RootCause, first.Prevention, first.ClosedBy, first.Told = "", "", nil, nil
	return map[string]form.Form{
		"calea_certificate": CALEA(), "calea_certificate_without_authority": without, "outage_notice": Outage(),
		"recovery_notice": Recovery(), "incident": Incident(), "incident_first": first, "quarterly_review": Review(),
	}
}

// at is a time in the night of the autumn clock change, when 02:30 stands twice.
func at(hour, minute int) time.Time { return time.Date(2026, 10, 25, hour, minute, 0, 0, time.UTC) }

const zone = "Europe/Berlin"

// CALEA is a certification of an interception with authority that still runs.
func CALEA() form.CALEACertificate {
	return form.CALEACertificate{
		Carrier: "Example Telecom", Reference: "LI-2026-0007", Numbers: []string{"+12025550123", "circuit 47-A"},
		Authority: form.WithAuthority, Start: at(0, 30), Officer: "Officer O. Ficer", Signer: "Judge J. Udge",
		Type: form.TitleIII, Overseer: "O. Verseer", CompiledAt: at(1, 30), Zone: zone,
	}
}

// Outage is a notice of a fault.
func Outage() form.OutageNotice {
	return form.OutageNotice{
		Operator: "Example Telecom", Reference: "OUT-12", Agency: "Agency A", LIIDs: []string{"LI-1", "LI-2"},
		Kind: "disk of the mediation failed", Effect: "content and signalling are late", Begin: at(0, 30), ExpectedEnd: at(2, 30),
		Contact: "+49 30 555 0100, at any hour", SentAt: at(0, 35), Zone: zone,
	}
}

// Recovery is the notice that ends Outage.
func Recovery() form.RecoveryNotice {
	return form.RecoveryNotice{
		Operator: "Example Telecom", Reference: "OUT-12", Agency: "Agency A", LIIDs: []string{"LI-1", "LI-2"},
		Begin: at(0, 30), RecoveredAt: at(1, 30), Missing: "nothing", SentAt: at(1, 31), Zone: zone,
	}
}

// Incident is a last report.
func Incident() form.Incident {
	return form.Incident{
		Operator: "Example Telecom", Reference: "INC-3", FoundAt: at(6, 0), FoundHow: "no signalling arrived for three days",
		What: "one digit of the number was wrong in the order as entered", Warrants: []string{"LI-9"}, Intrusion: form.IntrusionYes,
		Unauthorised: []string{"+4930555010"}, Actions: []string{"tap stopped", "records quarantined"},
		Told:      []form.Told{{Who: "the commissioner", At: at(8, 0)}, {Who: "Agency A", At: at(8, 5)}},
		RootCause: "typed from a bad copy", Prevention: "targets are typed twice, blind", ClosedBy: []string{"p-1", "p-2"}, Zone: zone,
	}
}

// Review is the result of a review in which one entry differs.
func Review() form.QuarterlyReview {
	return form.QuarterlyReview{
		Operator: "Example Telecom", Quarter: "2026-Q3", Population: 15, Permille: 200, Size: 4711,
		Root: strings.Repeat("A", 43) + "=", Seed: "46a8374fef9512bae0f163e8116ede165db5f66e3c57bfa4efce7e3a8c024211",
		Entries: []form.Reviewed{
			{Entry: "17", Result: form.Agrees},
			{Entry: "4", Result: form.Differs, Finding: "entered two hours after the order was withdrawn"},
			{Entry: "311", Result: form.Agrees},
		},
		Reviewer: "R. Eviewer", ReviewedAt: at(9, 0), Zone: zone,
	}
}

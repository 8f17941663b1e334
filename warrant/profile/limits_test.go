package profile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/profile"
)

// What a profile refuses, by rule and in words that say what to do.
func TestLimitsOfAProfile(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 10, 23, 14, 0, 0, 0, time.UTC)
	de := load(t, "de").Limits(warrant.Limits{CountryCode: "49"})
	for name, tt := range map[string]struct {
		change func(*warrant.Order)
		rule   warrant.Rule
		text   string
	}{
		"as ordered":        {func(*warrant.Order) {}, "", ""},
		"unknown basis":     {func(o *warrant.Order) { o.LegalBasis = "100a" }, warrant.RuleIncomplete, "stpo-100a, stpo-100a-urgent"},
		"content on data":   {func(o *warrant.Order) { o.LegalBasis = "stpo-100g" }, warrant.RuleScope, "stpo-100g permits iri, not iri+cc; want one of stpo-100a, g10"},
		"data on data":      {func(o *warrant.Order) { o.LegalBasis, o.Scope = "stpo-100g", warrant.IRIOnly }, "", ""},
		"urgent, content":   {func(o *warrant.Order) { o.LegalBasis, o.Until = "stpo-100a-urgent", from.Add(time.Hour) }, "", ""},
		"at the limit":      {func(o *warrant.Order) { o.Until = time.Date(2027, 1, 23, 15, 0, 0, 0, time.UTC) }, "", ""},
		"a second over":     {func(o *warrant.Order) { o.Until = time.Date(2027, 1, 23, 15, 0, 1, 0, time.UTC) }, warrant.RuleDates, "stpo-100a allows 3 months"},
		"emergency number":  {func(o *warrant.Order) { o.Targets = targets(t, "sip:+49110@example.com") }, warrant.RuleTarget, "emergency number"},
		"another's":         {func(o *warrant.Order) { o.Targets = targets(t, "sip:911@example.com") }, "", ""},
		"original in time":  {func(o *warrant.Order) { o.Provisional, o.OriginalDue = true, from.Add(7*24*time.Hour) }, "", ""},
		"original too late": {func(o *warrant.Order) { o.Provisional, o.OriginalDue = true, from.Add(9*24*time.Hour) }, warrant.RuleDates, "original_due: 1 week after the start"},
	} {
		o := warrant.Order{LegalBasis: "stpo-100a", Scope: warrant.IRIAndCC, From: from, Until: from.Add(24 * time.Hour), Targets: targets(t, "+4930555001")}
		tt.change(&o)
		err := de.Check(o)
		var broken *warrant.RuleError
		if tt.rule == "" && err != nil || tt.rule != "" && (!errors.As(err, &broken) || broken.Rule != tt.rule || !strings.Contains(broken.Reason, tt.text)) {
			t.Errorf("%s: %v, want %s %q", name, err, tt.rule, tt.text)
		}
	}
	o := de.Complete(warrant.Order{Provisional: true, From: from})
	if want := time.Date(2026, 10, 30, 15, 0, 0, 0, time.UTC); !o.OriginalDue.Equal(want) { // the same clock time, a week on, in winter
		t.Errorf("the original is due at %v, want %v", o.OriginalDue, want)
	}
}

// Where content must not be stored, an agency has to take it as it comes.
func TestBufferOnlyNeedsADelivery(t *testing.T) {
	t.Parallel()
	both, signalling := warrant.Delivery{HI2: "192.0.2.1:1", HI3: "192.0.2.1:2"}, warrant.Delivery{HI2: "192.0.2.1:1"}
	de := load(t, "de").Limits(warrant.Limits{}).Deliverable
	for name, tt := range map[string]struct {
		scope    warrant.Scope
		delivery warrant.Delivery
		ok       bool
	}{
		"both":                {warrant.IRIAndCC, both, true},
		"signalling alone":    {warrant.IRIOnly, signalling, true},
		"content without HI3": {warrant.IRIAndCC, signalling, false},
		"none":                {warrant.IRIOnly, warrant.Delivery{}, false},
		"files only":          {warrant.IRIOnly, warrant.Delivery{FileDrop: true}, false},
	} {
		if err := de(tt.scope, tt.delivery); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"nl", "uk", "us"} {
		if load(t, name).Limits(warrant.Limits{}).Deliverable != nil {
			t.Errorf("%s stores, and asks for a delivery", name)
		}
	}
}

func TestOpenFindsNamesAndFiles(t *testing.T) {
	t.Parallel()
	if p, err := profile.Open("nl"); err != nil || p.Country != "NL" {
		t.Errorf("by name: %v", err)
	}
	if p, err := profile.Open("us.yaml"); err != nil || p.Country != "US" {
		t.Errorf("a file: %v", err)
	}
	if _, err := profile.Open("none.yaml"); !errors.Is(err, profile.ErrFile) {
		t.Errorf("no file: %v", err)
	}
}

func targets(t *testing.T, text string) []li.Identity {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget(text)
	if err != nil {
		t.Fatal(err)
	}
	return []li.Identity{id}
}

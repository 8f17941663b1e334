package profile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/warrant/profile"
)

func load(t testing.TB, name string) *profile.Profile {
	t.Helper()
	p, err := profile.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func basis(t testing.TB, country, code string) profile.LegalBasis {
	t.Helper()
	b, ok := load(t, country).LegalBasis(code)
	if !ok {
		t.Fatalf("%s has no %s", country, code)
	}
	return b
}

func TestLongestEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, country, code, zone, from, want string }{
		{"three months into summer time", "de", "stpo-100a", "Europe/Berlin", "2026-01-15T10:00:00+01:00", "2026-04-15T10:00:00+02:00"},
		{"three months to the end of February", "de", "stpo-100a", "Europe/Berlin", "2027-11-30T10:00:00+01:00", "2028-02-29T10:00:00+01:00"},
		{"three Werktage over Easter: Good Friday and Monday are none, Saturday is", "de", "stpo-100a-urgent", "Europe/Berlin", "2026-04-02T16:00:00+02:00", "2026-04-09T00:00:00+02:00"},
		{"three Werktage over the autumn change", "de", "stpo-100a-urgent", "Europe/Berlin", "2026-10-23T16:00:00+02:00", "2026-10-28T00:00:00+01:00"},
		{"the day of issue is the first of six months", "uk", "ipa-part2", "Europe/London", "2026-01-10T15:00:00Z", "2026-07-10T00:00:00+01:00"},
		{"urgent: the fifth working day ends it", "uk", "ipa-part2-urgent", "Europe/London", "2026-12-22T15:00:00Z", "2026-12-31T00:00:00Z"},
		{"thirty days from the first", "us", "title-iii", "America/New_York", "2026-02-20T15:00:00-05:00", "2026-03-22T00:00:00-04:00"},
		{"the order's zone decides the first day", "us", "title-iii", "America/Los_Angeles", "2026-06-02T02:00:00Z", "2026-07-01T00:00:00-07:00"},
		{"an order in UTC knows no summer time", "uk", "ipa-part2", "UTC", "2026-01-10T15:00:00Z", "2026-07-10T00:00:00Z"},
		{"48 hours are hours", "us", "title-iii-emergency", "America/New_York", "2026-03-07T12:00:00-05:00", "2026-03-09T13:00:00-04:00"},
		{"four weeks over the spring change", "nl", "sv-126m", "Europe/Amsterdam", "2026-03-10T08:00:00+01:00", "2026-04-07T08:00:00+02:00"},
		{"an oral order before a weekend and King's Day", "nl", "sv-126m-oral", "Europe/Amsterdam", "2026-04-24T08:00:00+02:00", "2026-05-01T00:00:00+02:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, c.zone)
			b := basis(t, c.country, c.code)
			got := b.LongestEnd(at(t, c.from), loc)
			if !got.Equal(at(t, c.want)) {
				t.Errorf("got %s, want %s", got.In(loc).Format(time.RFC3339), c.want)
			}
			if err := b.CheckDates(at(t, c.from), got, loc); err != nil {
				t.Errorf("refuses its own longest end: %v", err)
			}
			var long *profile.TooLongError
			if err := b.CheckDates(at(t, c.from), got.Add(time.Nanosecond), loc); !errors.As(err, &long) {
				t.Errorf("a nanosecond more: got %v", err)
			}
		})
	}
}

func TestCheckDatesSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := basis(t, "de", "stpo-100a")
	berlin, from := zone(t, "Europe/Berlin"), at(t, "2026-01-15T10:00:00+01:00")
	if err := b.CheckDates(from, from.AddDate(0, 1, 0), nil); !errors.Is(err, profile.ErrZone) {
		t.Errorf("without a zone: %v", err)
	}
	for _, until := range []time.Time{from, from.Add(-time.Second), {}} {
		if err := b.CheckDates(from, until, berlin); !errors.Is(err, profile.ErrOrder) {
			t.Errorf("until %v: %v", until, err)
		}
	}
	err := b.CheckDates(from, from.AddDate(1, 0, 0), berlin)
	want := "until: stpo-100a allows 3 months; the order can end at 2026-04-15T10:00:00+02:00 (2026-04-15T08:00:00Z) at the latest; a longer measure needs a new order"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLegalBasis(t *testing.T) {
	t.Parallel()
	p := load(t, "de")
	if _, ok := p.LegalBasis("stpo-100b"); ok {
		t.Error("found a basis that is none")
	}
	want := []string{"stpo-100a", "stpo-100a-urgent", "stpo-100g", "g10", "tkuev-23"}
	if diff := cmp.Diff(want, p.Codes()); diff != "" {
		t.Error(diff)
	}
	if b := basis(t, "de", "stpo-100g"); b.Permits(profile.IRIAndCC) || !b.Permits(profile.IRI) {
		t.Error("traffic data must not permit content")
	}
	for kind, want := range map[profile.Kind][]string{
		profile.IRI:      {"stpo-100a", "stpo-100g", "g10"},
		profile.IRIAndCC: {"stpo-100a", "g10"},
		profile.Urgent:   {"stpo-100a-urgent"},
		profile.Test:     {"tkuev-23"},
		"none":           nil,
	} {
		if diff := cmp.Diff(want, p.CodesFor(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	for _, name := range profile.Names() {
		for _, kind := range []profile.Kind{profile.IRI, profile.IRIAndCC, profile.Urgent, profile.Test} {
			if len(load(t, name).CodesFor(kind)) == 0 {
				t.Errorf("%s permits no %s", name, kind)
			}
		}
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ country, deadline, from, want string }{
		{"de", profile.DeadlineStartOutsideHours, "2026-10-25T00:30:00+02:00", "2026-10-25T05:30:00+01:00"},
		{"de", profile.DeadlineConfirmation, "2026-12-23T18:00:00+01:00", "2026-12-30T00:00:00+01:00"}, // 24, 28, 29: Christmas and the Sunday between
		{"uk", profile.DeadlineStart, "2026-12-24T12:00:00Z", "2026-12-28T12:00:00Z"},
		{"uk", profile.DeadlineErrorReport, "2026-03-27T12:00:00Z", "2026-04-08T00:00:00+01:00"}, // Easter between
	} {
		got, ok := load(t, c.country).Due(c.deadline, at(t, c.from))
		if !ok || !got.Equal(at(t, c.want)) {
			t.Errorf("%s %s from %s: got %v, %v, want %s", c.country, c.deadline, c.from, got, ok, c.want)
		}
	}
	if _, ok := load(t, "us").Due(profile.DeadlineStart, time.Now()); ok {
		t.Error("the US has no deadline to start")
	}
}

func TestRetentionEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		country    string
		kind       profile.RecordKind
		from, want string
	}{
		{"de", profile.RecordLog, "2027-10-31T10:00:00+01:00", "2028-10-31T10:00:00+01:00"},
		{"de", profile.RecordDeletion, "2028-02-29T10:00:00+01:00", "2030-02-28T10:00:00+01:00"},
		{"us", profile.RecordCertification, "2026-07-01T00:00:00Z", "2036-07-01T00:00:00Z"},
	} {
		got, ok := load(t, c.country).RetentionEnd(c.kind, at(t, c.from))
		if !ok || !got.Equal(at(t, c.want)) {
			t.Errorf("%s %s from %s: got %v, %v, want %s", c.country, c.kind, c.from, got, ok, c.want)
		}
	}
	if _, ok := load(t, "us").RetentionEnd(profile.RecordRecording, time.Now()); ok {
		t.Error("the agency's duty binds the operator")
	}
	if r, _ := load(t, "de").RetentionRule(profile.RecordLog); r.Rule != profile.RuleDelete {
		t.Errorf("the log in Germany: %s, want %s", r.Rule, profile.RuleDelete)
	}
}

func TestCountdown(t *testing.T) {
	t.Parallel()
	until := at(t, "2026-10-31T12:00:00Z")
	for _, c := range []struct{ now, due string }{
		{"2026-10-01T11:59:59Z", ""},
		{"2026-10-01T12:00:00Z", "30"},
		{"2026-10-24T12:00:00Z", "30 7"},
		{"2026-10-29T12:00:00Z", "30 7 2"},
		{"2026-10-30T11:59:59Z", "30 7 2"},
		{"2026-10-30T12:00:00Z", "30 7 2 1"},
		{"2026-10-31T11:59:59Z", "30 7 2 1"},
		{"2026-10-31T12:00:00Z", ""},
	} {
		var due []string
		steps := profile.Countdown(until, at(t, c.now))
		for _, s := range steps {
			if s.Due {
				due = append(due, map[int]string{30: "30", 7: "7", 2: "2", 1: "1"}[s.Days])
			}
		}
		if got := strings.Join(due, " "); got != c.due || len(steps) != 4 {
			t.Errorf("at %s: due %q, want %q", c.now, got, c.due)
		}
	}
}

func TestEaster(t *testing.T) {
	t.Parallel()
	// Good Friday is a working day for nobody in Germany: 1 working day from the
	// Thursday before ends on the Saturday's end.
	for _, c := range []struct{ thursday, want string }{
		{"2024-03-28", "2024-03-31"},
		{"2025-04-17", "2025-04-20"},
		{"2026-04-02", "2026-04-05"},
		{"2038-04-22", "2038-04-25"}, // the latest Easter there is
		{"2285-03-19", "2285-03-22"}, // the earliest
	} {
		berlin := zone(t, "Europe/Berlin")
		from, err := time.ParseInLocation(time.DateOnly, c.thursday, berlin)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, edit(t, "de", "within: 3 working days", "within: 1 working day"))
		got, _ := p.Due(profile.DeadlineConfirmation, from.Add(12*time.Hour))
		if g := got.In(berlin).Format("2006-01-02 15:04"); g != c.want+" 00:00" {
			t.Errorf("from %s: got %s, want %s", c.thursday, g, c.want)
		}
	}
}

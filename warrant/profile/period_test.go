package profile_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/warrant/profile"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPeriodEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, from, period, want string }{
		{"hours are hours over a clock change", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "48 hours", "2026-03-30T13:00:00+02:00"},
		{"a week over the spring change keeps the clock", "Europe/Berlin", "2026-03-25T09:15:00+01:00", "1 week", "2026-04-01T09:15:00+02:00"},
		{"a week over the autumn change keeps the clock", "Europe/Berlin", "2026-10-21T09:15:00+02:00", "1 week", "2026-10-28T09:15:00+01:00"},
		{"a time that the clock skips is the change", "Europe/Berlin", "2026-03-22T02:30:00+01:00", "7 days", "2026-03-29T03:00:00+02:00"},
		{"a time that the clock shows twice is its first", "Europe/Berlin", "2026-10-18T02:30:00+02:00", "7 days", "2026-10-25T02:30:00+02:00"},
		{"from the second of two equal times", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "1 day", "2026-10-26T02:30:00+01:00"},
		{"the skipped hour in New York", "America/New_York", "2026-03-01T02:30:00-05:00", "7 days", "2026-03-08T03:00:00-04:00"},
		{"the doubled hour in New York", "America/New_York", "2026-10-25T01:30:00-04:00", "1 week", "2026-11-01T01:30:00-04:00"},
		{"midnight that the clock skips", "Asia/Beirut", "2025-03-29T00:00:00+02:00", "1 day", "2025-03-30T01:00:00+03:00"},
		{"three months", "Europe/Berlin", "2026-01-15T10:00:00+01:00", "3 months", "2026-04-15T10:00:00+02:00"},
		{"a month from the 31st", "Europe/Berlin", "2026-01-31T10:00:00+01:00", "1 month", "2026-02-28T10:00:00+01:00"},
		{"a month from the 31st in a leap year", "Europe/Berlin", "2028-01-31T10:00:00+01:00", "1 month", "2028-02-29T10:00:00+01:00"},
		{"a month from the end of February", "Europe/Berlin", "2026-02-28T10:00:00+01:00", "1 month", "2026-03-28T10:00:00+01:00"},
		{"three months to the end of February", "Europe/Berlin", "2025-11-30T10:00:00+01:00", "3 months", "2026-02-28T10:00:00+01:00"},
		{"a year from the leap day", "Europe/Berlin", "2028-02-29T10:00:00+01:00", "1 year", "2029-02-28T10:00:00+01:00"},
		{"six months over the year's end", "Europe/London", "2026-08-31T23:59:59+01:00", "6 months", "2027-02-28T23:59:59Z"},
		{"the zone decides the date", "Europe/Berlin", "2026-01-30T23:30:00Z", "1 month", "2026-02-27T23:30:00Z"},
		{"a zone without a change", "UTC", "2026-03-29T02:30:00Z", "1 day", "2026-03-30T02:30:00Z"},
		{"at once", "Europe/Berlin", "2026-03-29T02:30:00Z", "at once", "2026-03-29T02:30:00Z"},
		{"working days over a weekend", "Europe/London", "2026-11-26T15:00:00Z", "3 working days", "2026-12-02T00:00:00Z"},
		{"working hours over a weekend", "Europe/London", "2026-11-27T15:00:00Z", "24 working hours", "2026-11-30T15:00:00Z"},
		{"working hours that end with the Friday", "Europe/London", "2026-11-27T00:00:00Z", "24 working hours", "2026-11-28T00:00:00Z"},
		{"working hours that begin on a Sunday", "Europe/London", "2026-11-29T15:00:00Z", "24 working hours", "2026-12-01T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := profile.ParsePeriod(c.period)
			if err != nil {
				t.Fatal(err)
			}
			got := p.AddTo(at(t, c.from), zone(t, c.zone))
			if want := at(t, c.want); !got.Equal(want) {
				t.Errorf("got %s, want %s", got.In(want.Location()).Format(time.RFC3339), c.want)
			}
			if got.Location() != time.UTC {
				t.Errorf("in %s, want UTC", got.Location())
			}
		})
	}
}

func TestPeriodTexts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"at once", "1 hour", "48 hours", "1 week", "3 months", "1 working day", "24 working hours", "10 years"} {
		p, err := profile.ParsePeriod(s)
		if err != nil || p.String() != s {
			t.Errorf("%s: got %s, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "3", "months", "0 days", "-1 days", "+1 days", "01 days", "2 day", "1001 days", "3  months", "3 months ", "1.5 hours", "3 moons"} {
		if p, err := profile.ParsePeriod(s); err == nil {
			t.Errorf("%q: got %s, want an error", s, p)
		}
	}
}

// Whatever the zone and the day: a longer period ends later, an end in days or more
// shows the clock time of the start unless the clock skips it, and a day is never
// more than an hour off 24 hours.
func TestPeriodProperties(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{zone(t, "Europe/Berlin"), zone(t, "Europe/London"), zone(t, "America/New_York"), time.UTC}
	rapid.Check(t, func(t *rapid.T) {
		loc := rapid.SampledFrom(zones).Draw(t, "zone")
		from := time.Unix(rapid.Int64Range(1_600_000_000, 2_500_000_000).Draw(t, "from"), 0)
		unit := rapid.SampledFrom([]profile.Unit{profile.Days, profile.Weeks, profile.Months, profile.Years}).Draw(t, "unit")
		n := rapid.IntRange(1, 60).Draw(t, "n")
		end := profile.Period{N: n, Unit: unit}.AddTo(from, loc)
		if next := (profile.Period{N: n + 1, Unit: unit}).AddTo(from, loc); !next.After(end) {
			t.Fatalf("%d %s end at %v, one more at %v", n, unit, end, next)
		}
		start, got := from.In(loc).Format(time.TimeOnly), end.In(loc).Format(time.TimeOnly)
		if _, before := end.Add(-time.Second).In(loc).Zone(); start != got {
			if _, after := end.In(loc).Zone(); after <= before {
				t.Fatalf("the clock shows %s at the end, %s at the start", got, start)
			}
		}
		day := profile.Period{N: 1, Unit: profile.Days}.AddTo(from, loc).Sub(from)
		if day < 22*time.Hour || day > 26*time.Hour {
			t.Fatalf("a day of %v", day)
		}
	})
}

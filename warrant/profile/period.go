package profile

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Unit is what a Period counts.
type Unit string

// The units. A month from the 31st ends on the last day of a shorter month. The
// nth working day is the nth after the day it is counted from, and the period ends
// with it, at midnight. Working hours stand still on days that are no working days.
const (
	Hours        Unit = "hours"
	Days         Unit = "days"
	Weeks        Unit = "weeks"
	Months       Unit = "months"
	Years        Unit = "years"
	WorkingDay   Unit = "working days"
	WorkingHours Unit = "working hours"
)

func units() []Unit { return []Unit{Hours, Days, Weeks, Months, Years, WorkingDay, WorkingHours} }

// Period is a length of time as a law writes it. The zero value is "at once".
type Period struct {
	N    int
	Unit Unit
}

const (
	atOnce     = "at once"
	maxPeriodN = 1000
)

// errPeriod is the text of every refusal of a period.
var errPeriod = errors.New("want a period such as 48 hours, 1 week, 3 months, 5 working days, or at once")

// ParsePeriod reads a number and a unit, or "at once".
func ParsePeriod(s string) (Period, error) {
	if s == atOnce {
		return Period{}, nil
	}
	number, unit, ok := strings.Cut(s, " ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > maxPeriodN || number != strconv.Itoa(n) {
		return Period{}, errPeriod
	}
	for _, u := range units() {
		if unit == string(u) || n == 1 && unit == strings.TrimSuffix(string(u), "s") {
			return Period{N: n, Unit: u}, nil
		}
	}
	return Period{}, errPeriod
}

// UnmarshalText reads what String writes.
func (p *Period) UnmarshalText(b []byte) error {
	v, err := ParsePeriod(string(b))
	*p = v
	return err
}

// MarshalText writes what ParsePeriod reads.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Period) String() string {
	switch p.N {
	case 0:
		return atOnce
	case 1:
		return "1 " + strings.TrimSuffix(string(p.Unit), "s")
	}
	return strconv.Itoa(p.N) + " " + string(p.Unit)
}

// addTo returns the end of the period that begins at t, in the calendar's zone,
// as UTC. The end itself is outside the period.
func (p Period) addTo(t time.Time, c calendar) time.Time {
	local := t.In(c.zone)
	switch p.Unit {
	case Hours:
		t = t.Add(time.Duration(p.N) * time.Hour)
	case Days:
		t = sameClock(local, addMonths(local, 0, p.N))
	case Weeks:
		t = sameClock(local, addMonths(local, 0, 7*p.N))
	case Months:
		t = sameClock(local, addMonths(local, p.N, 0))
	case Years:
		t = sameClock(local, addMonths(local, 12*p.N, 0))
	case WorkingDay:
		t = c.afterWorkingDays(local, p.N)
	case WorkingHours:
		t = c.afterWorkingHours(local, time.Duration(p.N)*time.Hour)
	}
	return t.UTC()
}

// AddTo returns the end of the period that begins at t, as UTC; the end itself is
// outside. Days and longer units keep the clock time of zone over a clock change; a
// time that the clock shows twice is its first, one that it skips is the moment of
// the change. Working days are Monday to Friday: a profile knows its own.
func (p Period) AddTo(t time.Time, zone *time.Location) time.Time {
	return p.addTo(t, plainCalendar(zone))
}

// addMonths is the date that many months and then days on; a day that the month
// does not have is its last. It is midnight UTC: a date, no moment.
func addMonths(t time.Time, months, days int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1+days)
}

// sameClock is the moment when the clock of t's zone shows t's time on the date.
func sameClock(t, date time.Time) time.Time {
	wall := time.Date(date.Year(), date.Month(), date.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	return clockMoment(wall, t.Location())
}

// clockMoment is the first moment when the zone's clock shows what wall shows as
// UTC, or the moment when the clock jumps over it.
func clockMoment(wall time.Time, zone *time.Location) time.Time {
	const day = 24 * time.Hour
	_, before := wall.Add(-day).In(zone).Zone()
	_, after := wall.Add(day).In(zone).Zone()
	early := wall.Add(-time.Duration(max(before, after)) * time.Second)
	late := wall.Add(-time.Duration(min(before, after)) * time.Second)
	for _, m := range []time.Time{early, late} {
		_, offset := m.In(zone).Zone()
		if m.Add(time.Duration(offset) * time.Second).Equal(wall) {
			return m
		}
	}
	_, jump := early.In(zone).ZoneBounds()
	return jump
}

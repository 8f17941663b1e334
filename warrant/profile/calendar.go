package profile

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// calendar knows a zone's clock and which days are no working days.
type calendar struct {
	zone     *time.Location
	weekend  []time.Weekday
	yearly   []string // "12-25"
	once     []string // "2026-05-04"
	byEaster []int    // days from Easter Sunday
}

func plainCalendar(zone *time.Location) calendar {
	return calendar{zone: zone, weekend: []time.Weekday{time.Saturday, time.Sunday}}
}

var (
	errHoliday = errors.New("want a holiday such as 12-25, 2026-05-04 or easter-2")
	errWeekend = errors.New("want names of days such as sunday, and at least one working day")
)

// newCalendar reads the days of a profile.
func newCalendar(zone *time.Location, w WorkingDays) (calendar, error) {
	c := calendar{zone: zone}
	for _, name := range w.Weekend {
		d, ok := weekday(name)
		if !ok {
			return calendar{}, errWeekend
		}
		c.weekend = append(c.weekend, d)
	}
	slices.Sort(c.weekend)
	if c.weekend = slices.Compact(c.weekend); len(c.weekend) > 6 {
		return calendar{}, errWeekend
	}
	for _, h := range w.Holidays {
		if err := c.addHoliday(h); err != nil {
			return calendar{}, err
		}
	}
	return c, nil
}

func weekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.ToLower(d.String()) == name {
			return d, true
		}
	}
	return 0, false
}

func (c *calendar) addHoliday(h string) error {
	if offset, ok := strings.CutPrefix(h, "easter"); ok {
		n, err := strconv.Atoi(offset)
		if offset != "" && (err != nil || n < -100 || n > 100) {
			return errHoliday
		}
		c.byEaster = append(c.byEaster, n)
		return nil
	}
	if _, err := time.Parse(time.DateOnly, h); err == nil {
		c.once = append(c.once, h)
		return nil
	}
	if _, err := time.Parse(time.DateOnly, "2024-"+h); err != nil { // a leap year: 02-29 is a day
		return errHoliday
	}
	c.yearly = append(c.yearly, h)
	return nil
}

// working tells whether a date is a working day.
func (c calendar) working(date time.Time) bool {
	if slices.Contains(c.weekend, date.Weekday()) || slices.Contains(c.yearly, date.Format("01-02")) ||
		slices.Contains(c.once, date.Format(time.DateOnly)) {
		return false
	}
	sunday := easter(date.Year())
	for _, n := range c.byEaster {
		if sunday.AddDate(0, 0, n).Equal(date) {
			return false
		}
	}
	return true
}

// dateOf is the date of a local time: midnight UTC, so that dates compare.
func dateOf(local time.Time) time.Time {
	return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
}

// maxDays bounds each walk over days: a calendar of holidays only has no end.
const maxDays = 40 * 366

// afterWorkingDays is the end of the nth working day after local's.
func (c calendar) afterWorkingDays(local time.Time, n int) time.Time {
	date := dateOf(local)
	for range maxDays {
		if n == 0 {
			break
		}
		if date = date.AddDate(0, 0, 1); c.working(date) {
			n--
		}
	}
	return clockMoment(date.AddDate(0, 0, 1), c.zone)
}

// afterWorkingHours counts hours on working days only.
func (c calendar) afterWorkingHours(local time.Time, left time.Duration) time.Time {
	t, date := local, dateOf(local)
	for range maxDays {
		midnight := clockMoment(date.AddDate(0, 0, 1), c.zone)
		if c.working(date) {
			if rest := midnight.Sub(t); left <= rest {
				return t.Add(left)
			}
			left -= midnight.Sub(t)
		}
		t, date = midnight, date.AddDate(0, 0, 1)
	}
	return t
}

// easter is Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

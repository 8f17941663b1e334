package review

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Quarter is a quarter of a calendar year. The zero value is invalid.
type Quarter struct {
	Year int
	N    int // 1 to 4
}

// ErrQuarter means that a text is no quarter.
var ErrQuarter = errors.New("want a quarter such as 2026-Q3")

// ParseQuarter reads what String writes.
func ParseQuarter(s string) (Quarter, error) {
	year, n, ok := strings.Cut(s, "-Q")
	y, yerr := strconv.ParseUint(year, 10, 16)
	number, nerr := strconv.ParseUint(n, 10, 8)
	q := Quarter{Year: int(y), N: int(number)}
	if !ok || yerr != nil || nerr != nil || q.N < 1 || q.N > 4 || q.String() != s || len(year) != 4 {
		return Quarter{}, ErrQuarter
	}
	return q, nil
}

// QuarterOf is the quarter that t lies in, by the zone's clock.
func QuarterOf(t time.Time, zone *time.Location) Quarter {
	t = t.In(zone)
	return Quarter{Year: t.Year(), N: (int(t.Month())-1)/3 + 1}
}

func (q Quarter) String() string { return fmt.Sprintf("%04d-Q%d", q.Year, q.N) }

// Bounds are the moments, as UTC, when the quarter begins and when it is over.
func (q Quarter) Bounds(zone *time.Location) (from, until time.Time) {
	first := time.Month(3*q.N - 2)
	return time.Date(q.Year, first, 1, 0, 0, 0, 0, zone).UTC(), time.Date(q.Year, first+3, 1, 0, 0, 0, 0, zone).UTC()
}

// Previous is the quarter before, which is reviewed when q begins.
func (q Quarter) Previous() Quarter {
	if q.N == 1 {
		return Quarter{Year: q.Year - 1, N: 4}
	}
	return Quarter{Year: q.Year, N: q.N - 1}
}

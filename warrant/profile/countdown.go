package profile

import "time"

// Step is one reminder before the end of a warrant.
type Step struct {
	Days int       // before the end
	At   time.Time // UTC
	Due  bool      // its time has come, and the end has not
}

// Countdown lists the reminders 30, 7, 2 and 1 days before until, in this order. The
// last that is due says how near the end is; whoever notes which steps were told
// tells only that one. A day is 24 hours here: no right hangs on a reminder.
func Countdown(until, now time.Time) []Step {
	days := []int{30, 7, 2, 1}
	steps := make([]Step, len(days))
	for i, n := range days {
		at := until.Add(-time.Duration(n) * 24 * time.Hour).UTC()
		steps[i] = Step{Days: n, At: at, Due: !now.Before(at) && now.Before(until)}
	}
	return steps
}

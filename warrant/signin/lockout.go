package signin

import "time"

// Failures that are free of delay, and how the delay grows.
const (
	FreeAccountFailures = 5
	FreeAddressFailures = 20
	firstDelay          = 15 * time.Second
	maxDelay            = time.Hour

	// ForgetFailures is how long a count lasts without another failure.
	ForgetFailures = 24 * time.Hour
)

// Delay is how long an account or address waits after so many failures in a row,
// when the first free ones cost nothing: 15 s, doubled each time, at most an hour.
func Delay(failures, free int) time.Duration {
	over := failures - free
	if over < 0 {
		return 0
	}
	delay := firstDelay
	for range over {
		if delay *= 2; delay >= maxDelay {
			return maxDelay
		}
	}
	return delay
}

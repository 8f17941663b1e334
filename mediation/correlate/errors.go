package correlate

import "errors"

// Errors of mediation.
var (
	ErrNoTask = errors.New("correlate: the session's task is not there any more") // nobody knows whose key to seal to
	ErrTaken  = errors.New("correlate: somebody else writes this partition's sessions")
)

func errNoTask(found bool) error {
	if found {
		return nil
	}
	return ErrNoTask
}

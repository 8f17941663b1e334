package correlate

import "errors"

// ErrNoTask says that a session's Task is gone: nobody knows whose key to seal to.
var ErrNoTask = errors.New("correlate: the session's task is not there any more")

func errNoTask(found bool) error {
	if found {
		return nil
	}
	return ErrNoTask
}

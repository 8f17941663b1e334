package evidence

import "errors"

// Errors of the store.
var (
	ErrNotFound = errors.New("evidence: not found")
	ErrStale    = errors.New("evidence: the chain head is not the session's")
	ErrPage     = errors.New("evidence: bad cursor or limit")
	ErrConflict = errors.New("evidence: the session was written by somebody else")
)

package sdp

import "errors"

// Errors of Rewrite. Their texts never quote the description.
var (
	ErrMalformed = errors.New("sdp: malformed session description")
	ErrTooMany   = errors.New("sdp: more media lines than the relay serves")
)

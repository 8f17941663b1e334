package tee

import "errors"

// Errors of this package.
var (
	ErrConfig = errors.New("tee: want Out, NFID, and numbers of slots up to 1048576")
	ErrLeft   = errors.New("tee: the bus did not take every copy before the gateway stopped")
)

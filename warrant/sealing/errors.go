package sealing

import "errors"

// Errors of this package.
var (
	ErrMasterLength = errors.New("a master key wants exactly 32 octets")
	ErrMaster       = errors.New("the master key does not open the database's key")
	ErrKey          = errors.New("sealed under another key")
	ErrSealed       = errors.New("a sealed value does not open: it was changed, or stands in another's place")
)

package admf

import "errors"

// ErrConfig says that a required field of Config is missing or doubled.
var ErrConfig = errors.New("admf: config: want Store, Log and gateways with distinct IDs and clients")

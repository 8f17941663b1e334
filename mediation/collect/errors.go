package collect

import "errors"

// errConfig says what a Collector needs.
var errConfig = errors.New("collect: want Bus, Tasks, Refusals, Alarms, Log, a Certificate, one or two Listen and each element once with its certificate, for X2, X3 or both")

// Why a handshake fails.
var (
	errNoCertificate = errors.New("collect: the peer showed no certificate")
	errOutOfDate     = errors.New("collect: the peer's certificate is not valid now")
	errUnknown       = errors.New("collect: the peer's certificate is no element's")
)

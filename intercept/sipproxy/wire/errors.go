package wire

import "errors"

// ErrNotSIP marks octets to which no SIP answer can be given: they are dropped.
var ErrNotSIP = errors.New("wire: not a SIP message that can be answered")

// ErrFrame marks a stream whose next message has no certain end: the connection
// cannot be used any more (RFC 3261 clause 18.3).
var ErrFrame = errors.New("wire: the stream's framing is lost")

// Fault is a request that breaks a rule but can still be answered.
type Fault struct {
	Status int    // the answer: 400, 416, 420, 483, 505
	Rule   string // constant text, never of the message
}

func (f *Fault) Error() string { return "wire: " + f.Rule }

func malformed(rule string) *Fault { return &Fault{Status: 400, Rule: rule} }

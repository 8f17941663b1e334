package hi1

import (
	"errors"
	"strconv"
)

// Errors of the codec beside Fault.
var (
	ErrTooLarge = errors.New("hi1: message exceeds the size limit")
	ErrValue    = errors.New("hi1: value is not of its type")
)

// Fault says why a message was refused: where, in names of the schema, and what was
// expected there. It never quotes the message.
type Fault struct {
	Header *Header // of the message, if that much could be read; answer to it
	Path   string  // such as HI1Message/Payload; empty = the document itself
	Offset int64   // octets of the document before the end of what was refused; 0 = unknown
	Reason string
}

func (f *Fault) Error() string {
	s := "hi1: "
	if f.Path != "" {
		s += f.Path + ": "
	}
	s += f.Reason
	if f.Offset > 0 {
		s += " (near byte " + strconv.FormatInt(f.Offset, 10) + ")"
	}
	return s
}

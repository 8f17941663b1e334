package open

import (
	"errors"
	"fmt"
)

// Errors of opening. They name what is wrong with a session as a whole.
var (
	ErrConfig   = errors.New("open: want a source folder, an output folder and at least one key")
	ErrSession  = errors.New("open: session.json is missing or not a pulled session")
	ErrCount    = errors.New("open: the session and its list of segments disagree on how many there are")
	ErrHead     = errors.New("open: the chain does not end in the session's chain head")
	ErrOccupied = errors.New("open: the output folder holds files that were not written by opening this session")
)

// Errors of one segment, found in a *SegmentError.
var (
	ErrNumber     = errors.New("is not the next number: a segment is missing or out of order")
	ErrAbsent     = errors.New("file cannot be read: pull it again")
	ErrSize       = errors.New("file does not have the size that the operator gave")
	ErrCiphertext = errors.New("file does not have the SHA-256 that the operator gave")
	ErrChain      = errors.New("link does not follow from the one before it")
	ErrKey        = errors.New("is sealed to other keys than these")
	ErrDamaged    = errors.New("cannot be decrypted: its octets are damaged")
	ErrPlaintext  = errors.New("content does not have the SHA-256 that the operator gave")
	ErrContent    = errors.New("content is not a well-formed segment")
	ErrHeader     = errors.New("content belongs to another session, or its header does not fit the segment list")
	ErrRecords    = errors.New("record numbers have a hole, repeat, or do not fit the header")
	ErrHash       = errors.New("hash in session.json is not 64 lower-case hexadecimal digits")
)

// SegmentError says which segment of a session is not as it must be. Unwrap gives
// one of the errors above.
type SegmentError struct {
	Segment uint32
	Err     error
}

func (e *SegmentError) Error() string { return fmt.Sprintf("open: segment %d %s", e.Segment, e.Err) }

// Unwrap gives the rule that was broken.
func (e *SegmentError) Unwrap() error { return e.Err }

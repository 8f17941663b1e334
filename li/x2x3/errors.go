package x2x3

import "errors"

// Errors of the codec. After ErrVersion, ErrType, ErrLength and ErrAttr nothing
// behind the PDU can be read.
var (
	ErrShort   = errors.New("x2x3: more octets are needed")
	ErrVersion = errors.New("x2x3: major version is not 0")
	ErrType    = errors.New("x2x3: unknown PDU type")
	ErrLength  = errors.New("x2x3: a length is out of bounds")
	ErrAttr    = errors.New("x2x3: an attribute has the wrong size, or there are too many of its type")
	ErrTime    = errors.New("x2x3: time is outside 1970 to 2106")

	ErrFormat    = errors.New("x2x3: payload format is unknown, or not one of this PDU type")
	ErrDirection = errors.New("x2x3: unknown payload direction")
	ErrKeepalive = errors.New("x2x3: a keep-alive must have a sequence number and nothing else")
)

package etsi

import "errors"

// Errors of the codec. Their texts name the rule that was broken and never quote
// the input.
var (
	ErrShort      = errors.New("etsi: more octets are needed")
	ErrNotPSPDU   = errors.New("etsi: the first octet is not that of a PS-PDU")
	ErrIndefinite = errors.New("etsi: indefinite length")
	ErrLength     = errors.New("etsi: a length is out of bounds")
	ErrTag        = errors.New("etsi: an element that the schema does not have there")
	ErrOrder      = errors.New("etsi: elements in the wrong order, or one of them twice")
	ErrMissing    = errors.New("etsi: a mandatory element is missing")
	ErrInteger    = errors.New("etsi: an integer is malformed or out of range")
	ErrEnum       = errors.New("etsi: a value outside its enumeration")
	ErrSize       = errors.New("etsi: a string has the wrong size")
	ErrAlphabet   = errors.New("etsi: a string has characters outside its alphabet")
	ErrDomain     = errors.New("etsi: li-psDomainId is not that of TS 102 232-1")
	ErrPart       = errors.New("etsi: the object identifier is not that of TS 102 232-5")
	ErrLIID       = errors.New("etsi: not a lawful interception identifier")
	ErrCIN        = errors.New("etsi: IRI and CC need a CIN")
	ErrTime       = errors.New("etsi: time is malformed, without zone, or outside 1970 to 9999")
	ErrAddress    = errors.New("etsi: not an IP address, or of another family than it says")
	ErrTRI        = errors.New("etsi: this TRI payload has contents and a method of its own")
	ErrPayload    = errors.New("etsi: not a payload that can be encrypted, or opened")
	ErrKey        = errors.New("etsi: the key has the wrong size for this encryption, or does not open the payload")
)

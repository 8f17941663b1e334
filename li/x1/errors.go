package x1

import (
	"errors"
	"strconv"
)

// Errors of the codec and of the clients. None of them quotes its input.
var (
	ErrSyntax   = errors.New("x1: not a message of the X1 schema")
	ErrTooLarge = errors.New("x1: message exceeds the size limit")
	ErrTask     = errors.New("x1: the task cannot be written as X1 task details")
	ErrBody     = errors.New("x1: this kind of message cannot be written")
	ErrHeader   = errors.New("x1: identifiers want 1 to 255 printable characters, times a year of four digits")
	ErrTopLevel = errors.New("x1: the peer could not read the request")
	ErrPeer     = errors.New("x1: the peer's certificate or identifiers are not those of the expected peer")
	ErrAnswer   = errors.New("x1: the answer does not belong to the request")
	ErrHTTP     = errors.New("x1: the peer answered with an HTTP error")
	ErrConfig   = errors.New("x1: config: a required field is missing or malformed")
)

// The error codes that we send or act upon (clause 6.7, table 6.7-3).
const (
	CodeGeneric            = 1000
	CodeSyntax             = 1010
	CodeVersion            = 1020
	CodeCertificate        = 1030
	CodeUnexpectedADMF     = 1040
	CodeUnexpectedNE       = 1060
	CodeNoKeepalive        = 1070
	CodeUnsupported        = 1080
	CodeXIDExists          = 2010
	CodeXIDUnknown         = 2020
	CodeDIDExists          = 2030
	CodeDIDUnknown         = 2040
	CodeActivateFailed     = 3000
	CodeModifyFailed       = 3001
	CodeTargetUnsupported  = 3010
	CodeDeliveryType       = 3040
	CodeServiceType        = 3050
	CodeDeactivateFailed   = 4000
	CodeDestinationFailed  = 6000
	CodeAddressUnsupported = 6020
	CodeDIDInUse           = 7010
	CodeRemoveAllDisabled  = 8020
	CodeKeepaliveLost      = 9050
	CodeDatabaseCleared    = 10000
)

// Error is an ErrorResponse: the peer understood a request and refused it. Only the
// code is kept; a foreign description could quote anything.
type Error struct {
	Of   Kind
	Code int
}

func (e *Error) Error() string {
	return "x1: " + e.Of.String() + " refused with code " + strconv.Itoa(e.Code) + ": " + describe(e.Code)
}

// describe gives the text of errorDescription.
func describe(code int) string {
	switch code {
	case CodeGeneric:
		return "generic error"
	case CodeSyntax:
		return "syntax or schema error"
	case CodeVersion:
		return "unsupported version"
	case CodeCertificate:
		return "identifier does not match the certificate"
	case CodeUnexpectedADMF:
		return "unexpected ADMF identifier"
	case CodeUnexpectedNE:
		return "unexpected NE identifier"
	case CodeNoKeepalive:
		return "keepalive not supported"
	case CodeUnsupported:
		return "unsupported request"
	case CodeXIDExists:
		return "XID already exists"
	case CodeXIDUnknown:
		return "XID does not exist"
	case CodeDIDUnknown:
		return "DID does not exist"
	case CodeActivateFailed:
		return "task cannot be activated as given"
	case CodeTargetUnsupported:
		return "unsupported target identifier"
	case CodeDeliveryType:
		return "unsupported delivery type"
	case CodeServiceType:
		return "unsupported service type"
	case CodeDeactivateFailed:
		return "task cannot be deactivated"
	case CodeDIDExists:
		return "DID already exists"
	case CodeModifyFailed:
		return "task cannot be modified as given"
	case CodeDestinationFailed:
		return "destination is none that this element may deliver to"
	case CodeAddressUnsupported:
		return "unsupported form of delivery address"
	case CodeDIDInUse:
		return "destination is in use"
	case CodeRemoveAllDisabled:
		return "removal of all destinations is not enabled"
	case CodeKeepaliveLost:
		return "keepalives not received"
	case CodeDatabaseCleared:
		return "database cleared"
	}
	return "other error"
}

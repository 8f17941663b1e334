package hi1

import (
	"github.com/ligate/ligate/li/hi1"
)

// The error codes of our answers. ETSI's own table was not at hand: docs/hi1.md.
const (
	codeSchema      = 1000 // not a message of the schema, or an element that is not accepted
	codeParties     = 1001 // sender or receiver are not those of this connection
	codeUnsupported = 1002 // the action is not served
	codeUnknown     = 2000 // there is no such object of yours
	codeContent     = 2001 // an object of that identifier holds something else
	codeTogether    = 2002 // not done, since another action of the message was refused
	codeIncomplete  = 3000 // a field is missing or cannot be honoured
	codeDates       = 3001
	codeTarget      = 3002
	codeLIID        = 3003
	codeChange      = 3004 // what was asked to change cannot be changed
	codeRejected    = 4000 // an officer rejected it
	codeInternal    = 9000
)

// refusal says why an action is not done. Reason names fields, never what stood there.
type refusal struct {
	code   uint32
	reason string
}

func (r *refusal) Error() string { return r.reason }

func (r *refusal) info() *hi1.ErrorInfo {
	return &hi1.ErrorInfo{Code: r.code, Description: r.reason}
}

func refuse(code uint32, reason string) *refusal { return &refusal{code, reason} }

// Package problem turns errors into RFC 9457 problem details. It is the one table
// from the meaning of an error to what a caller sees; what the table lacks is 500
// without detail.
//
// Invariant: a detail never quotes an error of another package that is not in the
// table, so nothing internal reaches a caller.
package problem

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Type is the stable last part of a problem's type URI.
type Type string

// The problem types. They are part of the API's contract.
const (
	BadRequest   Type = "bad-request"
	Forbidden    Type = "forbidden"
	FourEyes     Type = "four-eyes"
	Unauthorised Type = "unauthorised"
	NotFound     Type = "not-found"
	WrongState   Type = "wrong-state"
	Invalid      Type = "invalid"
	NotEqual     Type = "retyped-not-equal"
	Conflict     Type = "conflict"
	Stale        Type = "stale-version"
	Precondition Type = "if-match-required"
	Idempotency  Type = "idempotency-key-reused"
	Internal     Type = "internal"
	Unavailable  Type = "unavailable"
	CrossSite    Type = "cross-site"
	TooMany      Type = "too-many-requests"
	SecondFactor Type = "second-factor-required"
	Method       Type = "method-not-allowed"
	Unacceptable Type = "not-acceptable"
	TooLarge     Type = "too-large"
	MediaType    Type = "unsupported-media-type"
)

// base stands before each type; it names the contract, not a server.
const base = "urn:ligate:problem:"

// Problem is an RFC 9457 problem detail. It implements huma.StatusError.
type Problem struct {
	TypeURI string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail,omitempty"`
	Rule    string `json:"rule,omitempty"` // the rule that was broken, where one was
}

// New makes a problem of the type; the title is the status text.
func New(status int, t Type, detail string) *Problem {
	return &Problem{TypeURI: base + string(t), Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *Problem) Error() string { return p.Title }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType answers application/problem+json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Typed gives the refusals of huma, which reads and checks requests, their type. It is a
// huma.Transformer.
func Typed(_ huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok && e.Type == "" {
		e.Type = base + string(typeOf(e.Status))
	}
	return v, nil
}

func typeOf(status int) Type {
	known := map[int]Type{
		http.StatusUnauthorized: Unauthorised, http.StatusForbidden: Forbidden, http.StatusNotFound: NotFound, http.StatusMethodNotAllowed: Method,
		http.StatusNotAcceptable: Unacceptable, http.StatusRequestEntityTooLarge: TooLarge, http.StatusUnsupportedMediaType: MediaType,
		http.StatusUnprocessableEntity: Invalid, http.StatusTooManyRequests: TooMany, http.StatusServiceUnavailable: Unavailable,
	}
	switch t, ok := known[status]; {
	case ok:
		return t
	case status >= http.StatusInternalServerError:
		return Internal
	}
	return BadRequest
}

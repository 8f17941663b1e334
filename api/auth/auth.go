// Package auth says who calls the API. Every caller shows a TLS client
// certificate; its fingerprint names a person of the operator's staff or a person
// of an agency. Nothing else opens a door: no password, no cookie, no network
// address.
//
// Invariants:
//   - A certificate that nobody registered, or whose person is not confirmed, gets
//     401 and no hint which of the two it was.
//   - A Caller has exactly one role.
//
// Middleware is safe for concurrent use.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// Role is what a caller may do at all.
type Role string

// The roles of DESIGN section 6.
const (
	Drafter  Role = "drafter"
	Approver Role = "approver"
	Auditor  Role = "auditor"
	Sysadmin Role = "sysadmin"
	Agency   Role = "agency"
)

// Caller is who asks, as the certificate says.
type Caller struct {
	Role   Role
	Person warrant.Person // staff; zero for an agency's people
	Agency warrant.Agency // zero for staff
	Name   string         // the agency's person, as its certificate was registered
	Cert   string         // fingerprint of the certificate shown
	Source string         // network address of the caller
}

type callerKey struct{}

// With returns ctx carrying the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller that Middleware put there; the zero Caller otherwise.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Require answers the caller if it has one of the roles, or a 403 problem.
func Require(ctx context.Context, roles ...Role) (Caller, error) {
	c := From(ctx)
	for _, r := range roles {
		if c.Role == r {
			return c, nil
		}
	}
	return Caller{}, problem.New(http.StatusForbidden, problem.Forbidden, "your role may not do this")
}

// Fingerprint is the lower-case hexadecimal SHA-256 of a DER certificate.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

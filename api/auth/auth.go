// Package auth says who calls the API. Staff show what they enrolled with: a pinned
// TLS client certificate, or a session that began with a passkey, a password and
// TOTP, or the operator's identity provider. Machines show a token that only reads.
// People of agencies show a certificate. Nothing else opens a door: no network
// address, no default password.
//
// Invariants:
//   - Whoever cannot be told, is not confirmed, is disabled or no longer cleared gets
//     401 and no hint which of these it was.
//   - A Caller has exactly one role.
//   - A request that changes something and carries a session's cookie comes from our
//     own pages.
//   - Each refusal is counted without identity and stands on the audit log; those of
//     strangers are gathered, one entry a minute for each address and reason.
//
// Guard is safe for concurrent use.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit"
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

// Caller is who asks, as was shown.
type Caller struct {
	Role   Role
	Person warrant.Person // staff; zero for an agency's people
	Agency warrant.Agency // zero for staff
	Name   string         // the agency's person, as its certificate was registered
	Cert   string         // fingerprint of the certificate shown; empty = none
	Source string         // network address of the caller

	SessionID      string    // empty for certificates and machine tokens
	SecondFactorAt time.Time // when the session's person last proved presence and identity
	Scope          []string  // operation ids that a machine token may call; nil for people

	at      time.Time // of the request
	refused func(ctx context.Context, why Reason, object string)
	counted func()
	op      string // operation id
}

// Actor is how the caller stands on the audit log: a pseudonym.
func (c Caller) Actor() string {
	if c.Role == Agency {
		return audit.AgencyActor(string(c.Agency.ID), c.Cert)
	}
	return string(c.Person.ID)
}

type callerKey struct{}

// With returns ctx carrying the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller that Guard put there; the zero Caller otherwise.
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
	c.refuse(ctx, BadRole)
	return Caller{}, problem.New(http.StatusForbidden, problem.Forbidden, "your role may not do this")
}

// FreshFor is how long a second factor counts as fresh.
const FreshFor = 5 * time.Minute

// FreshSecondFactor demands that a session's person proved presence and identity not
// longer ago than within. A certificate's key was used for this very connection, so
// who signs in by certificate passes; a machine never does.
func FreshSecondFactor(ctx context.Context, within time.Duration) error {
	c := From(ctx)
	if c.SessionID == "" && c.Scope == nil {
		return nil
	}
	if c.Scope == nil && c.at.Sub(c.SecondFactorAt) <= within {
		return nil
	}
	c.refuse(ctx, StaleFactor)
	return problem.New(http.StatusForbidden, problem.SecondFactor, "show your passkey again (POST /auth/v1/step-up/begin), or sign in again; then repeat")
}

func (c Caller) refuse(ctx context.Context, why Reason) {
	if c.refused != nil {
		c.refused(ctx, why, c.op)
	}
}

// Fingerprint is the lower-case hexadecimal SHA-256 of a DER certificate.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

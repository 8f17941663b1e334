package signin

import (
	"time"

	"github.com/ligate/ligate/warrant"
)

// Session is one sign-in of a person.
type Session struct {
	ID             string
	PersonID       warrant.PersonID
	Method         warrant.SignIn
	AgentHash      []byte // SHA-256 of the User-Agent; the session is bound to it
	Cert           string // fingerprint of the client certificate shown at sign-in; empty = none
	Source         string // address at sign-in
	CreatedAt      time.Time
	SeenAt         time.Time
	ExpiresAt      time.Time
	SecondFactorAt time.Time // when the person last proved presence and identity
}

// Defaults and limits of sessions.
const (
	DefaultIdle     = 15 * time.Minute
	DefaultAbsolute = 8 * time.Hour
	MaxAbsolute     = 24 * time.Hour
)

// Live reports whether the session still counts at now.
func (s Session) Live(idle time.Duration, now time.Time) bool {
	return now.Before(s.ExpiresAt) && now.Before(s.SeenAt.Add(idle))
}

// Passkey is a person's authenticator.
type Passkey struct {
	ID             []byte
	PersonID       warrant.PersonID
	EnrolmentID    string
	PublicKey      []byte // COSE
	Attestation    string // format, "none" where nothing is attested
	AAGUID         []byte
	SignCount      uint32
	BackupEligible bool
	BackupState    bool
	Transports     []string
}

// Enrolment is a one-time link. Without a person it is the bootstrap link of the
// first two system administrators.
type Enrolment struct {
	ID        string
	PersonID  warrant.PersonID
	Confirmed bool
	Remaining int
	ExpiresAt time.Time
}

// How long links count.
const (
	LinkValidity      = 24 * time.Hour
	BootstrapValidity = time.Hour
	BootstrapPeople   = 2
)

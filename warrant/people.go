package warrant

import (
	"regexp"
	"time"
)

// PersonID names a person of the operator's staff.
type PersonID string

// AgencyID names an agency.
type AgencyID string

// ID names a warrant.
type ID string

// Role is what a person may do. Each person has exactly one.
type Role uint8

// The roles. The zero value is invalid.
const (
	Drafter Role = iota + 1
	Approver
	Auditor
	Sysadmin
)

func roleNames() map[Role]string {
	return map[Role]string{Drafter: "drafter", Approver: "approver", Auditor: "auditor", Sysadmin: "sysadmin"}
}

func (r Role) String() string { return roleNames()[r] }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for r, name := range roleNames() {
		if s == name {
			return r, nil
		}
	}
	return 0, broken(RuleIncomplete, "role: want drafter, approver, auditor or sysadmin")
}

// SignIn is the one way in which a person signs in.
type SignIn string

// The ways. The zero value counts as ByCertificate.
const (
	ByCertificate SignIn = "certificate" // a pinned TLS client certificate
	ByPasskey     SignIn = "passkey"     // an enrolled authenticator that verifies its user
	ByPassword    SignIn = "password"    // a password and TOTP; never an approver
	ByOIDC        SignIn = "oidc"        // the operator's identity provider
)

// Person is one of the operator's staff.
type Person struct {
	ID           PersonID
	Name         string
	Role         Role
	SignIn       SignIn
	Cert         string    // fingerprint: lower-case hexadecimal SHA-256 of the DER certificate; ByCertificate only
	Confirmed    bool      // by a second system administrator
	Disabled     bool      // may not sign in until two system administrators say otherwise
	ClearedUntil time.Time // may not sign in from then on; zero = no end
	AddedBy      PersonID
	CreatedAt    time.Time
}

// Actor is a person in the act, from an address.
type Actor struct {
	Person
	Source string
}

// Agency receives what its warrants intercept.
type Agency struct {
	ID         AgencyID
	Name       string
	Country    string       // ISO 3166-1, two capitals
	Recipients []string     // age recipients that everything is sealed to
	People     []AgencyUser // who may fetch
	Confirmed  bool         // by a second person
	AddedBy    PersonID
	CreatedAt  time.Time
}

// AgencyUser is a person of an agency, known by a certificate.
type AgencyUser struct {
	Name string
	Cert string // fingerprint
}

const maxName = 200

// Validate checks the fields of a new person.
func (p Person) Validate() error {
	switch {
	case p.Name == "" || len(p.Name) > maxName:
		return broken(RuleIncomplete, "name: want 1 to 200 octets")
	case roleNames()[p.Role] == "":
		return broken(RuleIncomplete, "role: want drafter, approver, auditor or sysadmin")
	}
	return p.validateSignIn()
}

func (p Person) validateSignIn() error {
	switch p.SignIn {
	case "", ByCertificate:
		if !validCert(p.Cert) {
			return broken(RuleIncomplete, "certificate: want its SHA-256 as 64 lower-case hexadecimal digits")
		}
		return nil
	case ByPassword:
		if p.Role == Approver {
			return broken(RuleIncomplete, "signin: an approver signs in by certificate, passkey or identity provider, not by password")
		}
	case ByPasskey, ByOIDC:
	default:
		return broken(RuleIncomplete, "signin: want certificate, passkey, password or oidc")
	}
	if p.Cert != "" {
		return broken(RuleIncomplete, "certificate: only for who signs in by certificate")
	}
	return nil
}

// Validate checks the fields of a new agency. That the recipients are keys is
// checked where content is sealed.
func (a Agency) Validate() error {
	switch {
	case a.Name == "" || len(a.Name) > maxName:
		return broken(RuleIncomplete, "name: want 1 to 200 octets")
	case !regexp.MustCompile(`^[A-Z]{2}$`).MatchString(a.Country):
		return broken(RuleIncomplete, "country: want two capitals such as DE")
	case len(a.Recipients) == 0:
		return broken(RuleAgency, "recipients: want at least one age recipient (ligate agency keygen)")
	case len(a.People) == 0:
		return broken(RuleAgency, "people: want at least one person with a certificate")
	}
	for _, u := range a.People {
		if u.Name == "" || len(u.Name) > maxName || !validCert(u.Cert) {
			return broken(RuleAgency, "people: want a name and a certificate's SHA-256 for each")
		}
	}
	return nil
}

func validCert(s string) bool { return regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s) }

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

// Person is one of the operator's staff.
type Person struct {
	ID        PersonID
	Name      string
	Role      Role
	Cert      string // fingerprint: lower-case hexadecimal SHA-256 of the DER certificate
	Confirmed bool   // by a second system administrator
	AddedBy   PersonID
	CreatedAt time.Time
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
	case !validCert(p.Cert):
		return broken(RuleIncomplete, "certificate: want its SHA-256 as 64 lower-case hexadecimal digits")
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

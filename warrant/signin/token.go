package signin

import (
	"regexp"
	"time"

	"github.com/ligate/ligate/warrant"
)

// MachineToken lets a machine read what it names.
type MachineToken struct {
	ID         string
	Name       string
	Role       warrant.Role // what it may read at most: what this role may
	Operations []string     // operation ids of the API's document
	Confirmed  bool
	AddedBy    warrant.PersonID
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero = not
}

const (
	// MaxTokenValidity is the longest life of a machine token.
	MaxTokenValidity = 90 * 24 * time.Hour

	maxOperations = 200
	maxName       = 200
)

func broken(reason string) error {
	return &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: reason}
}

// Validate checks a new token at now.
func (t MachineToken) Validate(now time.Time) error {
	switch {
	case t.Name == "" || len(t.Name) > maxName:
		return broken("name: want 1 to 200 octets")
	case t.Role != warrant.Drafter && t.Role != warrant.Auditor && t.Role != warrant.Sysadmin:
		return broken("role: want drafter, auditor or sysadmin")
	case len(t.Operations) == 0 || len(t.Operations) > maxOperations:
		return broken("operations: want 1 to 200 operation ids")
	case !t.ExpiresAt.After(now) || t.ExpiresAt.After(now.Add(MaxTokenValidity)):
		return broken("expires_at: want a time within 90 days")
	}
	for _, op := range t.Operations {
		if !Reads(op) {
			return broken("operations: a machine token only reads: want ids that begin with list, get, prove or export")
		}
	}
	return nil
}

// Reads reports whether an operation id is one that changes nothing.
func Reads(operation string) bool {
	return regexp.MustCompile(`^(list|get|prove|export)-[a-z0-9-]+$`).MatchString(operation)
}

// Actor is the token as it stands on the audit log.
func (t MachineToken) Actor() warrant.Person {
	return warrant.Person{ID: warrant.PersonID("token:" + t.ID), Name: t.Name, Role: t.Role, Confirmed: true}
}

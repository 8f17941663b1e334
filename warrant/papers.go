package warrant

import (
	"bytes"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
)

// DocumentKind is what a paper is.
type DocumentKind string

// The kinds.
const (
	DocumentOrder DocumentKind = "order" // the signed order, or the original of a provisional one
	DocumentOther DocumentKind = "other"
)

// MaxDocument is the largest paper, in octets.
const MaxDocument = 20 << 20

// Document is a paper of a warrant. The paper itself is sealed.
type Document struct {
	WarrantID ID
	Number    int // 1, 2, … of the warrant
	Kind      DocumentKind
	SHA256    string // of the paper, lower-case hexadecimal
	Bytes     int
	Pages     int // 0 = not said
	AddedBy   PersonID
	AddedAt   time.Time
}

// CheckDocument says what keeps octets from being kept as a paper of a warrant.
func CheckDocument(w Warrant, kind DocumentKind, pages int, paper []byte, by Actor) error {
	if err := may(by, Drafter, Approver); err != nil {
		return err
	}
	switch {
	case w.State == Purged:
		return broken(RuleState, "a purged warrant takes no documents")
	case kind != DocumentOrder && kind != DocumentOther:
		return broken(RuleDocument, "kind: want order or other")
	case len(paper) == 0 || len(paper) > MaxDocument || pages < 0:
		return broken(RuleDocument, "document: want 1 octet to 20 MiB")
	case !bytes.HasPrefix(paper, []byte("%PDF-")):
		return broken(RuleDocument, "document: want a PDF")
	}
	return nil
}

// Hold keeps a warrant from being purged, from when one person sets it until a second
// one confirmed its release.
type Hold struct {
	ID               string
	WarrantID        ID
	Reason           string
	SetBy            PersonID
	SetAt            time.Time
	ConfirmedBy      PersonID // empty = nobody yet; it holds all the same
	ReleaseReason    string
	ReleasedBy       PersonID // who asked for the release; empty = nobody
	ReleaseConfirmer PersonID // empty = in force
}

// InForce reports whether it keeps a purge off.
func (h Hold) InForce() bool { return h.ReleaseConfirmer == "" }

// SetHold begins a hold. It takes effect at once.
func SetHold(w Warrant, id, reason string, by Actor, now time.Time) (Hold, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Hold{}, err
	}
	if err := w.reasoned(reason); err != nil {
		return Hold{}, err
	}
	if w.State == Purged {
		return Hold{}, broken(RuleState, "it is purged already: nothing is left to hold")
	}
	return Hold{ID: id, WarrantID: w.ID, Reason: reason, SetBy: by.ID, SetAt: now}, nil
}

// ConfirmHold is the second person's word on a hold.
func ConfirmHold(h Hold, by Actor) (Hold, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Hold{}, err
	}
	if h.ConfirmedBy != "" {
		return Hold{}, broken(RuleState, "the hold is confirmed already")
	}
	if by.ID == h.SetBy {
		return Hold{}, broken(RuleFourEyes, "another person than who set the hold has to confirm it")
	}
	h.ConfirmedBy = by.ID
	return h, nil
}

// ReleaseHold asks for the release of a hold, which stays in force.
func ReleaseHold(w Warrant, h Hold, reason string, by Actor) (Hold, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return Hold{}, err
	}
	if err := w.reasoned(reason); err != nil {
		return Hold{}, err
	}
	if h.ReleasedBy != "" {
		return Hold{}, broken(RuleState, "its release is asked for already: another person has to confirm that")
	}
	h.ReleasedBy, h.ReleaseReason = by.ID, reason
	return h, nil
}

// ConfirmRelease is the second person's word: the hold is over.
func ConfirmRelease(h Hold, by Actor) (Hold, error) {
	if err := may(by, Approver); err != nil {
		return Hold{}, err
	}
	if h.ReleasedBy == "" || h.ReleaseConfirmer != "" {
		return Hold{}, broken(RuleState, "no release waits for its second person")
	}
	if by.ID == h.ReleasedBy {
		return Hold{}, broken(RuleFourEyes, "another person than who asked for the release has to confirm it")
	}
	h.ReleaseConfirmer = by.ID
	return h, nil
}

// ProtectedNumber is one of a lawyer, the press, the clergy or our own. Once a second
// person confirmed it, a warrant on it takes a third approval, until two removed it.
type ProtectedNumber struct {
	ID             string
	Identity       li.Identity
	Kind           string // lawyer, press, clergy, own, other
	AddedBy        PersonID
	AddedAt        time.Time
	ConfirmedBy    PersonID
	RemovedBy      PersonID
	RemovalConfirm PersonID // empty = it stands
}

// Protect begins an entry.
func Protect(p ProtectedNumber, by Actor, now time.Time) (ProtectedNumber, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return ProtectedNumber{}, err
	}
	if p.Identity.IsZero() || !slices.Contains([]string{"lawyer", "press", "clergy", "own", "other"}, p.Kind) {
		return ProtectedNumber{}, broken(RuleProtected, "want an identity, and a kind: lawyer, press, clergy, own or other")
	}
	p.AddedBy, p.AddedAt = by.ID, now
	return p, nil
}

// ConfirmProtected is the second person's word on an entry.
func ConfirmProtected(p ProtectedNumber, by Actor) (ProtectedNumber, error) {
	if err := may(by, Drafter, Approver); err != nil {
		return ProtectedNumber{}, err
	}
	if p.ConfirmedBy != "" {
		return ProtectedNumber{}, broken(RuleState, "it is confirmed already")
	}
	if by.ID == p.AddedBy {
		return ProtectedNumber{}, broken(RuleFourEyes, "another person than who added it has to confirm it")
	}
	p.ConfirmedBy = by.ID
	return p, nil
}

// Unprotect asks for the removal of an entry, or is the second person's word on it:
// until then it stands.
func Unprotect(p ProtectedNumber, by Actor) (ProtectedNumber, error) {
	if err := may(by, Approver); err != nil {
		return ProtectedNumber{}, err
	}
	switch {
	case p.RemovalConfirm != "":
		return ProtectedNumber{}, broken(RuleState, "it is removed already")
	case p.RemovedBy == "":
		p.RemovedBy = by.ID
	case p.RemovedBy == by.ID:
		return ProtectedNumber{}, broken(RuleFourEyes, "another person has to confirm the removal")
	default:
		p.RemovalConfirm = by.ID
	}
	return p, nil
}

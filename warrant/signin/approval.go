package signin

import (
	"time"

	"github.com/ligate/ligate/warrant"
)

// Approval is an approver's signature over exactly one version of a warrant, with
// all that an auditor needs to check it without us.
type Approval struct {
	WarrantID         warrant.ID
	Version           int // the version that was submitted
	PersonID          warrant.PersonID
	OrderHash         []byte // keyed hash of the order
	Nonce             []byte
	RPID              string // relying party of the passkey
	Origin            string // from where the person signed
	CredentialID      []byte
	PublicKey         []byte // COSE
	AuthenticatorData []byte
	ClientData        []byte // JSON, octet for octet
	Signature         []byte
	CreatedAt         time.Time
}

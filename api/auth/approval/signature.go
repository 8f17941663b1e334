package approval

import (
	"time"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// Signature is an approval as the API shows it and an auditor keeps it. Octets are
// base64, as encoding/json writes them.
type Signature struct {
	Warrant           string    `json:"warrant"`
	Version           int       `json:"version"`
	Person            string    `json:"person"`
	OrderHash         []byte    `json:"order_hash" doc:"HMAC-SHA-256 of the order"`
	Nonce             []byte    `json:"nonce"`
	RPID              string    `json:"rp_id"`
	Origin            string    `json:"origin"`
	CredentialID      []byte    `json:"credential_id"`
	PublicKey         []byte    `json:"public_key" doc:"COSE"`
	AuthenticatorData []byte    `json:"authenticator_data"`
	ClientData        []byte    `json:"client_data"`
	Signature         []byte    `json:"signature"`
	CreatedAt         time.Time `json:"created_at"`
}

// NewSignature shows an approval.
func NewSignature(a signin.Approval) Signature {
	return Signature{
		Warrant: string(a.WarrantID), Version: a.Version, Person: string(a.PersonID), OrderHash: a.OrderHash, Nonce: a.Nonce, RPID: a.RPID, Origin: a.Origin,
		CredentialID: a.CredentialID, PublicKey: a.PublicKey, AuthenticatorData: a.AuthenticatorData, ClientData: a.ClientData, Signature: a.Signature,
		CreatedAt: a.CreatedAt,
	}
}

// Approval is what Verify takes.
func (r Signature) Approval() signin.Approval {
	return signin.Approval{
		WarrantID: warrant.ID(r.Warrant), Version: r.Version, PersonID: warrant.PersonID(r.Person), OrderHash: r.OrderHash, Nonce: r.Nonce, RPID: r.RPID,
		Origin: r.Origin, CredentialID: r.CredentialID, PublicKey: r.PublicKey, AuthenticatorData: r.AuthenticatorData, ClientData: r.ClientData,
		Signature: r.Signature, CreatedAt: r.CreatedAt,
	}
}

package approval

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/signin"
)

// Config is what a Service needs; all fields are required.
type Config struct {
	Store *pgstore.Store
	RP    *passkey.RP
	Key   []byte // of the order hash: 32 octets
}

// Service signs approvals.
type Service struct{ cfg Config }

const (
	keyBytes      = 32
	nonceBytes    = 32
	ceremonyKind  = "approve"
	ceremonyValid = 5 * time.Minute
)

// New validates the configuration.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.RP == nil || len(cfg.Key) != keyBytes {
		return nil, errors.New("approval: Store, RP and a Key of 32 octets are required")
	}
	return &Service{cfg: cfg}, nil
}

// begun is what a ceremony remembers.
type begun struct {
	State     json.RawMessage  `json:"state"`
	WarrantID warrant.ID       `json:"warrant"`
	Version   int              `json:"version"`
	PersonID  warrant.PersonID `json:"person"`
	OrderHash []byte           `json:"order"`
	Nonce     []byte           `json:"nonce"`
}

func (b begun) approval() signin.Approval {
	return signin.Approval{WarrantID: b.WarrantID, Version: b.Version, PersonID: b.PersonID, OrderHash: b.OrderHash, Nonce: b.Nonce}
}

// Begin makes the options for navigator.credentials.get over the version that waits
// for approval, and the id of the ceremony.
func (s *Service) Begin(ctx context.Context, by warrant.Actor, id warrant.ID, version int) (ceremony string, options json.RawMessage, err error) {
	w, err := s.cfg.Store.Warrant(ctx, by, id)
	if err != nil {
		return "", nil, err
	}
	if err := mayApprove(w, by, version); err != nil {
		return "", nil, err
	}
	keys, err := s.cfg.Store.Passkeys(ctx, by.ID)
	if err != nil {
		return "", nil, err
	}
	b := begun{WarrantID: w.ID, Version: version, PersonID: by.ID, OrderHash: OrderHash(s.cfg.Key, w.Order), Nonce: make([]byte, nonceBytes)}
	_, _ = rand.Read(b.Nonce) // never fails
	if options, b.State, err = s.cfg.RP.Begin(by.Person, keys, Challenge(b.approval())); err != nil {
		return "", nil, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return "", nil, fmt.Errorf("begin approval: %w", err)
	}
	ceremony, err = s.cfg.Store.BeginCeremony(ctx, pgstore.Challenge{Kind: ceremonyKind, Data: data}, ceremonyValid)
	return ceremony, options, err
}

func mayApprove(w warrant.Warrant, by warrant.Actor, version int) error {
	switch {
	case by.Role != warrant.Approver:
		return warrant.ErrForbidden
	case w.Version != version:
		return warrant.ErrVersion
	case w.State != warrant.Submitted:
		return &warrant.RuleError{Rule: warrant.RuleState, Reason: "only a submitted warrant can be approved"}
	case w.Drafter == by.ID:
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "the approver must be another person than the drafter"}
	}
	return nil
}

// Finish checks the passkey's answer and keeps the signature. The act of approving
// comes after; it finds the signature there.
func (s *Service) Finish(ctx context.Context, by warrant.Actor, session, ceremony string, answer json.RawMessage) (signin.Approval, error) {
	data, err := s.cfg.Store.EndCeremony(ctx, ceremonyKind, ceremony)
	if err != nil {
		return signin.Approval{}, err
	}
	var b begun
	if err := json.Unmarshal(data, &b); err != nil || b.PersonID != by.ID {
		return signin.Approval{}, warrant.ErrNotFound
	}
	keys, err := s.cfg.Store.Passkeys(ctx, by.ID)
	if err != nil {
		return signin.Approval{}, err
	}
	signed, err := s.cfg.RP.Finish(by.Person, keys, b.State, answer)
	if err != nil {
		return signin.Approval{}, err
	}
	a := b.approval()
	a.RPID, a.Origin = s.cfg.RP.ID(), s.cfg.RP.Origin()
	a.CredentialID, a.PublicKey = signed.Key.ID, signed.Key.PublicKey
	a.AuthenticatorData, a.ClientData, a.Signature = signed.AuthenticatorData, signed.ClientData, signed.Signature
	if err := Verify(a); err != nil { // what is kept is what an auditor can check
		return signin.Approval{}, passkey.ErrRefused
	}
	return a, s.cfg.Store.KeepApproval(ctx, by, session, a, signed.Key)
}

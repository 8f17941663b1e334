// Package passkey is the WebAuthn relying party: it makes the options of a ceremony
// and holds the authenticator's answer against them. It is the only door to
// go-webauthn. Specification: W3C Web Authentication Level 3, sections 7.1 and 7.2.
//
// Invariants:
//   - The authenticator verified its user (UV), for each ceremony.
//   - A counter that did not grow, a backup eligibility that changed, another origin,
//     another relying party or an answer to another challenge are refused.
//   - An error is one of this package's and quotes nothing of what was sent.
//
// RP is safe for concurrent use and keeps nothing between calls: what a ceremony
// needs is the state that Begin… returns and Finish… takes back, once.
package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// Errors of ceremonies.
var (
	ErrRefused = errors.New("passkey: the answer does not hold")
	ErrCopied  = errors.New("passkey: the counter did not grow")
)

// Config is what an RP needs.
type Config struct {
	Origin      string // of our pages: https, a host name, a port if it is not 443
	DeviceBound bool   // refuse authenticators whose key can be copied to other devices
}

// RP is the relying party.
type RP struct {
	web        *webauthn.WebAuthn
	id, origin string
}

// New validates the configuration. The relying party's id is the origin's host name.
func New(cfg Config) (*RP, error) {
	u, err := url.Parse(cfg.Origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.String() != "https://"+u.Host || u.Port() == "443" || u.Host != strings.ToLower(u.Host) {
		return nil, errors.New("passkey: Origin: want https://host or https://host:port, in small letters, without :443")
	}
	web, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "ligate", RPOrigins: []string{cfg.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		Filtering: &webauthn.FilteringConfig{ProhibitBackupEligibility: cfg.DeviceBound},
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: the origin's host is no domain name: %w", err)
	}
	if err := protocol.ValidateRPID(u.Hostname()); err != nil {
		return nil, errors.New("passkey: Origin: want a host name, not an address")
	}
	return &RP{web: web, id: u.Hostname(), origin: cfg.Origin}, nil
}

// ID is the relying party's id.
func (r *RP) ID() string { return r.id }

// Origin is where our pages come from.
func (r *RP) Origin() string { return r.origin }

// user is a person as go-webauthn wants it. The user handle is the person's id.
type user struct {
	id   warrant.PersonID
	name string
	keys []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return []byte(u.id) }
func (u user) WebAuthnName() string                       { return u.name }
func (u user) WebAuthnDisplayName() string                { return u.name }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }

func newUser(id warrant.PersonID, name string, keys []signin.Passkey) user {
	u := user{id: id, name: name}
	for _, k := range keys {
		c := webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey, AttestationFormat: k.Attestation,
			Flags:         webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: k.BackupEligible, BackupState: k.BackupState},
			Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID, SignCount: k.SignCount},
		}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		u.keys = append(u.keys, c)
	}
	return u
}

// BeginRegistration makes the options for navigator.credentials.create. Keys that
// the person has already are not registered again.
func (r *RP) BeginRegistration(id warrant.PersonID, name string, keys []signin.Passkey) (options, state json.RawMessage, err error) {
	u := newUser(id, name, keys)
	creation, session, err := r.web.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.keys).CredentialDescriptors()))
	if err != nil {
		return nil, nil, fmt.Errorf("begin registration: %w", err)
	}
	return marshal(creation.Response, session)
}

func marshal(response, session any) (options, state json.RawMessage, err error) {
	if options, err = json.Marshal(response); err != nil {
		return nil, nil, fmt.Errorf("encode options: %w", err)
	}
	if state, err = json.Marshal(session); err != nil {
		return nil, nil, fmt.Errorf("encode state: %w", err)
	}
	return options, state, nil
}

// FinishRegistration checks the answer to BeginRegistration.
func (r *RP) FinishRegistration(id warrant.PersonID, state, answer json.RawMessage) (signin.Passkey, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return signin.Passkey{}, ErrRefused
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return signin.Passkey{}, ErrRefused
	}
	c, err := r.web.CreateCredential(user{id: id}, session, parsed)
	if err != nil {
		return signin.Passkey{}, ErrRefused
	}
	k := signin.Passkey{ID: c.ID, PersonID: id, PublicKey: c.PublicKey, Attestation: c.AttestationFormat, Transports: []string{}}
	for _, t := range c.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	return after(k, c), nil
}

// after is the key as it stands after use.
func after(k signin.Passkey, c *webauthn.Credential) signin.Passkey {
	k.AAGUID, k.SignCount = c.Authenticator.AAGUID, c.Authenticator.SignCount
	k.BackupEligible, k.BackupState = c.Flags.BackupEligible, c.Flags.BackupState
	return k
}

// BeginLogin makes the options for navigator.credentials.get of somebody yet unknown:
// it names no key, so that nothing is told of who is enrolled.
func (r *RP) BeginLogin() (options, state json.RawMessage, err error) {
	assertion, session, err := r.web.BeginDiscoverableLogin()
	if err != nil {
		return nil, nil, fmt.Errorf("begin sign-in: %w", err)
	}
	return marshal(assertion.Response, session)
}

// Begin makes the options for navigator.credentials.get of a known person. With a
// challenge that is what gets signed; nil makes a random one.
func (r *RP) Begin(p warrant.Person, keys []signin.Passkey, challenge []byte) (options, state json.RawMessage, err error) {
	var opts []webauthn.LoginOption
	if challenge != nil {
		opts = append(opts, webauthn.WithChallenge(challenge))
	}
	if len(keys) == 0 {
		return nil, nil, ErrRefused
	}
	assertion, session, err := r.web.BeginLogin(newUser(p.ID, p.Name, keys), opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("begin assertion: %w", err)
	}
	return marshal(assertion.Response, session)
}

// Signed is an answer that held.
type Signed struct {
	Key               signin.Passkey // as it stands after use
	AuthenticatorData []byte
	ClientData        []byte
	Signature         []byte
}

// FinishLogin checks the answer to BeginLogin. find returns the keys of the person
// whom the authenticator names.
func (r *RP) FinishLogin(state, answer json.RawMessage, find func(warrant.PersonID) ([]signin.Passkey, error)) (Signed, error) {
	session, parsed, err := parse(state, answer)
	if err != nil {
		return Signed{}, err
	}
	var keys []signin.Passkey
	var failed error
	_, c, err := r.web.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		if keys, failed = find(warrant.PersonID(handle)); failed != nil {
			return nil, failed
		}
		return newUser(warrant.PersonID(handle), "", keys), nil
	}, session, parsed)
	if failed != nil {
		return Signed{}, failed
	}
	return signed(keys, c, parsed, err)
}

// Finish checks the answer to Begin.
func (r *RP) Finish(p warrant.Person, keys []signin.Passkey, state, answer json.RawMessage) (Signed, error) {
	session, parsed, err := parse(state, answer)
	if err != nil {
		return Signed{}, err
	}
	c, err := r.web.ValidateLogin(newUser(p.ID, p.Name, keys), session, parsed)
	return signed(keys, c, parsed, err)
}

func parse(state, answer json.RawMessage) (webauthn.SessionData, *protocol.ParsedCredentialAssertionData, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return session, nil, ErrRefused
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return session, nil, ErrRefused
	}
	return session, parsed, nil
}

func signed(keys []signin.Passkey, c *webauthn.Credential, parsed *protocol.ParsedCredentialAssertionData, err error) (Signed, error) {
	if err != nil {
		return Signed{}, ErrRefused
	}
	for _, k := range keys {
		if string(k.ID) != string(c.ID) {
			continue
		}
		raw := parsed.Raw.AssertionResponse
		s := Signed{Key: after(k, c), AuthenticatorData: raw.AuthenticatorData, ClientData: raw.ClientDataJSON, Signature: raw.Signature}
		if c.Authenticator.CloneWarning {
			return s, ErrCopied
		}
		return s, nil
	}
	return Signed{}, ErrRefused
}

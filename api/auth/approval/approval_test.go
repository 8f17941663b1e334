package approval_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ligate/ligate/api/auth/approval"
	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/internal/authtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

const origin = "https://li.example.net"

func target(t *testing.T, s string) li.Identity {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func order(t *testing.T) warrant.Order {
	t.Helper()
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return warrant.Order{
		LIID: "L-1", Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: "a-1", Scope: warrant.IRIAndCC,
		Targets: []li.Identity{target(t, "+4930555001"), target(t, "sip:a@example.com")}, From: from, Until: from.Add(time.Hour), Notes: "n", Predecessor: "w-0",
		Provisional: true, OriginalDue: from.Add(time.Minute),
	}
}

// Each field of an order is under the signature. Whoever adds one describes it.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	base := order(t)
	for i := range reflect.TypeFor[warrant.Order]().NumField() {
		changed := base
		name := reflect.TypeFor[warrant.Order]().Field(i).Name
		f := reflect.ValueOf(&changed).Elem().Field(i)
		f.SetZero()
		if name == "Scope" {
			changed.Scope = warrant.IRIOnly
		}
		if reflect.DeepEqual(base, changed) {
			t.Fatalf("%s: the test's order leaves it out: give it a value", name)
		}
		if slices.Equal(approval.Describe(base), approval.Describe(changed)) {
			t.Errorf("%s is not in Describe", name)
		}
	}
	swapped := base
	swapped.Targets = []li.Identity{base.Targets[1], base.Targets[0]}
	if !slices.Equal(approval.Describe(base), approval.Describe(swapped)) {
		t.Error("the order of targets counts")
	}
}

// signed is a record as the service makes it.
func signed(t *testing.T, key []byte, change func(*authtest.Authenticator)) signin.Approval {
	t.Helper()
	rp, err := passkey.New(passkey.Config{Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	auth := authtest.NewAuthenticator(t, origin)
	options, state, err := rp.BeginRegistration("p-1", "Bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := rp.FinishRegistration("p-1", state, auth.Create(t, options))
	if err != nil {
		t.Fatal(err)
	}
	a := signin.Approval{WarrantID: "w-1", Version: 2, PersonID: "p-1", OrderHash: approval.OrderHash(key, order(t)), Nonce: make([]byte, 32)}
	bob := warrant.Person{ID: "p-1", Name: "Bob"}
	options, state, err = rp.Begin(bob, []signin.Passkey{k}, approval.Challenge(a))
	if err != nil {
		t.Fatal(err)
	}
	change(auth)
	s, err := rp.Finish(bob, []signin.Passkey{k}, state, auth.Get(t, options))
	if err != nil {
		t.Fatal(err)
	}
	a.RPID, a.Origin, a.CredentialID, a.PublicKey = rp.ID(), rp.Origin(), k.ID, k.PublicKey
	a.AuthenticatorData, a.ClientData, a.Signature = s.AuthenticatorData, s.ClientData, s.Signature
	return a
}

// An auditor finds each change of a record.
func TestVerifyFindsChanges(t *testing.T) {
	t.Parallel()
	key := []byte("01234567890123456789012345678901")
	good := signed(t, key, func(*authtest.Authenticator) {})
	if err := approval.VerifyOrder(good, key, order(t)); err != nil {
		t.Fatal(err)
	}
	other := signed(t, key, func(*authtest.Authenticator) {})
	flip := func(b []byte, i int) []byte {
		c := slices.Clone(b)
		c[i] ^= 1
		return c
	}
	for name, tt := range map[string]struct {
		change func(*signin.Approval)
		want   error
	}{
		"warrant":      {func(a *signin.Approval) { a.WarrantID = "w-2" }, approval.ErrChallenge},
		"version":      {func(a *signin.Approval) { a.Version++ }, approval.ErrChallenge},
		"person":       {func(a *signin.Approval) { a.PersonID = "p-2" }, approval.ErrChallenge},
		"order":        {func(a *signin.Approval) { a.OrderHash = flip(a.OrderHash, 3) }, approval.ErrChallenge},
		"nonce":        {func(a *signin.Approval) { a.Nonce = flip(a.Nonce, 0) }, approval.ErrChallenge},
		"origin":       {func(a *signin.Approval) { a.Origin = "https://evil.example" }, approval.ErrOrigin},
		"party":        {func(a *signin.Approval) { a.RPID = "evil.example" }, approval.ErrOrigin},
		"key":          {func(a *signin.Approval) { a.PublicKey = other.PublicKey }, approval.ErrSignature},
		"no key":       {func(a *signin.Approval) { a.PublicKey = nil }, approval.ErrKey},
		"counter":      {func(a *signin.Approval) { a.AuthenticatorData = flip(a.AuthenticatorData, 36) }, approval.ErrSignature},
		"verified":     {func(a *signin.Approval) { a.AuthenticatorData = flip(a.AuthenticatorData, 32) }, approval.ErrPresence},
		"data":         {func(a *signin.Approval) { a.AuthenticatorData = a.AuthenticatorData[:36] }, approval.ErrClientData},
		"client data":  {func(a *signin.Approval) { a.ClientData = flip(a.ClientData, 0) }, approval.ErrClientData},
		"signature":    {func(a *signin.Approval) { a.Signature = flip(a.Signature, len(a.Signature)-1) }, approval.ErrSignature},
		"no signature": {func(a *signin.Approval) { a.Signature = nil }, approval.ErrSignature},
	} {
		bad := good
		tt.change(&bad)
		if err := approval.Verify(bad); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	narrowed := order(t)
	narrowed.Targets = narrowed.Targets[:1]
	if err := approval.VerifyOrder(good, key, narrowed); !errors.Is(err, approval.ErrOrder) {
		t.Errorf("another order: %v", err)
	}
	if err := approval.VerifyOrder(good, []byte("other key of thirty-two octets.."), order(t)); !errors.Is(err, approval.ErrOrder) {
		t.Errorf("another key: %v", err)
	}
}

// Whatever an auditor is handed, what verifies is what was signed.
func FuzzVerify(f *testing.F) {
	key := []byte("01234567890123456789012345678901")
	var good signin.Approval
	f.Add([]byte("{}"), make([]byte, 37), []byte{0x30}, []byte{0xa0})
	f.Add([]byte(`{"type":"webauthn.get","challenge":"","origin":""}`), []byte{}, []byte{}, []byte{0xa5, 1, 2})
	f.Fuzz(func(t *testing.T, client, data, signature, public []byte) {
		if good.ClientData == nil {
			good = signed(t, key, func(*authtest.Authenticator) {})
		}
		foreign := good
		foreign.ClientData, foreign.AuthenticatorData, foreign.Signature, foreign.PublicKey = client, data, signature, public
		if approval.Verify(foreign) == nil {
			t.Error("a record of random octets verifies")
		}
		mixed := good
		mixed.ClientData, mixed.AuthenticatorData = append(slices.Clone(good.ClientData), client...), append(slices.Clone(good.AuthenticatorData), data...)
		if same := len(client) == 0 && len(data) == 0; (approval.Verify(mixed) == nil) != same {
			t.Errorf("verifies with octets added, or not without: %t", same)
		}
	})
}

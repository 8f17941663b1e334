package passkey_test

import (
	"errors"
	"testing"

	"github.com/ligate/ligate/api/auth/passkey"
	"github.com/ligate/ligate/internal/authtest"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

const origin = "https://li.example.net:8440"

func newRP(t *testing.T, deviceBound bool) *passkey.RP {
	t.Helper()
	rp, err := passkey.New(passkey.Config{Origin: origin, DeviceBound: deviceBound})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func register(t *testing.T, rp *passkey.RP, a *authtest.Authenticator) (signin.Passkey, error) {
	t.Helper()
	options, state, err := rp.BeginRegistration("p-1", "Bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	return rp.FinishRegistration("p-1", state, a.Create(t, options))
}

func login(t *testing.T, rp *passkey.RP, a *authtest.Authenticator, k signin.Passkey) (passkey.Signed, error) {
	t.Helper()
	options, state, err := rp.BeginLogin()
	if err != nil {
		t.Fatal(err)
	}
	return rp.FinishLogin(state, a.Get(t, options), func(id warrant.PersonID) ([]signin.Passkey, error) {
		if id != "p-1" {
			return nil, warrant.ErrNotFound
		}
		return []signin.Passkey{k}, nil
	})
}

func TestRegisterAndSignIn(t *testing.T) {
	t.Parallel()
	rp, a := newRP(t, true), authtest.NewAuthenticator(t, origin)
	k, err := register(t, rp, a)
	if err != nil || k.Attestation != "none" || k.PersonID != "p-1" || k.BackupEligible {
		t.Fatalf("%+v, %v", k, err)
	}
	for range 3 {
		s, err := login(t, rp, a, k)
		if err != nil || s.Key.SignCount != k.SignCount+1 || len(s.Signature) == 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		k = s.Key
	}
}

// What lies at registration or at sign-in is refused.
func TestLiesAreRefused(t *testing.T) {
	t.Parallel()
	rp := newRP(t, true)
	for name, lie := range map[string]func(*authtest.Authenticator){
		"another origin":  func(a *authtest.Authenticator) { a.Origin = "https://evil.example" },
		"another port":    func(a *authtest.Authenticator) { a.Origin = "https://li.example.net" },
		"another party":   func(a *authtest.Authenticator) { a.RPID = "example.net" },
		"user unverified": func(a *authtest.Authenticator) { a.Unverified = true },
		"backup":          func(a *authtest.Authenticator) { a.BackedUp = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := authtest.NewAuthenticator(t, origin)
			k, err := register(t, rp, a)
			if err != nil {
				t.Fatal(err)
			}
			lie(a)
			if _, err := login(t, rp, a, k); !errors.Is(err, passkey.ErrRefused) {
				t.Errorf("sign-in: %v", err)
			}
			if _, err := register(t, rp, a); !errors.Is(err, passkey.ErrRefused) {
				t.Errorf("registration: %v", err)
			}
		})
	}
}

func TestCopiedKeyIsSeen(t *testing.T) {
	t.Parallel()
	rp, a := newRP(t, false), authtest.NewAuthenticator(t, origin)
	k, err := register(t, rp, a)
	if err != nil {
		t.Fatal(err)
	}
	thief := a.Copy()
	s, err := login(t, rp, a, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := login(t, rp, thief, s.Key); !errors.Is(err, passkey.ErrCopied) {
		t.Errorf("the copy signed in: %v", err)
	}
}

func TestAnswersAndForeignKeys(t *testing.T) {
	t.Parallel()
	rp, a, b := newRP(t, false), authtest.NewAuthenticator(t, origin), authtest.NewAuthenticator(t, origin)
	k, err := register(t, rp, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register(t, rp, b); err != nil {
		t.Fatal(err)
	}
	if _, err := login(t, rp, b, k); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("a key that is not the person's: %v", err)
	}
	options, _, err := rp.BeginLogin()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := rp.BeginLogin()
	if err != nil {
		t.Fatal(err)
	}
	find := func(warrant.PersonID) ([]signin.Passkey, error) { return []signin.Passkey{k}, nil }
	if _, err := rp.FinishLogin(other, a.Get(t, options), find); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("an answer to another challenge: %v", err)
	}
	for _, garbage := range []string{"", "{}", "[]", `{"id": "x"}`} {
		if _, err := rp.FinishLogin(other, []byte(garbage), find); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%q: %v", garbage, err)
		}
		if _, err := rp.FinishRegistration("p-1", other, []byte(garbage)); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%q: %v", garbage, err)
		}
	}
}

func TestOriginIsAHost(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "http://li.example.net", "https://127.0.0.1:8440", "https://li.example.net/", "https://", "https://a@li.example.net", "https://li.example.net:443", "https://LI.example.net"} {
		if _, err := passkey.New(passkey.Config{Origin: bad}); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}

package password_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/api/auth/password"
)

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := password.NewHasher()
	const right = "correct horse battery"
	hash, err := h.Hash(t.Context(), right)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("%s, %v", hash, err)
	}
	for name, tt := range map[string]struct {
		hash, password string
		want           bool
	}{
		"right": {hash, right, true}, "wrong": {hash, right + "!", false}, "empty": {hash, "", false}, "no account": {"", right, false},
	} {
		if got, err := h.Verify(t.Context(), tt.hash, tt.password); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"x", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", strings.Replace(hash, "t=3", "t=1", 1), hash + "A"} {
		if _, err := h.Verify(t.Context(), bad, right); err == nil {
			t.Error("an unreadable hash is read")
		}
	}
}

func TestWeakPasswords(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "Charlotte Administrator", strings.Repeat("ab", 101), "\xff\xffaaaaaaaaaaaaaa"} {
		if err := password.Check(bad, "charlotte administrator"); !errors.Is(err, password.ErrWeak) {
			t.Errorf("%q passes", bad)
		}
	}
	if err := password.Check("zwölf Zeichen", "Ann"); err != nil {
		t.Error(err)
	}
}

// RFC 6238 appendix B, SHA-1, the last six of its eight digits.
func TestCodesOfTheRFC(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for unix, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		now := time.Unix(unix, 0)
		if got := password.Code(secret, password.StepAt(now)); got != want {
			t.Errorf("at %d: %s, want %s", unix, got, want)
		}
		for _, d := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
			if n, ok := password.Match(secret, want, now.Add(d)); !ok || n != password.StepAt(now) {
				t.Errorf("at %d%+v: step %d, %v", unix, d, n, ok)
			}
		}
		if _, ok := password.Match(secret, want, now.Add(time.Minute)); ok {
			t.Errorf("the code of %d counts a minute later", unix)
		}
	}
}

func TestSealedSecretIsItsPersons(t *testing.T) {
	t.Parallel()
	key := []byte("01234567890123456789012345678901")
	sealed, err := password.Seal(key, []byte("secret"), "p-1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := password.Open(key, sealed, "p-1"); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := password.Open(key, sealed, "p-2"); err == nil {
		t.Error("another person opens it")
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := password.Open(key, sealed, "p-1"); err == nil {
			t.Fatalf("opens with octet %d changed", i)
		}
		sealed[i] ^= 1
	}
	if _, err := password.Open(key, sealed[:5], "p-1"); err == nil {
		t.Error("a stump opens")
	}
}

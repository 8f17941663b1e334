package li_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ligate/ligate/li"
)

func TestParseLIID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "DE-2026/0001", strings.Repeat("9", 25)} {
		if id, err := li.ParseLIID(s); err != nil || string(id) != s {
			t.Errorf("%q: got %q, %v", s, id, err)
		}
	}
	for _, s := range []string{"", strings.Repeat("9", 26), "a b", "a\n", "ä", "a\x7f"} {
		if id, err := li.ParseLIID(s); !errors.Is(err, li.ErrLIID) || id != "" {
			t.Errorf("%q: got %q, %v; want ErrLIID", s, id, err)
		}
	}
}

func TestXID(t *testing.T) {
	t.Parallel()
	seen := map[li.XID]bool{}
	for range 100 {
		x := li.NewXID()
		s := x.String()
		if s[14] != '4' || strings.IndexByte("89ab", s[19]) < 0 || seen[x] {
			t.Fatalf("%s is not a fresh random UUID", s)
		}
		seen[x] = true
		if back, err := li.ParseXID(s); err != nil || back != x {
			t.Fatalf("%s came back as %s, %v", s, back, err)
		}
	}
	for name, s := range map[string]string{
		"nothing":         "",
		"upper case":      "123E4567-e89b-42d3-a456-426614174000",
		"no dashes":       "123e4567e89b42d3a456426614174000",
		"dash misplaced":  "123e456-7e89b-42d3-a456-426614174000",
		"other character": "123e4567-e89b-42d3-a456-42661417400g",
		"dash for digit":  "123e4567-e89b-42d3-a456-42661417400-",
		"in braces":       "{123e4567-e89b-42d3-a456-426614174000}",
	} {
		if x, err := li.ParseXID(s); !errors.Is(err, li.ErrXID) || x != (li.XID{}) {
			t.Errorf("%s: got %v, %v; want ErrXID", name, x, err)
		}
	}
}

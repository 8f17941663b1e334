package profile_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/warrant/profile"
)

// edit returns a built-in file with one text replaced.
func edit(t testing.TB, name, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s.yaml does not hold %q", name, from)
	}
	return strings.Replace(string(text), from, to, 1)
}

func parse(t testing.TB, text string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown key", "allowed: true", "allowed: true\n  alowed: true", "provisional: unknown key; want one of allowed, original_due, source, mark, read, note"},
		{"unknown key on top", "name: de", "nome: x\nname: de", "unknown key; want one of name, country"},
		{"key twice", "country: DE", "country: DE\ncountry: DE", "country: stands here twice"},
		{"no source", "  source: default of the product\n", "", "scope.source: required"},
		{"no mark", "  source: default of the product\n  mark: I\n", "  source: default of the product\n", "scope.mark: want S (read)"},
		{"read nowhere", "  read: hh-datenschutz.de, TKÜV § 10\n", "", "delivery.read: required with mark S"},
		{"no section", "review:\n  every: quarter\n", "review:\n", "review.every: want quarter"},
		{"unknown zone", "Europe/Berlin", "Europe/Bonn", "zone.name: want an IANA time zone"},
		{"no working day", "[sunday]", "[sunday, monday, tuesday, wednesday, thursday, friday, saturday]", "working_days: want names of days"},
		{"bad weekday", "[sunday]", "[sonntag]", "working_days: want names of days"},
		{"bad holiday", `"01-01"`, `"02-30"`, "working_days: want a holiday"},
		{"bad Easter", "easter-2", "easter-x", "working_days: want a holiday"},
		{"bad policy", "pstn_only", "all", "scope.policy: want pstn_only"},
		{"bad code", "code: g10", "code: G 10", "legal_bases[3].code: want 1 to 64"},
		{"code twice", "code: g10", "code: stpo-100a", "legal_bases[3].code: stands here twice"},
		{"bad kind", "allows: [emergency]", "allows: [iri, all]", "legal_bases[1].allows: want iri"},
		{"no kind", "allows: [emergency]", "allows: []", "legal_bases[1].allows: want at least one"},
		{"bad period", "longest: 1 day\n", "longest: 1 Tag\n", "legal_bases[4].longest: want a period"},
		{"no validity", "longest: 1 day\n", "longest: at once\n", "legal_bases[4].longest: want a period"},
		{"bad count", "count: moment", "count: year", "legal_bases[0].count: want moment or day"},
		{"provisional without a date", "  original_due: 1 week\n", "", "provisional.original_due: required"},
		{"date without provisional", "allowed: true", "allowed: false", "provisional.original_due: required if"},
		{"not a truth", "allowed: true", "allowed: perhaps", "provisional.allowed: want true or false"},
		{"bad mode", "mode: buffer-only", "mode: keep", "delivery.mode: want store or buffer-only"},
		{"buffer of a store", "mode: buffer-only", "mode: store", "delivery.buffer: required with buffer-only, and only then"},
		{"unknown deadline", "name: confirmation", "name: confirmed", "deadlines[1].name: want one of start"},
		{"deadline twice", "name: confirmation", "name: start_outside_hours", "deadlines[1].name: stands here twice"},
		{"deadline without a time", "    within: 6 hours\n", "", "deadlines[0].within: required"},
		{"unknown record", "kind: deletion", "kind: deleted", "retention[2].kind: want log"},
		{"unknown rule", "rule: keep-at-least", "rule: keep", "retention[2].rule: want keep-at-least"},
		{"unknown duty", "duty: operator", "duty: us", "retention[0].duty: want operator or agency"},
		{"share of more than all", "share: 0.2", "share: 1.2", "review.share: want a share"},
		{"share in words", "share: 0.2", "share: a fifth", "review.share: want a number"},
		{"unknown always", "[test, suspicious]", "[test, odd]", "review.always: want test or suspicious"},
		{"unknown form", "name: quarterly_review", "name: yearly_review", "forms[3].name: want one of calea_certificate"},
		{"notice by a form that is not listed", "form: incident", "form: calea_certificate", "notices[2].form: want one of the profile's forms"},
		{"unknown field of a form", "fields: [liids, recovered_at]", "fields: [liids, weather]", "notices[1].fields: want fields of the form"},
		{"unknown event", "event: fault", "event: flood", "notices[0].event: want fault"},
		{"emergency number", `["110", "112"]`, `["110", "one"]`, "emergency_numbers.numbers: want 2 to 8 digits"},
		{"not a list", `numbers: ["110", "112"]`, `numbers: "110"`, "emergency_numbers.numbers: want a list"},
		{"not a mapping", "scope:\n  policy: pstn_only\n", "scope: x\nrest:\n", "scope: want a mapping"},
		{"list for a value", "country: DE", "country: [DE]", "country: want a single value"},
		{"not YAML", "zone:", "zone: [", "not YAML"},
		{"two documents", "name: de", "---\nname: x\n---\nname: de", "want one YAML document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := profile.Parse([]byte(edit(t, "de", c.from, c.to)))
			var file *profile.FileError
			if p != nil || !errors.As(err, &file) {
				t.Fatalf("got %v, %v", p, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:\n%v\nwant: %s", err, c.want)
			}
		})
	}
}

func TestEveryFaultAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	text := "name: X\ncountry: DE\ntitle: ours\nzone:\n  name: Mars\n  source: s\n  mark: I\nlegal_bases:\n" +
		"  - code: a\n    longest: secret-value\n    count: day\n    secret-key: 1\n"
	_, err := profile.Parse([]byte(text))
	var file *profile.FileError
	if !errors.As(err, &file) {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range file.Faults {
		key, _, _ := strings.Cut(f.Text, ":")
		if got[key] != 0 {
			t.Errorf("%s is shown twice", key)
		}
		got[key] = f.Line
	}
	for key, line := range map[string]int{
		"name": 1, "zone.name": 5, "legal_bases[0].longest": 10, "legal_bases[0]": 12, "legal_bases[0].allows": 9,
		"legal_bases[0].source": 9, "delivery.mode": 1, "review.share": 1, "emergency_numbers.numbers": 1,
	} {
		if got[key] != line {
			t.Errorf("%s: line %d, want %d", key, got[key], line)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Mars") {
		t.Errorf("the error quotes the file:\n%v", err)
	}
}

func TestUnknownAndEmpty(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "fr", "../de", "de.yaml"} {
		if _, err := profile.Load(name); !errors.Is(err, profile.ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, text := range []string{"", "\n", "# nothing\n", "[]", "x", strings.Repeat("#", 1<<20+1)} {
		if p, err := profile.Parse([]byte(text)); err == nil {
			t.Errorf("%.10q: got %v, want an error", text, p)
		}
	}
}

func TestLoadedProfilesShareNothing(t *testing.T) {
	t.Parallel()
	a, b := load(t, "de"), load(t, "de")
	a.LegalBases[0].Allows[0], a.Delivery.Buffer.Longest.N = "changed", 99
	if diff := cmp.Diff([]profile.Kind{profile.IRI, profile.IRIAndCC}, b.LegalBases[0].Allows); diff != "" || b.Delivery.Buffer.Longest.N != 1 {
		t.Error("one profile's change shows in another")
	}
}

// A file of an operator's may hold anything: no panic, and what is accepted is whole.
func FuzzParse(f *testing.F) {
	for _, name := range profile.Names() {
		f.Add([]byte(edit(f, name, "name: ", "name: ")))
	}
	f.Add([]byte("legal_bases: [{code: a}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := profile.Parse(text)
		if err != nil {
			if p != nil {
				t.Fatal("a profile beside an error")
			}
			return
		}
		if p.Location() == nil || len(p.Codes()) == 0 {
			t.Fatal("an accepted profile has no zone or no legal basis")
		}
		for _, r := range p.Table() {
			if r.Text == "" || r.Mark == "" || r.Mark == profile.Read && r.Read == "" {
				t.Fatalf("%s has no source", r.Field)
			}
		}
	})
}

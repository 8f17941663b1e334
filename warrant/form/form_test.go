package form_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/internal/formtest"
	"github.com/ligate/ligate/warrant/form"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, f := range formtest.Samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := form.Render(f)
			if err != nil {
				t.Fatal(err)
			}
			text, err := form.Text(f)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text)
			golden(t, name+".json", string(d.JSON))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// A reader of the JSON gets the form back.
func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	for name, f := range formtest.Samples() {
		d, err := form.Render(f)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(f))
		if err := json.Unmarshal(d.JSON, back.Interface()); err != nil {
			t.Fatal(err)
		}
		again, err := form.Render(back.Elem().Interface().(form.Form))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(d.JSON), string(again.JSON)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// The zero form lacks all that is mandatory, and each missing field is named.
func TestEmptyFormsNameEachField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		form form.Form
		want []string
	}{
		{form.CALEACertificate{}, []string{
			"carrier", "reference", "numbers", "start", "authority (with or without)", "type", "overseer", "compiled_at",
			"zone (IANA, such as Europe/Berlin)",
		}},
		{form.OutageNotice{}, []string{
			"operator", "reference", "agency", "liids", "kind", "effect", "begin", "expected_end (after begin)", "contact", "sent_at",
			"zone (IANA, such as Europe/Berlin)",
		}},
		{form.RecoveryNotice{}, []string{
			"operator", "reference", "agency", "liids", "begin", "recovered_at (after begin)", "missing (what was not delivered, or nothing)",
			"sent_at", "zone (IANA, such as Europe/Berlin)",
		}},
		{form.Incident{}, []string{
			"operator", "reference", "found_at", "found_how", "what", "intrusion (yes, no or not yet known)", "actions", "root_cause",
			"prevention", "zone (IANA, such as Europe/Berlin)",
		}},
		{form.QuarterlyReview{}, []string{
			"operator", "quarter (such as 2026-Q3)", "share_permille (1 to 1000)", "checkpoint_size",
			"checkpoint_root (base64 of 32 octets)", "seed (of this quarter and checkpoint, 64 hexadecimal digits)", "reviewer", "reviewed_at",
			"zone (IANA, such as Europe/Berlin)",
		}},
	} {
		var m *form.MissingError
		if _, err := form.Render(c.form); !errors.As(err, &m) {
			t.Fatalf("%s: %v", c.form.Name(), err)
		}
		if diff := cmp.Diff(c.want, m.Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.form.Name(), diff)
		}
		if text, err := form.Text(c.form); err == nil || text != "" {
			t.Errorf("%s renders without its fields: %q", c.form.Name(), text)
		}
	}
}

// Taking any one field from a whole form is refused and named, but for the fields
// that the form says may be empty.
func TestEachMandatoryFieldCounts(t *testing.T) {
	t.Parallel()
	optional := map[string][]string{
		"calea_certificate": {"circumstances", "end", "type_note"},
		"incident":          {"first_report", "warrants", "told", "closed_by"},
		"quarterly_review":  {"population"},
	}
	for name, f := range formtest.Samples() {
		if strings.Contains(name, "without") || strings.Contains(name, "first") {
			continue
		}
		fields := form.Fields(f.Name())
		for i, field := range fields {
			v := reflect.New(reflect.TypeOf(f)).Elem()
			v.Set(reflect.ValueOf(f))
			v.Field(i).SetZero()
			err := v.Interface().(form.Form).Validate()
			if mandatory := !slices.Contains(optional[f.Name()], field); mandatory != (err != nil) {
				t.Errorf("%s without %s: %v", name, field, err)
			} else if mandatory && !strings.Contains(err.Error(), field) {
				t.Errorf("%s without %s is refused for something else: %v", name, field, err)
			}
		}
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	t.Parallel()
	calea, incident, review := formtest.CALEA(), formtest.Incident(), formtest.Review()
	for name, change := range map[string]func() (form.Form, string){
		"a rogue tap with a signer": func() (form.Form, string) {
			calea.Authority, calea.Circumstances = form.WithoutAuthority, "planted"
			return calea, "officer, signer"
		},
		"an end before the start": func() (form.Form, string) {
			c := formtest.CALEA()
			c.End = c.Start
			return c, "end (after start)"
		},
		"compiled before it began": func() (form.Form, string) {
			c := formtest.CALEA()
			c.CompiledAt = c.Start.Add(-1)
			return c, "compiled_at (not before start)"
		},
		"another type without a word": func() (form.Form, string) {
			c := formtest.CALEA()
			c.Type = form.OtherType
			return c, "type_note"
		},
		"an unknown type": func() (form.Form, string) {
			c := formtest.CALEA()
			c.Type = "wiretap"
			return c, "type"
		},
		"closed by one": func() (form.Form, string) {
			incident.ClosedBy = []string{"p1", "p1"}
			return incident, "closed_by"
		},
		"the last report does not know": func() (form.Form, string) {
			i := formtest.Incident()
			i.Intrusion = form.NotYetKnown
			return i, "the last report must say yes or no"
		},
		"told nobody knows when": func() (form.Form, string) {
			i := formtest.Incident()
			i.Told = []form.Told{{Who: "the regulator"}}
			return i, "told"
		},
		"fewer than the share": func() (form.Form, string) {
			review.Population = 16
			return review, "entries (fewer than the share)"
		},
		"an identifier for an entry": func() (form.Form, string) {
			r := formtest.Review()
			r.Entries = []form.Reviewed{{Entry: "+4930123", Result: form.Agrees}, {Entry: "7", Result: form.Agrees}, {Entry: "8", Result: form.Agrees}}
			return r, "entries.entry"
		},
		"an entry twice": func() (form.Form, string) {
			r := formtest.Review()
			r.Entries = []form.Reviewed{{Entry: "7", Result: form.Agrees}, {Entry: "7", Result: form.Agrees}, {Entry: "8", Result: form.Agrees}}
			return r, "entries.entry"
		},
		"a seed that somebody chose": func() (form.Form, string) {
			r := formtest.Review()
			r.Seed = strings.Repeat("0a", 32)
			return r, "seed"
		},
		"differs without a word": func() (form.Form, string) {
			r := formtest.Review()
			r.Entries = []form.Reviewed{{Entry: "6", Result: form.Differs}, {Entry: "7", Result: form.Agrees}, {Entry: "8", Result: form.Agrees}}
			return r, "entries.finding"
		},
	} {
		f, want := change()
		if err := f.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// No value can forge a row, hide behind control characters or leak into an error.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	o := formtest.Outage()
	o.Kind = "power\nReference                  forged\r\x1b[2J\u2028x"
	text, err := form.Text(o)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Reference") && strings.Contains(line, "forged") {
			t.Error("a value reads as a row")
		}
	}
	if strings.ContainsAny(text, "\r\x1b\u2028") {
		t.Error("control characters reach the text")
	}
	o.Zone, o.Effect = "Europe/Secret", strings.Repeat("secret", 1000)
	if err := o.Validate(); err == nil || strings.Contains(strings.ToLower(err.Error()), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestNamesAndFields(t *testing.T) {
	t.Parallel()
	want := []string{"calea_certificate", "incident", "outage_notice", "quarterly_review", "recovery_notice"}
	if diff := cmp.Diff(want, form.Names()); diff != "" {
		t.Error(diff)
	}
	sampled := map[string]bool{}
	for _, f := range formtest.Samples() {
		sampled[f.Name()] = true
	}
	for _, name := range form.Names() {
		if !sampled[name] || len(form.Fields(name)) < 5 || slices.Contains(form.Fields(name), "") {
			t.Errorf("%s: sampled %v, fields %v", name, sampled[name], form.Fields(name))
		}
	}
	if form.Fields("none") != nil {
		t.Error("a form that does not exist has fields")
	}
}

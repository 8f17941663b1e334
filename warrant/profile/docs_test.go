package profile_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/warrant/profile"
)

var update = flag.Bool("update", false, "write the tables of docs/profiles.md")

// The tables that people read are those of the data.
func TestDocumentShowsTheData(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "profiles.md")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, name := range profile.Names() {
		begin := "<!-- profile " + name + " -->\n"
		head, rest, ok := strings.Cut(text, begin)
		old, tail, end := strings.Cut(rest, "<!-- end -->")
		if !ok || !end {
			t.Fatalf("no table for %s", name)
		}
		want := markdown(load(t, name))
		if diff := cmp.Diff(want, old); diff != "" && !*update {
			t.Errorf("%s (-want +got), write it with -update:\n%s", name, diff)
		}
		text = head + begin + want + "<!-- end -->" + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func markdown(p *profile.Profile) string {
	var b strings.Builder
	b.WriteString("| field | value | source | mark | read at | note |\n|---|---|---|---|---|---|\n")
	for _, r := range p.Table() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Field, r.Value, r.Text, r.Mark, r.Read, r.Note)
	}
	return b.String()
}

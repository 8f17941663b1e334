package review_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/warrant/review"
)

func TestSampleProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		population := rapid.SliceOfNDistinct(rapid.StringMatching(`[0-9]{1,6}`), 0, 200, rapid.ID).Draw(t, "population")
		share := rapid.Float64Range(0.001, 1).Draw(t, "share")
		always := map[string]bool{}
		for _, id := range rapid.SliceOf(rapid.StringMatching(`[0-9]{1,6}`)).Draw(t, "always") {
			always[id] = rapid.Bool().Draw(t, "must")
		}
		seed := sha256.Sum256(rapid.SliceOf(rapid.Byte()).Draw(t, "seed"))
		got := review.Sample(seed, population, share, always)

		shuffled := slices.Clone(population)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := review.Sample(seed, append(shuffled, shuffled...), share, always); !slices.Equal(got, again) {
			t.Fatalf("another order of the population gives another sample: %v, %v", got, again)
		}
		inPopulation := 0
		for _, id := range got {
			if slices.Contains(population, id) {
				inPopulation++
			} else if !always[id] {
				t.Fatalf("%s stands nowhere", id)
			}
		}
		if float64(inPopulation) < share*float64(len(population))-1e-6 {
			t.Fatalf("%d of %d are less than %v", inPopulation, len(population), share)
		}
		for id, must := range always {
			if must && !slices.Contains(got, id) {
				t.Fatalf("%s must always be checked", id)
			}
		}
		if slices.Sort(got); len(slices.Compact(got)) != len(got) {
			t.Fatal("an entry is drawn twice")
		}
	})
}

// Each entry must be as likely as any other: with many seeds, each of 50 is drawn
// about as often.
func TestSampleIsFair(t *testing.T) {
	t.Parallel()
	const rounds = 4000
	population := make([]string, 50)
	for i := range population {
		population[i] = strconv.Itoa(i)
	}
	drawn := map[string]int{}
	for n := range rounds {
		for _, id := range review.Sample(sha256.Sum256([]byte(strconv.Itoa(n))), population, 0.2, nil) {
			drawn[id]++
		}
	}
	want, tolerance := rounds*0.2, 5*math.Sqrt(rounds*0.2*0.8)
	for _, id := range population {
		if diff := math.Abs(float64(drawn[id]) - want); diff > tolerance {
			t.Errorf("entry %s is drawn %d times of %d, want about %v", id, drawn[id], rounds, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n     int
		share float64
		want  int
	}{
		{0, 0.2, 0},
		{1, 0.2, 1},
		{5, 0.2, 1},
		{6, 0.2, 2},
		{15, 0.2, 3},
		{1000, 0.2, 200},
		{1001, 0.2, 201},
		{10, 0.0001, 1},
		{10, 1, 10},
		{10, 2, 10},
		{10, 0, 10},
		{10, -1, 10},
		{10, math.NaN(), 10},
		{3, 1.0 / 3, 2}, // 334 thousandths: never less than the share
	} {
		if got := review.Count(c.n, c.share); got != c.want {
			t.Errorf("Count(%d, %v) = %d, want %d", c.n, c.share, got, c.want)
		}
	}
}

// What docs/profiles.md tells an outsider to do, done with the shell's tools alone.
func TestOutsiderDrawsTheSameSample(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "sha256sum", "sort", "head", "cut", "wc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	root := sha256.Sum256([]byte("root"))
	q := review.Quarter{Year: 2026, N: 3}
	checkpoint := fmt.Sprintf("ligate.example/log\n4711\n%s\n\n— ligate.example c2ln\n", base64.StdEncoding.EncodeToString(root[:]))
	population := make([]string, 137)
	for i := range population {
		population[i] = strconv.Itoa(3 * i)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "draw.sh")
	for name, text := range map[string]string{
		"checkpoint": checkpoint, "population": strings.Join(population, "\n") + "\n", "draw.sh": shellFromDocs(t),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", script, q.String(), "200")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Fields(string(out))
	seed := review.Seed(q, 4711, root)
	if want := hex.EncodeToString(seed[:]); lines[0] != want {
		t.Errorf("the outsider's seed is %s, want %s", lines[0], want)
	}
	want := review.Sample(seed, population, 0.2, nil)
	if diff := cmp.Diff(want, lines[1:]); diff != "" {
		t.Errorf("the outsider draws another sample (-want +got):\n%s", diff)
	}
	if len(want) != 28 {
		t.Errorf("%d of 137 drawn, want 28", len(want))
	}
}

// shellFromDocs takes the script out of the document, so that the two cannot differ.
func shellFromDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "profiles.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```sh\n# draw.sh")
	script, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("docs/profiles.md has no script draw.sh")
	}
	return "# draw.sh" + script
}

func TestSeedDependsOnEachPart(t *testing.T) {
	t.Parallel()
	root := sha256.Sum256([]byte("root"))
	q := review.Quarter{Year: 2026, N: 3}
	seeds := map[[32]byte]bool{
		review.Seed(q, 1, root): true, review.Seed(q, 2, root): true, review.Seed(q.Previous(), 1, root): true,
		review.Seed(q, 1, sha256.Sum256(root[:])): true,
	}
	if len(seeds) != 4 {
		t.Errorf("%d different seeds, want 4", len(seeds))
	}
}

func TestQuarter(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	q := review.QuarterOf(time.Date(2026, 3, 31, 22, 30, 0, 0, time.UTC), berlin) // 00:30 on 1 April
	if want := (review.Quarter{Year: 2026, N: 2}); q != want {
		t.Errorf("got %v, want %v", q, want)
	}
	from, until := q.Bounds(berlin)
	if from.Format(time.RFC3339) != "2026-03-31T22:00:00Z" || until.Format(time.RFC3339) != "2026-06-30T22:00:00Z" {
		t.Errorf("got %v to %v", from, until)
	}
	if _, winter := (review.Quarter{Year: 2026, N: 4}).Bounds(berlin); winter.Format(time.RFC3339) != "2026-12-31T23:00:00Z" {
		t.Errorf("the fourth quarter is over at %v", winter)
	}
	if got := (review.Quarter{Year: 2026, N: 1}).Previous().String(); got != "2025-Q4" {
		t.Errorf("before 2026-Q1 comes %s", got)
	}
	for _, s := range []string{"2026-Q3", "0999-Q1"} {
		if q, err := review.ParseQuarter(s); err != nil || q.String() != s {
			t.Errorf("%s: got %v, %v", s, q, err)
		}
	}
	for _, s := range []string{"", "2026-Q0", "2026-Q5", "2026-Q3 ", "26-Q3", "2026Q3", "-026-Q1", "+026-Q1"} {
		if q, err := review.ParseQuarter(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, q)
		}
	}
}

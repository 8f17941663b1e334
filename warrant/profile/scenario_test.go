package profile_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/formtest"
	"github.com/ligate/ligate/warrant/form"
	"github.com/ligate/ligate/warrant/profile"
	"github.com/ligate/ligate/warrant/review"
)

// scenario is what one warrant's life must look like under a profile: an order that
// is served on Friday, 23 October 2026 at 16:00 local time, before the weekend of the
// autumn clock change in Europe.
type scenario struct {
	code        string // of the regular legal basis
	longest     string // its end, local
	originalDue string // local
	startDue    string // local; empty = no deadline
	mode        profile.Mode
	bufferEnd   string // local; empty = stored
	logKept     string // local; empty = no rule
	checked     int    // of 41 entries, of which 2 must always be checked
	forms       []string
	incidentDue string // local
	emergency   string // number
}

func scenarios() map[string]scenario {
	common := []string{"outage_notice", "recovery_notice", "incident", "quarterly_review"}
	return map[string]scenario{
		"de": {
			code: "stpo-100a", longest: "2027-01-23 16:00", originalDue: "2026-10-30 16:00", mode: profile.BufferOnly,
			bufferEnd: "2026-10-23 17:00", logKept: "2027-10-23 16:00", checked: 9, forms: common, incidentDue: "2026-10-23 16:00", emergency: "110",
		},
		"nl": {
			code: "sv-126m", longest: "2026-11-20 16:00", originalDue: "2026-10-29 00:00", mode: profile.Store,
			logKept: "2027-10-23 16:00", checked: 9, forms: common, incidentDue: "2026-10-23 16:00", emergency: "112",
		},
		"uk": {
			code: "ipa-part2", longest: "2027-04-23 00:00", originalDue: "2026-10-29 00:00", startDue: "2026-10-26 16:00",
			mode: profile.Store, logKept: "2029-10-23 16:00", checked: 9, forms: common, incidentDue: "2026-10-31 00:00", emergency: "999",
		},
		"us": {
			code: "title-iii", longest: "2026-11-22 00:00", originalDue: "2026-10-25 16:00", mode: profile.Store,
			logKept: "2036-10-23 16:00", checked: 9, forms: append([]string{"calea_certificate"}, common...), incidentDue: "2026-10-28 00:00", emergency: "911",
		},
	}
}

// local shows a moment in the profile's zone; none as nothing.
func local(p *profile.Profile, t time.Time, ok bool) string {
	if !ok {
		return ""
	}
	return t.In(p.Location()).Format("2006-01-02 15:04")
}

func TestOneScenarioUnderEachProfile(t *testing.T) {
	t.Parallel()
	want := scenarios()
	for _, name := range profile.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, w := load(t, name), want[name]
			served := time.Date(2026, 10, 23, 16, 0, 0, 0, p.Location())
			checkLongest(t, p, w, served)
			original, ok := p.OriginalDue(served)
			same(t, "original", local(p, original, ok), w.originalDue)
			start, ok := p.Due(profile.DeadlineStart, served)
			same(t, "start", local(p, start, ok), w.startDue)
			same(t, "delivery", string(p.Delivery.Mode), string(w.mode))
			buffer, ok := p.BufferEnd(served)
			same(t, "buffer", local(p, buffer, ok), w.bufferEnd)
			kept, ok := p.RetentionEnd(profile.RecordLog, served)
			same(t, "log", local(p, kept, ok), w.logKept)
			same(t, "scope", string(p.Scope.Policy), string(profile.PSTNOnly))
			if !p.TestTaps.RegisteredLinesOnly {
				t.Error("a test tap reaches any line")
			}
			if !slices.Contains(p.Emergency.Numbers, w.emergency) {
				t.Errorf("%s is no emergency number", w.emergency)
			}
			checkReview(t, p, w)
			checkForms(t, p, w, served)
		})
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// checkLongest drafts to the limit, and one second over it.
func checkLongest(t *testing.T, p *profile.Profile, w scenario, served time.Time) {
	t.Helper()
	b, ok := p.LegalBasis(w.code)
	if !ok || !b.Permits(profile.IRIAndCC) || !b.NewOrder {
		t.Fatalf("%s: %v, permits %v, extension is a new order: %v", w.code, ok, b.Allows, b.NewOrder)
	}
	until, err := time.ParseInLocation("2006-01-02 15:04", w.longest, p.Location())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CheckDates(served, until, p.Location()); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	var long *profile.TooLongError
	if err := b.CheckDates(served, until.Add(time.Second), p.Location()); !errors.As(err, &long) || !long.LongestEnd.Equal(until) {
		t.Errorf("a second over the limit: %v", err)
	}
}

// checkReview draws a quarter's sample by the profile's share.
func checkReview(t *testing.T, p *profile.Profile, w scenario) {
	t.Helper()
	population := make([]string, 41)
	for i := range population {
		population[i] = strconv.Itoa(i)
	}
	seed := review.Seed(review.Quarter{Year: 2026, N: 4}, 41, sha256.Sum256([]byte("root")))
	drawn := review.Sample(seed, population, p.Review.Share, nil)
	if len(drawn) != w.checked {
		t.Errorf("%d entries are drawn, want %d", len(drawn), w.checked)
	}
	always := map[string]bool{}
	for _, id := range population {
		if !slices.Contains(drawn, id) && len(always) < len(p.Review.Always) {
			always[id] = true
		}
	}
	if got := review.Sample(seed, population, p.Review.Share, always); len(always) != 2 || len(got) != w.checked+2 {
		t.Errorf("%d entries with those that always are checked, want %d", len(got), w.checked+2)
	}
}

// checkForms renders each form that the profile lists, and holds the notices.
func checkForms(t *testing.T, p *profile.Profile, w scenario, served time.Time) {
	t.Helper()
	var names []string
	for _, f := range p.Forms {
		names = append(names, f.Name)
		if text, err := form.Text(formtest.Samples()[f.Name]); err != nil || len(text) < 200 {
			t.Errorf("%s: %v, %d octets", f.Name, err, len(text))
		}
	}
	if !slices.Equal(names, w.forms) {
		t.Errorf("forms: got %v, want %v", names, w.forms)
	}
	for _, event := range []string{"fault", "recovery", "incident"} {
		notices := p.NoticesOn(event)
		if len(notices) != 1 {
			t.Fatalf("%s: %d notices, want 1", event, len(notices))
		}
		due := local(p, p.NoticeDue(notices[0], served), true)
		if event == "incident" {
			same(t, "incident", due, w.incidentDue)
		} else {
			same(t, event, due, "2026-10-23 16:00")
		}
	}
}

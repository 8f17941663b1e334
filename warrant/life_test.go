package warrant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

var (
	ann  = actor("ann", warrant.Drafter)
	bob  = actor("bob", warrant.Approver)
	carl = actor("carl", warrant.Approver)
	dora = actor("dora", warrant.Approver)
)

// running is a warrant that ann drafted and bob approved, and that has begun.
func running(t *testing.T, change func(*warrant.Order)) warrant.Warrant {
	t.Helper()
	o := order(t)
	o.Targets = append(o.Targets, target(t, "sip:a@example.com"))
	change(&o)
	w, err := warrant.New("w", o, ann, noon)
	for _, next := range []func() (warrant.Warrant, error){
		func() (warrant.Warrant, error) { return warrant.Submit(w, ann, agency(), noon) },
		func() (warrant.Warrant, error) {
			return warrant.Approve(w, bob, warrant.Retyped{Targets: w.Targets, Until: w.Until}, agency(), noon)
		},
		func() (warrant.Warrant, error) { return warrant.Start(w, noon) },
	} {
		if err != nil {
			t.Fatal(err)
		}
		w, err = next()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func asIs(*warrant.Order) {}

func TestNarrowOnlyTakesAway(t *testing.T) {
	t.Parallel()
	w := running(t, asIs)
	number, uri, other := w.Targets[0], w.Targets[1], target(t, "+4930555009")
	revoked, err := warrant.Revoke(w, ann, "lifted", noon)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		w      warrant.Warrant
		keep   []li.Identity
		scope  warrant.Scope
		by     warrant.Actor
		reason string
		want   warrant.Rule
	}{
		"a target less":          {w, []li.Identity{uri}, warrant.IRIAndCC, ann, "court asked", ""},
		"signalling only":        {w, w.Targets, warrant.IRIOnly, bob, "court asked", ""},
		"both":                   {w, []li.Identity{number}, warrant.IRIOnly, bob, "court asked", ""},
		"another target":         {w, []li.Identity{other}, warrant.IRIAndCC, ann, "court asked", warrant.RuleNarrow},
		"one more target":        {w, []li.Identity{number, uri, other}, warrant.IRIAndCC, ann, "court asked", warrant.RuleNarrow},
		"one target twice":       {w, []li.Identity{number, number}, warrant.IRIAndCC, ann, "court asked", warrant.RuleNarrow},
		"no target left":         {w, nil, warrant.IRIOnly, ann, "court asked", warrant.RuleNarrow},
		"nothing less":           {w, []li.Identity{uri, number}, warrant.IRIAndCC, ann, "court asked", warrant.RuleNarrow},
		"no reason":              {w, []li.Identity{uri}, warrant.IRIAndCC, ann, "", warrant.RuleReason},
		"reason with the target": {w, []li.Identity{uri}, warrant.IRIAndCC, ann, "not 030/555-001 any more", warrant.RuleReason},
		"reason with the URI":    {w, []li.Identity{number}, warrant.IRIAndCC, ann, "not A@Example.com", warrant.RuleReason},
		"revoked":                {revoked, []li.Identity{uri}, warrant.IRIAndCC, ann, "court asked", warrant.RuleState},
		"not confirmed": {
			w, []li.Identity{uri}, warrant.IRIAndCC, warrant.Actor{Person: warrant.Person{ID: "x", Role: warrant.Approver}}, "court asked", warrant.RuleNotEnrolled,
		},
	} {
		got, err := warrant.Narrow(tt.w, tt.keep, tt.scope, tt.by, tt.reason, noon)
		if rule(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want rule %q", name, err, tt.want)
		}
		if err == nil && (got.Version != w.Version+1 || got.State != warrant.Active || len(got.Targets) != len(tt.keep) || got.Scope != tt.scope) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := warrant.Narrow(running(t, func(o *warrant.Order) { o.Scope = warrant.IRIOnly }), w.Targets[:1], warrant.IRIAndCC, ann, "r", noon); rule(err) != warrant.RuleNarrow {
		t.Errorf("signalling became content: %v", err)
	}
	narrowed, err := warrant.Narrow(w, w.Targets[:1], warrant.IRIOnly, ann, "court asked", noon)
	if err != nil {
		t.Fatal(err)
	}
	task, _ := narrowed.Task(li.NewXID(), noon)
	if iri, ok := task.(li.IRITask); !ok || len(iri.Targets) != 1 || iri.Targets[0] != number {
		t.Errorf("task %+v", task)
	}
}

func provisional(o *warrant.Order) { o.Provisional, o.OriginalDue = true, noon.Add(3*time.Hour) }

func TestProvisionalOrderEndsByItself(t *testing.T) {
	t.Parallel()
	w := running(t, provisional)
	task, ok := w.Task(li.NewXID(), noon)
	if !ok || !task.Signalling().Until.Equal(w.OriginalDue) || !w.Quarantined() {
		t.Errorf("task until %v, quarantined %t", task.Signalling().Until, w.Quarantined())
	}
	if _, ok := w.Task(li.NewXID(), w.OriginalDue); ok {
		t.Error("tapped after the original was due")
	}
	if _, err := warrant.Lapse(w, w.OriginalDue.Add(-time.Nanosecond)); rule(err) != warrant.RuleDates {
		t.Errorf("lapsed too early: %v", err)
	}
	lapsed, err := warrant.Lapse(w, w.OriginalDue.Add(time.Minute))
	if err != nil || lapsed.State != warrant.Revoked || !lapsed.StoppedAt.Equal(w.OriginalDue) || !lapsed.Quarantined() {
		t.Errorf("%+v, %v", lapsed, err)
	}
	sum := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		w    warrant.Warrant
		sum  string
		by   warrant.Actor
		at   time.Time
		want warrant.Rule
	}{
		"the drafter":      {w, sum, actor("ann", warrant.Approver), noon, warrant.RuleFourEyes},
		"no hash":          {w, "x", bob, noon, warrant.RuleDocument},
		"too late":         {w, sum, bob, w.OriginalDue, warrant.RuleDates},
		"after the lapse":  {lapsed, sum, bob, w.OriginalDue.Add(time.Minute), warrant.RuleDates},
		"none is awaited":  {running(t, asIs), sum, bob, noon, warrant.RuleState},
		"by who approved":  {w, sum, bob, noon, ""},
		"by another still": {w, sum, carl, w.OriginalDue.Add(-time.Second), ""},
	} {
		got, err := warrant.ConfirmOriginal(tt.w, tt.sum, tt.by, tt.at)
		if rule(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want rule %q", name, err, tt.want)
		}
		if err == nil && (got.Quarantined() || !got.Ends().Equal(got.Until) || got.Original.SHA256 != sum || got.Original.By != tt.by.ID) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := warrant.ConfirmOriginal(w, sum, ann, noon); err == nil {
		t.Error("a drafter confirmed an original")
	}
	late, err := warrant.New("w", w.Order, ann, noon)
	if err != nil {
		t.Fatal(err)
	}
	if late, err = warrant.Submit(late, ann, agency(), noon); err != nil {
		t.Fatal(err)
	}
	if _, err := warrant.Approve(late, bob, warrant.Retyped{Targets: w.Targets, Until: w.Until}, agency(), w.OriginalDue); rule(err) != warrant.RuleDates {
		t.Errorf("approved when its original was overdue: %v", err)
	}
	for name, change := range map[string]func(*warrant.Order){
		"no deadline":       func(o *warrant.Order) { o.Provisional = true },
		"deadline, no need": func(o *warrant.Order) { o.OriginalDue = noon.Add(time.Hour) },
		"deadline at start": func(o *warrant.Order) { o.Provisional, o.OriginalDue = true, o.From },
		"deadline in the past": func(o *warrant.Order) {
			o.Provisional, o.From, o.OriginalDue = true, noon.Add(-2*time.Hour), noon.Add(-time.Hour)
		},
	} {
		o := order(t)
		change(&o)
		if r := rule(o.Validate(noon)); r != warrant.RuleDates && r != warrant.RuleIncomplete {
			t.Errorf("%s: rule %q", name, r)
		}
	}
}

func TestProtectedNumberTakesThree(t *testing.T) {
	t.Parallel()
	w, err := warrant.New("w", order(t), ann, noon)
	if err != nil {
		t.Fatal(err)
	}
	if w, err = warrant.Submit(w, ann, agency(), noon); err != nil {
		t.Fatal(err)
	}
	w.Protected = true
	typed := warrant.Retyped{Targets: w.Targets, Until: w.Until}
	if w, err = warrant.Approve(w, bob, typed, agency(), noon); err != nil || w.State != warrant.Submitted || w.Approver != "bob" {
		t.Fatalf("first approval: %+v, %v", w, err)
	}
	if _, err := warrant.Approve(w, bob, typed, agency(), noon); rule(err) != warrant.RuleFourEyes {
		t.Errorf("one person approved twice: %v", err)
	}
	if _, err := warrant.Approve(w, carl, warrant.Retyped{Targets: w.Targets, Until: w.Until.Add(1)}, agency(), noon); rule(err) != warrant.RuleRetyped {
		t.Errorf("the third need not type: %v", err)
	}
	back, err := warrant.Reject(w, dora, "no ground", noon)
	if err != nil || back.Approver != "" {
		t.Errorf("rejected: %+v, %v", back, err)
	}
	if w, err = warrant.Approve(w, carl, typed, agency(), noon); err != nil || w.State != warrant.Approved || w.SecondApprover != "carl" || w.Approver != "bob" {
		t.Errorf("second approval: %+v, %v", w, err)
	}
}

func TestExtensionsJoin(t *testing.T) {
	t.Parallel()
	w := running(t, asIs)
	expired, err := warrant.Expire(w, w.Until)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		w    warrant.Warrant
		from time.Duration
		want warrant.Rule
	}{
		"joins":                 {w, 0, ""},
		"overlaps":              {w, -time.Second, warrant.RuleDates},
		"leaves a gap":          {w, time.Second, warrant.RuleDates},
		"after the end":         {expired, time.Hour, ""},
		"overlaps what expired": {expired, -time.Hour, warrant.RuleDates},
	} {
		o := order(t)
		o.LIID, o.From, o.Until = "L-2", w.Until.Add(tt.from), w.Until.Add(48*time.Hour)
		next, err := warrant.Extend(tt.w, "w2", o, ann, noon)
		if rule(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want rule %q", name, err, tt.want)
		}
		if err == nil && (next.Predecessor != w.ID || next.State != warrant.Draft || next.Approver != "") {
			t.Errorf("%s: %+v", name, next)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	german := warrant.Limits{
		Bases:          map[string]time.Duration{"100a": 90 * 24 * time.Hour, "short": time.Hour, "unbounded": 0},
		OriginalWithin: map[string]time.Duration{"100a": 72 * time.Hour},
		CountryCode:    "49",
		InPlan:         func(id li.Identity) bool { return strings.HasPrefix(id.Reveal(), "49") },
		OnNetOnly:      func(id li.Identity) bool { return strings.HasSuffix(id.Reveal(), "@pbx.example.com") },
	}
	targets := func(texts ...string) func(*warrant.Order) {
		return func(o *warrant.Order) {
			o.Targets = nil
			for _, text := range texts {
				o.Targets = append(o.Targets, target(t, text))
			}
		}
	}
	for name, tt := range map[string]struct {
		limits warrant.Limits
		change func(*warrant.Order)
		want   warrant.Rule
	}{
		"as ordered":               {german, asIs, ""},
		"no limits":                {warrant.Limits{}, func(o *warrant.Order) { o.LegalBasis = "any" }, ""},
		"unknown basis":            {german, func(o *warrant.Order) { o.LegalBasis = "any" }, warrant.RuleIncomplete},
		"too long for its basis":   {german, func(o *warrant.Order) { o.LegalBasis = "short" }, warrant.RuleDates},
		"no bound of its own":      {german, func(o *warrant.Order) { o.LegalBasis = "unbounded" }, ""},
		"outside the plan":         {german, targets("+33140000000"), warrant.RuleTarget},
		"on-net only":              {german, targets("+4930555001", "sip:12@pbx.example.com"), warrant.RuleTarget},
		"emergency":                {warrant.Limits{}, targets("sip:112@example.com"), warrant.RuleTarget},
		"emergency, international": {german, targets("sip:+49110@example.com"), warrant.RuleTarget},
		"own list":                 {warrant.Limits{Emergency: []string{"144"}}, targets("sip:144@example.com"), warrant.RuleTarget},
		"not on the own list":      {warrant.Limits{Emergency: []string{"144"}}, targets("sip:112@example.com"), ""},
		"provisional":              {german, provisional, ""},
		"original too late":        {german, func(o *warrant.Order) { o.Provisional, o.OriginalDue = true, o.From.Add(73*time.Hour) }, warrant.RuleDates},
		"knows no provisional":     {german, func(o *warrant.Order) { provisional(o); o.LegalBasis = "unbounded" }, warrant.RuleIncomplete},
	} {
		o := order(t)
		tt.change(&o)
		if err := tt.limits.Check(o); rule(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want rule %q", name, err, tt.want)
		}
	}
	o := order(t)
	o.Provisional = true
	if got := german.Complete(o).OriginalDue; !got.Equal(o.From.Add(72 * time.Hour)) {
		t.Errorf("deadline of the profile: %v", got)
	}
	if err := (warrant.Limits{NeedsOrder: true}).Submittable(false); rule(err) != warrant.RuleDocument {
		t.Errorf("submitted without the order: %v", err)
	}
}

// A hold takes two to set and two to release, and is in force from the first word to
// the last.
func TestHolds(t *testing.T) {
	t.Parallel()
	w := running(t, asIs)
	h, err := warrant.SetHold(w, "h", "trial runs", ann, noon)
	if err != nil || !h.InForce() {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err := warrant.ConfirmHold(h, ann); rule(err) != warrant.RuleFourEyes {
		t.Errorf("confirmed by who set it: %v", err)
	}
	if h, err = warrant.ConfirmHold(h, bob); err != nil {
		t.Fatal(err)
	}
	if _, err := warrant.ConfirmRelease(h, bob); rule(err) != warrant.RuleState {
		t.Errorf("released without being asked: %v", err)
	}
	if h, err = warrant.ReleaseHold(w, h, "trial over", bob); err != nil || !h.InForce() {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err := warrant.ConfirmRelease(h, bob); rule(err) != warrant.RuleFourEyes {
		t.Errorf("one person released: %v", err)
	}
	if h, err = warrant.ConfirmRelease(h, carl); err != nil || h.InForce() {
		t.Errorf("%+v, %v", h, err)
	}
	w, err = warrant.Revoke(w, ann, "lifted", noon)
	if err != nil {
		t.Fatal(err)
	}
	if w, err = warrant.RequestPurge(w, ann, "retention over", noon); err != nil {
		t.Fatal(err)
	}
	if _, err := warrant.RequestPurge(w, ann, "retention over", noon); rule(err) != warrant.RuleFourEyes {
		t.Errorf("asked twice: %v", err)
	}
	if _, err := warrant.Purge(w, bob, "retention over", true, noon); rule(err) != warrant.RuleHold {
		t.Errorf("purged under a hold: %v", err)
	}
	if w, err = warrant.Purge(w, bob, "retention over", false, noon); err != nil || w.PurgedBy != "bob" {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestDocumentsAndProtectedNumbersAreChecked(t *testing.T) {
	t.Parallel()
	w, pdf := running(t, asIs), []byte("%PDF-1.7")
	for name, err := range map[string]error{
		"no PDF":       warrant.CheckDocument(w, warrant.DocumentOrder, 0, []byte("hello"), ann),
		"empty":        warrant.CheckDocument(w, warrant.DocumentOrder, 0, nil, ann),
		"unknown kind": warrant.CheckDocument(w, "photo", 0, pdf, ann),
		"too large":    warrant.CheckDocument(w, warrant.DocumentOrder, 0, append(pdf, make([]byte, warrant.MaxDocument)...), ann),
	} {
		if rule(err) != warrant.RuleDocument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := warrant.CheckDocument(w, warrant.DocumentOther, 3, pdf, bob); err != nil {
		t.Error(err)
	}
	p, err := warrant.Protect(warrant.ProtectedNumber{ID: "p", Identity: w.Targets[0], Kind: "press"}, ann, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := warrant.Protect(warrant.ProtectedNumber{Identity: w.Targets[0], Kind: "king"}, ann, noon); rule(err) != warrant.RuleProtected {
		t.Errorf("unknown kind: %v", err)
	}
	if _, err := warrant.ConfirmProtected(p, ann); rule(err) != warrant.RuleFourEyes {
		t.Errorf("confirmed by who added: %v", err)
	}
	if p, err = warrant.ConfirmProtected(p, bob); err != nil {
		t.Fatal(err)
	}
	if p, err = warrant.Unprotect(p, bob); err != nil || p.RemovalConfirm != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := warrant.Unprotect(p, bob); rule(err) != warrant.RuleFourEyes {
		t.Errorf("one person removed: %v", err)
	}
	if p, err = warrant.Unprotect(p, carl); err != nil || p.RemovalConfirm != "carl" {
		t.Errorf("%+v, %v", p, err)
	}
}

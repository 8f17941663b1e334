// Package crowd lets random people do random things to a few warrants: a test of whatever
// takes their acts, be it the store itself or the API before it.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Acts is what people do to warrants, as pgstore.Store has it.
type Acts interface {
	CreateDraft(ctx context.Context, by warrant.Actor, o warrant.Order, key string) (warrant.Warrant, error)
	Update(ctx context.Context, by warrant.Actor, id warrant.ID, version int, o warrant.Order) (warrant.Warrant, error)
	Submit(ctx context.Context, by warrant.Actor, id warrant.ID, version int) (warrant.Warrant, error)
	Approve(ctx context.Context, by warrant.Actor, id warrant.ID, version int, typed warrant.Retyped) (warrant.Warrant, error)
	Reject(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	Suspend(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	Resume(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	Revoke(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	Narrow(ctx context.Context, by warrant.Actor, id warrant.ID, version int, keep []li.Identity, scope warrant.Scope, reason string) (warrant.Warrant, error)
	ConfirmOriginal(ctx context.Context, by warrant.Actor, id warrant.ID, version int, sha256 string) (warrant.Warrant, error)
	RequestPurge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	Purge(ctx context.Context, by warrant.Actor, id warrant.ID, version int, reason string) (warrant.Warrant, error)
	SetHold(ctx context.Context, by warrant.Actor, id warrant.ID, reason string) (warrant.Hold, error)
	ConfirmHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error)
	ReleaseHold(ctx context.Context, by warrant.Actor, id warrant.ID, hold, reason string) (warrant.Hold, error)
	ConfirmRelease(ctx context.Context, by warrant.Actor, id warrant.ID, hold string) (warrant.Hold, error)
}

// Crowd is people who share an office whose clock only moves forward. +4930555009 is
// protected there.
type Crowd struct {
	Acts
	Store  *pgstore.Store // of what follows: time, Tasks
	Pool   *pgxpool.Pool
	Log    *audit.Log
	People []warrant.Actor
	Agency warrant.AgencyID
	Now    func() time.Time
	Wait   func(time.Duration) // moves the clock
	Beside []string            // actions that an act may have beside its own, as readings are: where they are done they do not count

	drafts  int // LIIDs given out
	index   int // index of the audit entry that comes next
	entries int // of acts
}

// ErrStranger is an act of who is not known: such entries are gathered.
var ErrStranger = errors.New("crowd: not known")

// ErrNothing is an act that there was nothing left of to do.
var ErrNothing = errors.New("crowd: done already")

// Run has the crowd act, and holds after each act: nothing is tapped without the
// different approvers that it needs, inside its dates, and never more than they approved;
// each act makes exactly one audit entry, each change exactly one version.
//
// How long it goes on is rapid's: -rapid.checks=3500 -rapid.steps=30 makes some 100,000
// steps.
func (c *Crowd) Run(t *testing.T) {
	t.Helper()
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{Crowd: c, rt: rt}
		c.Wait(100 * time.Hour)
		if err := c.Store.Due(t.Context(), c.Now()); err != nil { // ends all that another run left
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) { steps++; m.check(rt) }, "draft": m.draft, "edit": m.edit, "submit": m.submit, "approve": m.approve, "next": m.next, "next again": m.next, "and again": m.next,
			"stop or go": m.stopOrGo, "narrow": m.narrow, "original": m.original, "purge": m.purge, "hold": m.hold, "time": m.time,
		})
	})
	t.Logf("%d steps", steps)
	c.reached(t)
}

// reached holds that the random acts got anywhere: in a long run, everywhere.
func (c *Crowd) reached(t *testing.T) {
	t.Helper()
	rows, err := c.Pool.Query(t.Context(), "select act, count(*) from warrant_version group by act")
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]int{}
	var act string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&act, &n}, func() error { done[act] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	t.Logf("acts that succeeded: %v", done)
	want := []string{"draft", "edit", "submit", "approve", "start", "narrow", "expire", "purge.request"}
	if done["draft"] > 1000 {
		want = append(want, "reject", "suspend", "resume", "revoke", "original", "lapse", "purge")
	}
	for _, act := range want {
		if done[act] == 0 {
			t.Errorf("nobody ever came to %s: nothing is shown of it", act)
		}
	}
}

// followed is a warrant and what people agreed to, by what succeeded alone.
type followed struct {
	warrant.Warrant
	drafter   warrant.PersonID
	approvals []warrant.PersonID
	agreed    *warrant.Warrant // as it was approved, made less by each narrowing
	running   bool             // nothing stopped it since it was approved
	original  bool             // came
	asked     warrant.PersonID // for the purge
	hold      warrant.Hold
}

type model struct {
	*Crowd
	rt   *rapid.T
	all  []*followed
	only *followed // nil = any
}

// someone is anybody, or more often somebody whom the act would fit. rapid draws the
// first of anything most.
func (m *model) someone(fit func(warrant.Actor) bool) warrant.Actor {
	people := m.People
	if rapid.IntRange(0, 4).Draw(m.rt, "unfit") < 4 {
		people = slices.DeleteFunc(slices.Clone(people), func(a warrant.Actor) bool { return !a.Confirmed || !fit(a) })
	}
	return rapid.SampledFrom(people).Draw(m.rt, "who")
}

func staff(a warrant.Actor) bool { return a.Role == warrant.Drafter || a.Role == warrant.Approver }

func approver(a warrant.Actor) bool { return a.Role == warrant.Approver }

func (m *model) one() *followed {
	if len(m.all) == 0 {
		m.rt.Skip("no warrant yet")
	}
	if m.only != nil {
		return m.only
	}
	return rapid.SampledFrom(m.all).Draw(m.rt, "warrant")
}

// seen is the version that the actor read: sometimes an old one.
func (m *model) seen(f *followed) int {
	if rapid.IntRange(0, 15).Draw(m.rt, "stale") == 15 && f.Version > 1 {
		return f.Version - 1
	}
	return f.Version
}

func (m *model) order() warrant.Order {
	m.drafts++
	o := warrant.Order{
		LIID: li.LIID(fmt.Sprint("R-", m.drafts)), Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: m.Agency, Scope: warrant.IRIAndCC,
	}
	for _, number := range rapid.SampledFrom([][]string{{"+4930555001"}, {"+4930555001", "+4930555002", "+4930555003"}, {"+4930555009", "+4930555002"}}).Draw(m.rt, "targets") {
		id, err := li.NumberPlan{}.ParseTarget(number)
		if err != nil {
			m.rt.Fatal(err)
		}
		o.Targets = append(o.Targets, id)
	}
	now := m.Now().Truncate(time.Second)
	o.From = now.Add(time.Duration(rapid.IntRange(-2, 3).Draw(m.rt, "from")) * time.Hour)
	o.Until = now.Add(time.Duration(40-rapid.IntRange(0, 40).Draw(m.rt, "until")) * time.Hour)
	if rapid.IntRange(0, 2).Draw(m.rt, "provisional") == 1 {
		o.Provisional, o.OriginalDue = true, now.Add(time.Duration(rapid.IntRange(1, 12).Draw(m.rt, "due"))*time.Hour)
	}
	return o
}

// counts are the audit entries of acts, and the versions of the warrants that are followed.
// result is of the newest of these entries that came since it was called last.
func (m *model) counts() (entries, versions int, result string) {
	ids := make([]string, len(m.all))
	for i, f := range m.all {
		ids[i] = string(f.ID)
	}
	if err := m.Pool.QueryRow(m.rt.Context(), "select count(*) from warrant_version where warrant_id = any ($1)", ids).Scan(&versions); err != nil {
		m.rt.Fatal(err)
	}
	for more := true; more; {
		f := audit.Filter{Limit: audit.MaxLimit}
		if m.index > 0 {
			f.After = strconv.Itoa(m.index - 1)
		}
		records, next, err := m.Log.Entries(m.rt.Context(), m.Pool, f)
		if err != nil {
			m.rt.Fatal(err)
		}
		for _, r := range records {
			m.index = int(r.Index) + 1
			if r.Entry.Result != "done" || !slices.Contains(m.Beside, r.Entry.Action) {
				m.entries++
				result = r.Entry.Result
			}
		}
		more = next != ""
	}
	return m.entries, versions, result
}

// act does something and holds that it left exactly one entry, of what came of it, and
// one version if it changed f. It reports whether it succeeded.
func (m *model) act(f *followed, do func() (warrant.Warrant, error)) bool {
	m.rt.Helper()
	entries, versions, _ := m.counts()
	w, err := do()
	var rule *warrant.RuleError
	nowEntries, nowVersions, result := m.counts()
	wantEntries, wantVersions, wantResult := 1, 0, "refused"
	switch {
	case err == nil:
		wantVersions, wantResult = w.Version-f.Version, "done"
		f.Warrant = w
	case errors.Is(err, warrant.ErrVersion), errors.Is(err, ErrNothing):
		wantEntries, wantResult = 0, ""
	case errors.Is(err, ErrStranger) && nowEntries-entries <= 1:
		wantEntries, wantResult = nowEntries-entries, result
	case errors.As(err, &rule), errors.Is(err, warrant.ErrForbidden):
	default:
		m.rt.Fatalf("unexpected: %v", err)
	}
	if nowEntries-entries != wantEntries || nowVersions-versions != wantVersions || result != wantResult {
		m.rt.Fatalf("%d entries, the last %q, and %d versions more, want %d, %q and %d (%v)",
			nowEntries-entries, result, nowVersions-versions, wantEntries, wantResult, wantVersions, err)
	}
	return err == nil
}

func (m *model) draft(rt *rapid.T) {
	if len(m.all) == 3 {
		rt.Skip("enough")
	}
	f, by := &followed{}, m.someone(staff)
	entries, _, _ := m.counts()
	w, err := m.CreateDraft(m.rt.Context(), by, m.order(), "")
	if now, _, _ := m.counts(); now != entries+1 && !errors.Is(err, ErrStranger) {
		rt.Fatalf("%d entries more, want 1", now-entries)
	}
	if err == nil {
		f.Warrant, f.drafter = w, by.ID
		m.all = append(m.all, f)
	}
}

func (m *model) edit(*rapid.T) {
	f, by := m.one(), m.someone(staff)
	o := m.order()
	if m.act(f, func() (warrant.Warrant, error) { return m.Update(m.rt.Context(), by, f.ID, m.seen(f), o) }) {
		if f.agreed != nil {
			m.rt.Fatal("what was approved was edited")
		}
		f.drafter, f.approvals = by.ID, nil
	}
}

func (m *model) submit(*rapid.T) {
	f := m.one()
	by := m.someone(func(a warrant.Actor) bool { return a.ID == f.drafter })
	if m.act(f, func() (warrant.Warrant, error) { return m.Submit(m.rt.Context(), by, f.ID, m.seen(f)) }) {
		f.approvals = nil
	}
}

func (m *model) approve(rt *rapid.T) {
	f, by := m.one(), m.someone(approver)
	typed := warrant.Retyped{Targets: f.Targets, Until: f.Until}
	right := rapid.IntRange(0, 4).Draw(rt, "typed wrong") < 4
	if !right {
		typed.Until = typed.Until.Add(time.Second)
	}
	if !m.act(f, func() (warrant.Warrant, error) { return m.Approve(m.rt.Context(), by, f.ID, m.seen(f), typed) }) {
		return
	}
	if !right || by.Role != warrant.Approver || !by.Confirmed || by.ID == f.drafter || slices.Contains(f.approvals, by.ID) {
		rt.Fatalf("%s approved, typed right %t, drafted by %s, approved by %v", by.ID, right, f.drafter, f.approvals)
	}
	f.approvals = append(f.approvals, by.ID)
	if f.State == warrant.Approved {
		w := f.Warrant
		f.agreed, f.running = &w, true
	}
}

// next is what should come next in a warrant's life, so that lives get anywhere.
func (m *model) next(rt *rapid.T) {
	f := m.one()
	m.only = f
	defer func() { m.only = nil }()
	switch f.State {
	case warrant.Draft:
		m.submit(rt)
	case warrant.Submitted:
		m.approve(rt)
	case warrant.Rejected:
		m.edit(rt)
	case warrant.Approved:
		m.time(rt)
	case warrant.Active:
		if f.Provisional && rapid.Bool().Draw(rt, "original comes") {
			m.original(rt)
			return
		}
		rapid.SampledFrom([]func(*rapid.T){m.stopOrGo, m.narrow, m.time}).Draw(rt, "next")(rt)
	case warrant.Suspended:
		m.stop(rapid.SampledFrom([]string{"resume", "revoke"}).Draw(rt, "act"), approver)
	case warrant.Expired, warrant.Revoked:
		rapid.SampledFrom([]func(*rapid.T){m.purge, m.purge, m.hold}).Draw(rt, "next")(rt)
	case warrant.Purged:
		rt.Skip("over")
	}
}

func (m *model) stopOrGo(rt *rapid.T) {
	m.stop(rapid.SampledFrom([]string{"suspend", "reject", "resume", "revoke"}).Draw(rt, "act"), staff)
}

func (m *model) stop(name string, fit func(warrant.Actor) bool) {
	f, by := m.one(), m.someone(fit)
	do := map[string]func() (warrant.Warrant, error){
		"reject":  func() (warrant.Warrant, error) { return m.Reject(m.rt.Context(), by, f.ID, m.seen(f), "why") },
		"suspend": func() (warrant.Warrant, error) { return m.Suspend(m.rt.Context(), by, f.ID, m.seen(f), "why") },
		"resume":  func() (warrant.Warrant, error) { return m.Resume(m.rt.Context(), by, f.ID, m.seen(f), "why") },
		"revoke":  func() (warrant.Warrant, error) { return m.Revoke(m.rt.Context(), by, f.ID, m.seen(f), "why") },
	}[name]
	if !m.act(f, do) {
		return
	}
	if f.running = name == "resume"; f.running && by.ID == f.drafter {
		m.rt.Fatal("the drafter resumed")
	}
	if name == "reject" {
		f.approvals = nil
	}
}

func (m *model) narrow(rt *rapid.T) {
	f, by := m.one(), m.someone(staff)
	keep := f.Targets[rapid.IntRange(0, len(f.Targets)-1).Draw(rt, "drop"):]
	if rapid.IntRange(0, 3).Draw(rt, "widen") == 3 {
		o := m.order()
		keep = o.Targets
	}
	scope := rapid.SampledFrom([]warrant.Scope{0, warrant.IRIOnly, warrant.IRIAndCC}).Draw(rt, "scope")
	if m.act(f, func() (warrant.Warrant, error) {
		return m.Narrow(m.rt.Context(), by, f.ID, m.seen(f), keep, scope, "why")
	}) {
		if f.agreed == nil || !subset(f.Warrant, *f.agreed) {
			rt.Fatal("narrowed into more")
		}
		f.agreed.Targets, f.agreed.Scope = f.Targets, f.Scope
	}
}

func (m *model) original(rt *rapid.T) {
	f, by := m.one(), m.someone(approver)
	if m.act(f, func() (warrant.Warrant, error) {
		return m.ConfirmOriginal(m.rt.Context(), by, f.ID, m.seen(f), strings.Repeat("ab", 32))
	}) {
		if by.ID == f.drafter || by.Role != warrant.Approver || !m.Now().Before(f.OriginalDue) {
			rt.Fatalf("%s confirmed the original at %v", by.ID, m.Now())
		}
		f.original = true
	}
}

func (m *model) purge(rt *rapid.T) {
	f, by := m.one(), m.someone(approver)
	was := f.State
	if rapid.IntRange(0, 3).Draw(rt, "ask") == 3 || f.asked == "" {
		if m.act(f, func() (warrant.Warrant, error) { return m.RequestPurge(m.rt.Context(), by, f.ID, m.seen(f), "why") }) && f.State != warrant.Purged {
			f.asked = by.ID
			return
		}
	} else {
		m.act(f, func() (warrant.Warrant, error) { return m.Purge(m.rt.Context(), by, f.ID, m.seen(f), "why") })
	}
	if was != warrant.Purged && f.State == warrant.Purged {
		if f.asked == "" || f.asked == by.ID || f.hold.ID != "" && f.hold.InForce() {
			rt.Fatalf("%s purged, %q asked, hold %t", by.ID, f.asked, f.hold.InForce())
		}
	}
}

// hold sets one hold a warrant and takes it through its life.
func (m *model) hold(*rapid.T) {
	f, by := m.one(), m.someone(staff)
	m.act(f, func() (warrant.Warrant, error) {
		var h warrant.Hold
		var err error
		switch {
		case f.hold.ID == "":
			h, err = m.SetHold(m.rt.Context(), by, f.ID, "why")
		case f.hold.ConfirmedBy == "":
			h, err = m.ConfirmHold(m.rt.Context(), by, f.ID, f.hold.ID)
		case f.hold.ReleasedBy == "":
			h, err = m.ReleaseHold(m.rt.Context(), by, f.ID, f.hold.ID, "why")
		default:
			h, err = m.ConfirmRelease(m.rt.Context(), by, f.ID, f.hold.ID)
		}
		if err == nil {
			if h.ConfirmedBy == h.SetBy || h.ReleaseConfirmer != "" && h.ReleaseConfirmer == h.ReleasedBy {
				m.rt.Fatalf("one person did both: %+v", h)
			}
			f.hold = h
		}
		return f.Warrant, err
	})
}

func (m *model) time(rt *rapid.T) {
	m.Wait(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute)
	m.due()
}

// due lets the system do what time brings: as many entries as versions.
func (m *model) due() {
	entries, versions, _ := m.counts()
	if err := m.Store.Due(m.rt.Context(), m.Now()); err != nil {
		m.rt.Fatal(err)
	}
	nowEntries, nowVersions, _ := m.counts()
	if nowEntries-entries != nowVersions-versions {
		m.rt.Fatalf("%d entries for %d changes", nowEntries-entries, nowVersions-versions)
	}
	for _, f := range m.all {
		rows, err := m.Pool.Query(m.rt.Context(), "select version, state from warrant where id = $1", f.ID)
		if err != nil {
			m.rt.Fatal(err)
		}
		for rows.Next() {
			var state string
			if err := rows.Scan(&f.Version, &state); err != nil {
				m.rt.Fatal(err)
			}
			if f.State, err = warrant.ParseState(state); err != nil {
				m.rt.Fatal(err)
			}
		}
		rows.Close()
	}
}

// ends is when nothing may be tapped any more, as the model sees it.
func (f *followed) ends() time.Time {
	if f.agreed.Provisional && !f.original && f.agreed.OriginalDue.Before(f.agreed.Until) {
		return f.agreed.OriginalDue
	}
	return f.agreed.Until
}

// check holds what is tapped against what people agreed to, and the versions.
func (m *model) check(rt *rapid.T) {
	tasks, err := m.Store.WantedTasks(m.rt.Context(), m.Now())
	if err != nil {
		rt.Fatal(err)
	}
	tapped := map[warrant.ID]li.Task{}
	for _, task := range tasks {
		info, err := m.Store.TaskInfo(m.rt.Context(), task.Signalling().XID)
		if err != nil {
			rt.Fatal(err)
		}
		tapped[info.WarrantID] = task
	}
	for _, f := range m.all {
		task, on := tapped[f.ID]
		delete(tapped, f.ID)
		if !on {
			if f.running && f.State == warrant.Active && m.Now().Before(f.ends()) {
				rt.Fatalf("%s is active and not tapped", f.LIID)
			}
			continue
		}
		need := 1
		if slices.ContainsFunc(f.agreedTargets(), func(id li.Identity) bool { return strings.HasSuffix(id.Reveal(), "555009") }) {
			need = 2
		}
		if f.agreed == nil || len(f.approvals) < need || slices.Contains(f.approvals, f.drafter) || !f.running {
			rt.Fatalf("%s is tapped: drafted by %s, approved by %v, running %t", f.LIID, f.drafter, f.approvals, f.running)
		}
		if m.Now().Before(f.agreed.From) || !m.Now().Before(f.ends()) || !task.Signalling().Until.Equal(f.ends()) {
			rt.Fatalf("%s is tapped at %v, outside its dates", f.LIID, m.Now())
		}
		if _, content := task.(li.ContentTask); content && f.agreed.Scope != warrant.IRIAndCC || !slices.Equal(task.Signalling().Targets, f.agreed.Targets) {
			rt.Fatalf("%s is tapped for more than was agreed", f.LIID)
		}
	}
	if len(tapped) > 0 {
		rt.Fatalf("%d taps of nobody", len(tapped))
	}
	m.checkVersions(rt)
}

func (f *followed) agreedTargets() []li.Identity {
	if f.agreed == nil {
		return nil
	}
	return f.agreed.Targets
}

// checkVersions: from 1, without a gap, to the newest.
func (m *model) checkVersions(rt *rapid.T) {
	for _, f := range m.all {
		var first, last, n int
		err := m.Pool.QueryRow(m.rt.Context(), "select min(version), max(version), count(*) from warrant_version where warrant_id = $1", f.ID).Scan(&first, &last, &n)
		if err != nil || first != 1 || last != f.Version || n != last {
			rt.Fatalf("%s has %d versions from %d to %d, want %d, %v", f.LIID, n, first, last, f.Version, err)
		}
	}
}

func subset(some, all warrant.Warrant) bool {
	for _, id := range some.Targets {
		if !slices.Contains(all.Targets, id) {
			return false
		}
	}
	return some.Scope == all.Scope || some.Scope == warrant.IRIOnly
}

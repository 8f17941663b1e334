package pgstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Random people do random things to a few warrants, through the rules and a real
// Postgres as the application's role. Whatever they do: nothing is tapped without the
// different approvers that it needs, inside its dates, and never more than they
// approved; each act makes exactly one audit entry, each change exactly one version.
//
// How long it goes on is rapid's: go test -run TestRandomPeople -rapid.checks=3500
// -rapid.steps=30 makes some 100,000 steps.
func TestRandomPeople(t *testing.T) {
	t.Parallel()
	w := newCrowd(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &crowdModel{crowd: w, rt: rt}
		w.now = w.now.Add(100 * time.Hour)
		if err := w.Due(t.Context(), w.now); err != nil { // ends all that another run left
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check, "draft": m.draft, "edit": m.edit, "submit": m.submit, "approve": m.approve, "next": m.next, "next again": m.next, "and again": m.next,
			"stop or go": m.stopOrGo, "narrow": m.narrow, "original": m.original, "purge": m.purge, "hold": m.hold, "time": m.time,
		})
	})
	w.reached(t)
}

// reached holds that the random acts got anywhere: in a long run, everywhere.
func (c *crowd) reached(t *testing.T) {
	t.Helper()
	rows, err := c.pool.Query(t.Context(), "select act, count(*) from warrant_version group by act")
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

// crowd is an office with more people and a clock that only moves forward.
type crowd struct {
	*office
	now    time.Time
	people []warrant.Actor
	drafts int // LIIDs given out
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	o := newOffice(t)
	c := &crowd{office: o, now: time.Now().UTC().Truncate(time.Second)}
	c.people = []warrant.Actor{o.ann, o.bob, o.carl, o.aud, o.root1}
	for i, role := range []warrant.Role{warrant.Drafter, warrant.Approver} {
		p, err := o.AddPerson(t.Context(), o.root1, warrant.Person{Name: fmt.Sprint("more ", i), Role: role, Cert: cert(fmt.Sprint(7 + i))})
		if err != nil {
			t.Fatal(err)
		}
		c.people = append(c.people, warrant.Actor{Person: p}) // as they were before they were confirmed
		if err := o.ConfirmPerson(t.Context(), o.root2, p.ID); err != nil {
			t.Fatal(err)
		}
		p.Confirmed = true
		c.people = append(c.people, warrant.Actor{Person: p})
	}
	p, err := o.Protect(t.Context(), o.ann, target(t, "+4930555009"), "lawyer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ConfirmProtected(t.Context(), o.bob, p.ID); err != nil {
		t.Fatal(err)
	}
	app := pgtest.AsApp(t, o.pool)
	o.with(t, func(cfg *pgstore.Config) { cfg.Pool, cfg.Now = app, func() time.Time { return c.now } })
	return c
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

type crowdModel struct {
	*crowd
	rt   *rapid.T
	all  []*followed
	only *followed // nil = any
}

// someone is anybody, or more often somebody whom the act would fit. rapid draws the
// first of anything most.
func (m *crowdModel) someone(fit func(warrant.Actor) bool) warrant.Actor {
	people := m.people
	if rapid.IntRange(0, 4).Draw(m.rt, "unfit") < 4 {
		people = slices.DeleteFunc(slices.Clone(people), func(a warrant.Actor) bool { return !a.Confirmed || !fit(a) })
	}
	return rapid.SampledFrom(people).Draw(m.rt, "who")
}

func staff(a warrant.Actor) bool { return a.Role == warrant.Drafter || a.Role == warrant.Approver }

func approver(a warrant.Actor) bool { return a.Role == warrant.Approver }

func (m *crowdModel) one() *followed {
	if len(m.all) == 0 {
		m.rt.Skip("no warrant yet")
	}
	if m.only != nil {
		return m.only
	}
	return rapid.SampledFrom(m.all).Draw(m.rt, "warrant")
}

// seen is the version that the actor read: sometimes an old one.
func (m *crowdModel) seen(f *followed) int {
	if rapid.IntRange(0, 15).Draw(m.rt, "stale") == 15 {
		return f.Version - 1
	}
	return f.Version
}

func (m *crowdModel) order() warrant.Order {
	m.drafts++
	o := warrant.Order{
		LIID: li.LIID(fmt.Sprint("R-", m.drafts)), Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: m.agency.ID, Scope: warrant.IRIAndCC,
	}
	for _, number := range rapid.SampledFrom([][]string{{"+4930555001"}, {"+4930555001", "+4930555002", "+4930555003"}, {"+4930555009", "+4930555002"}}).Draw(m.rt, "targets") {
		id, err := li.NumberPlan{}.ParseTarget(number)
		if err != nil {
			m.rt.Fatal(err)
		}
		o.Targets = append(o.Targets, id)
	}
	o.From = m.now.Add(time.Duration(rapid.IntRange(-2, 3).Draw(m.rt, "from")) * time.Hour)
	o.Until = m.now.Add(time.Duration(40-rapid.IntRange(0, 40).Draw(m.rt, "until")) * time.Hour)
	if rapid.IntRange(0, 2).Draw(m.rt, "provisional") == 1 {
		o.Provisional, o.OriginalDue = true, m.now.Add(time.Duration(rapid.IntRange(1, 12).Draw(m.rt, "due"))*time.Hour)
	}
	return o
}

// counts are the audit entries, and the versions of the warrants that are followed.
func (m *crowdModel) counts() (entries, versions int) {
	ids := make([]string, len(m.all))
	for i, f := range m.all {
		ids[i] = string(f.ID)
	}
	err := m.pool.QueryRow(m.rt.Context(), "select (select coalesce(max(index), -1) + 1 from audit_entry), (select count(*) from warrant_version where warrant_id = any ($1))", ids).Scan(&entries, &versions)
	if err != nil {
		m.rt.Fatal(err)
	}
	return entries, versions
}

// act does something and holds that it left exactly one entry, and one version if it
// changed f. It reports whether it succeeded.
func (m *crowdModel) act(f *followed, do func() (warrant.Warrant, error)) bool {
	m.rt.Helper()
	entries, versions := m.counts()
	w, err := do()
	var rule *warrant.RuleError
	nowEntries, nowVersions := m.counts()
	wantEntries, wantVersions := 1, 0
	switch {
	case err == nil:
		wantVersions = w.Version - f.Version
		f.Warrant = w
	case errors.Is(err, warrant.ErrVersion):
		wantEntries = 0
	case errors.As(err, &rule), errors.Is(err, warrant.ErrForbidden):
	default:
		m.rt.Fatalf("unexpected: %v", err)
	}
	if nowEntries-entries != wantEntries || nowVersions-versions != wantVersions {
		m.rt.Fatalf("%d entries and %d versions more, want %d and %d (%v)", nowEntries-entries, nowVersions-versions, wantEntries, wantVersions, err)
	}
	return err == nil
}

func (m *crowdModel) draft(rt *rapid.T) {
	if len(m.all) == 3 {
		rt.Skip("enough")
	}
	f, by := &followed{}, m.someone(staff)
	entries, _ := m.counts()
	w, err := m.CreateDraft(m.rt.Context(), by, m.order(), "")
	if now, _ := m.counts(); now != entries+1 {
		rt.Fatalf("%d entries more, want 1", now-entries)
	}
	if err == nil {
		f.Warrant, f.drafter = w, by.ID
		m.all = append(m.all, f)
	}
}

func (m *crowdModel) edit(*rapid.T) {
	f, by := m.one(), m.someone(staff)
	o := m.order()
	if m.act(f, func() (warrant.Warrant, error) { return m.Update(m.rt.Context(), by, f.ID, m.seen(f), o) }) {
		if f.agreed != nil {
			m.rt.Fatal("what was approved was edited")
		}
		f.drafter, f.approvals = by.ID, nil
	}
}

func (m *crowdModel) submit(*rapid.T) {
	f := m.one()
	by := m.someone(func(a warrant.Actor) bool { return a.ID == f.drafter })
	if m.act(f, func() (warrant.Warrant, error) { return m.Submit(m.rt.Context(), by, f.ID, m.seen(f)) }) {
		f.approvals = nil
	}
}

func (m *crowdModel) approve(rt *rapid.T) {
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
func (m *crowdModel) next(rt *rapid.T) {
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

func (m *crowdModel) stopOrGo(rt *rapid.T) {
	m.stop(rapid.SampledFrom([]string{"suspend", "reject", "resume", "revoke"}).Draw(rt, "act"), staff)
}

func (m *crowdModel) stop(name string, fit func(warrant.Actor) bool) {
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

func (m *crowdModel) narrow(rt *rapid.T) {
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

func (m *crowdModel) original(rt *rapid.T) {
	f, by := m.one(), m.someone(approver)
	if m.act(f, func() (warrant.Warrant, error) {
		return m.ConfirmOriginal(m.rt.Context(), by, f.ID, m.seen(f), strings.Repeat("ab", 32))
	}) {
		if by.ID == f.drafter || by.Role != warrant.Approver || !m.now.Before(f.OriginalDue) {
			rt.Fatalf("%s confirmed the original at %v", by.ID, m.now)
		}
		f.original = true
	}
}

func (m *crowdModel) purge(rt *rapid.T) {
	f, by := m.one(), m.someone(approver)
	if rapid.IntRange(0, 3).Draw(rt, "ask") == 3 || f.asked == "" {
		if m.act(f, func() (warrant.Warrant, error) { return m.RequestPurge(m.rt.Context(), by, f.ID, m.seen(f), "why") }) {
			f.asked = by.ID
		}
		return
	}
	if m.act(f, func() (warrant.Warrant, error) { return m.Purge(m.rt.Context(), by, f.ID, m.seen(f), "why") }) {
		if f.asked == "" || f.asked == by.ID || f.hold.ID != "" && f.hold.InForce() {
			rt.Fatalf("%s purged, %q asked, hold %t", by.ID, f.asked, f.hold.InForce())
		}
	}
}

// hold sets one hold a warrant and takes it through its life.
func (m *crowdModel) hold(*rapid.T) {
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

func (m *crowdModel) time(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute)
	m.due()
}

// due lets the system do what time brings: as many entries as versions.
func (m *crowdModel) due() {
	entries, versions := m.counts()
	if err := m.Due(m.rt.Context(), m.now); err != nil {
		m.rt.Fatal(err)
	}
	nowEntries, nowVersions := m.counts()
	if nowEntries-entries != nowVersions-versions {
		m.rt.Fatalf("%d entries for %d changes", nowEntries-entries, nowVersions-versions)
	}
	for _, f := range m.all {
		rows, err := m.pool.Query(m.rt.Context(), "select version, state from warrant where id = $1", f.ID)
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
func (m *crowdModel) check(rt *rapid.T) {
	tasks, err := m.WantedTasks(m.rt.Context(), m.now)
	if err != nil {
		rt.Fatal(err)
	}
	tapped := map[warrant.ID]li.Task{}
	for _, task := range tasks {
		info, err := m.TaskInfo(m.rt.Context(), task.Signalling().XID)
		if err != nil {
			rt.Fatal(err)
		}
		tapped[info.WarrantID] = task
	}
	for _, f := range m.all {
		task, on := tapped[f.ID]
		delete(tapped, f.ID)
		if !on {
			if f.running && f.State == warrant.Active && m.now.Before(f.ends()) {
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
		if m.now.Before(f.agreed.From) || !m.now.Before(f.ends()) || !task.Signalling().Until.Equal(f.ends()) {
			rt.Fatalf("%s is tapped at %v, outside its dates", f.LIID, m.now)
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
func (m *crowdModel) checkVersions(rt *rapid.T) {
	for _, f := range m.all {
		var first, last, n int
		err := m.pool.QueryRow(m.rt.Context(), "select min(version), max(version), count(*) from warrant_version where warrant_id = $1", f.ID).Scan(&first, &last, &n)
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

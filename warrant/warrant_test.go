package warrant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func target(t testing.TB, s string) li.Identity {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func agency() warrant.Agency {
	return warrant.Agency{
		ID: "a", Name: "Police", Country: "DE", Recipients: []string{"age1x"}, Confirmed: true,
		People: []warrant.AgencyUser{{Name: "Ina", Cert: strings.Repeat("a", 64)}},
	}
}

func order(t testing.TB) warrant.Order {
	return warrant.Order{
		LIID: "L-1", Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: "a", Scope: warrant.IRIAndCC,
		Targets: []li.Identity{target(t, "+4930555001")}, From: noon, Until: noon.Add(24 * time.Hour),
	}
}

func actor(id string, r warrant.Role) warrant.Actor {
	return warrant.Actor{Person: warrant.Person{ID: warrant.PersonID(id), Role: r, Confirmed: true}}
}

func rule(err error) warrant.Rule {
	var broken *warrant.RuleError
	if errors.As(err, &broken) {
		return broken.Rule
	}
	return ""
}

func TestOrderValidation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*warrant.Order)
		want   warrant.Rule
	}{
		"complete":           {func(*warrant.Order) {}, ""},
		"no authority":       {func(o *warrant.Order) { o.Authority = "" }, warrant.RuleIncomplete},
		"no reference":       {func(o *warrant.Order) { o.Reference = "" }, warrant.RuleIncomplete},
		"no legal basis":     {func(o *warrant.Order) { o.LegalBasis = "" }, warrant.RuleIncomplete},
		"no LIID":            {func(o *warrant.Order) { o.LIID = "" }, warrant.RuleIncomplete},
		"LIID with space":    {func(o *warrant.Order) { o.LIID = "a b" }, warrant.RuleIncomplete},
		"no target":          {func(o *warrant.Order) { o.Targets = nil }, warrant.RuleTarget},
		"target twice":       {func(o *warrant.Order) { o.Targets = append(o.Targets, o.Targets[0]) }, warrant.RuleTarget},
		"no scope":           {func(o *warrant.Order) { o.Scope = 0 }, warrant.RuleScope},
		"end before start":   {func(o *warrant.Order) { o.Until = o.From.Add(-time.Second) }, warrant.RuleDates},
		"end equals start":   {func(o *warrant.Order) { o.Until = o.From }, warrant.RuleDates},
		"end in the past":    {func(o *warrant.Order) { o.From, o.Until = noon.Add(-2*time.Hour), noon.Add(-time.Hour) }, warrant.RuleDates},
		"longer than a year": {func(o *warrant.Order) { o.Until = o.From.Add(367 * 24 * time.Hour) }, warrant.RuleDates},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := order(t)
			tt.change(&o)
			if got := rule(o.Validate(noon)); got != tt.want {
				t.Errorf("rule %q, want %q", got, tt.want)
			}
		})
	}
}

// A Task exists for an active warrant inside its dates only, and its type says
// whether media may be copied.
func TestTask(t *testing.T) {
	t.Parallel()
	xid := li.NewXID()
	for name, tt := range map[string]struct {
		state warrant.State
		scope warrant.Scope
		at    time.Duration
		want  string
	}{
		"content":          {warrant.Active, warrant.IRIAndCC, 0, "li.ContentTask"},
		"signalling only":  {warrant.Active, warrant.IRIOnly, time.Hour, "li.IRITask"},
		"before its start": {warrant.Active, warrant.IRIAndCC, -time.Nanosecond, "<nil>"},
		"at its end":       {warrant.Active, warrant.IRIAndCC, 24 * time.Hour, "<nil>"},
		"approved only":    {warrant.Approved, warrant.IRIAndCC, 0, "<nil>"},
		"suspended":        {warrant.Suspended, warrant.IRIAndCC, 0, "<nil>"},
		"revoked":          {warrant.Revoked, warrant.IRIAndCC, 0, "<nil>"},
		"unknown scope":    {warrant.Active, 0, 0, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := warrant.Warrant{State: tt.state, Order: order(t)}
			w.Scope = tt.scope
			task, ok := w.Task(xid, noon.Add(tt.at))
			if got := fmt.Sprintf("%T", task); got != tt.want || ok != (tt.want != "<nil>") {
				t.Errorf("got %s, %t; want %s", got, ok, tt.want)
			}
			if ok && (task.Signalling().XID != xid || !task.Signalling().Until.Equal(w.Until)) {
				t.Errorf("task %+v", task)
			}
		})
	}
}

func TestStatesAndScopesRead(t *testing.T) {
	t.Parallel()
	for s := warrant.Draft; s <= warrant.Purged; s++ {
		if got, err := warrant.ParseState(s.String()); err != nil || got != s {
			t.Errorf("state %s read as %v, %v", s, got, err)
		}
	}
	for _, s := range []warrant.Scope{warrant.IRIOnly, warrant.IRIAndCC} {
		if got, err := warrant.ParseScope(s.String()); err != nil || got != s {
			t.Errorf("scope %s read as %v, %v", s, got, err)
		}
	}
	if _, err := warrant.ParseScope("all"); rule(err) != warrant.RuleScope {
		t.Errorf("scope all: %v", err)
	}
}

// Whatever people do in whatever order: a warrant is active only after two people
// agreed on the order as it stands, nothing approved ever changes its order, and no
// Task lies outside its dates.
func TestNobodyTapsAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: t, rt: rt, now: noon}
		var err error
		if m.w, err = warrant.New("w", order(t), m.someone(), m.now); err != nil {
			return // an auditor or a system administrator tried
		}
		m.drafter = m.w.Drafter
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check, "edit": m.edit, "submit": m.submit, "approve": m.approve, "reject": m.reject, "time": m.time,
			"suspend": m.halt(warrant.Suspend), "revoke": m.halt(warrant.Revoke), "resume": m.halt(warrant.Resume), "purge": m.purge,
		})
	})
}

// model follows a warrant and remembers who agreed to what.
type model struct {
	t       *testing.T
	rt      *rapid.T
	w       warrant.Warrant
	now     time.Time
	drafter warrant.PersonID
	agreed  *warrant.Warrant // as it was approved
}

func (m *model) someone() warrant.Actor {
	a := actor(rapid.SampledFrom([]string{"ann", "bob", "carl"}).Draw(m.rt, "who"),
		rapid.SampledFrom([]warrant.Role{warrant.Drafter, warrant.Approver, warrant.Auditor, warrant.Sysadmin}).Draw(m.rt, "role"))
	a.Confirmed = rapid.Bool().Draw(m.rt, "confirmed") || rapid.Bool().Draw(m.rt, "really")
	return a
}

func (m *model) accept(w warrant.Warrant, err error) bool {
	if err != nil {
		return false
	}
	if w.Version != m.w.Version+1 {
		m.rt.Fatalf("version %d follows %d", w.Version, m.w.Version)
	}
	m.w = w
	return true
}

func (m *model) edit(rt *rapid.T) {
	o := order(m.t)
	o.Targets = []li.Identity{target(m.t, rapid.SampledFrom([]string{"+4930555001", "+4930555002"}).Draw(rt, "target"))}
	by := m.someone()
	if m.accept(warrant.Edit(m.w, o, by, m.now)) {
		m.drafter = by.ID
	}
}

func (m *model) submit(*rapid.T) { m.accept(warrant.Submit(m.w, m.someone(), agency(), m.now)) }

func (m *model) approve(rt *rapid.T) {
	typed := warrant.Retyped{Targets: m.w.Targets, Until: m.w.Until}
	right := rapid.Bool().Draw(rt, "typed right")
	if !right {
		typed.Targets = []li.Identity{target(m.t, "+4930555003")}
	}
	a := agency()
	a.Confirmed = rapid.Bool().Draw(rt, "agency confirmed")
	by := m.someone()
	if !m.accept(warrant.Approve(m.w, by, typed, a, m.now)) {
		return
	}
	if !right || !a.Confirmed || by.ID == m.drafter || by.Role != warrant.Approver || !by.Confirmed {
		rt.Fatalf("approved by %v, drafted by %v, typed right %t, agency confirmed %t", by, m.drafter, right, a.Confirmed)
	}
	w := m.w
	m.agreed = &w
}

func (m *model) reject(*rapid.T) { m.accept(warrant.Reject(m.w, m.someone(), "why", m.now)) }

func (m *model) halt(act func(warrant.Warrant, warrant.Actor, string, time.Time) (warrant.Warrant, error)) func(*rapid.T) {
	return func(*rapid.T) { m.accept(act(m.w, m.someone(), "why", m.now)) }
}

func (m *model) purge(rt *rapid.T) {
	if rapid.Bool().Draw(rt, "ask") {
		m.accept(warrant.RequestPurge(m.w, m.someone(), "why", m.now))
		return
	}
	by, asked := m.someone(), m.w.PurgeBy
	if m.accept(warrant.Purge(m.w, by, "why", false, m.now)) && (asked == "" || asked == by.ID) {
		rt.Fatal("one person purged")
	}
}

func (m *model) time(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "hours")) * time.Hour)
	if !m.accept(warrant.Start(m.w, m.now)) {
		m.accept(warrant.Expire(m.w, m.now))
	}
}

func (m *model) check(rt *rapid.T) {
	task, ok := m.w.Task(li.NewXID(), m.now)
	if ok != (task != nil) {
		rt.Fatal("a task that is none")
	}
	if m.agreed == nil {
		if ok || m.w.State >= warrant.Approved {
			rt.Fatalf("state %s without two people", m.w.State)
		}
		return
	}
	if m.w.Drafter == m.w.Approver || fmt.Sprint(m.w.Order) != fmt.Sprint(m.agreed.Order) || m.w.Targets[0] != m.agreed.Targets[0] {
		rt.Fatal("what was approved has changed")
	}
	if ok && (m.now.Before(m.w.From) || !m.now.Before(m.w.Until)) {
		rt.Fatal("a task outside the dates")
	}
}

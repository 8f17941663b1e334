package correlate_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

func TestWholeCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	cfg, reg := w.quick(), prometheus.NewRegistry()
	cfg.LIReg = reg
	w.mediate(cfg)
	l := newLine(info, 7)
	began := l.at
	w.call(l, 30)
	w.drained()
	doc := w.closed("LIID-1", 1)
	if doc.EndCause != "bye" || doc.Direction != "from_target" || doc.AnsweredAt == nil || doc.Missing != 0 ||
		doc.StartedAt.Before(began.Truncate(time.Microsecond)) || !doc.EndedAt.After(*doc.AnsweredAt) {
		t.Errorf("session %+v", doc)
	}
	c := w.open("LIID-1", 1)
	if got, want := c.types(), []string{"begin", "continue", "continue", "end"}; !slices.Equal(got, want) {
		t.Errorf("IRI types %v, want %v", got, want)
	}
	if got := c.taps(); !slices.Equal(got, consecutive(300)) || len(c.gaps) != 0 {
		t.Errorf("packets %v, gaps %d", got, len(c.gaps))
	}
	if r := c.iri[0]; r.Method != "INVITE" || string(r.SIP) != "INVITE\x00\x00\x00\x00" || r.Element != "gw-1" || r.Src.Port() != 5060 || r.Direction != "from_target" {
		t.Errorf("record %+v", r)
	}
	if n, err := testutil.GatherAndCount(reg, "ligate_correlate_pdus_total", "ligate_correlate_delivery_lag_seconds"); err != nil || n != 4 {
		t.Errorf("%d metrics, %v", n, err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// Each call of a LIID has its CIN, each Task its own sessions.
func TestCallsAreKeptApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.task("LIID-1", true), w.task("LIID-2", true)
	w.mediate(w.quick())
	a := newLine(one, 1)
	b, c := beside(a, one, 2), beside(a, two, 1)
	w.publish(x2x3.X2, slices.Concat(a.sip(sipevent.Begin, "INVITE", 0), b.sip(sipevent.Begin, "INVITE", 0), c.sip(sipevent.Begin, "INVITE", 0)))
	for range 20 {
		w.publish(x2x3.X3, slices.Concat(a.media(3), c.media(2), b.media(1), a.media(1)))
	}
	w.drained()
	total := 0
	for _, s := range []struct {
		liid li.LIID
		cin  li.CIN
	}{{"LIID-1", 1}, {"LIID-1", 2}, {"LIID-2", 1}} {
		got := w.open(s.liid, s.cin)
		if n := len(got.cc); !slices.Equal(got.taps(), consecutive(n)) || len(got.iri) != 1 {
			t.Errorf("%s, CIN %d: %d IRI, packets %v", s.liid, s.cin, len(got.iri), got.taps())
		}
		total += len(got.cc)
	}
	if total != 140 {
		t.Errorf("%d packets, want 140", total)
	}
}

// What no warrant allows is refused: counted, alarmed, on record, never stored.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg, reg := w.quick(), prometheus.NewRegistry()
	cfg.LIReg = reg
	now := time.Now()
	iriOnly, over, early, stopped := w.task("LIID-1", false), w.task("LIID-2", true), w.task("LIID-3", true), w.task("LIID-4", true)
	over.Until = now.Add(-time.Second)
	early.From = now.Add(time.Hour)
	stopped.StoppedAt = now.Add(-2 * time.Second)
	w.tasks.set(over, nil)
	w.tasks.set(early, nil)
	w.tasks.set(stopped, nil)
	w.mediate(cfg)
	foreign := newLine(w.task("LIID-5", true), 1)
	foreign.xid = li.NewXID()
	only := newLine(iriOnly, 1)
	w.publish(x2x3.X2, only.sip(sipevent.Begin, "INVITE", 0))
	w.publish(x2x3.X3, only.media(4))
	for _, l := range []*line{newLine(over, 1), newLine(early, 1), newLine(stopped, 1), foreign} {
		w.publish(x2x3.X2, l.sip(sipevent.Begin, "INVITE", 0))
		w.publish(x2x3.X3, l.media(2))
	}
	w.publish(x2x3.X3, []byte("not a PDU"))
	w.publish(x2x3.X3, only.sip(sipevent.Continue, "INFO", 0)) // signalling where content travels
	w.drained()
	if c := w.open("LIID-1", 1); len(c.iri) != 1 || len(c.cc) != 0 {
		t.Errorf("%d IRI and %d CC of an IRI warrant", len(c.iri), len(c.cc))
	}
	var sessions int
	if err := w.pool.QueryRow(t.Context(), "select count(*) from session").Scan(&sessions); err != nil || sessions != 1 {
		t.Errorf("%d sessions, %v, want 1", sessions, err)
	}
	for cause, want := range map[string]int{"content_not_ordered": 4, "outside_dates": 9, "unknown_task": 3, "malformed": 2} {
		if got := counter(t, reg, "ligate_correlate_refused_pdus_total", cause); got != want {
			t.Errorf("%d refused as %s, want %d", got, cause, want)
		}
	}
	if !w.alarms.has("mediation_pdu_refused") {
		t.Error("no alarm")
	}
	records, _, err := w.log.Entries(t.Context(), w.pool, audit.Filter{Action: "pdu.refused"})
	if err != nil || len(records) != 7 { // once for each Task and cause
		t.Errorf("%d entries, %v", len(records), err)
	}
}

// counter reads one counter by its label.
func counter(t *testing.T, reg *prometheus.Registry, name, label string) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 && label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("no counter %s %s", name, label)
	return 0
}

// A revocation in the middle of a call: what was tapped up to it is stored, what
// comes after is refused, and the session is closed.
func TestStopInACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	cfg := w.quick()
	cfg.IdleAfter = 2 * time.Second // twice in it a silent session's Task is looked at
	w.mediate(cfg)
	l := newLine(info, 1)
	l.at = l.at.Add(-10 * time.Second)
	w.publish(x2x3.X2, l.sip(sipevent.Begin, "INVITE", 0))
	w.publish(x2x3.X3, l.media(10))
	info.StoppedAt = l.at.Add(100 * time.Millisecond).Truncate(time.Microsecond)
	w.tasks.set(info, nil)
	l.at = l.at.Add(500 * time.Millisecond)
	w.publish(x2x3.X3, l.media(1)) // on its way when the tap stopped
	l.at = l.at.Add(2 * time.Second)
	w.publish(x2x3.X3, l.media(5))
	doc := w.closed("LIID-1", 1)
	if doc.CCRecords != 11 || doc.Missing != 0 || doc.EndCause != "warrant_ended" || !doc.EndedAt.Equal(info.StoppedAt) {
		t.Errorf("session %+v", doc)
	}
}

func TestLostPDUsAreGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mediate(w.quick())
	l := newLine(w.task("LIID-1", true), 1)
	w.publish(x2x3.X3, l.media(5))
	l.x3 += 3
	w.publish(x2x3.X3, l.media(5))
	w.drained() // over two segments, too
	l.x3 += 4
	w.publish(x2x3.X3, l.media(5))
	l.x2 += 2
	w.publish(x2x3.X2, l.sip(sipevent.Continue, "BYE", 0))
	l.x3 = 0 // the gateway died and lives again
	w.publish(x2x3.X3, l.media(5))
	w.publish(x2x3.X2, l.sip(sipevent.End, "BYE", 200))
	doc := w.closed("LIID-1", 1)
	if doc.Missing != 9 {
		t.Errorf("%d missing, want 9", doc.Missing)
	}
	if !w.alarms.has("mediation_copies_missing") {
		t.Error("no alarm")
	}
	c := w.open("LIID-1", 1)
	var got []string
	for _, g := range c.gaps {
		got = append(got, fmt.Sprintf("%s after %d: %d, %s", g.Kind, g.After, g.Missing, g.Cause))
	}
	slices.Sort(got)
	want := []string{
		"cc after 12: 4, lost before mediation", "cc after 21: 0, the tap counts anew", "cc after 4: 3, lost before mediation",
		"iri after 0: 2, lost before mediation",
	}
	if !slices.Equal(got, want) {
		t.Errorf("gaps %q, want %q", got, want)
	}
	if len(c.cc) != 20 {
		t.Errorf("%d packets, want 20", len(c.cc))
	}
}

// What comes after a session is closed is not lost.
func TestLateContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mediate(w.quick())
	l := newLine(w.task("LIID-1", true), 1)
	w.call(l, 1)
	before := w.closed("LIID-1", 1)
	w.publish(x2x3.X3, l.media(5))
	w.publish(x2x3.X2, l.sip(sipevent.Continue, "ACK", 0))
	w.drained()
	c := w.open("LIID-1", 1)
	if !slices.Equal(c.taps(), consecutive(15)) || c.types()[4] != "report" || !c.doc.EndedAt.Equal(*before.EndedAt) {
		t.Errorf("packets %v, types %v, session %+v", c.taps(), c.types(), c.doc)
	}
}

func TestIdleSessionIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.quick()
	cfg.IdleAfter = 500 * time.Millisecond
	w.mediate(cfg)
	l := newLine(w.task("LIID-1", true), 1)
	w.publish(x2x3.X2, l.sip(sipevent.Begin, "INVITE", 0))
	if doc := w.closed("LIID-1", 1); doc.EndCause != "timeout" || !doc.EndedAt.Equal(l.at.Truncate(time.Microsecond)) {
		t.Errorf("session %+v", doc)
	}
}

// While the warrants cannot be read nothing is decided and nothing is lost.
func TestNoDecisionWithoutTheWarrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := w.task("LIID-1", true)
	w.tasks.set(info, errors.New("down"))
	cfg, reg := w.quick(), prometheus.NewRegistry()
	cfg.LIReg = reg
	w.mediate(cfg)
	w.call(newLine(info, 1), 5)
	w.until("meet trouble", func() bool { return counter(t, reg, "ligate_correlate_retries_total", "") > 2 })
	if n, _, err := w.bus.Backlog(t.Context()); err != nil || n != 9 {
		t.Errorf("%d messages wait, %v, want 9", n, err)
	}
	w.tasks.set(info, nil)
	w.drained()
	w.closed("LIID-1", 1)
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(50)) || len(c.iri) != 4 {
		t.Errorf("packets %v, %d IRI", c.taps(), len(c.iri))
	}
}

// A gateway that publishes a batch twice, outside the time in which the bus knows
// it again, does not double it.
func TestPublishedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg, reg := w.quick(), prometheus.NewRegistry()
	cfg.LIReg = reg
	w.mediate(cfg)
	l := newLine(w.task("LIID-1", true), 1)
	first, second := l.media(10), l.media(10)
	w.publish(x2x3.X3, first)
	w.publish(x2x3.X3, second)
	w.publish(x2x3.X3, slices.Concat(first, second))
	w.publish(x2x3.X3, l.media(10))
	w.drained()
	if c := w.open("LIID-1", 1); !slices.Equal(c.taps(), consecutive(30)) || len(c.gaps) != 0 {
		t.Errorf("packets %v, gaps %d", c.taps(), len(c.gaps))
	}
	if n := counter(t, reg, "ligate_correlate_duplicate_pdus_total", ""); n != 20 {
		t.Errorf("%d duplicates, want 20", n)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	whole := correlate.Config{Bus: &bus.Bus{}, Tasks: &tasks{}, Store: &evidence.Store{}, Alarms: &alarms{}, Log: slog.New(slog.DiscardHandler)}
	if _, err := correlate.New(whole); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*correlate.Config){
		"no bus": func(c *correlate.Config) { c.Bus = nil }, "no tasks": func(c *correlate.Config) { c.Tasks = nil },
		"no store": func(c *correlate.Config) { c.Store = nil }, "no alarms": func(c *correlate.Config) { c.Alarms = nil },
		"no log": func(c *correlate.Config) { c.Log = nil }, "negative time": func(c *correlate.Config) { c.CCEvery = -1 },
		"segments too large": func(c *correlate.Config) { c.SegmentBytes = 1 << 30 }, "too little memory": func(c *correlate.Config) { c.MaxHeldBytes = 1 },
	} {
		cfg := whole
		spoil(&cfg)
		if _, err := correlate.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

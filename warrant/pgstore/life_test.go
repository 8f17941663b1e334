package pgstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/document"
	"github.com/ligate/ligate/warrant/pgstore"
)

// with opens the office's store anew with other settings.
func (o *office) with(t *testing.T, change func(*pgstore.Config)) {
	t.Helper()
	cfg := pgstore.Config{Pool: o.pool, Audit: o.log, Master: pgtest.Master(t, 1)}
	change(&cfg)
	var err error
	if o.Store, err = pgstore.New(cfg); err != nil {
		t.Fatal(err)
	}
}

// asApp makes the office work as the application's role.
func (o *office) asApp(t *testing.T) {
	t.Helper()
	app := pgtest.AsApp(t, o.pool)
	o.with(t, func(cfg *pgstore.Config) { cfg.Pool = app })
}

// document keeps an order under a warrant and returns it and the key that opens it.
func (o *office) document(t *testing.T, id warrant.ID) (warrant.Document, *age.X25519Identity) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := document.New([]string{key.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	other := *o
	other.with(t, func(cfg *pgstore.Config) { cfg.Seal = sealer.Seal })
	d, err := other.AddDocument(t.Context(), o.ann, id, warrant.DocumentOrder, 2, []byte(paper))
	if err != nil {
		t.Fatal(err)
	}
	return d, key
}

const paper = "%PDF-1.7 the court orders the interception of +4930555001"

// provisional is an active warrant whose original is due.
func (o *office) provisional(t *testing.T, liid li.LIID, due time.Time) warrant.Warrant {
	t.Helper()
	order := o.order(t, liid)
	order.Provisional, order.OriginalDue = true, due
	return o.activated(t, order)
}

func (o *office) activated(t *testing.T, order warrant.Order) warrant.Warrant {
	t.Helper()
	w, err := o.CreateDraft(t.Context(), o.ann, order, "")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.Submit(t.Context(), o.ann, w.ID, w.Version); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until}); err != nil {
		t.Fatal(err)
	}
	if err := o.Due(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return o.read(t, w.ID)
}

func (o *office) read(t *testing.T, id warrant.ID) warrant.Warrant {
	t.Helper()
	w, err := o.Warrant(t.Context(), o.ann, id)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (o *office) task(t *testing.T) li.Task {
	t.Helper()
	all, err := o.WantedTasks(t.Context(), time.Now())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d tasks, %v, want 1", len(all), err)
	}
	return all[0]
}

// A narrowed warrant keeps its XID and is tasked as less, at once.
func TestNarrowChangesTheTask(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	before := o.task(t)
	w, err := o.Narrow(t.Context(), o.ann, w.ID, w.Version, w.Targets[1:], 0, "one number was given up")
	if err != nil || w.State != warrant.Active || len(w.Targets) != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	if info, err := o.TaskInfo(t.Context(), before.Signalling().XID); err != nil || !info.Media || !info.MediaUntil.IsZero() {
		t.Errorf("task info %+v, %v", info, err)
	}
	if got, ok := o.task(t).(li.ContentTask); !ok || got.XID != before.Signalling().XID || len(got.Targets) != 1 {
		t.Errorf("task %+v", o.task(t))
	}
	if w, err = o.Narrow(t.Context(), o.bob, w.ID, w.Version, nil, warrant.IRIOnly, "court asked"); err != nil {
		t.Fatal(err)
	}
	if info, err := o.TaskInfo(t.Context(), before.Signalling().XID); err != nil || info.Media || !info.MediaUntil.Equal(w.UpdatedAt) {
		t.Errorf("content until %v, %t, %v; want until it was taken away", info.MediaUntil, info.Media, err)
	}
	if _, ok := o.task(t).(li.IRITask); !ok {
		t.Errorf("task %T, want signalling only", o.task(t))
	}
	if _, err := o.Narrow(t.Context(), o.bob, w.ID, w.Version, nil, warrant.IRIAndCC, "more"); !isRule(err, warrant.RuleNarrow) {
		t.Errorf("widened: %v", err)
	}
	var intervals int
	if err := o.pool.QueryRow(t.Context(), "select count(*) from tap_interval").Scan(&intervals); err != nil || intervals != 1 {
		t.Errorf("%d intervals, %v: narrowing is no interruption", intervals, err)
	}
}

// Without its original the tap ends by itself, is recorded, and stays in quarantine.
func TestOriginalThatDoesNotCome(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	due := time.Now().Add(20 * time.Minute).UTC().Truncate(time.Microsecond)
	w := o.provisional(t, "LIID-1", due)
	task := o.task(t)
	if !task.Signalling().Until.Equal(due) {
		t.Errorf("gateways tap until %v, want %v", task.Signalling().Until, due)
	}
	info, err := o.TaskInfo(t.Context(), task.Signalling().XID)
	if err != nil || !info.Quarantined || !info.Until.Equal(due) {
		t.Errorf("task info %+v, %v", info, err)
	}
	if next, err := o.NextDeadline(t.Context(), time.Now()); err != nil || !next.Equal(due) {
		t.Errorf("next deadline %v, %v", next, err)
	}
	if err := o.Due(t.Context(), due.Add(-time.Second)); err != nil || o.read(t, w.ID).State != warrant.Active {
		t.Errorf("ended early, %v", err)
	}
	if err := o.Due(t.Context(), due); err != nil {
		t.Fatal(err)
	}
	w = o.read(t, w.ID)
	if w.State != warrant.Revoked || !w.StoppedAt.Equal(due) || !w.Quarantined() {
		t.Errorf("%+v", w)
	}
	history, err := o.History(t.Context(), o.aud, w.ID)
	if err != nil || len(history) == 0 {
		t.Fatal(err)
	}
	if last := history[len(history)-1]; last.Act != "lapse" || last.By != "ligate" || last.Role != "system" || last.Reason != "the original did not come" || last.From != "active" || last.To != "revoked" {
		t.Errorf("last act %+v", last)
	}
	late := *o
	late.with(t, func(cfg *pgstore.Config) { cfg.Now = func() time.Time { return due.Add(time.Minute) } })
	if _, err := late.ConfirmOriginal(t.Context(), o.bob, w.ID, w.Version, strings.Repeat("ab", 32)); !isRule(err, warrant.RuleDates) {
		t.Errorf("a late original: %v", err)
	}
}

func TestOriginalThatComes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	due := time.Now().Add(20 * time.Minute)
	w := o.provisional(t, "LIID-1", due)
	xid := o.task(t).Signalling().XID
	quarantined := func() (n int) {
		if err := o.pool.QueryRow(t.Context(), "select count(*) from quarantined_liid where liid = 'LIID-1'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if quarantined() != 1 {
		t.Error("not in quarantine")
	}
	w, err := o.ConfirmOriginal(t.Context(), o.carl, w.ID, w.Version, strings.Repeat("ab", 32))
	if err != nil || w.Original.By != o.carl.ID || quarantined() != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	if got := o.task(t).Signalling(); got.XID != xid || !got.Until.Equal(w.Until) {
		t.Errorf("task until %v, want the end of the order", got.Until)
	}
	if info, err := o.TaskInfo(t.Context(), xid); err != nil || info.Quarantined {
		t.Errorf("task info %+v, %v", info, err)
	}
	if err := o.Due(t.Context(), due.Add(time.Minute)); err != nil || o.read(t, w.ID).State != warrant.Active {
		t.Errorf("ended although the original came, %v", err)
	}
}

// A warrant on a protected number is approved by the third person, and until then no
// agency sees it.
func TestProtectedNumber(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p, err := o.Protect(t.Context(), o.ann, target(t, "+4930555001"), "press")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Protect(t.Context(), o.bob, target(t, "+4930555001"), "press"); !errors.Is(err, warrant.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if w := o.active(t, "BEFORE"); w.Protected {
		t.Error("counts unconfirmed")
	}
	if _, err := o.ConfirmProtected(t.Context(), o.ann, p.ID); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("confirmed by who added: %v", err)
	}
	waiting := o.submitted(t, "WAITING") // submitted before the number was protected
	if _, err := o.ConfirmProtected(t.Context(), o.bob, p.ID); err != nil {
		t.Fatal(err)
	}
	for _, w := range []warrant.Warrant{waiting, o.submitted(t, "AFTER")} {
		typed := warrant.Retyped{Targets: w.Targets, Until: w.Until}
		w, err = o.Approve(t.Context(), o.bob, w.ID, w.Version, typed)
		if err != nil || w.State != warrant.Submitted || !w.Protected {
			t.Fatalf("%+v, %v", w, err)
		}
		if _, err := o.WarrantByLIID(t.Context(), o.agency.ID, w.LIID); !errors.Is(err, warrant.ErrNotFound) {
			t.Errorf("the agency sees it half approved: %v", err)
		}
		if _, err := o.Approve(t.Context(), o.bob, w.ID, w.Version, typed); !isRule(err, warrant.RuleFourEyes) {
			t.Errorf("two approvals of one person: %v", err)
		}
		if w, err = o.Approve(t.Context(), o.carl, w.ID, w.Version, typed); err != nil || w.State != warrant.Approved || w.SecondApprover != o.carl.ID {
			t.Errorf("%+v, %v", w, err)
		}
		if wrong, err := o.Unproven(t.Context(), []li.XID{o.xid(t, w.ID)}); err != nil || len(wrong) != 0 {
			t.Errorf("the log does not bear out three people's words: %v", err)
		}
	}
	for i, by := range []warrant.Actor{o.bob, o.carl} {
		if p, err = o.Unprotect(t.Context(), by, p.ID); err != nil || (p.RemovalConfirm != "") != (i == 1) {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if all, err := o.ProtectedNumbers(t.Context(), o.aud); err != nil || len(all) != 0 {
		t.Errorf("%d stand, %v", len(all), err)
	}
	if w := o.submitted(t, "FREE"); w.Protected {
		t.Error("counts after its removal")
	}
}

// The history says of each act who, when, why and from where, in order, and no target.
func TestHistory(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	d, _ := o.document(t, w.ID)
	w, err := o.Suspend(t.Context(), o.ann, w.ID, w.Version, "court asked")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Resume(t.Context(), o.carl, w.ID, w.Version, "not +49 30 555 001 again"); !isRule(err, warrant.RuleReason) {
		t.Errorf("a reason that names the target: %v", err)
	}
	if w, err = o.Resume(t.Context(), o.carl, w.ID, w.Version, "court asked again"); err != nil {
		t.Fatal(err)
	}
	if _, err = o.Revoke(t.Context(), o.bob, w.ID, w.Version, "order lifted"); err != nil {
		t.Fatal(err)
	}
	all, err := o.History(t.Context(), o.aud, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s>%s %s", e.Act, e.Name, e.From, e.To, e.Reason)))
		if e.By == "" || e.At.IsZero() || e.By != "ligate" && e.Source != "127.0.0.1" {
			t.Errorf("act %+v", e)
		}
	}
	want := []string{
		"draft Ann >draft", "submit Ann draft>submitted", "approve Bob submitted>approved", "start  approved>active", "document Ann >",
		"suspend Ann active>suspended court asked", "resume Carl suspended>active court asked again", "revoke Bob active>revoked order lifted",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("history\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, "0555001") || strings.Contains(text, "example.com") || !strings.Contains(text, d.SHA256) {
		t.Error("the history names a target, or not the paper")
	}
	records, _, err := o.log.Entries(t.Context(), o.pool, audit.Filter{Action: "warrant.resume"})
	if err != nil || len(records) != 2 || strings.Contains(fmt.Sprintf("%+v", records), "555 001") {
		t.Errorf("%d entries, %v, or one names the target", len(records), err)
	}
	if _, err := o.History(t.Context(), o.root1, w.ID); !errors.Is(err, warrant.ErrForbidden) {
		t.Errorf("a system administrator reads it: %v", err)
	}
}

func TestDocumentsAreSealed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.submitted(t, "LIID-1")
	if _, err := o.AddDocument(t.Context(), o.ann, w.ID, warrant.DocumentOrder, 0, []byte(paper)); !isRule(err, warrant.RuleDocument) {
		t.Errorf("kept without a key to seal to: %v", err)
	}
	d, key := o.document(t, w.ID)
	all, err := o.Documents(t.Context(), o.aud, w.ID)
	if err != nil || len(all) != 1 || all[0] != d || d.Bytes != len(paper) || d.Pages != 2 || d.AddedBy != o.ann.ID {
		t.Errorf("%+v, %v", all, err)
	}
	sealed, err := o.Document(t.Context(), o.aud, w.ID, d.Number)
	if err != nil || bytes.Contains(sealed, []byte("555001")) {
		t.Fatalf("%d octets, %v, or in clear", len(sealed), err)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(r); err != nil || plain.String() != paper {
		t.Errorf("opened %d octets, %v", plain.Len(), err)
	}
	sealer := *o
	sealer.with(t, func(cfg *pgstore.Config) {
		cfg.Seal = func([]byte) ([]byte, error) { return sealed, nil }
		cfg.Limits.NeedsOrder = true
	})
	if _, err := sealer.AddDocument(t.Context(), o.ann, w.ID, warrant.DocumentOther, 0, []byte(paper)); !errors.Is(err, warrant.ErrExists) {
		t.Errorf("the same paper twice: %v", err)
	}
	draft, err := o.CreateDraft(t.Context(), o.ann, o.order(t, "LIID-2"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Submit(t.Context(), o.ann, draft.ID, draft.Version); !isRule(err, warrant.RuleDocument) {
		t.Errorf("submitted without the order: %v", err)
	}
	if _, err := sealer.AddDocument(t.Context(), o.ann, draft.ID, warrant.DocumentOrder, 0, []byte(paper)); err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Submit(t.Context(), o.ann, draft.ID, draft.Version); err != nil {
		t.Errorf("submitted with the order: %v", err)
	}
}

func TestHoldKeepsAPurgeOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	w, err := o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.RequestPurge(t.Context(), o.ann, w.ID, w.Version, "retention over"); err != nil {
		t.Fatal(err)
	}
	h, err := o.SetHold(t.Context(), o.ann, w.ID, "trial runs")
	if err != nil {
		t.Fatal(err)
	}
	purge := func() error {
		_, err := o.Purge(t.Context(), o.bob, w.ID, w.Version, "retention over")
		return err
	}
	step := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := purge(); !isRule(err, warrant.RuleHold) {
		t.Errorf("purged under a hold that waits for its second person: %v", err)
	}
	if err := second(o.ConfirmHold(t.Context(), o.ann, w.ID, h.ID)); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("one person set it: %v", err)
	}
	step("confirm", second(o.ConfirmHold(t.Context(), o.carl, w.ID, h.ID)))
	step("release", second(o.ReleaseHold(t.Context(), o.bob, w.ID, h.ID, "trial over")))
	if err := purge(); !isRule(err, warrant.RuleHold) {
		t.Errorf("purged before the release was confirmed: %v", err)
	}
	if err := second(o.ConfirmRelease(t.Context(), o.bob, w.ID, h.ID)); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("one person released: %v", err)
	}
	step("confirm release", second(o.ConfirmRelease(t.Context(), o.carl, w.ID, h.ID)))
	if all, err := o.Holds(t.Context(), o.aud, w.ID); err != nil || len(all) != 1 || all[0].InForce() || all[0].ReleaseReason != "trial over" {
		t.Errorf("%+v, %v", all, err)
	}
	step("purge", purge())
	history, err := o.History(t.Context(), o.aud, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range history {
		if e.Object == h.ID {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", e.Act, e.Name, e.Role, e.Source, e.Reason)))
		}
	}
	want := "hold.set Ann drafter 127.0.0.1 trial runs; hold.confirm Carl approver 127.0.0.1; " +
		"hold.release Bob approver 127.0.0.1 trial over; hold.release.confirm Carl approver 127.0.0.1"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("history\n%s\nwant\n%s", text, want)
	}
	if err := second(o.SetHold(t.Context(), o.ann, w.ID, "late")); !isRule(err, warrant.RuleState) {
		t.Errorf("a hold on what is purged: %v", err)
	}
}

// An extension takes its two approvals, begins when what it extends ends, and there is
// one.
func TestExtensionChain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.active(t, "LIID-1")
	order := o.order(t, "LIID-2")
	order.From, order.Until = first.Until, first.Until.Add(time.Hour)
	early := order
	early.From = first.Until.Add(-time.Minute)
	if _, err := o.Extend(t.Context(), o.ann, first.ID, early, ""); !isRule(err, warrant.RuleDates) {
		t.Errorf("two taps at once: %v", err)
	}
	next, err := o.Extend(t.Context(), o.ann, first.ID, order, "")
	if err != nil || next.Predecessor != first.ID {
		t.Fatalf("%+v, %v", next, err)
	}
	if _, err := o.Update(t.Context(), o.ann, next.ID, next.Version, early); !isRule(err, warrant.RuleDates) {
		t.Errorf("edited into two taps at once: %v", err)
	}
	if next, err = o.Submit(t.Context(), o.ann, next.ID, next.Version); err != nil {
		t.Fatal(err)
	}
	typed := warrant.Retyped{Targets: next.Targets, Until: next.Until}
	if _, err := o.Approve(t.Context(), o.ann, next.ID, next.Version, typed); err == nil {
		t.Error("the drafter approved the extension")
	}
	if next, err = o.Approve(t.Context(), o.bob, next.ID, next.Version, typed); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		when time.Time
		want li.LIID
	}{{first.Until.Add(-time.Microsecond), "LIID-1"}, {first.Until, "LIID-2"}} {
		if err := o.Due(t.Context(), at.when); err != nil {
			t.Fatal(err)
		}
		tasks, err := o.WantedTasks(t.Context(), at.when)
		if err != nil || len(tasks) != 1 {
			t.Fatalf("%d tasks, %v, want 1", len(tasks), err)
		}
		if info, err := o.TaskInfo(t.Context(), tasks[0].Signalling().XID); err != nil || info.LIID != at.want {
			t.Errorf("tapped under %s, %v, want %s", info.LIID, err, at.want)
		}
	}
	if all, err := o.Successors(t.Context(), first.ID); err != nil || len(all) != 1 || all[0].LIID != "LIID-2" || all[0].State != "active" {
		t.Errorf("%+v, %v", all, err)
	}
	order.LIID = "LIID-3"
	again, err := o.Extend(t.Context(), o.ann, first.ID, order, "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err = o.Submit(t.Context(), o.ann, again.ID, again.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Approve(t.Context(), o.bob, again.ID, again.Version, typed); !isRule(err, warrant.RuleState) {
		t.Errorf("two extensions of one warrant: %v", err)
	}
}

// The limits of the deployment hold at each step at which an order could pass.
func TestLimitsHoldInTheStore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.submitted(t, "LIID-1")
	draft, err := o.CreateDraft(t.Context(), o.ann, o.order(t, "LIID-2"), "")
	if err != nil {
		t.Fatal(err)
	}
	o.with(t, func(cfg *pgstore.Config) { cfg.Limits.Bases = map[string]time.Duration{"100a": time.Minute} })
	for name, err := range map[string]error{
		"draft":   second(o.CreateDraft(t.Context(), o.ann, o.order(t, "LIID-3"), "")),
		"edit":    second(o.Update(t.Context(), o.ann, draft.ID, draft.Version, o.order(t, "LIID-2"))),
		"submit":  second(o.Submit(t.Context(), o.ann, draft.ID, draft.Version)),
		"approve": second(o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until})),
	} {
		if !isRule(err, warrant.RuleDates) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An agency that wants HI1 is told of each change of what is tapped.
func TestNoticesOfChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d, err := o.AddDelivery(t.Context(), o.root1, warrant.Delivery{AgencyID: o.agency.ID, HI2: "192.0.2.1:7001", Cert: cert("a"), HI1: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmDelivery(t.Context(), o.root2, o.agency.ID, d.Number); err != nil {
		t.Fatal(err)
	}
	w := o.provisional(t, "LIID-1", time.Now().Add(20*time.Minute))
	if w, err = o.ConfirmOriginal(t.Context(), o.carl, w.ID, w.Version, strings.Repeat("ab", 32)); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Narrow(t.Context(), o.ann, w.ID, w.Version, nil, warrant.IRIOnly, "court asked"); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Suspend(t.Context(), o.ann, w.ID, w.Version, "court asked"); err != nil {
		t.Fatal(err)
	}
	if _, err = o.Narrow(t.Context(), o.ann, w.ID, w.Version, w.Targets[:1], 0, "nothing is tapped now"); err != nil {
		t.Fatal(err)
	}
	all, err := o.Notices(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range all {
		got = append(got, n.What)
	}
	if text := strings.Join(got, " "); text != "activated modified modified deactivated" {
		t.Errorf("told %s", text)
	}
}

// xid is that of a warrant's Task.
func (o *office) xid(t *testing.T, id warrant.ID) li.XID {
	t.Helper()
	var text string
	if err := o.pool.QueryRow(t.Context(), "select xid::text from task where warrant_id = $1", id).Scan(&text); err != nil {
		t.Fatal(err)
	}
	xid, err := li.ParseXID(text)
	if err != nil {
		t.Fatal(err)
	}
	return xid
}

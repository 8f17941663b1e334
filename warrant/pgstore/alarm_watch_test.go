package pgstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// standing lists the open alarms of a kind by object.
func (o *office) standing(t *testing.T, kind string) []string {
	t.Helper()
	all, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{Kind: kind, State: "open"}, pgstore.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, a := range all {
		objects = append(objects, a.Object)
	}
	slices.Sort(objects)
	return objects
}

func (o *office) watch(t *testing.T, now time.Time, s pgstore.WatchSettings) {
	t.Helper()
	if err := o.WatchAlarms(t.Context(), now, s); err != nil {
		t.Fatal(err)
	}
}

// The countdown shows one step at a time, and none that is as long as the warrant.
func TestCountdown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	order := o.order(t, "LIID-1")
	order.Until = order.From.Add(20 * 24 * time.Hour)
	w, err := o.CreateDraft(t.Context(), o.ann, order, "")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.Submit(t.Context(), o.ann, w.ID, w.Version); err != nil {
		t.Fatal(err)
	}
	if _, err = o.Approve(t.Context(), o.bob, w.ID, w.Version, warrant.Retyped{Targets: w.Targets, Until: w.Until}); err != nil {
		t.Fatal(err)
	}
	if err := o.Due(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	id := string(w.ID)
	for _, step := range []struct {
		left time.Duration
		want []string
	}{
		{19 * 24 * time.Hour, nil},
		{7 * 24 * time.Hour, []string{id + " 7d"}},
		{50 * time.Hour, []string{id + " 7d"}},
		{47 * time.Hour, []string{id + " 2d"}},
		{time.Hour, []string{id + " 1d"}},
		{-time.Hour, nil},
	} {
		o.watch(t, w.Until.Add(-step.left), pgstore.WatchSettings{})
		if got := o.standing(t, pgstore.AlarmExpiringSoon); !slices.Equal(got, step.want) {
			t.Errorf("%v before the end: got %v, want %v", step.left, got, step.want)
		}
	}
}

// A warrant that brings nothing, and a gateway that does not say that a tap is off.
func TestSilenceAndUnconfirmedStop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w := o.active(t, "LIID-1")
	tasks, err := o.WantedTasks(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	xid := tasks[0].Signalling().XID
	if err := o.ConfirmTask(t.Context(), xid, "gw-1", true, time.Now()); err != nil {
		t.Fatal(err)
	}
	settings := pgstore.WatchSettings{SilentAfter: 24 * time.Hour}
	later := time.Now().Add(25 * time.Hour)
	o.watch(t, time.Now(), settings)
	if got := o.standing(t, pgstore.AlarmSilentWarrant); got != nil {
		t.Errorf("silent at once: %v", got)
	}
	o.watch(t, later, pgstore.WatchSettings{})
	o.watch(t, later, settings)
	if got := o.standing(t, pgstore.AlarmSilentWarrant); !slices.Equal(got, []string{string(w.ID)}) {
		t.Errorf("after a day: %v", got)
	}
	_, err = o.pool.Exec(t.Context(), `insert into session (id, liid, cin, agency_id, xid, correlation, started_at, last_at, direction, chain_head)
		values (gen_random_uuid(), 'LIID-1', 1, $1, $2, '\x0000000000000001', $3, $3, 'unknown', sha256('x'))`, string(o.agency.ID), xid.String(), later.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	o.watch(t, later, settings)
	if got := o.standing(t, pgstore.AlarmSilentWarrant); got != nil {
		t.Errorf("after a call: %v", got)
	}

	if _, err := o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted"); err != nil {
		t.Fatal(err)
	}
	o.watch(t, time.Now().Add(2*time.Minute), settings)
	if got := o.standing(t, pgstore.AlarmStopUnconfirmed); !slices.Equal(got, []string{"gw-1 " + xid.String()}) {
		t.Errorf("two minutes after the revocation: %v", got)
	}
	if err := o.ConfirmTask(t.Context(), xid, "gw-1", false, time.Now()); err != nil {
		t.Fatal(err)
	}
	o.watch(t, time.Now().Add(2*time.Minute), settings)
	if got := o.standing(t, pgstore.AlarmStopUnconfirmed); got != nil {
		t.Errorf("after the confirmation: %v", got)
	}
}

// A target that was seen, and is not any more; one that never was is a silent warrant.
func TestTargetVanished(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	seen, never := o.active(t, "LIID-1"), o.active(t, "LIID-2")
	settings := pgstore.WatchSettings{SilentAfter: 100 * time.Hour, VanishedAfter: 24 * time.Hour}
	call := func(cin int, at time.Time) {
		t.Helper()
		_, err := o.pool.Exec(t.Context(), `insert into session (id, liid, cin, agency_id, xid, correlation, started_at, last_at, direction, chain_head)
			values (gen_random_uuid(), 'LIID-1', $1, $2, gen_random_uuid(), '\x0000000000000001', $3, $3, 'unknown', sha256('x'))`, cin, string(o.agency.ID), at)
		if err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	call(1, began)
	for _, step := range []struct {
		after            time.Duration
		vanished, silent []string
	}{
		{time.Hour, nil, nil},
		{25 * time.Hour, []string{string(seen.ID)}, nil},
		{101 * time.Hour, []string{string(seen.ID)}, []string{string(never.ID), string(seen.ID)}},
	} {
		o.watch(t, began.Add(step.after), settings)
		slices.Sort(step.silent)
		if got := o.standing(t, pgstore.AlarmTargetVanished); !slices.Equal(got, step.vanished) {
			t.Errorf("%v later: vanished %v, want %v", step.after, got, step.vanished)
		}
		if got := o.standing(t, pgstore.AlarmSilentWarrant); !slices.Equal(got, step.silent) {
			t.Errorf("%v later: silent %v, want %v", step.after, got, step.silent)
		}
	}
	call(2, began.Add(101*time.Hour))
	o.watch(t, began.Add(102*time.Hour), settings)
	if got := o.standing(t, pgstore.AlarmTargetVanished); got != nil {
		t.Errorf("back again: %v", got)
	}
}

// The last day before the original of a provisional order is due.
func TestOriginalDueSoon(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	order := o.order(t, "LIID-1")
	order.Until = order.From.Add(20 * 24 * time.Hour)
	order.Provisional, order.OriginalDue = true, time.Now().Add(72*time.Hour)
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
	for left, want := range map[time.Duration][]string{25 * time.Hour: nil, 23 * time.Hour: {string(w.ID)}, time.Minute: {string(w.ID)}, -time.Minute: nil} {
		o.watch(t, w.OriginalDue.Add(-left), pgstore.WatchSettings{})
		if got := o.standing(t, pgstore.AlarmOriginalDue); !slices.Equal(got, want) {
			t.Errorf("%v before: %v, want %v", left, got, want)
		}
	}
	if err := o.Due(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Warrant(t.Context(), o.ann, w.ID); err != nil {
		t.Fatal(err)
	}
	if _, err = o.ConfirmOriginal(t.Context(), o.carl, w.ID, w.Version, strings.Repeat("ab", 32)); err != nil {
		t.Fatal(err)
	}
	o.watch(t, w.OriginalDue.Add(-time.Hour), pgstore.WatchSettings{})
	if got := o.standing(t, pgstore.AlarmOriginalDue); got != nil {
		t.Errorf("the original came: %v", got)
	}
}

// What the webhook is to be told comes again until it is dropped, later each time.
func TestAlarmNotices(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if err := o.OpenAlarm(t.Context(), "rogue_tap", "gw-1 "+li.NewXID().String()); err != nil {
		t.Fatal(err)
	}
	if err := o.OpenAlarm(t.Context(), "clock_skew", "gw-1"); err != nil {
		t.Fatal(err)
	}
	take := func(at time.Time, want int) []pgstore.AlarmNotice {
		t.Helper()
		got, err := o.TakeAlarmNotices(t.Context(), at, 10)
		if err != nil || len(got) != want {
			t.Fatalf("got %d notices, %v, want %d", len(got), err, want)
		}
		return got
	}
	now := time.Now().Add(time.Second)
	first := take(now, 2)
	if first[0].Kind != "rogue_tap" || first[0].Event != "raised" || first[0].Alarm == first[1].Alarm {
		t.Errorf("got %+v", first)
	}
	take(now, 0)
	take(now.Add(9*time.Second), 0)
	if err := o.DropAlarmNotice(t.Context(), first[1].ID); err != nil {
		t.Fatal(err)
	}
	again := take(now.Add(11*time.Second), 1)
	if again[0].ID != first[0].ID {
		t.Error("the same notice must come under the same id")
	}
	take(now.Add(30*time.Second), 0) // twenty seconds after the second attempt
	take(now.Add(32*time.Second), 1)
	if err := o.CloseAlarm(t.Context(), "clock_skew", "gw-1"); err != nil {
		t.Fatal(err)
	}
	if got := take(time.Now().Add(time.Second), 1); got[0].Event != "closed" || got[0].Alarm != first[1].Alarm {
		t.Errorf("got %+v, want the closing of the same alarm", got)
	}
	if err := o.DropAlarmNotices(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	take(time.Now().Add(24*time.Hour), 0)
}

// A gateway's test line without a receipt for a day.
func TestSelfTestMissed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	settings := pgstore.WatchSettings{SelfTests: []li.LIID{"TEST-1", "TEST-2"}, SelfTestAfter: 26 * time.Hour}
	acked := time.Now()
	_, err := o.pool.Exec(t.Context(), `with s as (insert into session (id, liid, cin, agency_id, xid, correlation, started_at, last_at, direction, chain_head)
			values ('00000000-0000-0000-0000-000000000001', 'TEST-1', 1, $1, gen_random_uuid(), '\x0000000000000001', $2, $2, 'unknown', sha256('x')) returning id)
		select from s`, string(o.agency.ID), acked)
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.pool.Exec(t.Context(), `insert into receipt (session_id, chain_head, segments, person, cert, at)
		values ('00000000-0000-0000-0000-000000000001', sha256('x'), 2, 'ina', 'c', $1)`, acked)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration][]string{time.Hour: {"TEST-2"}, 27 * time.Hour: {"TEST-1", "TEST-2"}} {
		o.watch(t, acked.Add(after), settings)
		if got := o.standing(t, pgstore.AlarmSelfTestMissed); !slices.Equal(got, want) {
			t.Errorf("%v later: %v, want %v", after, got, want)
		}
	}
}

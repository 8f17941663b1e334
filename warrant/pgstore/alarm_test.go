package pgstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// What needs a person is not closed by ligate itself, whatever it believes.
func TestFollowUpNeedsAPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, kind := range []string{"rogue_tap", "gateway_unreachable"} {
		if err := errors.Join(o.OpenAlarm(t.Context(), kind, "gw-1"), o.CloseAlarm(t.Context(), kind, "gw-1")); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := o.OpenAlarms(t.Context())
	if err != nil || len(counts) != 1 || counts["rogue_tap"] != 1 {
		t.Errorf("open: %v, %v, want the rogue tap alone", counts, err)
	}
	all, _, err := o.Alarms(t.Context(), pgstore.AlarmFilter{Kind: "rogue_tap"}, pgstore.Page{})
	if err != nil || len(all) != 1 {
		t.Fatal(err)
	}
	if _, err := o.SettleAlarm(t.Context(), o.root1, all[0].ID, "n"); !errors.Is(err, warrant.ErrForbidden) {
		t.Errorf("system administrator: got %v", err)
	}
	a, err := o.SettleAlarm(t.Context(), o.ann, all[0].ID, "planted for a test")
	if err != nil || a.ClosedBy != string(o.ann.ID) || a.Note != "planted for a test" {
		t.Errorf("got %+v, %v", a, err)
	}
}

// Each rule of the new tables is the database's too.
func TestDatabaseKeepsAlarmsAndOrphans(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	xid := li.NewXID()
	orphan := warrant.Orphan{Gateway: "gw-1", XID: xid, Kind: warrant.OrphanRogue, FoundAt: time.Now()}
	if err := errors.Join(o.OpenAlarm(t.Context(), "rogue_tap", "gw-1"), o.OpenAlarm(t.Context(), "clock_skew", "gw-1"), o.FreezeTap(t.Context(), orphan), o.FreezeTap(t.Context(), orphan)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ sql, constraint string }{
		{"delete from alarm", "alarm_never_deleted"},
		{"update alarm set object = 'gw-2' where kind = 'clock_skew'", "alarm_only_goes_on"},
		{"update alarm set closed_at = now() where kind = 'rogue_tap'", "alarm_needs_person"},
		{"update alarm set closed_at = now(), closed_by = 'x' where kind = 'rogue_tap'", "alarm_closed_by_person_has_note"},
		{"update alarm set closed_at = now(), closed_by = 'x', note = '' where kind = 'rogue_tap'", "alarm_closed_by_person_has_note"},
		{"update alarm set acked_at = now() where kind = 'clock_skew'", "alarm_ack_has_person"},
		{"delete from alarm_follow_up", "alarm_follow_up_never_changes"},
		{"insert into alarm_notice (alarm_id, event, at, next_at) select id, 'forgotten', now(), now() from alarm", "alarm_notice_event_known"},
		{"update tap_orphan set kind = 'altered'", "tap_orphan_frozen"},
		{"delete from tap_orphan", "tap_orphan_frozen"},
		{"update tap_orphan set removed_at = found_at - interval '1 hour'", "tap_orphan_order"},
		{"insert into tap_orphan (gateway, xid, kind, media, targets, destinations, x2_octets, x3_octets, found_at) values ('g', gen_random_uuid(), 'rogue', true, array['+4930123456'], '{}', 0, 0, now())", "tap_orphan_hashed_only"},
		{"insert into tap_orphan (gateway, xid, kind, media, targets, destinations, x2_octets, x3_octets, found_at) values ('g', gen_random_uuid(), 'odd', true, '{}', '{}', 0, 0, now())", "tap_orphan_kind_known"},
	} {
		_, err := o.pool.Exec(t.Context(), tt.sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != tt.constraint {
			t.Errorf("%s:\n got %v, want %s", tt.sql, err, tt.constraint)
		}
	}
	if err := o.TapRemoved(t.Context(), "gw-1", xid, time.Now().Add(-time.Hour)); err != nil { // a clock that was behind
		t.Fatal(err)
	}
	orphan.Kind = warrant.OrphanUnlisted
	if err := o.FreezeTap(t.Context(), orphan); err != nil { // it came back
		t.Fatal(err)
	}
	all, err := o.Orphans(t.Context())
	if err != nil || len(all) != 2 || all[0].Kind != warrant.OrphanUnlisted || !all[0].RemovedAt.IsZero() || all[1].RemovedAt.Before(all[1].FoundAt) {
		t.Errorf("got %+v, %v", all, err)
	}
}

package pgstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/warrant"
)

// scene is one warrant in each state that somebody may attack.
type scene struct {
	*office
	draft, own, sub, lawyer, later, act, suspended, prov, revoked, asked, held warrant.Warrant
	hold                                                                       warrant.Hold
	protected                                                                  warrant.ProtectedNumber
}

func newScene(t *testing.T) *scene {
	t.Helper()
	o := newOffice(t)
	s := &scene{office: o}
	var err error
	must := func(w warrant.Warrant, e error) warrant.Warrant {
		t.Helper()
		if e != nil {
			t.Fatal(e)
		}
		return w
	}
	s.draft = must(o.CreateDraft(t.Context(), o.ann, o.order(t, "DRAFT"), ""))
	s.own = must(o.CreateDraft(t.Context(), o.bob, o.order(t, "OWN"), ""))
	s.own = must(o.Submit(t.Context(), o.bob, s.own.ID, s.own.Version))
	s.sub, s.act, s.suspended = o.submitted(t, "SUB"), o.active(t, "ACT"), o.active(t, "SUSPENDED")
	s.suspended = must(o.Suspend(t.Context(), o.ann, s.suspended.ID, s.suspended.Version, "court asked"))
	later := o.order(t, "LATER")
	later.From = time.Now().Add(10 * time.Minute)
	s.later = o.activated(t, later) // it waits for its start
	s.prov = o.provisional(t, "PROV", time.Now().Add(30*time.Minute))
	if s.protected, err = o.Protect(t.Context(), o.ann, target(t, "+4930555077"), "lawyer"); err != nil {
		t.Fatal(err)
	}
	if s.protected, err = o.ConfirmProtected(t.Context(), o.bob, s.protected.ID); err != nil {
		t.Fatal(err)
	}
	order := o.order(t, "LAWYER")
	order.Targets[0] = target(t, "+4930555077")
	s.lawyer = must(o.CreateDraft(t.Context(), o.ann, order, ""))
	s.lawyer = must(o.Submit(t.Context(), o.ann, s.lawyer.ID, s.lawyer.Version))
	stop := func(w warrant.Warrant) warrant.Warrant {
		return must(o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted"))
	}
	s.revoked, s.asked, s.held = stop(o.active(t, "REVOKED")), stop(o.active(t, "ASKED")), stop(o.active(t, "HELD"))
	s.asked = must(o.RequestPurge(t.Context(), o.bob, s.asked.ID, s.asked.Version, "retention over"))
	s.held = must(o.RequestPurge(t.Context(), o.bob, s.held.ID, s.held.Version, "retention over"))
	if s.hold, err = o.SetHold(t.Context(), o.ann, s.held.ID, "trial runs"); err != nil {
		t.Fatal(err)
	}
	o.document(t, s.act.ID)
	return s
}

// denied is what Postgres says where the role lacks the privilege.
const denied = "42501"

// attack is a statement of somebody who holds the application's connection, and the
// rule that stops it.
type attack struct{ sql, stops string }

func (s *scene) attacks() []attack {
	bob, carl, ann := string(s.bob.ID), string(s.carl.ID), string(s.ann.ID)
	set := func(w warrant.Warrant, what string) string {
		return "update warrant set version = version + 1, " + what + " where id = '" + string(w.ID) + "'"
	}
	all := []attack{
		// Nobody approves alone, or what is not submitted.
		{set(s.own, "state = 'approved', approver = drafter"), "warrant_four_eyes"},
		{set(s.sub, "state = 'approved', drafter = approver, approver = drafter"), "warrant_order_immutable"},
		{set(s.sub, "state = 'approved'"), "warrant_approver_confirmed"},
		{set(s.sub, "state = 'approved', approver = '"+string(s.root1.ID)+"'"), "warrant_approver_confirmed"},
		{set(s.sub, "state = 'approved', approver = '"+ann+"'"), "warrant_approver_confirmed"},
		{set(s.sub, "state = 'active', approver = '"+bob+"'"), "warrant_legal_step"},
		{set(s.draft, "state = 'active', approver = '"+bob+"'"), "warrant_legal_step"},
		{set(s.draft, "approver = '"+bob+"'"), "warrant_approved_when_submitted"},
		{set(s.draft, "state = 'submitted', approver = '"+bob+"'"), "warrant_approved_when_submitted"},
		{set(s.revoked, "state = 'active', stopped_at = null"), "warrant_legal_step"},
		{"insert into warrant_step values ('draft', 'active')", denied},
		{"insert into task (xid, warrant_id, created_at) values (gen_random_uuid(), '" + string(s.sub.ID) + "', now())", "task_made_at_approval"},
		{"insert into tap_interval values ('" + string(s.sub.ID) + "', now() - interval '1 day')", "tap_interval_of_active_warrant"},
		// A protected number takes a third person.
		{set(s.lawyer, "state = 'approved', approver = '"+bob+"'"), "warrant_protected_has_third"},
		{set(s.lawyer, "state = 'approved', approver = '"+bob+"', protected = false"), "warrant_protected_stays"},
		{set(s.lawyer, "state = 'approved', approver = '"+bob+"', second_approver = '"+carl+"'"), "warrant_one_approval_at_a_time"},
		{set(s.lawyer, "second_approver = '"+carl+"'"), "warrant_second_after_first"},
		{"delete from protected_number", denied},
		{"update protected_number set identity_hash = sha256('+49301')", "protected_number_immutable"},
		{"update protected_number set identity_sealed = identity_sealed || '\\x00'", "protected_number_immutable"},
		{"update protected_number set removed_by = '" + bob + "', removed_at = now(), removal_confirmed_by = '" + bob + "', removal_confirmed_at = now()", "protected_number_removed_by_two"},
		{"insert into protected_number (id, identity_hash, identity_sealed, kind, added_by, added_at, confirmed_by, confirmed_at) values ('x', sha256('+4930'), sha256('x') || sha256('y'), 'own', '" + ann + "', now(), '" + bob + "', now())", "protected_number_begins_alone"},
		// An approved order stays as it is, but for less.
		{set(s.act, "targets_hash = array[sha256('+49301')]"), "warrant_only_narrows"},
		{set(s.act, "targets_hash = targets_hash || sha256('+49301')"), "warrant_only_narrows"},
		{set(s.act, "targets_hash = array[targets_hash[1], targets_hash[1], targets_hash[1]]"), "warrant_only_narrows"},
		{set(s.act, "targets_hash = null"), "warrant_has_target"},
		{set(s.act, "targets_hash = '{}'"), "warrant_has_target"},
		{set(s.draft, "targets_hash = null"), "warrant_has_target"},
		{set(s.draft, "targets_hash = array[null]::bytea[]"), "warrant_has_target"},
		{set(s.draft, "targets_sealed = null"), "warrant_targets_sealed"},
		{set(s.draft, "targets = '{+49301}'"), "warrant_targets_not_in_clear"},
		{set(s.act, "targets_sealed = targets_sealed || '\\x00'"), "warrant_order_immutable"},
		{set(s.act, "targets_sealed = (select targets_sealed from warrant where id = '"+string(s.later.ID)+"')"), "warrant_order_immutable"},
		{set(s.act, "targets = '{+49301}'"), "warrant_only_narrows"},
		{"update warrant set targets_sealed = targets_sealed || '\\x00' where id = '" + string(s.act.ID) + "'", "warrant_version_follows"},
		{set(s.act, "targets_hash = targets_hash[1:1], valid_until = valid_until + interval '1 day'"), "warrant_order_immutable"},
		{set(s.act, "targets_hash = targets_hash[1:1], state = 'suspended', stopped_at = now()"), "warrant_only_narrows"},
		{set(s.act, "scope = 'all'"), "warrant_only_narrows"},
		{set(s.sub, "targets_hash = targets_hash[1:1]"), "warrant_order_immutable"},
		{set(s.act, "valid_until = valid_until + interval '1 day'"), "warrant_order_immutable"},
		{set(s.act, "agency_id = 'x'"), "warrant_order_immutable"},
		{set(s.act, "liid = 'X'"), "warrant_identity_immutable"},
		{set(s.act, "approver = '"+carl+"'"), "warrant_approver_immutable"},
		{set(s.act, "second_approver = '"+carl+"'"), "warrant_approved_when_submitted"},
		{set(s.act, "stopped_at = now()"), "warrant_stop_immutable"},
		{set(s.revoked, "stopped_at = now() + interval '1 day'"), "warrant_stop_immutable"},
		{"update warrant set notes = 'x' where id = '" + string(s.draft.ID) + "'", "warrant_version_follows"},
		{set(s.act, "state = state"), "warrant_version_changes_something"},
		// A provisional order waits for its original.
		{set(s.prov, "provisional = false"), "warrant_original_by_approver"},
		{set(s.prov, "original_due = original_due + interval '1 day'"), "warrant_order_immutable"},
		{set(s.prov, "provisional = false, original_due = null"), "warrant_order_immutable"},
		{set(s.prov, "provisional = false, original_by = '"+bob+"', original_at = now()"), "warrant_provisional_until_original"},
		{set(s.prov, "provisional = false, original_by = drafter, original_at = now(), original_sha256 = sha256('x')"), "warrant_original_by_approver"},
		{set(s.prov, "provisional = false, original_by = '"+bob+"', original_at = original_due, original_sha256 = sha256('x')"), "warrant_original_in_time"},
		{set(s.act, "provisional = true, original_due = now()"), "warrant_order_immutable"},
		// A purge takes two, and no hold.
		{set(s.revoked, "state = 'purged', purge_by = '"+bob+"', purged_by = '"+carl+"'"), "warrant_purge_four_eyes"},
		{set(s.asked, "state = 'purged', purged_by = purge_by"), "warrant_purge_two_people"},
		{set(s.asked, "state = 'purged'"), "warrant_purged_has_purger"},
		{set(s.asked, "state = 'purged', purged_by = '"+ann+"'"), "warrant_purged_has_purger"},
		{set(s.asked, "state = 'purged', purge_by = '"+carl+"', purged_by = '"+bob+"'"), "warrant_purge_four_eyes"},
		{set(s.act, "purge_by = '"+bob+"'"), "warrant_purge_four_eyes"},
		{set(s.held, "state = 'purged', purged_by = '"+carl+"'"), "warrant_purge_under_hold"},
		{"delete from legal_hold", denied},
		{"update legal_hold set warrant_id = '" + string(s.revoked.ID) + "'", "legal_hold_immutable"},
		{"update legal_hold set confirmed_by = set_by, confirmed_at = now()", "legal_hold_set_by_two"},
		{"update legal_hold set released_by = '" + bob + "', release_reason = 'r', released_at = now(), release_confirmed_by = '" + bob + "', release_confirmed_at = now()", "legal_hold_released_by_two"},
		{"update legal_hold set release_confirmed_by = '" + bob + "', release_confirmed_at = now()", "legal_hold_released_by_two"},
	}
	return append(append(all, s.historyAttacks()...), s.actorAttacks()...)
}

// actorAttacks change a warrant and keep the version, as somebody who may not.
func (s *scene) actorAttacks() []attack {
	bob, ann, aud := string(s.bob.ID), string(s.ann.ID), string(s.aud.ID)
	act := func(w warrant.Warrant, what, by, at string) string {
		return "update warrant set version = version + 1, updated_at = now(), " + what + " where id = '" + string(w.ID) + "'; " +
			"insert into warrant_version (warrant_id, version, body, by, at) select id, version, '{}', '" + by + "', " + at + " from warrant where id = '" + string(w.ID) + "'"
	}
	const stop = "state = 'revoked', stopped_at = now()"
	return []attack{
		{act(s.sub, "state = 'approved', approver = '"+bob+"'", ann, "now()"), "warrant_version_by_who_acts"},
		{act(s.lawyer, "approver = '"+bob+"'", ann, "now()"), "warrant_version_by_who_acts"},
		{act(s.sub, "state = 'rejected'", ann, "now()"), "warrant_decided_by_another"},
		{act(s.own, "state = 'rejected'", bob, "now()"), "warrant_decided_by_another"},
		{act(s.suspended, "state = 'active', stopped_at = null", ann, "now()"), "warrant_decided_by_another"},
		{act(s.suspended, "state = 'active', stopped_at = null", "ligate", "now()"), "warrant_decided_by_another"},
		{act(s.draft, "state = 'submitted'", bob, "now()"), "warrant_drafted_by_drafter"},
		{act(s.draft, "notes = 'x'", bob, "now()"), "warrant_drafted_by_drafter"},
		{act(s.act, stop, aud, "now()"), "warrant_version_by_compliance"},
		{act(s.act, stop, "nobody", "now()"), "warrant_version_by_compliance"},
		{act(s.act, stop, "ligate", "now()"), "warrant_version_by_compliance"},
		{act(s.act, "state = 'expired', stopped_at = now()", "ligate", "now()"), "warrant_version_by_compliance"},
		{act(s.later, "state = 'active'", "ligate", "now()"), "warrant_starts_inside_dates"},
		{act(s.asked, "state = 'purged', purged_by = '"+string(s.carl.ID)+"'", bob, "now()"), "warrant_version_by_who_acts"},
	}
}

// historyAttacks are those on what happened.
func (s *scene) historyAttacks() []attack {
	id := string(s.act.ID)
	all := []attack{
		{"insert into warrant_version (warrant_id, version, body, by, at) values ('" + id + "', 99, '{}', 'x', now())", "warrant_version_is_current"},
		{"update warrant set version = version + 1, state = 'revoked', stopped_at = now() where id = '" + id + "'", "warrant_version_kept"},
		{"update task_gateway set xid = gen_random_uuid(); drop trigger warrant_guard on warrant", denied},
		{"update agency set recipients = '{age1mine}' where id = '" + string(s.agency.ID) + "'", "agency_immutable"},
		{"insert into agency_user values ('" + string(s.agency.ID) + "', 'Mallory', '" + cert("f") + "')", "agency_immutable"},
		{"update person set cert = '" + cert("f") + "' where id = '" + string(s.bob.ID) + "'", "person_immutable"},
		{"update person set role = 'approver' where id = '" + string(s.ann.ID) + "'", "person_immutable"},
		{"insert into person values ('m', 'M', 'approver', '" + cert("f") + "', 'm', 'm', now())", "person_confirmed_by_sysadmin"},
		{"update tap_interval set began_at = began_at - interval '1 day'", "tap_interval_only_ends"},
		{"insert into warrant_document select warrant_id, 9, kind, sha256('y'), bytes, pages, 'in clear', added_by, role, source, added_at from warrant_document", "warrant_document_is_sealed"},
	}
	for _, sql := range []string{
		"update sealing_key set master = 'x'", "delete from sealing_key", "truncate sealing_key",
		"update warrant_version set targets_sealed = targets_sealed", "drop function may_seal()",
		"create or replace function may_seal() returns boolean language sql as 'select true'",
		"delete from warrant", "delete from warrant_version", "update warrant_version set by = 'x'", "update warrant_version set reason = 'x'",
		"delete from warrant_document", "update warrant_document set sealed = sealed", "delete from task", "update task set xid = gen_random_uuid()",
		"delete from tap_interval", "delete from person", "delete from agency", "delete from agency_user", "update audit_entry set actor = 'x'",
		"delete from audit_entry", "update audit_hash set hash = hash", "delete from audit_checkpoint", "truncate warrant cascade", "truncate warrant_version",
		"truncate audit_entry", "drop table warrant", "drop view quarantined_liid", "alter table warrant drop constraint warrant_four_eyes",
		"alter table warrant disable trigger all", "create or replace function warrant_guard() returns trigger language plpgsql as 'begin return new; end'",
		"create or replace view quarantined_liid as select ''::text as liid", "set session_replication_role = replica", "set role pg_write_all_data",
		"create table mine (n int)", "create trigger mine before update on warrant for each row execute function never_changes()",
		"alter table warrant owner to ligate_app", "alter role ligate_app superuser", "update goose_db_version set version_id = 1",
	} {
		all = append(all, attack{sql, denied})
	}
	return all
}

// Who holds the application's connection to the database meets each rule there again,
// and can neither change nor leave the law.
func TestNoSQLBreaksTheRules(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	app := pgtest.AsApp(t, s.pool)
	before := s.fingerprint(t)
	for _, a := range s.attacks() {
		_, err := app.Exec(t.Context(), a.sql)
		var pg *pgconn.PgError
		switch {
		case !errors.As(err, &pg):
			t.Errorf("%s:\n got %v, want %s", a.sql, err, a.stops)
		case pg.ConstraintName != a.stops && pg.Code != a.stops:
			t.Errorf("%s:\n got %s %s %s, want %s", a.sql, pg.Code, pg.ConstraintName, pg.Message, a.stops)
		}
	}
	if after := s.fingerprint(t); after != before {
		t.Error("an attack that was refused changed something")
	}
	var owned int
	if err := s.pool.QueryRow(t.Context(), "select count(*) from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = 'ligate_app'").Scan(&owned); err != nil || owned != 0 {
		t.Errorf("the application owns %d tables, %v", owned, err)
	}
}

// fingerprint is a hash of all that the attacks aim at.
func (s *scene) fingerprint(t *testing.T) string {
	t.Helper()
	var all []string
	for _, table := range []string{"warrant", "warrant_version", "warrant_document", "legal_hold", "protected_number", "task", "tap_interval", "person", "agency", "agency_user", "warrant_step", "audit_entry", "sealing_key"} {
		var sum string
		if err := s.pool.QueryRow(t.Context(), "select coalesce(md5(string_agg(r::text, '|' order by r::text)), '') from "+table+" r").Scan(&sum); err != nil {
			t.Fatal(err)
		}
		all = append(all, sum)
	}
	return strings.Join(all, " ")
}

// What the rules allow, the application's role can do: the attacks fail at the rules
// and not because nothing works.
func TestApplicationRoleLivesTheWholeLife(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.asApp(t)
	w := o.provisional(t, "L-1", time.Now().Add(30*time.Minute))
	o.document(t, w.ID)
	w, err := o.ConfirmOriginal(t.Context(), o.bob, w.ID, w.Version, strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	if w, err = o.Narrow(t.Context(), o.ann, w.ID, w.Version, w.Targets[:1], warrant.IRIOnly, "court asked"); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Revoke(t.Context(), o.ann, w.ID, w.Version, "order lifted"); err != nil {
		t.Fatal(err)
	}
	if w, err = o.RequestPurge(t.Context(), o.bob, w.ID, w.Version, "retention over"); err != nil {
		t.Fatal(err)
	}
	if w, err = o.Purge(t.Context(), o.carl, w.ID, w.Version, "retention over"); err != nil || w.State != warrant.Purged {
		t.Error(err)
	}
}

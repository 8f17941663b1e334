package pgstore_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/signin"
)

// invited adds a person, confirmed by two, with a link that counts.
func (o *office) invited(t *testing.T, name string, role warrant.Role, way warrant.SignIn) (warrant.Person, signin.Enrolment) {
	t.Helper()
	p, err := o.AddPerson(t.Context(), o.root1, warrant.Person{Name: name, Role: role, SignIn: way})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmPerson(t.Context(), o.root2, p.ID); err != nil {
		t.Fatal(err)
	}
	_, hash := signin.NewSecret(signin.LinkPrefix)
	en, err := o.IssueEnrolment(t.Context(), o.root1, p.ID, hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmEnrolment(t.Context(), o.root2, p.ID, en.ID); err != nil {
		t.Fatal(err)
	}
	p.Confirmed = true
	return p, en
}

func key(id string, p warrant.Person, en signin.Enrolment) signin.Passkey {
	return signin.Passkey{ID: []byte(id), PersonID: p.ID, EnrolmentID: en.ID, PublicKey: []byte("cose"), Attestation: "none", AAGUID: make([]byte, 16), Transports: []string{}}
}

// enrolled is a person with a passkey.
func (o *office) enrolled(t *testing.T, name string, role warrant.Role) warrant.Actor {
	t.Helper()
	p, en := o.invited(t, name, role, warrant.ByPasskey)
	if err := o.EnrolPasskey(t.Context(), key("key of "+name, p, en), p, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	return warrant.Actor{Person: p, Source: "127.0.0.1"}
}

func (o *office) session(t *testing.T, p warrant.Person) signin.Session {
	t.Helper()
	_, hash := signin.NewSecret(signin.SessionPrefix)
	s, err := o.OpenSession(t.Context(), pgstore.SignedIn{
		Session:   signin.Session{PersonID: p.ID, Method: warrant.ByPasskey, AgentHash: signin.Hash("agent"), Source: "127.0.0.1"},
		TokenHash: hash, Role: p.Role,
	}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The application's own role cannot break the rules of sign-in by SQL.
func TestDatabaseHoldsSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	paul, dora := o.enrolled(t, "Paul", warrant.Approver), o.enrolled(t, "Dora", warrant.Drafter)
	sub := o.submitted(t, "SUB")
	session := o.session(t, paul.Person)
	eve, unconfirmed := o.invited(t, "Eve", warrant.Auditor, warrant.ByPasskey)
	if _, err := o.pool.Exec(t.Context(), "insert into enrolment select 'open', person_id, sha256('x'), issued_by, null, 1, created_at, expires_at from enrolment where id = $1", unconfirmed.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.DisablePerson(t.Context(), o.root1, eve.ID, "left"); err != nil {
		t.Fatal(err)
	}
	if err := o.DisablePerson(t.Context(), o.root1, o.carl.ID, "left"); err != nil {
		t.Fatal(err)
	}
	token, err := o.AddMachineToken(t.Context(), o.root1, signin.MachineToken{Name: "m", Role: warrant.Auditor, Operations: []string{"list-alarms"}, ExpiresAt: time.Now().Add(time.Hour)}, signin.Hash("m"))
	if err != nil {
		t.Fatal(err)
	}
	app := pgtest.AsApp(t, o.pool)
	const personColumns = "insert into person (id, name, role, signin, cert, added_by, confirmed_by, created_at) values "
	for _, tt := range []struct{ sql, id, constraint string }{
		{personColumns + "('m', 'M', 'approver', 'password', null, $1, null, now())", string(o.root1.ID), "person_password_cannot_approve"},
		{personColumns + "('m', 'M', 'approver', 'passkey', null, $1, 'setup', now())", string(o.root1.ID), "person_confirmed_by_sysadmin"},
		{personColumns + "('m', 'M', 'approver', 'passkey', null, 'x', $1, now())", string(o.bob.ID), "person_confirmed_by_sysadmin"},
		{personColumns + "('m', 'M', 'auditor', 'certificate', null, $1, null, now())", string(o.root1.ID), "person_certificate_has_cert"},
		{"update person set signin = 'passkey', cert = null where id = $1", string(o.bob.ID), "person_immutable"},
		{"update person set disabled_at = null where id = $1", string(eve.ID), "person_enable_four_eyes"},
		{"update person set disabled_at = null, enable_asked_by = 'x', enabled_by = 'y' where id = $1", string(eve.ID), "person_enable_four_eyes"},
		{"update person set enable_asked_by = 'x', enabled_by = 'x' where id = $1", string(eve.ID), "person_enabled_by_another"},
		{"update person set enable_asked_by = $1 where id = $1", string(eve.ID), "person_not_enabled_by_self"},
		{"insert into enrolment values ('e', $1, sha256('e'), 'r', 'r', 1, now(), now() + interval '1 hour')", string(paul.ID), "enrolment_confirmed_by_another"},
		{"insert into enrolment values ('e', $1, sha256('e'), $1, null, 1, now(), now() + interval '1 hour')", string(paul.ID), "enrolment_not_by_self"},
		{"insert into enrolment values ('e', $1, sha256('e'), 'r', null, 1, now(), now() + interval '8 days')", string(paul.ID), "enrolment_short"},
		{"insert into enrolment values ('e', $1, sha256('e'), 'r', null, 2, now(), now() + interval '1 hour')", string(paul.ID), "enrolment_remaining"},
		{"update enrolment set remaining = 1 where person_id = $1", string(paul.ID), "enrolment_immutable"},
		{"update enrolment set expires_at = expires_at + interval '1 hour' where person_id = $1", string(paul.ID), "enrolment_immutable"},
		{"insert into passkey select 'mine', person_id, 'open', 'k', 'none', '', 0, false, false, '{}', now() from enrolment where id = 'open' and $1 <> ''", "x", "passkey_enrolled_by_two"},
		{"insert into passkey select 'mine', $1, enrolment_id, 'k', 'none', '', 0, false, false, '{}', now() from passkey limit 1", string(o.bob.ID), "passkey_signin"},
		{"update passkey set public_key = 'mine' where person_id = $1", string(paul.ID), "passkey_immutable"},
		{"delete from passkey where person_id = $1", string(paul.ID), "passkey_never_changes"},
		{"insert into person_password values ($1, 'open', '$argon2id$', '', 0, now())", string(paul.ID), "person_password_signin"},
		{"insert into person_oidc values ('i', 's', $1, 'open', now())", string(paul.ID), "person_oidc_signin"},
		{"update signin_session set person_id = '" + string(o.root1.ID) + "' where id = $1", session.ID, "signin_session_immutable"},
		{"update signin_session set expires_at = expires_at + interval '1 hour' where id = $1", session.ID, "signin_session_immutable"},
		{"update machine_token set operations = '{approve-warrant}' where id = $1", token.ID, "machine_token_immutable"},
		{"update machine_token set confirmed_by = added_by where id = $1", token.ID, "machine_token_confirmed_by_another"},
		{"insert into machine_token select 'b', name, sha256('b'), role, '{list-alarms,approve-warrant}', added_by, null, created_at, expires_at from machine_token where id = $1", token.ID, "machine_token_only_reads"},
		{"insert into machine_token select 'b', name, sha256('b'), role, '{}', added_by, null, created_at, expires_at from machine_token where id = $1", token.ID, "machine_token_only_reads"},
		{"insert into machine_token select 'b', name, sha256('b'), 'approver', operations, added_by, null, created_at, expires_at from machine_token where id = $1", token.ID, "machine_token_role_known"},
		{"insert into machine_token select 'b', name, sha256('b'), role, operations, added_by, null, created_at, created_at + interval '91 days' from machine_token where id = $1", token.ID, "machine_token_short"},
		{"update warrant set state = 'approved', version = version + 1, approver = '" + string(paul.ID) + "' where id = $1", string(sub.ID), "warrant_approval_signed"},
		{"update warrant set state = 'approved', version = version + 1, approver = '" + string(o.carl.ID) + "' where id = $1", string(sub.ID), "warrant_approver_active"},
		{"insert into approval_signature select $1, 2, '" + string(dora.ID) + "', sha256(''), sha256(''), '', '', id, public_key, '', '', '', now() from passkey where person_id = '" + string(dora.ID) + "'", string(sub.ID), "approval_signature_own_passkey"},
		{"insert into approval_signature select $1, 2, '" + string(paul.ID) + "', sha256(''), sha256(''), '', '', id, public_key, '', '', '', now() from passkey where person_id = '" + string(dora.ID) + "'", string(sub.ID), "approval_signature_own_passkey"},
		{"insert into approval_signature select $1, 2, '" + string(paul.ID) + "', sha256(''), sha256(''), '', '', id, 'mine', '', '', '', now() from passkey where person_id = '" + string(paul.ID) + "'", string(sub.ID), "approval_signature_own_passkey"},
		{"insert into approval_signature select $1, 9, '" + string(paul.ID) + "', sha256(''), sha256(''), '', '', id, public_key, '', '', '', now() from passkey where person_id = '" + string(paul.ID) + "'", string(sub.ID), "approval_signature_version"},
	} {
		_, err := app.Exec(t.Context(), tt.sql, tt.id)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != tt.constraint {
			t.Errorf("%s:\n got %v, want %s", tt.sql, err, tt.constraint)
		}
	}
}

// The bootstrap link makes two system administrators, neither alone, and is void
// then; while somebody is known there is none.
func TestBootstrapMakesTwo(t *testing.T) {
	t.Parallel()
	if _, err := newOffice(t).Bootstrap(t.Context(), signin.Hash("x")); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("an office with people: %v", err)
	}
	o := emptyOffice(t)
	awaits := func() bool {
		v, err := o.AwaitsBootstrap(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !awaits() {
		t.Error("nobody is known and nothing is awaited")
	}
	old, err := o.Bootstrap(t.Context(), signin.Hash("old"))
	if err != nil {
		t.Fatal(err)
	}
	en, err := o.Bootstrap(t.Context(), signin.Hash("new"))
	if err != nil || awaits() {
		t.Fatalf("%v, awaits %v", err, awaits())
	}
	stale := warrant.Person{ID: "p-0", Name: "Stale"}
	if err := o.EnrolPasskey(t.Context(), key("k0", stale, en), stale, ""); err != nil {
		t.Fatal(err)
	}
	if en, err = o.Bootstrap(t.Context(), signin.Hash("newest")); err != nil { // the half that was used does not block it
		t.Fatal(err)
	}
	one, two, three := warrant.Person{ID: "p-1", Name: "One"}, warrant.Person{ID: "p-2", Name: "Two"}, warrant.Person{ID: "p-3", Name: "Three"}
	if err := o.EnrolPasskey(t.Context(), key("k9", one, old), one, ""); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("the older link: %v", err)
	}
	if err := o.EnrolPasskey(t.Context(), key("k1", one, en), one, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := o.ActivePerson(t.Context(), "p-1"); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("one alone is active: %v", err)
	}
	if err := o.EnrolPasskey(t.Context(), key("k1", two, en), two, ""); !errors.Is(err, warrant.ErrExists) {
		t.Errorf("the same key for both: %v", err)
	}
	if err := o.EnrolPasskey(t.Context(), key("k2", two, en), two, ""); err != nil {
		t.Fatal(err)
	}
	for _, id := range []warrant.PersonID{"p-1", "p-2"} {
		if p, err := o.ActivePerson(t.Context(), id); err != nil || p.Role != warrant.Sysadmin {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
	if _, err := o.ActivePerson(t.Context(), "p-0"); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("who used half of an older link is active: %v", err)
	}
	if err := o.EnrolPasskey(t.Context(), key("k3", three, en), three, ""); !errors.Is(err, warrant.ErrNotFound) {
		t.Errorf("a third: %v", err)
	}
	if _, err := o.EnrolFirst(t.Context(), []warrant.Person{{Name: "A", Role: warrant.Sysadmin, Cert: cert("1")}, {Name: "B", Role: warrant.Sysadmin, Cert: cert("2")}}); !isRule(err, warrant.RuleFourEyes) {
		t.Errorf("the ceremony after it: %v", err)
	}
	var actions []string
	rows, err := o.pool.Query(t.Context(), "select action from audit_entry order by index")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			t.Fatal(err)
		}
		actions = append(actions, a)
	}
	if want := []string{"enrolment.bootstrap", "enrolment.bootstrap", "passkey.enrol", "enrolment.bootstrap", "passkey.enrol", "passkey.enrol"}; !slices.Equal(actions, want) {
		t.Errorf("log %v, want %v", actions, want)
	}
}

// A link is used once, also by two at the same time.
func TestLinkIsUsedOnceAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p, en := o.invited(t, "Petra", warrant.Drafter, warrant.ByPasskey)
	results := make(chan error, 8)
	for i := range cap(results) {
		go func() { results <- o.EnrolPasskey(t.Context(), key(string(rune('a'+i)), p, en), p, "") }()
	}
	good := 0
	for range cap(results) {
		switch err := <-results; {
		case err == nil:
			good++
		case !errors.Is(err, warrant.ErrNotFound):
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("the link was used %d times", good)
	}
}

func TestFailuresDelayAndAreForgotten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	locked := func() time.Duration {
		until, err := o.LockedUntil(t.Context(), "person:x", "address:y")
		if err != nil {
			t.Fatal(err)
		}
		if until.IsZero() {
			return 0
		}
		return time.Until(until).Round(5 * time.Second)
	}
	for i, want := range []time.Duration{0, 0, 0, 0, 15 * time.Second, 30 * time.Second, time.Minute} {
		if err := o.Failed(t.Context(), "person:x", signin.FreeAccountFailures); err != nil {
			t.Fatal(err)
		}
		if got := locked(); got != want {
			t.Errorf("after %d: %v, want %v", i+1, got, want)
		}
	}
	if _, err := o.pool.Exec(t.Context(), "update signin_failure set last_at = last_at - interval '25 hours', locked_until = null"); err != nil {
		t.Fatal(err)
	}
	if err := o.Failed(t.Context(), "person:x", signin.FreeAccountFailures); err != nil || locked() != 0 {
		t.Errorf("a day later: %v, %v", err, locked())
	}
}

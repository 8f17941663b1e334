package pgstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/review"
)

// scribe is an office with one record of each kind, made as the application's role.
type scribe struct {
	*office
	open, closed warrant.Incident
	outage       pgstore.Outage
	quarter      string
	entry, other int64 // of the sample, and not of it
	done         string
	warrant      warrant.Warrant
}

func newScribe(t *testing.T) *scribe {
	t.Helper()
	o := newOffice(t)
	app := pgtest.AsApp(t, o.pool)
	o.with(t, func(cfg *pgstore.Config) { cfg.Pool, cfg.Operator = app, "Test Telecom" })
	s := &scribe{office: o, warrant: o.active(t, "L-1")}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, past := t.Context(), time.Now().Add(-time.Hour)
	_, err := o.Certify(ctx, o.ann, s.warrant.ID, form.CALEACertificate{Type: form.TitleIII, Officer: "O. Ficer", Signer: "J. Udge"})
	must(err)
	found := warrant.Incident{FoundAt: past, FoundHow: "seen", What: "a digit was wrong", Intrusion: "no"}
	s.open, err = o.OpenIncident(ctx, o.ann, found, []string{"stopped"})
	must(err)
	s.closed, err = o.OpenIncident(ctx, o.ann, found, []string{"stopped"})
	must(err)
	end := warrant.IncidentAct{Kind: warrant.IncidentClose, Intrusion: "no", RootCause: "haste", Prevention: "rest"}
	for _, id := range []string{s.open.ID, s.closed.ID} {
		_, err = o.ActOnIncident(ctx, o.ann, id, end)
		must(err)
	}
	_, err = o.ActOnIncident(ctx, o.bob, s.closed.ID, warrant.IncidentAct{Kind: warrant.IncidentConfirmClose})
	must(err)
	s.outage, err = o.DeclareOutage(ctx, o.ann, pgstore.Outage{Kind: "disk", Effect: "late", Began: past, ExpectedEnd: past.Add(2 * time.Hour), Contact: "x"})
	must(err)
	s.outage, err = o.RecoverOutage(ctx, o.ann, s.outage.ID, time.Now(), "nothing")
	must(err)
	s.review(t)
	return s
}

// entryAt puts an entry of that time on the log and returns its number.
func (s *scribe) entryAt(t *testing.T, at time.Time) int64 {
	t.Helper()
	n, err := s.log.Record(t.Context(), s.pool, audit.Entry{Time: at, Actor: "p", Action: "x", Result: "done"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// review starts the review of the last quarter, and closes the one before.
func (s *scribe) review(t *testing.T) {
	t.Helper()
	last := review.QuarterOf(time.Now(), time.UTC).Previous()
	s.quarter, s.done = last.String(), last.Previous().String()
	from, _ := last.Bounds(time.UTC)
	e := s.entryAt(t, from)
	r, err := s.StartReview(t.Context(), s.aud, s.quarter)
	if err != nil || len(r.Sample) != 1 || r.Sample[0].Entry != e {
		t.Fatalf("review: %+v, %v", r, err)
	}
	s.entry, s.other = e, e-1
	if _, err := s.StartReview(t.Context(), s.aud, s.done); err != nil {
		t.Fatal(err)
	}
	if r, err := s.CloseReview(t.Context(), s.aud, s.done); err != nil || r.Report == nil || r.Population != 0 {
		t.Fatalf("a quarter without entries: %+v, %v", r, err)
	}
}

// Whoever holds the application's connection can neither change a record nor close one
// alone; the owner of the tables meets the triggers.
func TestNoSQLChangesRecords(t *testing.T) {
	t.Parallel()
	s := newScribe(t)
	app := pgtest.AsApp(t, s.pool)
	try := func(db *pgxpool.Pool, sql, stops string) {
		t.Helper()
		_, err := db.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != stops && pg.Code != stops {
			t.Errorf("%s:\n got %v, want %s", sql, err, stops)
		}
	}
	for _, table := range []string{
		"certification", "incident", "incident_act", "outage", "outage_recovery", "outage_notice", "review", "review_sample", "review_close",
	} {
		column := map[string]string{"incident_act": "number", "outage_notice": "number", "outage_recovery": "missing", "review": "seed", "review_sample": "place", "review_close": "form"}[table]
		if column == "" {
			column = "id"
		}
		for _, sql := range []string{fmt.Sprintf("update %s set %s = %s", table, column, column), "delete from " + table} {
			try(app, sql, denied)
			try(s.pool, sql, table+"_never_changes")
		}
	}
	act := func(incident warrant.Incident, number int, kind, by string) string {
		return fmt.Sprintf(`insert into incident_act (incident_id, number, kind, text, at, "by", source, made_at, unauthorised_sealed) values ('%s', %d, '%s', 'x', now(), '%s', '', now(), sha512(''))`,
			incident.ID, number, kind, by)
	}
	ann, bob, aud := string(s.ann.ID), string(s.bob.ID), string(s.aud.ID)
	result := func(table, columns, values string) string {
		return "insert into " + table + " (" + columns + ") values (" + values + ")"
	}
	for sql, stops := range map[string]string{
		act(s.open, 3, "confirm-close", ann): "incident_closed_by_two",
		act(s.open, 3, "confirm-close", aud): "incident_act_by_compliance",
		act(s.open, 9, "action", bob):        "incident_act_consecutive",
		act(s.open, 3, "close", bob):         "incident_closed_with_findings",
		act(s.closed, 4, "action", bob):      "incident_is_closed",
		"insert into certification (id, form, made_by, source, made_at, numbers_sealed) values ('x', '{\"authority\": \"with\"}', '" + ann + "', '', now(), sha512(''))":                      "certification_says_authority",
		"insert into certification (id, warrant_id, form, made_by, source, made_at, numbers_sealed) values ('x', '" + string(s.warrant.ID) + "', '{}', '" + ann + "', '', now(), sha512(''))": "certification_says_authority",
		"insert into outage_recovery select outage_id, now(), 'all', declared_by, '', now() from outage_recovery":                                                                             "outage_recovery_pk",
		result("review_close", `quarter, form, "by", source, at`, "'"+s.quarter+"', '{}', '"+aud+"', '', now()"):                                                                              "review_every_entry_has_a_result",
		result("review_close", `quarter, form, "by", source, at`, "'"+s.quarter+"', '{}', '"+ann+"', '', now()"):                                                                              "review_by_auditor",
		result("review_result", `quarter, entry, result, finding, "by", source, at`, fmt.Sprintf("'%s', %d, 'agrees', '', '%s', '', now()", s.quarter, s.entry, bob)):                         "review_by_auditor",
		result("review_result", `quarter, entry, result, finding, "by", source, at`, fmt.Sprintf("'%s', %d, 'agrees', '', '%s', '', now()", s.quarter, s.other, aud)):                         "review_result_sample",
		result("review_result", `quarter, entry, result, finding, "by", source, at`, fmt.Sprintf("'%s', %d, 'differs', '', '%s', '', now()", s.quarter, s.entry, aud)):                        "review_result_has_finding",
		result("review_sample", "quarter, entry, place", fmt.Sprintf("'%s', %d, 9", s.done, s.entry)):                                                                                         "review_is_closed",
		result("review_sample", "quarter, entry, place", "'"+s.quarter+"', 1000000, 9"):                                                                                                       "review_sample_of_the_checkpoint",
		"insert into review values ('" + s.done + "', 0, 200, 1, sha256(''), sha256(''), '" + aud + "', '', now())":                                                                           "review_pk",
	} {
		try(app, sql, stops)
	}
}

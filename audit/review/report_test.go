package review_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/review"
)

// seedSQL is a warrant that was tapped as ordered (GOOD), and one where everything is
// wrong (BAD): tapped past its end, a session outside, content under signalling only, a
// segment missing, no receipt.
const seedSQL = `set local session_replication_role = replica;
	insert into warrant (id, version, state, previous_state, liid, authority, reference, legal_basis, agency_id, targets_hash, targets_sealed, scope, valid_from, valid_until, notes,
		drafter, approver, stopped_at, created_at, updated_at)
	select liid, 1, 'expired', 'active', liid, 'c', 'r', 'l', 'a1', array[sha256('x')], sha512('x'), scope, '2026-01-01Z', '2026-01-10Z', '', 'dan', 'bob', '2026-01-10Z', now(), now()
	from (values ('GOOD', 'iri+cc'), ('BAD', 'iri')) as w (liid, scope);
	insert into tap_interval (warrant_id, began_at, ended_at) values ('GOOD', '2026-01-01Z', '2026-01-10Z'), ('BAD', '2026-01-05Z', '2026-01-10 01:00Z');
	insert into session (id, liid, cin, agency_id, xid, correlation, started_at, ended_at, closed_at, last_at, direction, end_cause, next_iri, next_cc, missing, tap_seq_x2, tap_seq_x3, segments, chain_head)
	values ('00000000-0000-0000-0000-000000000001', 'GOOD', 1, 'a1', '00000000-0000-0000-0000-000000000011', '12345678', '2026-01-02Z', '2026-01-02 00:10Z', now(), now(), 'from_target', 'bye', 2, 100, 0, 1, 99, 2, sha256('g')),
	       ('00000000-0000-0000-0000-000000000002', 'BAD', 1, 'a1', '00000000-0000-0000-0000-000000000012', '12345678', '2026-01-03Z', '2026-01-03 00:10Z', now(), now(), 'from_target', 'bye', 2, 50, 7, 1, 56, 2, sha256('b'));
	insert into segment (session_id, number, kind, first_seq, last_seq, first_time, last_time, bytes, sha256, plain_sha256, chain, blob_key, created_at)
	select id::uuid, number, kind, first, last, now(), now(), 1, sha256('x'), sha256('y'), sha256('z'), id || number, now()
	from (values ('00000000-0000-0000-0000-000000000001', 1, 'iri', 0, 1), ('00000000-0000-0000-0000-000000000001', 2, 'cc', 0, 99),
	             ('00000000-0000-0000-0000-000000000002', 1, 'iri', 0, 1)) as s (id, number, kind, first, last);
	insert into receipt (session_id, chain_head, segments, person, cert, at) values ('00000000-0000-0000-0000-000000000001', sha256('g'), 2, 'ina', 'c', now())`

func seeded(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	err := pgx.BeginFunc(t.Context(), o.owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), seedSQL, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tap := func(action, liid, at string) {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		e := audit.Entry{Time: when, Actor: "ligate", Role: "system", Action: action, Warrant: liid, Object: "gw-1", Result: "done"}
		if _, err := o.log.Record(t.Context(), o.pool, e); err != nil {
			t.Fatal(err)
		}
	}
	tap("tap.started", "GOOD", "2026-01-01T00:00:00Z")
	tap("tap.stopped", "GOOD", "2026-01-10T00:00:00.4Z")
	tap("tap.started", "BAD", "2026-01-05T00:00:00Z")
	tap("tap.stopped", "BAD", "2026-01-10T01:00:00.4Z")
	return o
}

func period() review.Filter {
	return review.Filter{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
}

// Each report names what is wrong and nothing else.
func TestReportsFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	o := seeded(t)
	for name, want := range map[string]string{
		"late-ended": "warrant,right_ended,tap,ended,seconds_late\r\nBAD,2026-01-10T00:00:00Z,ordered,2026-01-10T01:00:00Z,3600.000\r\n" +
			"BAD,2026-01-10T00:00:00Z,gw-1,2026-01-10T01:00:00.4Z,3600.400\r\n",
		"unacknowledged":      "warrant,cin,agency,ended,segments,receipts_of_less\r\nBAD,1,a1,2026-01-03T00:10:00.000000Z,2,0\r\n",
		"retention-overdue":   "warrant,state,stopped,sessions_kept,held\r\nBAD,expired,2026-01-10T00:00:00.000000Z,1,false\r\nGOOD,expired,2026-01-10T00:00:00.000000Z,1,false\r\n",
		"outside-hours":       "index,time,actor,role,action,warrant,object,result,rule,source\r\n",
		"accesses-by-warrant": "warrant,actor,action,count,refused,first,last\r\n",
	} {
		table, err := o.store.Report(t.Context(), name, period())
		if err != nil {
			t.Fatal(name, err)
		}
		var out bytes.Buffer
		if err := table.CSV(&out); err != nil || out.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s(%v)", name, out.String(), want, err)
		}
	}
	f := period()
	f.Grace = 300 * time.Millisecond
	f.Warrant = "GOOD"
	if table, err := o.store.Report(t.Context(), "late-ended", f); err != nil || len(table.Rows) != 1 || table.Rows[0][4] != "0.400" {
		t.Errorf("with less grace: %v, %v", table, err)
	}
}

// The comparison is silent about what agrees and names each contradiction.
func TestComparison(t *testing.T) {
	t.Parallel()
	o := seeded(t)
	all, err := o.store.Compare(t.Context(), "")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for _, c := range all {
		got := strings.Join(c.Findings, "\n")
		want := ""
		if c.Warrant == "BAD" {
			want = strings.Join([]string{
				"tapping was allowed for 3600.000 s outside the warrant's dates",
				"1 sessions began outside every interval in which tapping was allowed",
				"50 content records under a warrant of signalling only",
				"segments: sessions count 2, the store has 1",
				"content: mediation numbered 50, segments hold 0",
				"7 PDUs of the tap never came (the agency was told by number)",
				"1 sessions without the agency's receipt",
			}, "\n")
		}
		if got != want || c.Started != 1 || c.Stopped != 1 {
			t.Errorf("%s: %+v\n%s\nwant\n%s", c.Warrant, c, got, want)
		}
	}
}

func TestFormulasInCSV(t *testing.T) {
	t.Parallel()
	table := review.Table{Columns: []string{"a", "b"}, Rows: [][]string{{"=cmd()", "-1"}, {"plain", `"q", x`}}}
	var out bytes.Buffer
	if err := table.CSV(&out); err != nil || out.String() != "a,b\r\n'=cmd(),'-1\r\nplain,\"\"\"q\"\", x\"\r\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

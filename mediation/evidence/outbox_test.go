package evidence_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// What a commit or a close entails waits in order, in lanes that are left out one by one,
// until it is dispatched.
func TestOutbox(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	_, err := a.pool.Exec(t.Context(), `set session_replication_role = replica;
		insert into agency (id, name, country, recipients, added_by, created_at) values ('agency-1', 'A', 'DE', '{age1x}', 'x', now());
		set session_replication_role = origin`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	p := a.session(t, task("L-1"), 1)
	next := *p
	next.EndedAt, next.EndCause = at().Add(time.Minute), "bye"
	err = a.Close(t.Context(), p, next, []evidence.Entailed{
		{Kind: segment.KindIRI, PDU: []byte("1")}, {Kind: segment.KindCC, PDU: []byte("2")}, {Kind: evidence.ForFiles, PDU: []byte("3")}, {Kind: segment.KindIRI, PDU: []byte("4")},
	})
	if err != nil {
		t.Fatal(err)
	}
	waits := func(without ...evidence.Lane) (got string) {
		t.Helper()
		all, err := a.Outbox(t.Context(), without)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			got += string(w.PDU)
		}
		return got
	}
	iri, cc := evidence.Lane{Agency: "agency-1", Kind: segment.KindIRI}, evidence.Lane{Agency: "agency-1", Kind: segment.KindCC}
	other := evidence.Lane{Agency: "agency-2", Kind: segment.KindIRI}
	for _, want := range []struct {
		got, want string
	}{{waits(), "1234"}, {waits(other), "1234"}, {waits(cc, other), "134"}, {waits(iri), "23"}, {waits(iri, cc), "3"}} {
		if want.got != want.want {
			t.Errorf("%s waits, want %s", want.got, want.want)
		}
	}
	all, err := a.Outbox(t.Context(), []evidence.Lane{cc})
	if err != nil || len(all) != 3 {
		t.Fatal(len(all), err)
	}
	if err := a.Dispatched(t.Context(), []int64{all[0].ID, all[2].ID}); err != nil {
		t.Fatal(err)
	}
	if got := waits(); got != "23" {
		t.Errorf("%s waits, want 23", got)
	}
}

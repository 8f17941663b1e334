package evidence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Entailed is a PS-PDU without content that a commit entails: an integrity check or
// a report. It stands in the database until it is on its way, so that a crash after
// the commit does not lose it.
type Entailed struct {
	Kind segment.Kind // iri goes over HI2, cc over HI3, ForFiles into capture files
	PDU  []byte
}

// ForFiles is the kind of what is noted in capture files; it is none of segments.
const ForFiles segment.Kind = "drop"

func entail(ctx context.Context, tx pgx.Tx, p *Progress, all []Entailed) error {
	for _, e := range all {
		_, err := tx.Exec(ctx, "insert into handover_outbox (agency_id, kind, pdu) select agency_id, $2, $3 from session where id = $1", p.ID, e.Kind, e.PDU)
		if err != nil {
			return fmt.Errorf("evidence: keep what a commit entails: %w", redact(err))
		}
	}
	return nil
}

// Waiting is an Entailed in the outbox.
type Waiting struct {
	ID       int64
	AgencyID warrant.AgencyID
	Entailed
}

// Lane is where an Entailed goes: what is of one lane goes in order.
type Lane struct {
	Agency warrant.AgencyID
	Kind   segment.Kind
}

// Outbox lists what waits in other lanes than those, oldest first, at most 1000.
func (s *Store) Outbox(ctx context.Context, without []Lane) ([]Waiting, error) {
	agencies, kinds := make([]string, len(without)), make([]string, len(without))
	for i, l := range without {
		agencies[i], kinds[i] = string(l.Agency), string(l.Kind)
	}
	rows, err := s.pool.Query(ctx, `select id, agency_id, kind, pdu from handover_outbox
		where (agency_id, kind) not in (select * from unnest($1::text[], $2::text[])) order by id limit 1000`, agencies, kinds)
	if err != nil {
		return nil, fmt.Errorf("evidence: read outbox: %w", redact(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Waiting, err error) {
		return w, row.Scan(&w.ID, &w.AgencyID, &w.Kind, &w.PDU)
	})
}

// Dispatched forgets what is safely on its way.
func (s *Store) Dispatched(ctx context.Context, ids []int64) error {
	_, err := s.pool.Exec(ctx, "delete from handover_outbox where id = any($1)", ids)
	return redact(err)
}

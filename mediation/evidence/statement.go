package evidence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// state appends e and, for a session that is closed, keeps the operator's statement
// of how it now stands, whose hash e holds.
func (s *Store) state(ctx context.Context, tx pgx.Tx, p *Progress, closed bool, e audit.Entry) error {
	if s.signer == nil || !closed {
		_, err := s.audit.Append(ctx, tx, e)
		return err
	}
	now := s.clock()
	manifest, err := s.manifest(ctx, tx, p, now)
	if err != nil {
		return err
	}
	signature, err := attest.Sign(*s.signer, manifest)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	e.Detail[attest.DetailManifest] = attest.SHA256(manifest)
	index, err := s.audit.Append(ctx, tx, e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into session_statement (session_id, segments, manifest, signature, audit_index, at)
		select id, segments, $2, $3, $4, $5 from session where id = $1`, p.ID, manifest, signature, index, now)
	if err != nil {
		return fmt.Errorf("evidence: keep statement: %w", redact(err))
	}
	return nil
}

// manifest is what the database says of a session within tx.
func (s *Store) manifest(ctx context.Context, tx pgx.Tx, p *Progress, now time.Time) ([]byte, error) {
	rows, err := tx.Query(ctx, sessionQuery+"where s.id = $1", p.ID)
	if err != nil {
		return nil, fmt.Errorf("evidence: read session: %w", redact(err))
	}
	m := attest.Manifest{Operator: s.about, Signed: now, Clock: attest.ClockNow()}
	if m.Session, err = pgx.CollectExactlyOneRow(rows, scanSession); err != nil {
		return nil, fmt.Errorf("evidence: read session: %w", redact(err))
	}
	m.Session.Acked = nil
	if rows, err = tx.Query(ctx, "select "+segmentColumns+" from segment where session_id = $1 order by number", p.ID); err != nil {
		return nil, fmt.Errorf("evidence: list segments: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, scanSegment)
	if err != nil {
		return nil, fmt.Errorf("evidence: list segments: %w", redact(err))
	}
	m.Segments = make([]segment.SegmentDoc, len(all))
	for i, d := range all {
		m.Segments[i] = d.SegmentDoc
	}
	if rows, err = tx.Query(ctx, "select number, kind, after, missing, at, cause from segment_gap where session_id = $1 order by number, place", p.ID); err != nil {
		return nil, fmt.Errorf("evidence: list gaps: %w", redact(err))
	}
	m.Gaps, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g attest.Gap, err error) {
		err = row.Scan(&g.Segment, &g.Kind, &g.After, &g.Missing, &g.Time, &g.Cause)
		g.Time = g.Time.UTC()
		return g, err
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: list gaps: %w", redact(err))
	}
	b, err := attest.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return b, nil
}

// Statement returns the operator's newest statement of a session, with the custody
// trail as it stands: what mediation did and each access of the agency, proved to a
// checkpoint of now. A session that is not closed, or was closed before statements
// were made, has none: ErrNotFound.
func (s *Store) Statement(ctx context.Context, liid li.LIID, cin li.CIN) (attest.Statement, error) {
	var out attest.Statement
	err := s.pool.QueryRow(ctx, `select t.manifest, t.signature, t.audit_index from session s join session_statement t on t.session_id = s.id
		where s.liid = $1 and s.cin = $2`+released+" order by t.segments desc limit 1", liid, cin).Scan(&out.Manifest, &out.Signature, &out.Index)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, ErrNotFound
	}
	if err != nil {
		return out, fmt.Errorf("evidence: read statement: %w", redact(err))
	}
	out.Custody, out.Checkpoint, err = s.audit.Inclusions(ctx, s.pool, audit.Filter{Warrant: string(liid)}, func(r audit.Record) bool {
		return r.Entry != nil && (r.Entry.Role == "agency" || r.Entry.Role == "mediation") && attest.Concerns(r, liid, cin)
	})
	if err != nil {
		return out, fmt.Errorf("evidence: prove custody: %w", err)
	}
	return out, nil
}

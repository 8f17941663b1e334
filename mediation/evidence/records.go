package evidence

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
)

// Receipt is an agency's word that it has a session up to a chain head.
type Receipt struct {
	CIN       li.CIN
	ChainHead string // lower-case hexadecimal
	Segments  int
	Person    string // of the agency
	Cert      string // fingerprint
	At        time.Time
}

// Receipts lists the receipts of a LIID, oldest first.
func (s *Store) Receipts(ctx context.Context, liid li.LIID) ([]Receipt, error) {
	rows, err := s.pool.Query(ctx, `select s.cin, encode(r.chain_head, 'hex'), r.segments, r.person, r.cert, r.at
		from receipt r join session s on s.id = r.session_id where s.liid = $1 order by r.at, s.cin`, liid)
	if err != nil {
		return nil, fmt.Errorf("evidence: list receipts: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Receipt, error) {
		r, err := pgx.RowToStructByPos[Receipt](row)
		r.At = r.At.UTC()
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: list receipts: %w", redact(err))
	}
	return all, nil
}

// Destroyed is what is left of a session whose segments were destroyed.
type Destroyed struct {
	CIN       li.CIN
	ChainHead string   // lower-case hexadecimal
	SHA256    []string // of its sealed segments, in their order
	PurgedAt  time.Time
}

// Destroyed lists what a purge of a LIID destroyed, by hash.
func (s *Store) Destroyed(ctx context.Context, liid li.LIID) ([]Destroyed, error) {
	rows, err := s.pool.Query(ctx, `select s.cin, s.chain_head, array (select encode(g.sha256, 'hex') from segment g where g.session_id = s.id order by g.number), s.purged_at
		from session s where s.liid = $1 and s.purged_at is not null order by s.cin`, liid)
	if err != nil {
		return nil, fmt.Errorf("evidence: list purged sessions: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Destroyed, error) {
		var d Destroyed
		var head []byte
		err := row.Scan(&d.CIN, &head, &d.SHA256, &d.PurgedAt)
		d.ChainHead, d.PurgedAt = hex.EncodeToString(head), d.PurgedAt.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: list purged sessions: %w", redact(err))
	}
	return all, nil
}

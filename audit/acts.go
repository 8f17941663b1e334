package audit

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// Acts returns what was done to each of these warrants, in the order of the tree,
// without the mere readings. An entry that is not what the tree commits to is left out:
// a row that somebody wrote into the table past the log proves nothing. Whether the tree
// itself is the one that was signed is the auditor's check.
func (l *Log) Acts(ctx context.Context, db querier, warrants []string) (map[string][]Entry, error) {
	rows, err := db.Query(ctx, `select index, record, salt, commitment from audit_entry
		where warrant = any($1) and action not in ('warrant.read', 'warrant.list') and record is not null order by index`, warrants)
	if err != nil {
		return nil, fmt.Errorf("audit: list acts: %w", err)
	}
	records, err := pgx.CollectRows(rows, scanCommitted)
	if err != nil {
		return nil, fmt.Errorf("audit: list acts: %w", err)
	}
	leaves, err := l.leaves(ctx, db, records)
	if err != nil {
		return nil, err
	}
	acts := make(map[string][]Entry, len(warrants))
	for _, r := range records {
		want := tlog.RecordHash(r.Commitment)
		if r.Entry != nil && bytes.Equal(leaves[tlog.StoredHashIndex(0, r.Index)], want[:]) {
			acts[r.Entry.Warrant] = append(acts[r.Entry.Warrant], *r.Entry)
		}
	}
	return acts, nil
}

// scanCommitted is scanRecord without the entry where the commitment is not its own.
func scanCommitted(row pgx.CollectableRow) (Record, error) {
	var r Record
	var canonical []byte
	if err := row.Scan(&r.Index, &canonical, &r.Salt, &r.Commitment); err != nil {
		return Record{}, err
	}
	if !bytes.Equal(commit(r.Salt, canonical), r.Commitment) {
		return r, nil
	}
	if e, err := parseCanonical(canonical); err == nil {
		r.Entry = &e
	}
	return r, nil
}

// leaves returns what the tree holds for the records, by the index of its hashes.
func (l *Log) leaves(ctx context.Context, db querier, records []Record) (map[int64][]byte, error) {
	ids := make([]int64, len(records))
	for i, r := range records {
		ids[i] = tlog.StoredHashIndex(0, r.Index)
	}
	rows, err := db.Query(ctx, "select id, hash from audit_hash where id = any($1)", ids)
	if err != nil {
		return nil, fmt.Errorf("audit: read leaves: %w", err)
	}
	leaves := make(map[int64][]byte, len(ids))
	var id int64
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &hash}, func() error {
		leaves[id] = bytes.Clone(hash)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit: read leaves: %w", err)
	}
	return leaves, nil
}

package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Record is an entry with its place in the tree. Entry and Salt are nil once it was
// erased by rule; Entry alone is nil if what is stored is no entry any more.
type Record struct {
	Index      int64  `json:"index"`
	Entry      *Entry `json:"entry"`
	Salt       []byte `json:"salt"`
	Commitment []byte `json:"commitment"`
}

// Filter narrows a listing; zero fields do not.
type Filter struct {
	Actor, Action, Warrant string
	From, Until            time.Time // from included, until excluded
	After                  string    // cursor that an earlier listing returned
	Limit                  int       // 1 to MaxLimit; default 100

	end int64 // index from which on nothing is listed; 0 = no end
}

// MaxLimit is the most entries of one listing.
const MaxLimit = 1000

const defaultLimit = 100

// Entries lists records in the order of the tree and the cursor of the next page,
// empty on the last.
func (l *Log) Entries(ctx context.Context, db querier, f Filter) (records []Record, next string, err error) {
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	after := int64(-1)
	if f.After != "" {
		if after, err = strconv.ParseInt(f.After, 10, 64); err != nil || after < 0 {
			return nil, "", ErrFilter
		}
	}
	if f.Limit < 1 || f.Limit > MaxLimit {
		return nil, "", ErrFilter
	}
	rows, err := db.Query(ctx, `select index, record, salt, commitment from audit_entry
		where index > $1 and ($2 = '' or actor = $2) and ($3 = '' or action = $3) and ($4 = '' or warrant = $4)
		  and ($5::timestamptz is null or time >= $5) and ($6::timestamptz is null or time < $6)
		  and ($8::bigint = 0 or index < $8)
		order by index limit $7`, after, f.Actor, f.Action, f.Warrant, timeOrNull(f.From), timeOrNull(f.Until), f.Limit+1, f.end)
	if err != nil {
		return nil, "", fmt.Errorf("audit: list entries: %w", err)
	}
	records, err = pgx.CollectRows(rows, scanRecord)
	if err != nil {
		return nil, "", fmt.Errorf("audit: list entries: %w", err)
	}
	if len(records) > f.Limit {
		records = records[:f.Limit]
		next = strconv.FormatInt(records[f.Limit-1].Index, 10)
	}
	return records, next, nil
}

// Entry returns one record.
func (l *Log) Entry(ctx context.Context, db querier, index int64) (Record, error) {
	rows, err := db.Query(ctx, "select index, record, salt, commitment from audit_entry where index = $1", index)
	if err != nil {
		return Record{}, fmt.Errorf("audit: read entry: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRecord)
	if errors.Is(err, pgx.ErrNoRows) {
		return Record{}, ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("audit: read entry: %w", err)
	}
	return r, nil
}

func scanRecord(row pgx.CollectableRow) (Record, error) {
	var r Record
	var canonical []byte
	if err := row.Scan(&r.Index, &canonical, &r.Salt, &r.Commitment); err != nil {
		return Record{}, err
	}
	if canonical == nil {
		return r, nil
	}
	// Damage is shown, not hidden behind an error: the auditor must get the rest.
	if e, err := parseCanonical(canonical); err == nil {
		r.Entry = &e
	}
	return r, nil
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

package audit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// head is where the stored log stands.
type head struct {
	size   int64 // entries
	hashes int64 // stored hashes
	signed int64 // size of the largest checkpoint
}

// One statement, so that the three are of one moment.
const headSQL = `select
	(select coalesce(max(index) + 1, 0) from audit_entry),
	(select coalesce(max(id) + 1, 0) from audit_hash),
	(select coalesce(max(size), 0) from audit_checkpoint)`

func (h *head) scan(row pgx.Row) error { return row.Scan(&h.size, &h.hashes, &h.signed) }

// check refuses a log whose end is gone. Going on from there would sign a second tree
// of a size that was signed before.
func (h *head) check() error {
	if h.hashes != tlog.StoredHashCount(h.size) || h.signed > h.size {
		return ErrDamaged
	}
	return nil
}

func readHead(ctx context.Context, db querier) (head, error) {
	var h head
	if err := h.scan(db.QueryRow(ctx, headSQL)); err != nil {
		return head{}, fmt.Errorf("audit: read size: %w", err)
	}
	return h, nil
}

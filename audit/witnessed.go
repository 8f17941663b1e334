package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cosignature is a witness's signature line of the checkpoint of a size.
type Cosignature struct {
	Size    int64
	Witness string // its name
	Line    []byte // as it follows the checkpoint
}

// KeepCosignature stores a cosignature beside its checkpoint; the first one of a
// witness stays. The caller has checked it.
func (l *Log) KeepCosignature(ctx context.Context, db querier, c Cosignature) error {
	_, err := db.Exec(ctx, "insert into audit_cosignature (size, witness, line, kept_at) values ($1, $2, $3, $4) on conflict (size, witness) do nothing",
		c.Size, c.Witness, c.Line, time.Now().UTC())
	if err != nil {
		return fmt.Errorf("audit: keep cosignature: %w", err)
	}
	return nil
}

// Cosigned returns the largest size that the witness of that name cosigned; 0 = none.
func (l *Log) Cosigned(ctx context.Context, db querier, witness string) (size int64, err error) {
	err = db.QueryRow(ctx, "select coalesce(max(size), 0) from audit_cosignature where witness = $1", witness).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("audit: read cosignatures: %w", err)
	}
	return size, nil
}

// notesSQL gives each checkpoint with its cosignatures after its own signature.
const notesSQL = `select c.note || coalesce((select string_agg(s.line, ''::bytea order by s.witness) from audit_cosignature s where s.size = c.size), ''::bytea)
	from audit_checkpoint c `

// Witnessed returns the newest kept checkpoint that a witness cosigned, with all its
// cosignatures; where none was cosigned, the newest. ErrNotFound says that none was
// made yet. It signs nothing.
func (l *Log) Witnessed(ctx context.Context, db querier) (checkpoint []byte, err error) {
	err = db.QueryRow(ctx, notesSQL+`where c.size = coalesce((select max(size) from audit_cosignature), (select max(size) from audit_checkpoint))`).Scan(&checkpoint)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("audit: read checkpoint: %w", err)
	}
	return checkpoint, nil
}

package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// An export is a text of JSON lines: one header, all records in order, all
// checkpoints in order of size, each followed by the cosignatures that it has. Each line is as encoding/json writes it.
const exportFormat = "ligate-audit-export/1"

// maxLineBytes bounds one line of an export: the largest entry, each octet of it
// escaped to six.
const maxLineBytes = 4 << 20

// line is one line of an export; exactly one field is set.
type line struct {
	Header     *exportHeader `json:"header,omitempty"`
	Record     *Record       `json:"record,omitempty"`
	Checkpoint *string       `json:"checkpoint,omitempty"`
}

type exportHeader struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
}

// Export writes the whole log, ended by a checkpoint over all of it. Entries that are
// appended meanwhile are left to the next export. A damaged log is exported as it is,
// without a new checkpoint, so that Verify can say what is wrong.
func (l *Log) Export(ctx context.Context, db querier, w io.Writer) error {
	// The checkpoints first: what was signed before must then be among the entries.
	notes, err := checkpoints(ctx, db)
	if err != nil {
		return err
	}
	newest, size, err := l.checkpoint(ctx, db)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err == nil && (len(notes) == 0 || !strings.HasPrefix(notes[len(notes)-1], string(newest))) {
		notes = append(notes, string(newest))
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if err := enc.Encode(line{Header: &exportHeader{Format: exportFormat, Origin: l.origin}}); err != nil {
		return fmt.Errorf("audit: write export: %w", err)
	}
	if err := l.exportRecords(ctx, db, enc, size); err != nil {
		return err
	}
	for i := range notes {
		if err := enc.Encode(line{Checkpoint: &notes[i]}); err != nil {
			return fmt.Errorf("audit: write export: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit: write export: %w", err)
	}
	return nil
}

func checkpoints(ctx context.Context, db querier) ([]string, error) {
	rows, err := db.Query(ctx, notesSQL+"order by c.size")
	if err != nil {
		return nil, fmt.Errorf("audit: read checkpoints: %w", err)
	}
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("audit: read checkpoints: %w", err)
	}
	notes := make([]string, len(raw))
	for i := range raw {
		notes[i] = string(raw[i])
	}
	return notes, nil
}

func (l *Log) exportRecords(ctx context.Context, db querier, enc *json.Encoder, size int64) error {
	if size == 0 {
		return nil
	}
	f := Filter{Limit: MaxLimit, end: size}
	for {
		records, next, err := l.Entries(ctx, db, f)
		if err != nil {
			return err
		}
		for i := range records {
			if err := enc.Encode(line{Record: &records[i]}); err != nil {
				return fmt.Errorf("audit: write export: %w", err)
			}
		}
		if f.After = next; next == "" {
			return nil
		}
	}
}

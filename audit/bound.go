package audit

import (
	"context"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// database is a pool or connection.
type database interface {
	querier
	beginner
}

// Bound is a Log with its database, for those who have none of their own.
type Bound struct {
	log *Log
	db  database
}

// On binds the log to its database.
func (l *Log) On(db database) Bound { return Bound{log: l, db: db} }

// Record appends an entry in a transaction of its own.
func (b Bound) Record(ctx context.Context, e Entry) error {
	_, err := b.log.Record(ctx, b.db, e)
	return err
}

// Entries is Log.Entries.
func (b Bound) Entries(ctx context.Context, f Filter) ([]Record, string, error) {
	return b.log.Entries(ctx, b.db, f)
}

// Checkpoint is Log.Checkpoint.
func (b Bound) Checkpoint(ctx context.Context) ([]byte, error) { return b.log.Checkpoint(ctx, b.db) }

// Witnessed is Log.Witnessed.
func (b Bound) Witnessed(ctx context.Context) ([]byte, error) { return b.log.Witnessed(ctx, b.db) }

// Cosigned is Log.Cosigned.
func (b Bound) Cosigned(ctx context.Context, witness string) (int64, error) {
	return b.log.Cosigned(ctx, b.db, witness)
}

// KeepCosignature is Log.KeepCosignature.
func (b Bound) KeepCosignature(ctx context.Context, c Cosignature) error {
	return b.log.KeepCosignature(ctx, b.db, c)
}

// InclusionProof is Log.InclusionProof.
func (b Bound) InclusionProof(ctx context.Context, index, size int64) ([]tlog.Hash, error) {
	return b.log.InclusionProof(ctx, b.db, index, size)
}

// ConsistencyProof is Log.ConsistencyProof.
func (b Bound) ConsistencyProof(ctx context.Context, older, newer int64) ([]tlog.Hash, error) {
	return b.log.ConsistencyProof(ctx, b.db, older, newer)
}

// Tile is Log.Tile.
func (b Bound) Tile(ctx context.Context, path string) ([]byte, error) {
	return b.log.Tile(ctx, b.db, path)
}

// Export is Log.Export.
func (b Bound) Export(ctx context.Context, w io.Writer) error { return b.log.Export(ctx, b.db, w) }

package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Config is what a Log needs; all fields are required.
type Config struct {
	Origin string      // names the log in its checkpoints, such as "op-1.example/ligate"
	Signer note.Signer // signs checkpoints; its name is Origin
}

// Log appends to and proves the audit log. The database is the caller's.
type Log struct {
	origin string
	signer note.Signer
}

// querier is a transaction, connection or pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// beginner is a pool or connection.
type beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// New validates the configuration.
func New(cfg Config) (*Log, error) {
	if cfg.Origin == "" || cfg.Signer == nil || cfg.Signer.Name() != cfg.Origin {
		return nil, errors.New("audit: Origin and a Signer of that name are required")
	}
	return &Log{origin: cfg.Origin, signer: cfg.Signer}, nil
}

// NewKey makes a signing key for a log: the secret for the operator, the verifier
// key for the auditor.
func NewKey(origin string) (secret, verifier string, err error) {
	secret, verifier, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", fmt.Errorf("audit: make key: %w", err)
	}
	return secret, verifier, nil
}

// lockID serialises writers: the tree has one end.
const lockID = 0x6c6967617465 // "ligate"

// Append adds e to the log within tx and returns its index. Time zero means now.
// The entry exists if and only if tx commits; until then other writers wait, so
// append last in a transaction. tx must be read committed: a transaction with an
// older view of the log fails.
func (l *Log) Append(ctx context.Context, tx pgx.Tx, e Entry) (int64, error) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if err := e.validate(); err != nil {
		return 0, err
	}
	var h head
	begin := &pgx.Batch{}
	begin.Queue("select pg_advisory_xact_lock($1)", int64(lockID))
	begin.Queue(headSQL).QueryRow(h.scan)
	if err := tx.SendBatch(ctx, begin).Close(); err != nil {
		return 0, fmt.Errorf("audit: wait for other writers: %w", err)
	}
	if err := h.check(); err != nil {
		return 0, err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	record := e.canonical()
	commitment := commit(salt, record)
	hashes, err := tlog.StoredHashes(h.size, commitment, hashReader{ctx, tx})
	if err != nil {
		return 0, fmt.Errorf("audit: compute hashes: %w", err)
	}
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	insert := &pgx.Batch{}
	insert.Queue(`insert into audit_entry (index, time, actor, action, warrant, record, salt, commitment)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, h.size, e.Time, e.Actor, e.Action, e.Warrant, record, salt, commitment)
	insert.Queue(`insert into audit_hash (id, hash) select $1 + n - 1, hash from unnest($2::bytea[]) with ordinality as new (hash, n)`,
		tlog.StoredHashIndex(0, h.size), raw)
	if err := tx.SendBatch(ctx, insert).Close(); err != nil {
		return 0, fmt.Errorf("audit: append entry: %w", err)
	}
	return h.size, nil
}

// Record appends e in a transaction of its own.
func (l *Log) Record(ctx context.Context, db beginner, e Entry) (index int64, err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("audit: begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	if index, err = l.Append(ctx, tx, e); err != nil {
		return 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		return 0, fmt.Errorf("audit: commit: %w", err)
	}
	return index, nil
}

// Size returns the number of entries.
func (l *Log) Size(ctx context.Context, db querier) (int64, error) {
	h, err := readHead(ctx, db)
	return h.size, err
}

// hashReader reads stored hashes for tlog.
type hashReader struct {
	ctx context.Context //nolint:containedctx // tlog's interface has no context; the reader lives for one call
	db  querier
}

// ReadHashes implements tlog.HashReader.
func (r hashReader) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	rows, err := r.db.Query(r.ctx, "select h.hash from unnest($1::bigint[]) with ordinality as want (id, n) join audit_hash h using (id) order by want.n", ids)
	if err != nil {
		return nil, fmt.Errorf("audit: read hashes: %w", err)
	}
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("audit: read hashes: %w", err)
	}
	if len(raw) != len(ids) {
		return nil, ErrDamaged
	}
	hashes := make([]tlog.Hash, len(raw))
	for i, b := range raw {
		hashes[i] = tlog.Hash(b)
	}
	return hashes, nil
}

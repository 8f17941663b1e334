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

	gathering *gathering // of Record
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
	return &Log{origin: cfg.Origin, signer: cfg.Signer, gathering: &gathering{waiting: map[beginner][]*waiter{}}}, nil
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
	return l.AppendAll(ctx, tx, []Entry{e})
}

// Record appends e in a transaction of its own, which it may share with other Records
// of the same moment; when it returns, the entry is committed or will never be.
func (l *Log) Record(ctx context.Context, db beginner, e Entry) (index int64, err error) {
	r, err := makeRow(e, time.Now())
	if err != nil {
		return 0, err
	}
	return l.gathering.record(ctx, l, db, r)
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

package audit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpointText is the body of a C2SP tlog-checkpoint: origin, size, root.
func checkpointText(origin string, size int64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

// OpenCheckpoint checks a checkpoint's signature against the log's verifier key
// and returns the size and root that it signs.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (size int64, root tlog.Hash, err error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, root, ErrCheckpoint
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return 0, root, ErrCheckpoint
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	b, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] || len(b) != tlog.HashSize {
		return 0, root, ErrCheckpoint
	}
	return size, tlog.Hash(b), nil
}

// Checkpoint signs the tree as it stands and keeps the result. A tree that has
// not grown since gives the same checkpoint again. Within a transaction that
// appended it is ErrUncommitted: the entry may yet be rolled back, and another take
// its place in the tree.
func (l *Log) Checkpoint(ctx context.Context, db querier) ([]byte, error) {
	signed, _, err := l.checkpoint(ctx, db)
	return signed, err
}

func (l *Log) checkpoint(ctx context.Context, db querier) (signed []byte, size int64, err error) {
	if err := refuseUncommitted(ctx, db); err != nil {
		return nil, 0, err
	}
	h, err := readHead(ctx, db)
	if err != nil {
		return nil, 0, err
	}
	if err := h.check(); err != nil {
		return nil, h.size, err
	}
	err = db.QueryRow(ctx, "select note from audit_checkpoint where size = $1", h.size).Scan(&signed)
	if err == nil {
		return signed, h.size, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, fmt.Errorf("audit: read checkpoint: %w", err)
	}
	root, err := tlog.TreeHash(h.size, hashReader{ctx, db})
	if err != nil {
		return nil, h.size, fmt.Errorf("audit: compute root: %w", err)
	}
	signed, err = note.Sign(&note.Note{Text: checkpointText(l.origin, h.size, root)}, l.signer)
	if err != nil {
		return nil, 0, fmt.Errorf("audit: sign checkpoint: %w", err)
	}
	_, err = db.Exec(ctx, "insert into audit_checkpoint (size, note) values ($1, $2) on conflict (size) do nothing", h.size, signed)
	if err != nil {
		return nil, 0, fmt.Errorf("audit: keep checkpoint: %w", err)
	}
	return signed, h.size, nil
}

// refuseUncommitted asks whether this very connection holds the writers' lock, which
// it does from Append to the end of its transaction.
func refuseUncommitted(ctx context.Context, db querier) error {
	var appended bool
	err := db.QueryRow(ctx, `select exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
		and classid = $1::bigint::oid and objid = $2::bigint::oid and objsubid = 1)`, int64(lockID)>>32, int64(lockID)&0xffffffff).Scan(&appended)
	if err != nil {
		return fmt.Errorf("audit: look for uncommitted entries: %w", err)
	}
	if appended {
		return ErrUncommitted
	}
	return nil
}

// FirstCheckpoint returns the size and root of the first checkpoint that was kept at
// the time or later, of the tree as it is; ErrNotFound where there is none yet.
func (l *Log) FirstCheckpoint(ctx context.Context, db querier, at time.Time) (size int64, root tlog.Hash, err error) {
	var signed []byte
	err = db.QueryRow(ctx, "select size, note from audit_checkpoint where created_at >= $1 and size > 0 order by size limit 1", at).Scan(&size, &signed)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, root, ErrNotFound
	}
	if err != nil {
		return 0, root, fmt.Errorf("audit: read checkpoint: %w", err)
	}
	if root, err = tlog.TreeHash(size, hashReader{ctx, db}); err != nil {
		return 0, root, fmt.Errorf("audit: compute root: %w", err)
	}
	if !strings.HasPrefix(string(signed), checkpointText(l.origin, size, root)) {
		return 0, root, ErrDamaged
	}
	return size, root, nil
}

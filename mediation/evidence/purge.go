package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
)

// doomed is a session whose segments are to be destroyed.
type doomed struct {
	ID       string
	CIN      li.CIN
	Segments int
	Chain    []byte
}

// Purge destroys the sealed segments of a LIID. Rows and hashes stay; what is to
// be destroyed is on the audit log before it is, and again when it is done. After
// an error, call it again.
func (s *Store) Purge(ctx context.Context, liid li.LIID) error {
	rows, err := s.pool.Query(ctx, "select id::text, cin, segments, chain_head from session where liid = $1 and purged_at is null order by cin", liid)
	if err != nil {
		return fmt.Errorf("evidence: list sessions: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[doomed])
	if err != nil {
		return fmt.Errorf("evidence: list sessions: %w", redact(err))
	}
	for _, d := range all {
		if err := s.purge(ctx, liid, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) purge(ctx context.Context, liid li.LIID, d doomed) error {
	e := system("evidence.purge", liid, d.CIN, map[string]string{"segments": strconv.Itoa(d.Segments), "chain": hex.EncodeToString(d.Chain)})
	e.Result = "begun"
	if _, err := s.audit.Record(ctx, s.pool, e); err != nil {
		return err
	}
	destroyed, err := s.destroy(ctx, d.ID)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update session set purged_at = $2 where id = $1 and purged_at is null", d.ID, s.clock()); err != nil {
			return fmt.Errorf("evidence: mark purged: %w", redact(err))
		}
		done := system("evidence.purge", liid, d.CIN, map[string]string{"blobs": strconv.Itoa(destroyed), "chain": hex.EncodeToString(d.Chain)})
		_, err := s.audit.Append(ctx, tx, done)
		return err
	})
}

// destroy deletes all blobs of a session, those too that a crash left without a
// row.
func (s *Store) destroy(ctx context.Context, session string) (n int, err error) {
	var keys []string
	list := s.bucket.List(&blob.ListOptions{Prefix: prefix(session)})
	for {
		o, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("evidence: list blobs: %w", blobError(err))
		}
		keys = append(keys, o.Key)
	}
	for _, key := range keys {
		if err := s.bucket.Delete(ctx, key); err != nil && !isGone(err) {
			return 0, fmt.Errorf("evidence: destroy segment: %w", blobError(err))
		}
	}
	return len(keys), nil
}

func system(action string, liid li.LIID, cin li.CIN, detail map[string]string) audit.Entry {
	return audit.Entry{
		Actor: "ligate", Role: "mediation", Action: action, Warrant: string(liid), Object: fmt.Sprintf("cin %d", cin), Result: "done", Detail: detail,
	}
}

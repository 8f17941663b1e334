package evidence

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// chainEvery is how often at most a session's chain head goes on the audit log
// before its end.
const chainEvery = time.Minute

// Blob is a ciphertext that stands in the blob store. Nothing counts on it until
// Commit.
type Blob struct {
	key    string
	sha256 segment.Hash
	bytes  int64
}

// Put writes a session's ciphertext under a new, unguessable name.
func (s *Store) Put(ctx context.Context, p *Progress, ciphertext []byte) (Blob, error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	b := Blob{key: prefix(p.ID.String()) + hex.EncodeToString(random) + ".age", sha256: sha256.Sum256(ciphertext), bytes: int64(len(ciphertext))}
	if err := s.bucket.WriteAll(ctx, b.key, ciphertext, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return Blob{}, fmt.Errorf("evidence: write blob: %w", blobError(err))
	}
	if err := s.flush(b.key); err != nil {
		return Blob{}, fmt.Errorf("evidence: flush blob: %w", err)
	}
	return b, nil
}

// prefix begins the names of all blobs of a session.
func prefix(session string) string { return session + "/" }

// Sealed is one sealed segment whose ciphertext was Put.
type Sealed struct {
	Kind                segment.Kind
	FirstSeq, LastSeq   uint32
	FirstTime, LastTime time.Time
	Plaintext           segment.Hash // SHA-256 of the plaintext
	Blob                Blob
	Through             []Position // of Kind, one a bus: what the segment covers
	Entails             []Entailed // what is to be pushed because of it
	Gaps                []segment.Gap
}

// Commit adds a segment and moves the session from p to next. Either all of it
// happens or nothing. On success *p is next with its new number, chain head and
// positions. ErrConflict says that the session does not stand where p says: an
// earlier attempt may have succeeded unseen, so Reload it.
func (s *Store) Commit(ctx context.Context, p *Progress, next Progress, sealed Sealed) error {
	now := s.clock()
	next.Segments = p.Segments + 1
	next.ChainHead = segment.ChainNext(p.ChainHead, next.Segments, sealed.Blob.sha256, sealed.Plaintext)
	log := now.Sub(p.loggedAt) >= chainEvery || s.signer != nil && !p.ClosedAt.IsZero()
	if log {
		next.loggedAt = now
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := move(ctx, tx, p, next, func() error { return insert(ctx, tx, p, next, sealed, now) }); err != nil {
			return err
		}
		if !log {
			return nil
		}
		return s.state(ctx, tx, p, !p.ClosedAt.IsZero(), system("session.chain", p.LIID, p.CIN, map[string]string{
			"segments": strconv.FormatUint(uint64(next.Segments), 10), "chain": hex.EncodeToString(next.ChainHead[:]),
		}))
	})
	if err != nil {
		return err
	}
	next.positions = slices.Clone(p.positions)
	for _, pos := range sealed.Through {
		next.positions = slices.DeleteFunc(next.positions, func(old Position) bool { return old.Bus == pos.Bus && old.Kind == pos.Kind })
		next.positions = append(next.positions, pos)
	}
	*p = next
	return nil
}

// insert adds the segment's row and moves the positions.
func insert(ctx context.Context, tx pgx.Tx, p *Progress, next Progress, g Sealed, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into segment (session_id, number, kind, first_seq, last_seq, first_time, last_time, bytes, sha256,
		plain_sha256, chain, blob_key, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		p.ID, next.Segments, g.Kind, g.FirstSeq, g.LastSeq, g.FirstTime, g.LastTime, g.Blob.bytes,
		g.Blob.sha256[:], g.Plaintext[:], next.ChainHead[:], g.Blob.key, now)
	if err != nil {
		return fmt.Errorf("evidence: add segment: %w", redact(err))
	}
	for i, gap := range g.Gaps {
		_, err := tx.Exec(ctx, "insert into segment_gap (session_id, number, place, kind, after, missing, at, cause) values ($1, $2, $3, $4, $5, $6, $7, $8)",
			p.ID, next.Segments, i, gap.Kind, gap.After, gap.Missing, gap.Time, gap.Cause)
		if err != nil {
			return fmt.Errorf("evidence: add gap: %w", redact(err))
		}
	}
	for _, pos := range g.Through {
		tag, err := tx.Exec(ctx, `insert into session_position as p (session_id, bus, kind, position) values ($1, $2, $3, $4)
			on conflict (session_id, bus, kind) do update set position = excluded.position where p.position < excluded.position`,
			p.ID, pos.Bus, pos.Kind, int64(pos.Seq)) //nolint:gosec // JetStream counts far below 2^63
		if err != nil {
			return fmt.Errorf("evidence: move position: %w", redact(err))
		}
		if tag.RowsAffected() != 1 {
			return ErrConflict
		}
	}
	return entail(ctx, tx, p, g.Entails)
}

// Close says that all of a session has come, with its chain head on the audit log,
// and makes the operator's statement of it.
// next carries how the call ended; entails is what is to be pushed because of it.
// *p becomes next on success.
func (s *Store) Close(ctx context.Context, p *Progress, next Progress, entails []Entailed) error {
	next.ClosedAt = s.clock()
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := move(ctx, tx, p, next, func() error { return entail(ctx, tx, p, entails) }); err != nil {
			return err
		}
		return s.state(ctx, tx, p, true, system("session.close", p.LIID, p.CIN, map[string]string{
			"cause": next.EndCause, "segments": strconv.FormatUint(uint64(p.Segments), 10), "chain": hex.EncodeToString(p.ChainHead[:]),
			"missing": strconv.FormatInt(next.Missing, 10),
		}))
	})
	if err != nil {
		return err
	}
	*p = next
	return nil
}

// move updates the session's row if it still stands where p says; between looking
// and updating it calls insert.
func move(ctx context.Context, tx pgx.Tx, p *Progress, next Progress, insert func() error) error {
	tag, err := tx.Exec(ctx, "select 1 from session where id = $1 and segments = $2 and chain_head = $3 and closed_at is not distinct from $4 for update",
		p.ID, p.Segments, p.ChainHead[:], timeOrNull(p.ClosedAt))
	if err != nil {
		return fmt.Errorf("evidence: lock session: %w", redact(err))
	}
	if tag.RowsAffected() != 1 {
		return ErrConflict
	}
	if err := insert(); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update session set next_iri = $2, next_cc = $3, tap_seq_x2 = $4, tap_seq_x3 = $5, segments = $6, chain_head = $7,
		missing = $8, last_at = $9, answered_at = $10, ended_at = $11, closed_at = $12, end_cause = $13, direction = $14,
		push_checks_iri = $15, push_checks_cc = $16, push_octets_iri = $17, push_octets_cc = $18, window_x2 = $19, window_x3 = $20 where id = $1`,
		p.ID, next.NextIRI, next.NextCC, next.TapSeqX2, next.TapSeqX3, next.Segments, next.ChainHead[:], next.Missing, next.LastAt,
		timeOrNull(next.AnsweredAt), timeOrNull(next.EndedAt), timeOrNull(next.ClosedAt), next.EndCause, next.Direction,
		next.ChecksIRI, next.ChecksCC, int64(next.OctetsIRI), int64(next.OctetsCC), notNull(next.WindowX2), notNull(next.WindowX3)) //nolint:gosec // a call has far fewer than 2^63 octets
	if err != nil {
		return fmt.Errorf("evidence: move session: %w", redact(err))
	}
	return nil
}

func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// Refuse records that PDUs came which no warrant allows.
func (s *Store) Refuse(ctx context.Context, xid li.XID, cause string) error {
	_, err := s.audit.Record(ctx, s.pool, audit.Entry{
		Actor: "ligate", Role: "mediation", Action: "pdu.refused", Object: "xid " + xid.String(), Reason: cause, Result: "refused",
	})
	return err
}

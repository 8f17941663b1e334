package evidence

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Sealed is one sealed segment on its way to the store.
type Sealed struct {
	Kind                segment.Kind
	FirstSeq, LastSeq   uint32
	FirstTime, LastTime time.Time
	Plaintext           segment.Hash // of the plaintext
	Ciphertext          []byte
}

// Commit stores a segment and moves the session to next, which must follow from
// p. Either all of it happens or nothing that counts. On success *p is next with
// its new segment number and chain head.
func (s *Store) Commit(ctx context.Context, p *Progress, next Progress, sealed Sealed) error {
	key, err := s.put(ctx, p, sealed.Ciphertext)
	if err != nil {
		return err
	}
	ct := sha256.Sum256(sealed.Ciphertext)
	next.Segments = p.Segments + 1
	next.ChainHead = segment.ChainNext(p.ChainHead, next.Segments, ct, sealed.Plaintext)
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into segment (session_id, number, kind, first_seq, last_seq, first_time, last_time, bytes, sha256,
			plain_sha256, chain, blob_key, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			p.ID, next.Segments, sealed.Kind, sealed.FirstSeq, sealed.LastSeq, sealed.FirstTime, sealed.LastTime, len(sealed.Ciphertext),
			ct[:], sealed.Plaintext[:], next.ChainHead[:], key, s.clock())
		if err != nil {
			return fmt.Errorf("evidence: add segment: %w", redact(err))
		}
		if err := move(ctx, tx, p, next); err != nil {
			return err
		}
		_, err = s.audit.Append(ctx, tx, system("segment.stored", p.LIID, p.CIN, map[string]string{
			"segment": fmt.Sprint(next.Segments), "kind": string(sealed.Kind), "chain": hex.EncodeToString(next.ChainHead[:]),
		}))
		return err
	})
	if err != nil {
		return err
	}
	*p = next
	return nil
}

// End closes a session, with its chain head on the audit log. *p becomes next on
// success.
func (s *Store) End(ctx context.Context, p *Progress, next Progress) error {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := move(ctx, tx, p, next); err != nil {
			return err
		}
		_, err := s.audit.Append(ctx, tx, system("session.end", p.LIID, p.CIN, map[string]string{
			"cause": next.EndCause, "segments": fmt.Sprint(p.Segments), "chain": hex.EncodeToString(p.ChainHead[:]), "missing": fmt.Sprint(next.Missing),
		}))
		return err
	})
	if err != nil {
		return err
	}
	*p = next
	return nil
}

// move updates the session's row if it still stands where p says.
func move(ctx context.Context, tx pgx.Tx, p *Progress, next Progress) error {
	tag, err := tx.Exec(ctx, `update session set next_iri = $3, next_cc = $4, position_iri = $5, position_cc = $6, tap_seq_x2 = $7, tap_seq_x3 = $8,
		segments = $9, chain_head = $10, missing = $11, last_at = $12, answered_at = $13, ended_at = $14, end_cause = $15, direction = $16
		where id = $1 and segments = $2`,
		p.ID, p.Segments, next.NextIRI, next.NextCC, next.PositionIRI, next.PositionCC, next.TapSeqX2, next.TapSeqX3,
		next.Segments, next.ChainHead[:], next.Missing, next.LastAt, timeOrNull(next.AnsweredAt), timeOrNull(next.EndedAt), next.EndCause, next.Direction)
	if err != nil {
		return fmt.Errorf("evidence: move session: %w", redact(err))
	}
	if tag.RowsAffected() != 1 {
		return ErrConflict
	}
	return nil
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// put writes a ciphertext under a new, unguessable name.
func (s *Store) put(ctx context.Context, p *Progress, ciphertext []byte) (string, error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	key := p.ID.String() + "/" + hex.EncodeToString(random) + ".age"
	err := s.bucket.WriteAll(ctx, key, ciphertext, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return "", fmt.Errorf("evidence: write blob: %w", err)
	}
	return key, nil
}

// Refuse records that a PDU came which no warrant allows.
func (s *Store) Refuse(ctx context.Context, xid li.XID, cause string) error {
	_, err := s.audit.Record(ctx, s.pool, audit.Entry{
		Actor: "ligate", Role: "mediation", Action: "pdu.refused", Object: "xid " + xid.String(), Reason: cause, Result: "refused",
	})
	return err
}

// Purge destroys the sealed segments of a LIID. Hashes stay; what was destroyed is
// on the audit log before it is, and again when it is done.
func (s *Store) Purge(ctx context.Context, liid li.LIID) error {
	rows, err := s.pool.Query(ctx, `select g.blob_key from segment g join session s on s.id = g.session_id
		where s.liid = $1 and s.purged_at is null order by s.serial, g.number`, liid)
	if err != nil {
		return fmt.Errorf("evidence: list segments: %w", redact(err))
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("evidence: list segments: %w", redact(err))
	}
	e := audit.Entry{
		Actor: "ligate", Role: "mediation", Action: "evidence.purge", Warrant: string(liid), Result: "begun",
		Detail: map[string]string{"segments": fmt.Sprint(len(keys))},
	}
	if _, err := s.audit.Record(ctx, s.pool, e); err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.bucket.Delete(ctx, key); err != nil && !isGone(err) {
			return fmt.Errorf("evidence: destroy segment: %w", err)
		}
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update session set purged_at = $2 where liid = $1 and purged_at is null", liid, s.clock()); err != nil {
			return fmt.Errorf("evidence: mark purged: %w", redact(err))
		}
		e.Result, e.Time = "done", time.Time{}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
}

package evidence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/blob"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Config is what a Store needs; fields without a default are required.
type Config struct {
	Pool   *pgxpool.Pool
	Audit  *audit.Log
	Bucket *blob.Bucket
	Now    func() time.Time // default time.Now
}

// Store keeps sealed evidence.
type Store struct {
	pool   *pgxpool.Pool
	audit  *audit.Log
	bucket *blob.Bucket
	now    func() time.Time
}

// New validates the configuration.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Audit == nil || cfg.Bucket == nil {
		return nil, errors.New("evidence: Pool, Audit and Bucket are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{pool: cfg.Pool, audit: cfg.Audit, bucket: cfg.Bucket, now: cfg.Now}, nil
}

func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Progress is where a session's writing stands; Commit moves it.
type Progress struct {
	ID          uuid.UUID
	LIID        li.LIID
	CIN         li.CIN
	XID         li.XID
	Correlation uint64

	NextIRI, NextCC         uint32 // next record numbers
	PositionIRI, PositionCC uint64 // bus positions that are in committed segments
	TapSeqX2, TapSeqX3      int64  // last sequence number seen of the tap; -1 = none
	Segments                uint32
	ChainHead               segment.Hash
	Missing                 int64

	StartedAt, LastAt   time.Time
	AnsweredAt, EndedAt time.Time // zero = not yet
	EndCause            string
	Direction           string
}

// inTx runs f in a transaction and commits if f gives no error.
func (s *Store) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("evidence: begin: %w", redact(err))
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("evidence: commit: %w", redact(err))
	}
	return nil
}

// redact drops the text of a database error: it may quote a row.
func redact(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("database error %s %s", pg.Code, pg.ConstraintName)
	}
	return err
}

const progressColumns = `id, liid, cin, xid::text, correlation, next_iri, next_cc, position_iri, position_cc, tap_seq_x2, tap_seq_x3,
	segments, chain_head, missing, started_at, last_at, answered_at, ended_at, end_cause, direction`

func scanProgress(row pgx.CollectableRow) (*Progress, error) {
	var p Progress
	var xid string
	var correlation, head []byte
	var answered, ended *time.Time
	err := row.Scan(&p.ID, &p.LIID, &p.CIN, &xid, &correlation, &p.NextIRI, &p.NextCC, &p.PositionIRI, &p.PositionCC, &p.TapSeqX2, &p.TapSeqX3,
		&p.Segments, &head, &p.Missing, &p.StartedAt, &p.LastAt, &answered, &ended, &p.EndCause, &p.Direction)
	if err != nil {
		return nil, err
	}
	if p.XID, err = li.ParseXID(xid); err != nil {
		return nil, err
	}
	p.Correlation = binary.BigEndian.Uint64(correlation)
	p.ChainHead = segment.Hash(head)
	if answered != nil {
		p.AnsweredAt = answered.UTC()
	}
	if ended != nil {
		p.EndedAt = ended.UTC()
	}
	return &p, nil
}

// Session finds the session of a call under a Task, or opens it with the next CIN
// of the LIID, with an audit entry.
func (s *Store) Session(ctx context.Context, task warrant.TaskInfo, correlation uint64, at time.Time) (*Progress, error) {
	if p, err := s.find(ctx, s.pool, task.XID, correlation); !errors.Is(err, ErrNotFound) {
		return p, err
	}
	var p *Progress
	err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
		// One writer a LIID makes CINs consecutive.
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('cin ' || $1, 0))", string(task.LIID)); err != nil {
			return fmt.Errorf("evidence: lock LIID: %w", redact(err))
		}
		if p, err = s.find(ctx, tx, task.XID, correlation); !errors.Is(err, ErrNotFound) {
			return err
		}
		var cin int64
		if err := tx.QueryRow(ctx, "select coalesce(max(cin), 0) + 1 from session where liid = $1", task.LIID).Scan(&cin); err != nil {
			return fmt.Errorf("evidence: next CIN: %w", redact(err))
		}
		head := segment.ChainStart(task.LIID, li.CIN(cin))
		_, err = tx.Exec(ctx, `insert into session (id, liid, cin, agency_id, xid, correlation, started_at, last_at, direction, chain_head)
			values ($1, $2, $3, $4, $5, $6, $7, $7, 'unknown', $8)`,
			uuid.New(), task.LIID, cin, task.AgencyID, task.XID.String(), binary.BigEndian.AppendUint64(nil, correlation), at, head[:])
		if err != nil {
			return fmt.Errorf("evidence: open session: %w", redact(err))
		}
		if p, err = s.find(ctx, tx, task.XID, correlation); err != nil {
			return err
		}
		_, err = s.audit.Append(ctx, tx, system("session.open", task.LIID, p.CIN, nil))
		return err
	})
	return p, err
}

type rowsQuerier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (s *Store) find(ctx context.Context, db rowsQuerier, xid li.XID, correlation uint64) (*Progress, error) {
	rows, err := db.Query(ctx, "select "+progressColumns+" from session where xid = $1 and correlation = $2",
		xid.String(), binary.BigEndian.AppendUint64(nil, correlation))
	if err != nil {
		return nil, fmt.Errorf("evidence: find session: %w", redact(err))
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProgress)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	return p, err
}

// OpenSessions returns the sessions that have not ended, for a mediation that
// starts.
func (s *Store) OpenSessions(ctx context.Context) ([]*Progress, error) {
	rows, err := s.pool.Query(ctx, "select "+progressColumns+" from session where ended_at is null order by serial")
	if err != nil {
		return nil, fmt.Errorf("evidence: list open sessions: %w", redact(err))
	}
	return pgx.CollectRows(rows, scanProgress)
}

func system(action string, liid li.LIID, cin li.CIN, detail map[string]string) audit.Entry {
	return audit.Entry{
		Actor: "ligate", Role: "mediation", Action: action, Warrant: string(liid), Object: fmt.Sprintf("cin %d", cin), Result: "done", Detail: detail,
	}
}

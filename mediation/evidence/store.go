package evidence

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Config is what a Store needs; fields without a default are required.
type Config struct {
	Pool   *pgxpool.Pool
	Audit  *audit.Log
	Bucket *blob.Bucket
	Flush  func(key string) error // makes a written blob durable; nil = the bucket's writes are
	Now    func() time.Time       // default time.Now
	Signer *tls.Certificate       // signs the statement of each closed session; nil = none is made
	About  attest.Operator        // who says it; required with Signer
}

// Store keeps sealed evidence.
type Store struct {
	pool   *pgxpool.Pool
	audit  *audit.Log
	bucket *blob.Bucket
	flush  func(key string) error
	now    func() time.Time
	signer *tls.Certificate
	about  attest.Operator
}

// New validates the configuration.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Audit == nil || cfg.Bucket == nil {
		return nil, errors.New("evidence: Pool, Audit and Bucket are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Flush == nil {
		cfg.Flush = func(string) error { return nil }
	}
	if cfg.Signer != nil && (cfg.About.ID == "" || cfg.About.Log == "") {
		return nil, errors.New("evidence: with Signer, About.ID and About.Log are required")
	}
	return &Store{
		pool: cfg.Pool, audit: cfg.Audit, bucket: cfg.Bucket, flush: cfg.Flush, now: cfg.Now, signer: cfg.Signer, about: cfg.About,
	}, nil
}

func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Position is how far the records of one kind from one bus are in committed
// segments.
type Position struct {
	Bus  string // bus.Message.Stream
	Kind segment.Kind
	Seq  uint64 // bus.Message.Seq
}

// Progress is where a session's writing stands; Commit and Close move it.
type Progress struct {
	ID          uuid.UUID
	LIID        li.LIID
	CIN         li.CIN
	XID         li.XID
	Correlation uint64

	NextIRI, NextCC    uint32 // next record numbers
	TapSeqX2, TapSeqX3 int64  // last sequence number seen of the tap; -1 = none
	WindowX2, WindowX3 []byte // what mediation remembers of the PDUs before, to know one that comes twice
	Segments           uint32
	ChainHead          segment.Hash
	Missing            int64 // PDUs known to be lost

	StartedAt, LastAt   time.Time
	AnsweredAt, EndedAt time.Time // of the call; zero = not yet
	ClosedAt            time.Time // when all of it had come; zero = not yet
	EndCause            string
	Direction           string // from_target, to_target, unknown

	ChecksIRI, ChecksCC uint32 // integrity checks pushed so far
	OctetsIRI, OctetsCC uint64 // octets of PS-PDUs so far, for the encryption container

	positions []Position
	loggedAt  time.Time // when the chain was last on the audit log; zero = unknown
}

// Position returns how far a bus's records of a kind are committed; 0 = none.
func (p *Progress) Position(bus string, kind segment.Kind) uint64 {
	for _, pos := range p.positions {
		if pos.Bus == bus && pos.Kind == kind {
			return pos.Seq
		}
	}
	return 0
}

// Next is the number of the next record of a kind.
func (p *Progress) Next(kind segment.Kind) uint32 {
	if kind == segment.KindIRI {
		return p.NextIRI
	}
	return p.NextCC
}

// Octets is the sum of the PS-PDUs of a kind.
func (p *Progress) Octets(kind segment.Kind) uint64 {
	if kind == segment.KindIRI {
		return p.OctetsIRI
	}
	return p.OctetsCC
}

// Checks is the number of the last integrity check of a kind.
func (p *Progress) Checks(kind segment.Kind) uint32 {
	if kind == segment.KindIRI {
		return p.ChecksIRI
	}
	return p.ChecksCC
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

// blobError drops the text of a blob store's error: it quotes names.
func blobError(err error) error {
	return fmt.Errorf("blob store error %s", gcerrors.Code(err))
}

const progressColumns = `id, liid, cin, xid::text, correlation, next_iri, next_cc, tap_seq_x2, tap_seq_x3, segments, chain_head, missing,
	started_at, last_at, answered_at, ended_at, closed_at, end_cause, direction, push_checks_iri, push_checks_cc, push_octets_iri, push_octets_cc, window_x2, window_x3`

func scanProgress(row pgx.CollectableRow) (*Progress, error) {
	var p Progress
	var xid string
	var correlation, head []byte
	var answered, ended, closed *time.Time
	err := row.Scan(&p.ID, &p.LIID, &p.CIN, &xid, &correlation, &p.NextIRI, &p.NextCC, &p.TapSeqX2, &p.TapSeqX3, &p.Segments, &head, &p.Missing,
		&p.StartedAt, &p.LastAt, &answered, &ended, &closed, &p.EndCause, &p.Direction,
		&p.ChecksIRI, &p.ChecksCC, &p.OctetsIRI, &p.OctetsCC, &p.WindowX2, &p.WindowX3)
	if err != nil {
		return nil, err
	}
	if p.XID, err = li.ParseXID(xid); err != nil {
		return nil, err
	}
	p.Correlation = binary.BigEndian.Uint64(correlation)
	p.ChainHead = segment.Hash(head)
	p.StartedAt, p.LastAt = p.StartedAt.UTC(), p.LastAt.UTC()
	p.AnsweredAt, p.EndedAt, p.ClosedAt = utc(answered), utc(ended), utc(closed)
	return &p, nil
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Session finds the session of a call under a Task, or opens it with the next CIN
// of the LIID, with an audit entry.
func (s *Store) Session(ctx context.Context, task warrant.TaskInfo, correlation uint64, at time.Time) (*Progress, error) {
	if p, err := s.find(ctx, s.pool, task.XID, correlation); !errors.Is(err, ErrNotFound) {
		return p, err
	}
	at = at.UTC().Truncate(time.Microsecond)
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
	if err != nil {
		return nil, fmt.Errorf("evidence: find session: %w", redact(err))
	}
	return p, s.positions(ctx, db, p)
}

func (s *Store) positions(ctx context.Context, db rowsQuerier, all ...*Progress) error {
	byID := make(map[uuid.UUID]*Progress, len(all))
	ids := make([]uuid.UUID, 0, len(all))
	for _, p := range all {
		byID[p.ID], ids = p, append(ids, p.ID)
	}
	rows, err := db.Query(ctx, "select session_id, bus, kind, position from session_position where session_id = any($1)", ids)
	if err != nil {
		return fmt.Errorf("evidence: read positions: %w", redact(err))
	}
	var id uuid.UUID
	var pos Position
	_, err = pgx.ForEachRow(rows, []any{&id, &pos.Bus, &pos.Kind, &pos.Seq}, func() error {
		byID[id].positions = append(byID[id].positions, pos)
		return nil
	})
	if err != nil {
		return fmt.Errorf("evidence: read positions: %w", redact(err))
	}
	return nil
}

// Reload returns where a session stands in the database.
func (s *Store) Reload(ctx context.Context, p *Progress) (*Progress, error) {
	return s.find(ctx, s.pool, p.XID, p.Correlation)
}

// OpenSessions returns the wanted sessions that are not closed, for a mediation that
// starts.
func (s *Store) OpenSessions(ctx context.Context, wanted func(xid li.XID, correlation uint64) bool) ([]*Progress, error) {
	rows, err := s.pool.Query(ctx, "select "+progressColumns+" from session where closed_at is null order by serial")
	if err != nil {
		return nil, fmt.Errorf("evidence: list open sessions: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, scanProgress)
	if err != nil {
		return nil, fmt.Errorf("evidence: list open sessions: %w", redact(err))
	}
	all = slices.DeleteFunc(all, func(p *Progress) bool { return !wanted(p.XID, p.Correlation) })
	return all, s.positions(ctx, s.pool, all...)
}

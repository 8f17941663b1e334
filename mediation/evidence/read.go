package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

func isGone(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// Page is one page of a listing.
type Page struct {
	Limit int    // 1 to 500; default 100
	After string // cursor of an earlier page
}

const (
	defaultLimit = 100
	maxLimit     = 500
)

func (p Page) bounds() (limit int, after int64, err error) {
	limit = p.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if p.After != "" {
		after, err = strconv.ParseInt(p.After, 10, 64)
	}
	if err != nil || limit < 1 || limit > maxLimit || after < 0 {
		return 0, 0, ErrPage
	}
	return limit, after, nil
}

// A session that is not closed has no end yet: the last of it may still come.
const sessionQuery = `select s.liid, s.cin, s.started_at, s.answered_at,
	case when s.closed_at is null then null else s.ended_at end, s.direction, case when s.closed_at is null then '' else s.end_cause end, s.segments, s.next_iri, s.next_cc,
	s.missing, s.chain_head, r.chain_head, r.person, r.at
	from session s left join lateral (select chain_head, person, at from receipt where session_id = s.id order by segments desc limit 1) r on true `

func scanSession(row pgx.CollectableRow) (segment.SessionDoc, error) {
	var d segment.SessionDoc
	var head, acked []byte
	var person *string
	var at *time.Time
	err := row.Scan(&d.LIID, &d.CIN, &d.StartedAt, &d.AnsweredAt, &d.EndedAt, &d.Direction, &d.EndCause, &d.Segments, &d.IRIRecords, &d.CCRecords,
		&d.Missing, &head, &acked, &person, &at)
	d.ChainHead = hex.EncodeToString(head)
	d.StartedAt = d.StartedAt.UTC()
	if acked != nil {
		d.Acked = &segment.AckDoc{ChainHead: hex.EncodeToString(acked), Person: *person, At: at.UTC()}
	}
	for _, t := range []*time.Time{d.AnsweredAt, d.EndedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	return d, err
}

// released keeps back what was taken under a provisional order whose original has not
// come: for the agency it is not there.
const released = " and not exists (select from quarantined_liid q where q.liid = $1)"

// Sessions lists the sessions of a LIID in the order of their CINs. One in quarantine
// has none.
func (s *Store) Sessions(ctx context.Context, liid li.LIID, p Page) ([]segment.SessionDoc, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	rows, err := s.pool.Query(ctx, sessionQuery+"where s.liid = $1 and s.cin > $2"+released+" order by s.cin limit $3", liid, after, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("evidence: list sessions: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return nil, "", fmt.Errorf("evidence: list sessions: %w", err)
	}
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], strconv.FormatUint(uint64(all[limit-1].CIN), 10), nil
}

// SessionByCIN returns one session.
func (s *Store) SessionByCIN(ctx context.Context, liid li.LIID, cin li.CIN) (segment.SessionDoc, error) {
	rows, err := s.pool.Query(ctx, sessionQuery+"where s.liid = $1 and s.cin = $2"+released, liid, cin)
	if err != nil {
		return segment.SessionDoc{}, fmt.Errorf("evidence: read session: %w", redact(err))
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanSession)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, ErrNotFound
	}
	return d, err
}

const segmentColumns = "number, kind, first_seq, last_seq, first_time, last_time, bytes, sha256, plain_sha256, chain, blob_key"

// stored is a segment with the name of its blob.
type stored struct {
	segment.SegmentDoc
	key string
}

func scanSegment(row pgx.CollectableRow) (stored, error) {
	var d stored
	var sum, plain, chain []byte
	err := row.Scan(&d.Number, &d.Kind, &d.FirstSeq, &d.LastSeq, &d.FirstTime, &d.LastTime, &d.Bytes, &sum, &plain, &chain, &d.key)
	d.SHA256, d.PlainSHA256, d.Chain = hex.EncodeToString(sum), hex.EncodeToString(plain), hex.EncodeToString(chain)
	d.FirstTime, d.LastTime = d.FirstTime.UTC(), d.LastTime.UTC()
	return d, err
}

// Segments lists a session's segments of one kind in the order of their numbers.
func (s *Store) Segments(ctx context.Context, liid li.LIID, cin li.CIN, kind segment.Kind, p Page) ([]segment.SegmentDoc, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	rows, err := s.pool.Query(ctx, "select "+segmentColumns+` from segment where session_id = (select id from session where liid = $1 and cin = $2`+released+`)
		and kind = $3 and number > $4 order by number limit $5`, liid, cin, kind, after, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("evidence: list segments: %w", redact(err))
	}
	all, err := pgx.CollectRows(rows, scanSegment)
	if err != nil {
		return nil, "", fmt.Errorf("evidence: list segments: %w", err)
	}
	docs, next := make([]segment.SegmentDoc, 0, len(all)), ""
	for i, d := range all {
		if i == limit {
			next = strconv.FormatUint(uint64(all[limit-1].Number), 10)
			break
		}
		docs = append(docs, d.SegmentDoc)
	}
	return docs, next, nil
}

// OpenSegment opens the sealed octets of one segment; the caller closes them. A
// purged segment is ErrNotFound.
func (s *Store) OpenSegment(ctx context.Context, liid li.LIID, cin li.CIN, kind segment.Kind, number uint32) (segment.SegmentDoc, io.ReadSeekCloser, error) {
	rows, err := s.pool.Query(ctx, "select "+segmentColumns+` from segment where session_id = (select id from session where liid = $1 and cin = $2 and purged_at is null`+released+`)
		and kind = $3 and number = $4`, liid, cin, kind, number)
	if err != nil {
		return segment.SegmentDoc{}, nil, fmt.Errorf("evidence: read segment: %w", redact(err))
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanSegment)
	if errors.Is(err, pgx.ErrNoRows) {
		return segment.SegmentDoc{}, nil, ErrNotFound
	}
	if err != nil {
		return segment.SegmentDoc{}, nil, fmt.Errorf("evidence: read segment: %w", err)
	}
	r, err := s.bucket.NewReader(ctx, d.key, &blob.ReaderOptions{})
	if isGone(err) {
		return segment.SegmentDoc{}, nil, ErrNotFound
	}
	if err != nil {
		return segment.SegmentDoc{}, nil, fmt.Errorf("evidence: read blob: %w", blobError(err))
	}
	return d.SegmentDoc, r, nil
}

// Ack is an agency's word that it has a session up to a chain head.
type Ack struct {
	LIID      li.LIID
	CIN       li.CIN
	ChainHead string // lower-case hexadecimal
	Person    string // the agency's person, as registered
	Agency    string
	Cert      string // fingerprint
	Source    string
}

// Ack records a receipt with its audit entry. A chain head that is not the
// session's own now is ErrStale: something is missing at the agency.
func (s *Store) Ack(ctx context.Context, a Ack) (segment.AckDoc, error) {
	at := s.clock()
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		id, head := "", []byte(nil)
		var segments int
		err := tx.QueryRow(ctx, "select id::text, chain_head, segments from session where liid = $1 and cin = $2"+released+" for update", a.LIID, a.CIN).Scan(&id, &head, &segments)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("evidence: read session: %w", redact(err))
		}
		if hex.EncodeToString(head) != a.ChainHead {
			return ErrStale
		}
		_, err = tx.Exec(ctx, `insert into receipt (session_id, chain_head, segments, person, cert, at) values ($1, $2, $3, $4, $5, $6)
			on conflict do nothing`, id, head, segments, a.Person, a.Cert, at)
		if err != nil {
			return fmt.Errorf("evidence: add receipt: %w", redact(err))
		}
		_, err = s.audit.Append(ctx, tx, audit.Entry{
			Actor: audit.AgencyActor(a.Agency, a.Cert), Role: "agency", Action: "session.ack", Warrant: string(a.LIID), Object: fmt.Sprintf("cin %d", a.CIN),
			Result: "done", Source: a.Source, Detail: map[string]string{"chain": a.ChainHead, "certificate": a.Cert},
		})
		return err
	})
	if err != nil {
		return segment.AckDoc{}, err
	}
	return segment.AckDoc{ChainHead: a.ChainHead, Person: a.Person, At: at}, nil
}

package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// AddDocument keeps a paper of a warrant, sealed; pages 0 = not said. The same paper
// twice is ErrExists.
func (s *Store) AddDocument(ctx context.Context, by warrant.Actor, id warrant.ID, kind warrant.DocumentKind, pages int, paper []byte) (warrant.Document, error) {
	e := entry(by, "warrant.document", "", string(id))
	sum := sha256.Sum256(paper)
	d := warrant.Document{
		WarrantID: id, Kind: kind, SHA256: hex.EncodeToString(sum[:]), Bytes: len(paper), Pages: pages, AddedBy: by.ID, AddedAt: s.clock(),
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		w, err := s.lock(ctx, tx, id) // one writer makes the numbers consecutive
		if err != nil {
			return err
		}
		e.Warrant = string(w.LIID)
		if err := warrant.CheckDocument(w, kind, pages, paper, by); err != nil {
			return err
		}
		if s.seal == nil {
			return &warrant.RuleError{Rule: warrant.RuleDocument, Reason: "this deployment takes no documents: nobody is configured whose key they are sealed to"}
		}
		sealed, err := s.seal(paper)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "select coalesce(max(number), 0) + 1 from warrant_document where warrant_id = $1", id).Scan(&d.Number); err != nil {
			return fmt.Errorf("next document: %w", interpret(err))
		}
		_, err = tx.Exec(ctx, `insert into warrant_document (warrant_id, number, kind, sha256, bytes, pages, sealed, added_by, role, source, added_at)
			values ($1, $2, $3, $4, $5, nullif($6, 0), $7, $8, $9, $10, $11)`,
			id, d.Number, kind, sum[:], d.Bytes, d.Pages, sealed, d.AddedBy, by.Role.String(), by.Source, d.AddedAt)
		if err != nil {
			return fmt.Errorf("keep document: %w", interpret(err))
		}
		e.Detail = map[string]string{"number": strconv.Itoa(d.Number), "kind": string(kind), "sha256": d.SHA256}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return d, s.refused(ctx, e, err)
}

// readOf puts a reading of something of a warrant on the audit log.
func (s *Store) readOf(ctx context.Context, by warrant.Actor, id warrant.ID, action string) error {
	e := entry(by, action, "", string(id))
	if err := mayRead(by); err != nil {
		return s.refused(ctx, e, err)
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "select liid from warrant where id = $1", id).Scan(&e.Warrant); err != nil {
			return notFound(interpret(err))
		}
		_, err := s.audit.Append(ctx, tx, e)
		return err
	})
}

// Documents lists a warrant's papers. The reading is on the audit log first.
func (s *Store) Documents(ctx context.Context, by warrant.Actor, id warrant.ID) ([]warrant.Document, error) {
	if err := s.readOf(ctx, by, id, "warrant.documents"); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select warrant_id, number, kind, encode(sha256, 'hex'), bytes, coalesce(pages, 0), added_by, added_at
		from warrant_document where warrant_id = $1 order by number`, id)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", interpret(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (warrant.Document, error) {
		d, err := pgx.RowToStructByPos[warrant.Document](row)
		d.AddedAt = d.AddedAt.UTC()
		return d, err
	})
}

// Document returns a paper as it is sealed. The reading is on the audit log first.
func (s *Store) Document(ctx context.Context, by warrant.Actor, id warrant.ID, number int) ([]byte, error) {
	if err := s.readOf(ctx, by, id, "warrant.document.read"); err != nil {
		return nil, err
	}
	var sealed []byte
	err := s.pool.QueryRow(ctx, "select sealed from warrant_document where warrant_id = $1 and number = $2", id, number).Scan(&sealed)
	return sealed, notFound(interpret(err))
}

// Event is one act on a warrant. It never holds a target.
type Event struct {
	At      time.Time
	Act     string // draft, submit, approve, …; empty = made by a release that did not say
	Version int    // 0 = the act made none
	From    string // states; equal = it stayed; empty = the act made no version, or the first
	To      string
	By      warrant.PersonID // ligate = the system itself
	Name    string           // of the person; empty = the system
	Role    string
	Source  string // network address
	Reason  string
	Object  string // a document's hash, a hold's id
}

// History lists every act on a warrant, oldest first: who, what, when, why and from
// where. The reading is on the audit log first.
func (s *Store) History(ctx context.Context, by warrant.Actor, id warrant.ID) ([]Event, error) {
	if err := s.readOf(ctx, by, id, "warrant.history"); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select e.at, e.act, e.version, e.from_state, e.to_state, e.by, coalesce(p.name, ''), coalesce(nullif(e.role, ''), p.role, ''), coalesce(e.source, ''), e.reason, e.object from (
		select at, act, version, coalesce(lag(body->>'state') over (order by version), '') as from_state, body->>'state' as to_state, by, role, source, reason,
		  case when act = 'original' then body->>'original' else '' end as object
		from warrant_version where warrant_id = $1
		union all select added_at, 'document', 0, '', '', added_by, role, source, '', encode(sha256, 'hex') from warrant_document where warrant_id = $1
		union all select set_at, 'hold.set', 0, '', '', set_by, '', set_source, reason, id from legal_hold where warrant_id = $1
		union all select confirmed_at, 'hold.confirm', 0, '', '', confirmed_by, '', confirmed_source, '', id from legal_hold where warrant_id = $1 and confirmed_by is not null
		union all select released_at, 'hold.release', 0, '', '', released_by, '', released_source, release_reason, id from legal_hold where warrant_id = $1 and released_by is not null
		union all select release_confirmed_at, 'hold.release.confirm', 0, '', '', release_confirmed_by, '', release_confirmed_source, '', id from legal_hold
		where warrant_id = $1 and release_confirmed_by is not null) e
		left join person p on p.id = e.by order by e.at, e.version`, id)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Event])
}

// Successor is a warrant that extends another.
type Successor struct {
	ID    warrant.ID
	LIID  li.LIID
	State string
	From  time.Time
}

// Successors lists the warrants that extend one, oldest first.
func (s *Store) Successors(ctx context.Context, id warrant.ID) ([]Successor, error) {
	rows, err := s.pool.Query(ctx, "select id, liid, state, valid_from from warrant where predecessor = $1 order by serial", id)
	if err != nil {
		return nil, fmt.Errorf("list extensions: %w", interpret(err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Successor])
}

package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/warrant/sealing"
)

// ErrRotating is for who is not the only one to change keys.
var ErrRotating = errors.New("keys are being changed by another command: wait until it has ended")

// Rotation says what becomes new. The zero value seals what an earlier build left in
// clear, and changes no key.
type Rotation struct {
	Rows   bool // a new key: all rows are sealed anew
	Hashes bool // new hashes too; with Rows

	// Master gives the new master key, durably kept; nil = it stays. It is called once
	// nobody else can rotate, with the identifier of the one in use.
	Master func(used string) (*sealing.Master, error)
	// Committed is called once the database is under the new master key, before anybody
	// else can rotate; nil = nothing to do.
	Committed func() error
}

// Rotated says what a rotation did.
type Rotated struct {
	Rows   int    // sealed, or sealed anew
	Clear  int    // of these, rows that stood in clear before
	Key    string // identifiers, now
	Master string
}

const rotateLock = 119191556420979 // "lseal"

// Rotate changes keys as one transaction: what dies on the way leaves all as it was.
// Everything that reads or writes targets waits meanwhile and goes on under the new key.
// The store's connection must be the owner's.
func (s *Store) Rotate(ctx context.Context, r Rotation) (done Rotated, err error) {
	if s.master == nil {
		return done, ErrNoMaster
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return done, fmt.Errorf("rotate keys: %w", err)
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", rotateLock).Scan(&mine); err != nil {
		return done, fmt.Errorf("rotate keys: %w", interpret(err))
	}
	if !mine {
		return done, ErrRotating
	}
	defer func() {
		if _, uerr := conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", rotateLock); uerr != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx)) // ends the lock with the session
		}
	}()
	if done, err = s.rotate(ctx, conn, r); err != nil {
		return Rotated{}, err
	}
	if r.Committed != nil {
		if err := r.Committed(); err != nil {
			return done, err
		}
	}
	if done.Clear > 0 {
		err = rewriteFiles(ctx, conn)
	}
	return done, err
}

// rewriteFiles takes what was in clear out of the tables' files. A vacuum would keep rows
// that some running transaction might still see.
func rewriteFiles(ctx context.Context, conn *pgxpool.Conn) error {
	for _, t := range sealedTables() {
		if _, err := conn.Exec(ctx, t.rewrite); err != nil {
			return fmt.Errorf("all rows are sealed, but old ones stay in the files of %s until a vacuum full: %w", t.name, interpret(err))
		}
	}
	return nil
}

func (s *Store) rotate(ctx context.Context, conn *pgxpool.Conn, r Rotation) (done Rotated, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return done, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	if _, err := tx.Exec(ctx, "lock table sealing_key in access exclusive mode"); err != nil {
		return done, fmt.Errorf("lock key: %w", interpret(err))
	}
	old, next, master, err := s.renew(ctx, tx, r)
	if err != nil {
		return done, err
	}
	done.Key, done.Master = next.ID(), master.ID()
	for _, table := range sealedTables() {
		if err := table.reseal(ctx, tx, old, next, &done); err != nil {
			return done, err
		}
	}
	_, err = tx.Exec(ctx, "update sealing_key set id = $1, master = $2, wrapped = $3, wrapped_at = $4", next.ID(), master.ID(), master.Wrap(next), s.clock())
	if err != nil {
		return done, fmt.Errorf("keep key: %w", interpret(err))
	}
	e := system("secrets.rotate", "", "key "+next.ID())
	e.Detail = map[string]string{
		"master": master.ID(), "rows": fmt.Sprint(done.Rows), "clear": fmt.Sprint(done.Clear), "hashes": fmt.Sprint(r.Hashes),
	}
	if _, err := s.audit.Append(ctx, tx, e); err != nil {
		return done, err
	}
	if err := tx.Commit(ctx); err != nil {
		return done, fmt.Errorf("commit: %w", interpret(err))
	}
	return done, nil
}

// renew gives the key in use, the one that follows it, which may be the same, and the
// master key of that.
func (s *Store) renew(ctx context.Context, tx pgx.Tx, r Rotation) (old, next *sealing.Key, master *sealing.Master, err error) {
	if err := s.makeKey(ctx, tx); err != nil {
		return nil, nil, nil, err
	}
	var id, used string
	var wrapped []byte
	if err := tx.QueryRow(ctx, "select id, master, wrapped from sealing_key").Scan(&id, &used, &wrapped); err != nil {
		return nil, nil, nil, fmt.Errorf("read key: %w", interpret(err))
	}
	if master, err = s.master(used); err != nil {
		return nil, nil, nil, err
	}
	if old, err = master.Unwrap(id, wrapped); err != nil {
		return nil, nil, nil, err
	}
	switch {
	case r.Hashes:
		next, err = sealing.NewKey()
	case r.Rows:
		next, err = old.Renew()
	default:
		next = old
	}
	if err == nil && r.Master != nil {
		master, err = r.Master(used)
	}
	return old, next, master, err
}

// sealedTable is a table whose rows hold targets, with constant texts of SQL. clear and
// sealed are conditions on a row, row is its place; texts and hashes are its columns.
// write is told row, hashes and seal. rewrite changes nothing and makes the table's files
// anew.
type sealedTable struct{ name, clear, sealed, row, texts, hashes, seal, write, rewrite string }

func sealedTables() []sealedTable {
	return []sealedTable{
		{
			sealWarrant, "targets is not null", "targets_sealed is not null", "id", "targets", "targets_hash", "targets_sealed",
			"update warrant set targets = null, targets_hash = $2, targets_sealed = $3 where id = $1",
			"alter table warrant alter column notes type text using notes || ''",
		},
		{
			sealVersion, "body ? 'targets'", "targets_sealed is not null", "warrant_id || '/' || version",
			"case when body ? 'targets' then array(select jsonb_array_elements_text(body -> 'targets')) end", "targets_hash", "targets_sealed",
			`update warrant_version set body = body - 'targets', targets_hash = $2, targets_sealed = $3
				where warrant_id = split_part($1, '/', 1) and version = split_part($1, '/', 2)::int`,
			"alter table warrant_version alter column source type text using source || ''",
		},
		{
			sealProtected, "identity is not null", "identity_sealed is not null", "id", "case when identity is not null then array[identity] end",
			"case when identity_hash is not null then array[identity_hash] end", "identity_sealed",
			"update protected_number set identity = null, identity_hash = ($2::bytea[])[1], identity_sealed = $3 where id = $1",
			"alter table protected_number alter column added_at type timestamptz using added_at + interval '0'",
		},
		{
			sealCertification, "form ? 'numbers'", "numbers_sealed is not null", "id",
			"case when form ? 'numbers' then array(select jsonb_array_elements_text(form -> 'numbers')) end", "numbers_hash", "numbers_sealed",
			"update certification set form = form - 'numbers', numbers_hash = $2, numbers_sealed = $3 where id = $1",
			"alter table certification alter column source type text using source || ''",
		},
		{
			sealIncident, "unauthorised is not null", "unauthorised_sealed is not null", "id", "unauthorised", "unauthorised_hash", "unauthorised_sealed",
			"update incident set unauthorised = null, unauthorised_hash = $2, unauthorised_sealed = $3 where id = $1",
			"alter table incident alter column source type text using source || ''",
		},
		{
			sealAct, "unauthorised is not null", "unauthorised_sealed is not null", "incident_id || '/' || number", "unauthorised", "unauthorised_hash", "unauthorised_sealed",
			`update incident_act set unauthorised = null, unauthorised_hash = $2, unauthorised_sealed = $3
				where incident_id = split_part($1, '/', 1) and number = split_part($1, '/', 2)::int`,
			"alter table incident_act alter column source type text using source || ''",
		},
	}
}

// read gives row, clear texts, hashes and seal of the rows that are to be sealed: all if
// $1, else those in clear.
func (t sealedTable) read() string {
	return "select " + t.row + ", " + t.texts + ", " + t.hashes + ", " + t.seal + " from " + t.name + " where $1 and " + t.sealed + " or " + t.clear
}

// sealedRow is one row of a sealedTable.
type sealedRow struct {
	ID     string
	Clear  []string
	Hashes [][]byte
	Sealed []byte
}

const resealBatch = 500 // rows a round trip

func (t sealedTable) reseal(ctx context.Context, tx pgx.Tx, old, next *sealing.Key, done *Rotated) error {
	found, err := tx.Query(ctx, t.read(), old != next)
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, interpret(err))
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[sealedRow])
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, interpret(err))
	}
	batch := &pgx.Batch{}
	for i, row := range rows {
		texts := row.Clear
		if texts != nil {
			done.Clear++
		} else if texts, err = (keyring{old}).open(t.name, row.ID, row.Hashes, row.Sealed); err != nil {
			return fmt.Errorf("%s %s: %w", t.name, row.ID, err)
		}
		hashes, sealed, err := keyring{next}.seal(t.name, row.ID, texts)
		if err != nil {
			return err
		}
		batch.Queue(t.write, row.ID, hashes, sealed)
		if batch.Len() < resealBatch && i < len(rows)-1 {
			continue
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("seal %s: %w", t.name, interpret(err))
		}
		batch = &pgx.Batch{}
	}
	done.Rows += len(rows)
	return nil
}

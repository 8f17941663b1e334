package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// AppendAll is Append for several entries at once: one wait for other writers, one
// journey to the database. It returns the first one's index; the others follow.
func (l *Log) AppendAll(ctx context.Context, tx pgx.Tx, entries []Entry) (first int64, err error) {
	now := time.Now()
	rows := make([]row, len(entries))
	for i, e := range entries {
		if rows[i], err = makeRow(e, now); err != nil {
			return 0, err
		}
	}
	return l.appendRows(ctx, tx, rows)
}

// row is an entry as it is stored.
type row struct {
	entry                    Entry
	record, salt, commitment []byte
}

func makeRow(e Entry, now time.Time) (row, error) {
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if err := e.validate(); err != nil {
		return row{}, err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	record := e.canonical()
	return row{entry: e, record: record, salt: salt, commitment: commit(salt, record)}, nil
}

func (l *Log) appendRows(ctx context.Context, tx pgx.Tx, rows []row) (int64, error) {
	var h head
	begin := &pgx.Batch{}
	begin.Queue("select pg_advisory_xact_lock($1)", int64(lockID))
	begin.Queue(headSQL).QueryRow(h.scan)
	if err := tx.SendBatch(ctx, begin).Close(); err != nil {
		return 0, fmt.Errorf("audit: wait for other writers: %w", err)
	}
	if err := h.check(); err != nil {
		return 0, err
	}
	edge := &edgeReader{stored: hashReader{ctx, tx}, from: h.hashes, old: map[int64]tlog.Hash{}}
	if err := edge.prefetch(h.size); err != nil {
		return 0, err
	}
	insert := &pgx.Batch{}
	for i, r := range rows {
		size := h.size + int64(i)
		hashes, err := tlog.StoredHashes(size, r.commitment, edge)
		if err != nil {
			return 0, fmt.Errorf("audit: compute hashes: %w", err)
		}
		edge.added = append(edge.added, hashes...)
		insert.Queue(`insert into audit_entry (index, time, actor, action, warrant, record, salt, commitment)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`, size, r.entry.Time, r.entry.Actor, r.entry.Action, r.entry.Warrant, r.record, r.salt, r.commitment)
	}
	raw := make([][]byte, len(edge.added))
	for i := range edge.added {
		raw[i] = edge.added[i][:]
	}
	insert.Queue(`insert into audit_hash (id, hash) select $1 + n - 1, hash from unnest($2::bytea[]) with ordinality as new (hash, n)`, h.hashes, raw)
	if err := tx.SendBatch(ctx, insert).Close(); err != nil {
		return 0, fmt.Errorf("audit: append entry: %w", err)
	}
	return h.size, nil
}

// edgeReader reads hashes of a tree that grows: what is added is in memory, and of what
// is stored only the right edge is asked for, once.
type edgeReader struct {
	stored hashReader
	from   int64 // stored index of added[0]
	added  []tlog.Hash
	old    map[int64]tlog.Hash
}

// prefetch reads the complete subtrees that the tree of that size is made of: appending
// needs no other stored hash, however much is appended.
func (r *edgeReader) prefetch(size int64) error {
	var ids []int64
	for level, done := 62, int64(0); level >= 0; level-- {
		if size&(1<<level) != 0 {
			ids = append(ids, tlog.StoredHashIndex(level, done>>level))
			done += 1 << level
		}
	}
	if len(ids) == 0 {
		return nil
	}
	hashes, err := r.stored.ReadHashes(ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		r.old[id] = hashes[i]
	}
	return nil
}

// ReadHashes implements tlog.HashReader.
func (r *edgeReader) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ids))
	for i, id := range ids {
		if id >= r.from {
			if id-r.from >= int64(len(r.added)) {
				return nil, ErrDamaged
			}
			out[i] = r.added[id-r.from]
			continue
		}
		h, ok := r.old[id]
		if !ok {
			return nil, ErrDamaged
		}
		out[i] = h
	}
	return out, nil
}

// gathering is the group commit of Record: who finds nobody writing writes for all who
// come meanwhile. An entry is there when its Record returns, as if each had a
// transaction of its own.
type gathering struct {
	mu      sync.Mutex
	waiting map[beginner][]*waiter // those that the next transaction takes; a key is there while somebody writes
}

// waiter is one Record.
type waiter struct {
	row   row
	index int64
	err   error
	done  chan struct{} // closed once index or err is set; or, with lead, that it must write now
	lead  bool
}

const (
	maxGathered   = 256
	recordTimeout = 30 * time.Second
)

// record adds one row in a transaction that it may share.
func (g *gathering) record(ctx context.Context, l *Log, db beginner, r row) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	w := &waiter{row: r, done: make(chan struct{})}
	g.mu.Lock()
	queue, busy := g.waiting[db]
	g.waiting[db] = append(queue, w)
	g.mu.Unlock()
	if busy {
		<-w.done // the writer is bound by recordTimeout
		if !w.lead {
			return w.index, w.err
		}
	}
	g.lead(ctx, l, db)
	return w.index, w.err
}

// lead writes all that wait, at most maxGathered, and hands the rest on.
func (g *gathering) lead(ctx context.Context, l *Log, db beginner) {
	g.mu.Lock()
	all := g.waiting[db]
	batch := all[:min(len(all), maxGathered)]
	g.waiting[db] = all[len(batch):]
	g.mu.Unlock()
	first, err := writeRows(ctx, l, db, batch)
	for i, w := range batch {
		w.index, w.err = first+int64(i), err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if next := g.waiting[db]; len(next) > 0 {
		next[0].lead = true
		close(next[0].done)
	} else {
		delete(g.waiting, db)
	}
	for _, w := range batch {
		if !w.lead {
			close(w.done)
		}
	}
}

// writeRows does not end with the leader's request: others wait for it.
func writeRows(ctx context.Context, l *Log, db beginner, batch []*waiter) (first int64, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	tx, err := db.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("audit: begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	rows := make([]row, len(batch))
	for i, w := range batch {
		rows[i] = w.row
	}
	if first, err = l.appendRows(ctx, tx, rows); err != nil {
		return 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		return 0, fmt.Errorf("audit: commit: %w", err)
	}
	return first, nil
}

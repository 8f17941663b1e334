package pgstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// wanted is the active warrants as they were read last. Whoever changes a row, by whatever
// way, leaves another mark on it: only such rows are read again, so that one approval
// beside ten thousand Tasks does not wait for all of them.
type wanted struct {
	mu    sync.Mutex // held while they are read
	known map[li.XID]marked
}

// marked is a warrant and where its row was when it was read.
type marked struct {
	mark    mark
	warrant warrant.Warrant
}

// mark is a row's version: its transaction and its place in the table.
type mark struct {
	xmin uint32
	ctid pgtype.TID
}

// WantedTasks returns what may be tapped at now.
func (s *Store) WantedTasks(ctx context.Context, now time.Time) ([]li.Task, error) {
	s.wanted.mu.Lock()
	defer s.wanted.mu.Unlock()
	var xids, changed []li.XID
	marks := make(map[li.XID]mark, len(s.wanted.known))
	rows, err := s.pool.Query(ctx, "select t.xid, w.xmin, w.ctid from warrant w join task t on t.warrant_id = w.id where w.state = 'active' order by w.serial")
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	var xid [16]byte
	var m mark
	_, err = pgx.ForEachRow(rows, []any{&xid, &m.xmin, &m.ctid}, func() error {
		xids, marks[xid] = append(xids, xid), m
		if was, ok := s.wanted.known[xid]; !ok || was.mark != m {
			changed = append(changed, xid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	fresh, err := s.active(ctx, changed)
	if err != nil {
		return nil, err
	}
	return s.wanted.tasks(xids, marks, fresh, now), nil
}

// tasks keeps what was read and returns the Tasks of now.
func (c *wanted) tasks(xids []li.XID, marks map[li.XID]mark, fresh map[li.XID]marked, now time.Time) []li.Task {
	tasks, known := make([]li.Task, 0, len(xids)), make(map[li.XID]marked, len(xids))
	for _, xid := range xids {
		w, read := fresh[xid]
		if old, ok := c.known[xid]; !read && ok && old.mark == marks[xid] {
			w, read = old, true
		}
		if !read { // it ended meanwhile
			continue
		}
		known[xid] = w
		if task, ok := w.warrant.Task(xid, now); ok {
			tasks = append(tasks, task)
		}
	}
	c.known = known
	return tasks
}

// active reads those of some Tasks' warrants that are.
func (s *Store) active(ctx context.Context, xids []li.XID) (map[li.XID]marked, error) {
	all := make(map[li.XID]marked, len(xids))
	if len(xids) == 0 {
		return all, nil
	}
	ids := make([][16]byte, len(xids))
	for i, xid := range xids {
		ids[i] = xid
	}
	rows, err := s.pool.Query(ctx, `select t.xid, w.xmin, w.ctid, `+warrantColumns+` from warrant w join task t on t.warrant_id = w.id
		where w.state = 'active' and t.xid = any($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		var xid [16]byte
		var m marked
		var err error
		m.warrant, err = scanWarrant(leading{row, []any{&xid, &m.mark.xmin, &m.mark.ctid}})
		all[xid] = m
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	return all, nil
}

// leading takes what stands before the other columns off a row.
type leading struct {
	pgx.CollectableRow
	dest []any
}

// Scan reads the leading columns and then dest.
func (r leading) Scan(dest ...any) error { return r.CollectableRow.Scan(append(r.dest, dest...)...) }

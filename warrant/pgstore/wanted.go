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

// alarmUnreadable: a row was changed behind our back; its object is the LIID.
const alarmUnreadable = "warrant_unreadable"

// WantedTasks returns what may be tapped at now. A warrant whose targets do not open is
// left out and alarmed: the others go on.
func (s *Store) WantedTasks(ctx context.Context, now time.Time) ([]li.Task, error) {
	s.wanted.mu.Lock()
	defer s.wanted.mu.Unlock()
	var tasks []li.Task
	var broken []li.LIID
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		xids, marks, err := s.marks(ctx, tx)
		if err != nil {
			return err
		}
		keys, err := s.keys(ctx, tx)
		if err != nil {
			return err
		}
		fresh, unread, err := keys.active(ctx, tx, s.wanted.changed(xids, marks))
		if err != nil {
			return err
		}
		broken = unread
		tasks = s.wanted.tasks(xids, marks, fresh, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, liid := range broken {
		if err := s.OpenAlarm(ctx, alarmUnreadable, string(liid)); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

// marks reads which Tasks are active, oldest first, and the marks of their rows.
func (s *Store) marks(ctx context.Context, tx pgx.Tx) (xids []li.XID, marks map[li.XID]mark, err error) {
	marks = make(map[li.XID]mark, len(s.wanted.known))
	rows, err := tx.Query(ctx, "select t.xid, w.xmin, w.ctid from warrant w join task t on t.warrant_id = w.id where w.state = 'active' order by w.serial")
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	var xid [16]byte
	var m mark
	_, err = pgx.ForEachRow(rows, []any{&xid, &m.xmin, &m.ctid}, func() error {
		xids, marks[xid] = append(xids, xid), m
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	return xids, marks, nil
}

// changed are the Tasks whose rows are not as they were.
func (c *wanted) changed(xids []li.XID, marks map[li.XID]mark) (changed []li.XID) {
	for _, xid := range xids {
		if was, ok := c.known[xid]; !ok || was.mark != marks[xid] {
			changed = append(changed, xid)
		}
	}
	return changed
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

// active reads those of some Tasks' warrants that are. broken are those that do not open.
func (r keyring) active(ctx context.Context, tx pgx.Tx, xids []li.XID) (all map[li.XID]marked, broken []li.LIID, err error) {
	all = make(map[li.XID]marked, len(xids))
	if len(xids) == 0 {
		return all, nil, nil
	}
	ids := make([][16]byte, len(xids))
	for i, xid := range xids {
		ids[i] = xid
	}
	rows, err := tx.Query(ctx, `select t.xid, w.xmin, w.ctid, `+warrantColumns+` from warrant w join task t on t.warrant_id = w.id
		where w.state = 'active' and t.xid = any($1)`, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		var xid [16]byte
		var m marked
		var err error
		m.warrant, err = r.scanWarrant(leading{row, []any{&xid, &m.mark.xmin, &m.mark.ctid}})
		if unreadable(err) {
			broken = append(broken, m.warrant.LIID)
			return struct{}{}, nil
		}
		all[xid] = m
		return struct{}{}, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks: %w", interpret(err))
	}
	return all, broken, nil
}

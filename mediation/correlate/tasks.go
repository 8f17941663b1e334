package correlate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

const (
	taskFresh    = 500 * time.Millisecond // so soon a stop is seen
	maxCacheSize = 10_000
)

// taskCache asks for each Task twice a second at most.
type taskCache struct {
	source taskSource
	now    func() time.Time

	mu    sync.Mutex // guards known, briefly
	known map[li.XID]knownTask
}

type knownTask struct {
	info  warrant.TaskInfo
	found bool
	asked time.Time
}

func newTaskCache(source taskSource, now func() time.Time) *taskCache {
	return &taskCache{source: source, now: now, known: map[li.XID]knownTask{}}
}

// info returns a Task as it stood no more than stopGrace before the time of
// interception latest; found is false for one that no warrant stands behind.
func (c *taskCache) info(ctx context.Context, xid li.XID, latest time.Time) (info warrant.TaskInfo, found bool, err error) {
	asked := c.now()
	c.mu.Lock()
	k, ok := c.known[xid]
	c.mu.Unlock()
	if ok && asked.Sub(k.asked) < taskFresh && !asked.Before(k.asked) && !latest.After(k.asked.Add(stopGrace)) {
		return k.info, k.found, nil
	}
	info, err = c.source.TaskInfo(ctx, xid)
	if err != nil && !errors.Is(err, warrant.ErrNotFound) {
		return warrant.TaskInfo{}, false, err
	}
	k = knownTask{info, err == nil, asked}
	c.mu.Lock()
	if len(c.known) >= maxCacheSize {
		clear(c.known)
	}
	c.known[xid] = k
	c.mu.Unlock()
	return k.info, k.found, nil
}

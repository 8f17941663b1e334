package tasking

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/li"
)

// Tap is one active Task as the call path sees it. It is safe for concurrent use.
type Tap struct {
	task  li.Task
	xid   li.XID
	until time.Time     // by the wall clock
	mono  time.Duration // the same moment by the monotonic clock
	clock clock
	dead  atomic.Bool // once true, for ever
	grant *MediaGrant // nil for an IRITask
}

// clock reads both clocks: they can disagree when somebody sets the wall clock.
type clock struct {
	wall    func() time.Time     // no monotonic reading is used
	elapsed func() time.Duration // never runs back
}

func newTap(task li.Task, c clock) (*Tap, error) {
	t := &Tap{clock: c}
	var iri li.IRITask
	switch task := task.(type) {
	case li.IRITask:
		iri = task
	case li.ContentTask:
		iri, t.grant = task.IRITask, &MediaGrant{tap: t}
	default:
		return nil, ErrKind
	}
	// A copy that nobody changes, each target once: twice would copy a call twice.
	iri.Targets = distinct(iri.Targets)
	if len(iri.Targets) == 0 || slices.ContainsFunc(iri.Targets, li.Identity.IsZero) {
		return nil, ErrTargets
	}
	left := iri.Until.Round(0).Sub(c.wall().Round(0))
	if left <= 0 {
		return nil, ErrPast
	}
	t.xid, t.until, t.mono = iri.XID, iri.Until.Round(0), c.elapsed()+left
	t.task = iri
	if t.grant != nil {
		t.task = li.ContentTask{IRITask: iri}
	}
	return t, nil
}

func distinct(ids []li.Identity) []li.Identity {
	var out []li.Identity
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// XID names the Task.
func (t *Tap) XID() li.XID { return t.xid }

// Live reports whether copies may be taken now. It costs two clock readings.
func (t *Tap) Live() bool {
	if t.dead.Load() {
		return false
	}
	if t.clock.elapsed() >= t.mono || !t.clock.wall().Round(0).Before(t.until) {
		t.dead.Store(true)
		return false
	}
	return true
}

// left is how long the Tap has at most.
func (t *Tap) left() time.Duration {
	return max(min(t.mono-t.clock.elapsed(), t.until.Sub(t.clock.wall().Round(0))), 0)
}

// Media returns the right to copy media, nil for a Task of signalling only.
func (t *Tap) Media() *MediaGrant { return t.grant }

// MediaGrant is the right to copy media under one ContentTask.
type MediaGrant struct{ tap *Tap }

// XID names the Task.
func (g *MediaGrant) XID() li.XID { return g.tap.xid }

// Live reports whether media may be copied now.
func (g *MediaGrant) Live() bool { return g.tap.Live() }

package tasking

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/li"
)

// Tap is one active Task as the call path sees it. It is safe for concurrent use.
type Tap struct {
	task  atomic.Pointer[li.Task]
	xid   li.XID
	begun time.Time
	until atomic.Int64 // by the wall clock, nanoseconds since 1970
	mono  atomic.Int64 // the same moment by the monotonic clock
	clock clock
	dead  atomic.Bool // once true, for ever
	grant *MediaGrant // nil for an IRITask

	x2, x3 atomic.Int64 // octets copied
	last   atomic.Int64 // when a copy was taken last, microseconds since 1970; 0 = never
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
	t.xid, t.begun = iri.XID, c.wall().Round(0)
	t.hold(iri)
	if !t.Live() {
		return nil, ErrPast
	}
	return t, nil
}

// hold sets the end by both clocks and the Task as it is told of.
func (t *Tap) hold(iri li.IRITask) {
	until := iri.Until.Round(0)
	t.until.Store(until.UnixNano())
	t.mono.Store(int64(t.clock.elapsed() + until.Sub(t.clock.wall().Round(0))))
	task := li.Task(iri)
	if t.grant != nil {
		task = li.ContentTask{IRITask: iri}
	}
	t.task.Store(&task)
}

// Task returns what was ordered.
func (t *Tap) Task() li.Task { return *t.task.Load() }

// Count notes a copy that was taken. Whoever copies calls it, off the call's path.
func (t *Tap) Count(media bool, octets int, at time.Time) {
	n := &t.x2
	if media {
		n = &t.x3
	}
	n.Add(int64(octets))
	t.last.Store(at.UnixMicro())
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
	if int64(t.clock.elapsed()) >= t.mono.Load() || t.clock.wall().UnixNano() >= t.until.Load() {
		t.dead.Store(true)
		return false
	}
	return true
}

// left is how long the Tap has at most.
func (t *Tap) left() time.Duration {
	mono, wall := t.mono.Load()-int64(t.clock.elapsed()), t.until.Load()-t.clock.wall().UnixNano()
	return time.Duration(max(min(mono, wall), 0))
}

// Media returns the right to copy media, nil for a Task of signalling only.
func (t *Tap) Media() *MediaGrant { return t.grant }

// MediaGrant is the right to copy media under one ContentTask.
type MediaGrant struct{ tap *Tap }

// XID names the Task.
func (g *MediaGrant) XID() li.XID { return g.tap.xid }

// Live reports whether media may be copied now.
func (g *MediaGrant) Live() bool { return g.tap.Live() }

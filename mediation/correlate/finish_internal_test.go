package correlate

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// lone is a bus, a database and a store of one session.
type lone struct {
	info   warrant.TaskInfo
	p      evidence.Progress
	closed *evidence.Progress
}

func (f *lone) TaskInfo(context.Context, li.XID) (warrant.TaskInfo, error) { return f.info, nil }
func (f *lone) OpenAlarm(context.Context, string, string) error            { return nil }
func (f *lone) CloseAlarm(context.Context, string, string) error           { return nil }
func (f *lone) OpenSessions(context.Context, func(li.XID, uint64) bool) ([]*evidence.Progress, error) {
	return nil, nil
}

func (f *lone) Session(context.Context, warrant.TaskInfo, uint64, time.Time) (*evidence.Progress, error) {
	return &f.p, nil
}

func (f *lone) Reload(context.Context, *evidence.Progress) (*evidence.Progress, error) {
	return &f.p, nil
}

func (f *lone) Put(context.Context, *evidence.Progress, []byte) (evidence.Blob, error) {
	return evidence.Blob{}, nil
}

func (f *lone) Commit(_ context.Context, p *evidence.Progress, next evidence.Progress, _ evidence.Sealed) error {
	next.Segments++
	*p = next
	return nil
}

func (f *lone) Close(_ context.Context, p *evidence.Progress, next evidence.Progress, _ []evidence.Entailed) error {
	next.ClosedAt = time.Now()
	*p = next
	f.closed = &next
	return nil
}
func (f *lone) Refuse(context.Context, li.XID, string) error { return nil }
func (f *lone) ConsumeWhile(context.Context, int, func(context.Context) error, func(bus.Message)) error {
	return nil
}

// What drain takes at the end of a call may say that it goes on: a 401, and the INVITE
// that answers it, behind a worker that was busy.
func TestDrainedINVITEUndoesTheEnd(t *testing.T) {
	key, _ := age.GenerateX25519Identity()
	now := time.Now()
	f := &lone{info: warrant.TaskInfo{Recipients: []string{key.Recipient().String()}, Media: true, From: now.Add(-time.Hour), Until: now.Add(time.Hour)}}
	f.p.LIID, f.p.CIN, f.p.StartedAt = "LI-1", 1, now
	f.p.TapSeqX2, f.p.TapSeqX3 = -1, -1
	clock := now
	c, err := New(Config{Bus: f, Tasks: f, Store: f, Alarms: f, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(c, func(error) {})
	w := d.workers[0]
	seq := uint64(0)
	msg := func(ev sipevent.Event, stored time.Time) part {
		seq++
		h := &held{place: place{"b", seq}, stored: stored, ack: func() error { return nil }, size: 1}
		_ = c.room.Acquire(t.Context(), 1)
		h.left.Store(1)
		d.reading.busy()
		d.reading.handed(stored, clock)
		return part{msg: h, kind: segment.KindIRI, call: call{}, pdus: []x2x3.PDU{{Type: x2x3.X2, Time: stored, HasSequence: true, Sequence: uint32(seq - 1), Event: sipevent.AppendEvent(nil, ev), Payload: []byte("x")}}}
	}
	w.part(t.Context(), msg(sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}, now))
	w.part(t.Context(), msg(sipevent.Event{Stage: sipevent.End, Method: "INVITE", Status: 401}, now))
	clock = now.Add(time.Second)
	w.sweep(t.Context()) // what came is stored
	// half a second later the INVITE comes again; the worker is busy with a slow database
	w.in <- msg(sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}, now.Add(500*time.Millisecond))
	w.in <- msg(sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 200}, now.Add(3*time.Second))
	clock = now.Add(4 * time.Second)
	w.sweep(t.Context())
	if f.closed != nil {
		t.Errorf("the call goes on, and its session is closed: ended %v (%s), answered %v", f.closed.EndedAt.Sub(now), f.closed.EndCause, f.closed.AnsweredAt.Sub(now))
	}
}

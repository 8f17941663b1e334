package admf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// scripted is a store of which only what notes use may be called.
type scripted struct {
	store
	err    error
	events []string
}

func (s *scripted) take(event string) error {
	if s.err == nil {
		s.events = append(s.events, event)
	}
	return s.err
}

func (s *scripted) ConfirmTask(_ context.Context, _ li.XID, _ string, on bool, _ time.Time) error {
	if on {
		return s.take("on")
	}
	return s.take("off")
}

func (s *scripted) OpenAlarm(_ context.Context, kind, _ string) error { return s.take("open " + kind) }

func (s *scripted) CloseAlarm(_ context.Context, kind, _ string) error {
	return s.take("close " + kind)
}

// What the store does not take is told later, in order, once.
func TestNotesSurviveAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	s := &scripted{err: errors.New("down")}
	n := newNotes("gw-1", s, func() { t.Error("overflow") })
	xid, now := li.NewXID(), time.Now()
	a := alarm{AlarmTapsLost, "gw-1"}
	if !n.raise(a) || n.raise(a) {
		t.Error("raise must report what is new, once")
	}
	n.confirm(xid, true, now)
	if _, err := n.flush(t.Context(), never); err == nil {
		t.Error("flush to a store that is down must be an error")
	}
	n.clear(a)
	n.clear(a)
	s.err = nil
	for range 2 {
		if _, err := n.flush(t.Context(), never); err != nil {
			t.Fatal(err)
		}
		n.confirm(xid, true, now)
	}
	n.confirm(xid, false, now)
	if _, err := n.flush(t.Context(), never); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"open taps_lost", "close taps_lost", "on", "off"}, s.events); diff != "" {
		t.Error(diff)
	}
	if len(n.told) != 0 || len(n.confirms) != 0 || len(n.changes) != 0 {
		t.Error("notes on what is over were kept")
	}
}

// That the store does not know a stranger's XID holds up nothing.
func TestNotesOnAStrangersTask(t *testing.T) {
	t.Parallel()
	s := &scripted{err: errors.New("down")}
	n := newNotes("gw-1", s, func() {})
	n.confirmGone(li.NewXID(), time.Now())
	if _, err := n.flush(t.Context(), never); err == nil || len(n.confirms) != 1 {
		t.Error("a confirmation was given up because the store is down")
	}
	s.err = fmt.Errorf("confirm: %w", warrant.ErrNotFound)
	if _, err := n.flush(t.Context(), never); err != nil || len(n.confirms) != 0 {
		t.Errorf("got %v and %d confirmations left", err, len(n.confirms))
	}
}

func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	dropped := 0
	n := newNotes("gw-1", &scripted{}, func() { dropped++ })
	for range maxChanges + 10 {
		n.settle(alarm{AlarmGatewayDown, "gw-1"})
	}
	if len(n.changes) != maxChanges || dropped != 10 {
		t.Errorf("kept %d, dropped %d", len(n.changes), dropped)
	}
}

// never lets a flush go on.
func never(time.Time) bool { return false }

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	var got []time.Duration
	for range 6 {
		got = append(got, b.next())
	}
	b.reset()
	got = append(got, b.next())
	want := []time.Duration{250, 500, 1000, 2000, 2000, 2000, 250}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

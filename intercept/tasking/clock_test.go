package tasking_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/intercept/tasking"
)

// Whatever somebody does to the wall clock: a tap lives while both clocks are
// before its end, and once it was seen dead it stays dead.
func TestNoClockProlongsATap(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	task := iri(t, start.Add(time.Hour), "+4930123456")
	id := target(t, "+4930123456")
	rapid.Check(t, func(t *rapid.T) {
		var wall, mono time.Duration
		x, err := tasking.New(tasking.Config{
			Wall:    func() time.Time { return start.Add(wall) },
			Elapsed: func() time.Duration { return mono },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Activate(task); err != nil {
			t.Fatal(err)
		}
		tap, dead := x.Match(id)[0], false
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			mono += time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "runs"))
			wall += time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(40*time.Minute)).Draw(t, "set"))
			want := !dead && wall < time.Hour && mono < time.Hour
			if got := tap.Live(); got != want {
				t.Fatalf("live = %v, want %v, at wall %v and monotonic %v", got, want, wall, mono)
			}
			dead = !want
			if n := len(x.Tasks()); n != map[bool]int{true: 1, false: 0}[want] {
				t.Fatalf("%d tasks are told of", n)
			}
		}
	})
}

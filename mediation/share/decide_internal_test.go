package share

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ligate/ligate/warrant/pgstore"
)

// model is the locks and their holders, as the database has them.
type model struct {
	parts  int
	next   int32
	holder map[int]int32
	mine   map[int32][]int // by member: what it holds and is not leaving
	stale  map[int32]pgstore.Standing
}

func (m *model) standing(self int32) pgstore.Standing {
	return pgstore.Standing{Self: self, Members: slices.Sorted(maps.Keys(m.mine)), Holder: maps.Clone(m.holder)}
}

// act does what a member decides on what it saw last, and reports whether that was
// anything.
func (m *model) act(id int32, st pgstore.Standing) bool {
	leave, take := decide(st, m.parts, m.mine[id])
	for _, p := range leave {
		m.mine[id] = slices.DeleteFunc(m.mine[id], func(q int) bool { return q == p })
		delete(m.holder, p)
	}
	for _, p := range take {
		if _, held := m.holder[p]; !held { // the lock
			m.holder[p] = id
			m.mine[id] = append(m.mine[id], p)
		}
	}
	return len(leave)+len(take) > 0
}

func (m *model) die(id int32) {
	for _, p := range m.mine[id] {
		delete(m.holder, p)
	}
	delete(m.mine, id)
	delete(m.stale, id)
}

// Whoever comes and goes, and however old what they saw: once nobody does any more,
// every part is held, and shares differ by one at most.
func TestSharesEvenOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{parts: rapid.IntRange(1, 40).Draw(t, "parts"), holder: map[int]int32{}, mine: map[int32][]int{}, stale: map[int32]pgstore.Standing{}}
		someone := func(t *rapid.T) int32 {
			if len(m.mine) == 0 {
				t.Skip("nobody")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(m.mine))).Draw(t, "who")
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(*rapid.T) { m.next++; m.mine[m.next] = nil; m.stale[m.next] = m.standing(m.next) },
			"die":  func(t *rapid.T) { m.die(someone(t)) },
			"look": func(t *rapid.T) { id := someone(t); m.stale[id] = m.standing(id) },
			"act":  func(t *rapid.T) { id := someone(t); m.act(id, m.stale[id]) },
			"": func(t *rapid.T) {
				for id, mine := range m.mine {
					for _, p := range mine {
						if m.holder[p] != id {
							t.Fatalf("%d works on part %d without its lock", id, p)
						}
					}
				}
			},
		})
		if len(m.mine) == 0 {
			return
		}
		rounds := 0
		for moving := true; moving; rounds++ {
			moving = false
			for _, id := range slices.Sorted(maps.Keys(m.mine)) {
				moving = m.act(id, m.standing(id)) || moving
			}
		}
		if rounds > 4 {
			t.Errorf("%d rounds", rounds)
		}
		if len(m.holder) != m.parts {
			t.Errorf("%d of %d parts are held", len(m.holder), m.parts)
		}
		for id, mine := range m.mine {
			if n := len(m.mine); len(mine) < m.parts/n || len(mine) > (m.parts+n-1)/n {
				t.Errorf("%d of %d has %d of %d parts", id, n, len(mine), m.parts)
			}
		}
	})
}

// A newcomer moves what it gets, and nothing else.
func TestNewcomerMovesLittle(t *testing.T) {
	t.Parallel()
	m := &model{parts: 16, holder: map[int]int32{}, mine: map[int32][]int{}}
	for n := range int32(16) {
		m.mine[n+1] = nil
		before := maps.Clone(m.holder)
		for moving := true; moving; {
			moving = false
			for id := range n + 1 {
				moving = m.act(id+1, m.standing(id+1)) || moving
			}
		}
		moved := 0
		for p, id := range m.holder {
			if before[p] != id {
				moved++
			}
		}
		if want := 16 / (int(n) + 1); moved != want {
			t.Errorf("member %d: %d parts moved, want %d", n+1, moved, want)
		}
	}
}

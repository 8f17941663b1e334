package share

import (
	"slices"

	"github.com/ligate/ligate/warrant/pgstore"
)

// decide returns the parts that a member leaves and those that it tries to take. mine
// are the parts that it holds and is not leaving. Members get equal shares; the first
// ones get what does not divide, so that a newcomer moves as little as possible.
func decide(st pgstore.Standing, parts int, mine []int) (leave, take []int) {
	rank := slices.Index(st.Members, st.Self)
	if rank < 0 {
		return mine, nil // nobody knows us any more
	}
	n := len(st.Members)
	fair := parts / n
	if rank < parts%n {
		fair++
	}
	mine = slices.Sorted(slices.Values(mine))
	if len(mine) > fair {
		return mine[fair:], nil
	}
	for i := range parts {
		part := (rank*parts/n + i) % parts // members begin at different places
		if _, held := st.Holder[part]; !held && len(mine)+len(take) < fair {
			take = append(take, part)
		}
	}
	return nil, take
}

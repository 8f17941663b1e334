package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// An erasure is an entry with this action that names the erased entries, as in "3-7,9",
// and who asked for it: its actor is who confirmed.
const (
	ActionErase   = "audit.erase"
	detailEntries = "entries"
	detailAskedBy = "asked_by"
)

// span is a run of entries, both ends included.
type span struct{ first, last int64 }

// Erasure is what two people ask for. The request is a row of audit_request.
type Erasure struct {
	Request string // its id
	AskedBy string
	Entries []int64
}

// Erase takes away record and salt of the entries that a confirmed request names,
// within tx, and appends the entry that says so, whose index it returns. Of by, who
// confirmed, actor, role, reason (required) and source are used. All are erased or
// none. The database does it only for a request that two people made, and once.
func (l *Log) Erase(ctx context.Context, tx pgx.Tx, by Entry, e Erasure) (int64, error) {
	indexes := slices.Compact(slices.Sorted(slices.Values(e.Entries)))
	if len(indexes) == 0 || by.Reason == "" || e.AskedBy == "" || e.AskedBy == by.Actor {
		return 0, ErrErase
	}
	by.Action, by.Object, by.Result = ActionErase, "request "+e.Request, "done"
	by.Detail = map[string]string{detailEntries: formatSpans(indexes), detailAskedBy: e.AskedBy}
	var gone int64
	if err := tx.QueryRow(ctx, "select audit_erase($1)", e.Request).Scan(&gone); err != nil {
		return 0, fmt.Errorf("audit: erase records: %w", err)
	}
	if gone != int64(len(indexes)) {
		return 0, ErrErase
	}
	return l.Append(ctx, tx, by)
}

// formatSpans writes ascending indexes without doubles.
func formatSpans(indexes []int64) string {
	var b strings.Builder
	for i := 0; i < len(indexes); {
		j := i
		for j+1 < len(indexes) && indexes[j+1] == indexes[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(indexes[i], 10))
		if j > i {
			b.WriteString("-" + strconv.FormatInt(indexes[j], 10))
		}
		i = j + 1
	}
	return b.String()
}

// parseSpans reads what formatSpans writes, all below end.
func parseSpans(s string, end int64) ([]span, bool) {
	var spans []span
	next := int64(0) // the least index that may follow
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRun := strings.Cut(part, "-")
		from, ok := parseIndex(first)
		to := from
		if ok && isRun {
			to, ok = parseIndex(last)
			ok = ok && to > from
		}
		if !ok || from < next || to >= end {
			return nil, false
		}
		spans = append(spans, span{from, to})
		next = to + 2 // to+1 would be of the same run
	}
	return spans, true
}

func parseIndex(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

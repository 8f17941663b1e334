package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ligate/ligate/audit"
)

// Filter narrows a report; zero fields do not.
type Filter struct {
	From, Until time.Time     // required: from included, until excluded
	Who         string        // actor
	What        string        // action
	Warrant     string        // LIID
	Grace       time.Duration // unacknowledged, retention-overdue: what is older counts; late-ended: what is later
}

// maxPeriod bounds what one report reads.
const maxPeriod = 2 * 366 * 24 * time.Hour

// Hours are office hours, Monday to Friday.
type Hours struct {
	From, Until int            // full hours of the day, from included, until excluded
	Zone        *time.Location // default UTC
}

// Outside reports whether t is outside them.
func (h Hours) Outside(t time.Time) bool {
	zone := h.Zone
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	day := t.Weekday()
	return day == time.Saturday || day == time.Sunday || t.Hour() < h.From || t.Hour() >= h.Until
}

// Report makes the report of that name; ErrNotFound says that there is none.
func (s *Store) Report(ctx context.Context, name string, f Filter) (*Table, error) {
	if !f.From.Before(f.Until) || f.Until.Sub(f.From) > maxPeriod {
		return nil, ErrPeriod
	}
	switch name {
	case "accesses-by-person":
		return s.accesses(ctx, f, []string{"actor", "role", "action"}, func(e audit.Entry) []string { return []string{e.Actor, e.Role, e.Action} })
	case "accesses-by-warrant":
		return s.accesses(ctx, f, []string{"warrant", "actor", "action"}, func(e audit.Entry) []string {
			if e.Warrant == "" {
				return nil
			}
			return []string{e.Warrant, e.Actor, e.Action}
		})
	case "outside-hours":
		return s.listing(ctx, f, func(e audit.Entry) bool { return e.Role != system && e.Role != "agency" && s.cfg.Hours.Outside(e.Time) })
	case "refused":
		return s.listing(ctx, f, func(e audit.Entry) bool { return e.Result == "refused" })
	case "late-ended":
		return s.lateEnded(ctx, f)
	case "unacknowledged":
		return s.unacknowledged(ctx, f)
	case "retention-overdue":
		return s.retentionOverdue(ctx, f)
	}
	return nil, ErrNotFound
}

// Reports lists the names.
func Reports() []string {
	return []string{"accesses-by-person", "accesses-by-warrant", "outside-hours", "refused", "late-ended", "unacknowledged", "retention-overdue"}
}

const system = "system"

// each reads the entries of the filter in order.
func (s *Store) each(ctx context.Context, f Filter, do func(index int64, e audit.Entry)) error {
	page := audit.Filter{Actor: f.Who, Action: f.What, Warrant: f.Warrant, From: f.From, Until: f.Until, Limit: audit.MaxLimit}
	for {
		records, next, err := s.cfg.Log.Entries(ctx, s.cfg.Pool, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Entry != nil {
				do(r.Index, *r.Entry)
			}
		}
		if page.After = next; next == "" {
			return nil
		}
	}
}

// tally counts what a group did.
type tally struct {
	key            []string
	count, refused int
	first, last    time.Time
}

// accesses groups entries of people by key; a nil key leaves an entry out.
func (s *Store) accesses(ctx context.Context, f Filter, columns []string, key func(audit.Entry) []string) (*Table, error) {
	groups := map[string]*tally{}
	err := s.each(ctx, f, func(_ int64, e audit.Entry) {
		k := key(e)
		if k == nil || e.Role == system {
			return
		}
		id := fmt.Sprintf("%q", k)
		g, ok := groups[id]
		if !ok {
			g = &tally{key: k, first: e.Time}
			groups[id] = g
		}
		g.count, g.last = g.count+1, e.Time
		if e.Result == "refused" {
			g.refused++
		}
	})
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: append(columns, "count", "refused", "first", "last")}
	for _, g := range groups {
		t.Rows = append(t.Rows, append(g.key, strconv.Itoa(g.count), strconv.Itoa(g.refused), stamp(g.first), stamp(g.last)))
	}
	slices.SortFunc(t.Rows, slices.Compare[[]string])
	return t, nil
}

// listing has one row an entry.
func (s *Store) listing(ctx context.Context, f Filter, wanted func(audit.Entry) bool) (*Table, error) {
	t := &Table{Columns: []string{"index", "time", "actor", "role", "action", "warrant", "object", "result", "rule", "source"}}
	err := s.each(ctx, f, func(index int64, e audit.Entry) {
		if wanted(e) {
			t.add(strconv.FormatInt(index, 10), stamp(e.Time), e.Actor, e.Role, e.Action, e.Warrant, e.Object, e.Result, e.Detail["rule"], e.Source)
		}
	})
	return t, err
}

// lateEnded shows every gateway that confirmed the end of a tap later than Grace
// (default a second) after the tap's right ended, and every tap that has no
// confirmation yet.
func (s *Store) lateEnded(ctx context.Context, f Filter) (*Table, error) {
	grace := cmp.Or(f.Grace, time.Second)
	rows, err := s.cfg.Pool.Query(ctx, `select w.liid, w.valid_until, i.began_at, i.ended_at from tap_interval i join warrant w on w.id = i.warrant_id
		where coalesce(i.ended_at, w.valid_until) >= $1 and coalesce(i.ended_at, w.valid_until) < $2 and ($3 = '' or w.liid = $3)
		order by w.liid, i.began_at`, f.From, f.Until, f.Warrant)
	if err != nil {
		return nil, fmt.Errorf("review: read intervals: %w", interpret(err))
	}
	defer rows.Close()
	t := &Table{Columns: []string{"warrant", "right_ended", "tap", "ended", "seconds_late"}}
	due := map[string][]time.Time{} // ends of rights by LIID
	for rows.Next() {
		var liid string
		var until, began time.Time
		var ended *time.Time
		if err := rows.Scan(&liid, &until, &began, &ended); err != nil {
			return nil, fmt.Errorf("review: read intervals: %w", interpret(err))
		}
		end, right := s.now(), until
		if ended != nil {
			end, right = *ended, earlier(*ended, until)
		}
		due[liid] = append(due[liid], right)
		if end.Sub(until) > grace {
			t.add(liid, stamp(until), "ordered", stampOr(ended), seconds(end.Sub(until)))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("review: read intervals: %w", interpret(err))
	}
	// Gateways may confirm long after: the log is read to now.
	stops := Filter{From: f.From, Until: s.now().Add(time.Second), What: "tap.stopped", Warrant: f.Warrant}
	err = s.each(ctx, stops, func(_ int64, e audit.Entry) {
		right, ok := last(due[e.Warrant], e.Time)
		if late := e.Time.Sub(right); ok && late > grace {
			t.add(e.Warrant, stamp(right), e.Object, stamp(e.Time), seconds(late))
		}
	})
	return t, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// last is the newest of times that is not after t.
func last(times []time.Time, t time.Time) (found time.Time, ok bool) {
	for _, at := range times {
		if !at.After(t) && (!ok || at.After(found)) {
			found, ok = at, true
		}
	}
	return found, ok
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// unacknowledged shows sessions that ended in the period, longer ago than Grace
// (default a day), whose newest chain head has no receipt.
func (s *Store) unacknowledged(ctx context.Context, f Filter) (*Table, error) {
	return s.query(ctx, []string{"warrant", "cin", "agency", "ended", "segments", "receipts_of_less"}, `
		select s.liid, s.cin::text, s.agency_id, to_char(s.ended_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), s.segments::text,
			(select count(*) from receipt r where r.session_id = s.id)::text
		from session s where s.ended_at >= $1 and s.ended_at < $2 and ($3 = '' or s.liid = $3) and s.ended_at < $4
			and s.segments > 0 and not exists (select from receipt r where r.session_id = s.id and r.chain_head = s.chain_head)
		order by s.ended_at, s.liid, s.cin limit 100000`, f.From, f.Until, f.Warrant, s.now().Add(-cmp.Or(f.Grace, 24*time.Hour)))
}

// retentionOverdue shows stopped warrants of the period with evidence that is not
// purged Grace (default 180 days) after the end, and whether a legal hold says why.
func (s *Store) retentionOverdue(ctx context.Context, f Filter) (*Table, error) {
	return s.query(ctx, []string{"warrant", "state", "stopped", "sessions_kept", "held"}, `
		select w.liid, w.state, to_char(w.stopped_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), count(s.id)::text,
			(exists (select from legal_hold h where h.warrant_id = w.id and h.confirmed_by is not null and h.release_confirmed_by is null))::text
		from warrant w join session s on s.liid = w.liid and s.purged_at is null
		where w.state in ('expired', 'revoked', 'purged') and w.stopped_at >= $1 and w.stopped_at < $2 and ($3 = '' or w.liid = $3) and w.stopped_at < $4
		group by w.id, w.liid, w.state, w.stopped_at order by w.stopped_at, w.liid limit 100000`,
		f.From, f.Until, f.Warrant, s.now().Add(-cmp.Or(f.Grace, 180*24*time.Hour)))
}

// query makes a table of a statement whose columns are texts.
func (s *Store) query(ctx context.Context, columns []string, sql string, args ...any) (*Table, error) {
	rows, err := s.cfg.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("review: read report: %w", interpret(err))
	}
	defer rows.Close()
	t := &Table{Columns: columns}
	for rows.Next() {
		cells := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("review: read report: %w", interpret(err))
		}
		t.Rows = append(t.Rows, cells)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("review: read report: %w", interpret(err))
	}
	return t, nil
}

package review

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ligate/ligate/audit"
)

// Comparison is one warrant as independent sources tell it: the order, the intervals
// that the ADMF allowed, the gateways' confirmations on the log, the numbers that taps
// gave their PDUs (X2 and X3), mediation's records, the store's segments, the agency's
// receipts. Findings names each contradiction; none means that they agree.
type Comparison struct {
	Warrant string    `json:"warrant"`
	State   string    `json:"state"`
	Scope   string    `json:"scope"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`

	Intervals      int     `json:"intervals"`       // in which tapping was allowed
	AllowedSeconds float64 `json:"allowed_seconds"` // their sum
	OutsideSeconds float64 `json:"outside_seconds"` // of them outside from and until

	Started int `json:"taps_started"` // by gateways, on the log
	Stopped int `json:"taps_stopped"`

	Sessions        int   `json:"sessions"`
	OutsideSessions int   `json:"sessions_outside_intervals"`
	TapX2           int64 `json:"tap_x2"` // PDUs that taps numbered
	TapX3           int64 `json:"tap_x3"`
	IRI             int64 `json:"iri_records"` // that mediation numbered
	CC              int64 `json:"cc_records"`
	Missing         int64 `json:"missing"` // numbers of the tap that never came
	Segments        int64 `json:"segments"`
	Stored          int64 `json:"segments_stored"`
	StoredIRI       int64 `json:"iri_stored"` // by the segments' own numbers
	StoredCC        int64 `json:"cc_stored"`
	Acknowledged    int   `json:"sessions_acknowledged"`

	Findings []string `json:"findings"`
}

// comparisonSQL gives one row a warrant that was ever active. The sum over segments is
// of rows, apart from the session's own counters.
const comparisonSQL = `
with tapped as (
	select i.warrant_id, count(*) n, sum(extract(epoch from coalesce(i.ended_at, $1) - i.began_at)) allowed,
		sum(greatest(0, extract(epoch from least(coalesce(i.ended_at, $1), w.valid_from) - i.began_at))
		  + greatest(0, extract(epoch from coalesce(i.ended_at, $1) - greatest(i.began_at, w.valid_until)))) outside
	from tap_interval i join warrant w on w.id = i.warrant_id group by i.warrant_id),
stored as (
	select session_id, count(*) n, coalesce(sum(last_seq - first_seq + 1) filter (where kind = 'iri'), 0) iri,
		coalesce(sum(last_seq - first_seq + 1) filter (where kind = 'cc'), 0) cc from segment group by session_id),
kept as (
	select s.liid, count(*) n, sum(s.tap_seq_x2 + 1) x2, sum(s.tap_seq_x3 + 1) x3, sum(s.next_iri) iri, sum(s.next_cc) cc, sum(s.missing) missing,
		sum(s.segments) segments, coalesce(sum(g.n), 0) stored, coalesce(sum(g.iri), 0) stored_iri, coalesce(sum(g.cc), 0) stored_cc,
		count(*) filter (where exists (select from receipt r where r.session_id = s.id and r.chain_head = s.chain_head)) acked,
		count(*) filter (where not exists (select from tap_interval i join warrant w on w.id = i.warrant_id
			where w.liid = s.liid and s.started_at >= i.began_at - $2::interval and s.started_at <= coalesce(i.ended_at, $1) + $2::interval)) outside
	from session s left join stored g on g.session_id = s.id group by s.liid)
select w.liid, w.state, w.scope, w.valid_from, w.valid_until, coalesce(t.n, 0), coalesce(t.allowed, 0)::float8, coalesce(t.outside, 0)::float8,
	coalesce(k.n, 0), coalesce(k.outside, 0), coalesce(k.x2, 0)::bigint, coalesce(k.x3, 0)::bigint, coalesce(k.iri, 0)::bigint, coalesce(k.cc, 0)::bigint,
	coalesce(k.missing, 0)::bigint, coalesce(k.segments, 0)::bigint, coalesce(k.stored, 0)::bigint, coalesce(k.stored_iri, 0)::bigint,
	coalesce(k.stored_cc, 0)::bigint, coalesce(k.acked, 0)
from warrant w left join tapped t on t.warrant_id = w.id left join kept k on k.liid = w.liid
where (t.n > 0 or k.n > 0) and ($3 = '' or w.liid = $3) and w.serial > $4 order by w.serial limit $5`

// slack is how far clocks of gateways and ADMF may be apart before a session counts as
// outside of its interval.
const slack = 2 * time.Second

// comparisonLimit is how many warrants one comparison has at most.
const comparisonLimit = 10_000

// Compare holds what was tapped against what was ordered, for one LIID or, empty, all.
func (s *Store) Compare(ctx context.Context, liid string) ([]Comparison, error) {
	rows, err := s.cfg.Pool.Query(ctx, comparisonSQL, s.now(), slack, liid, 0, comparisonLimit)
	if err != nil {
		return nil, fmt.Errorf("review: compare: %w", interpret(err))
	}
	defer rows.Close()
	all := []Comparison{}
	at := map[string]int{}
	for rows.Next() {
		var c Comparison
		err := rows.Scan(&c.Warrant, &c.State, &c.Scope, &c.From, &c.Until, &c.Intervals, &c.AllowedSeconds, &c.OutsideSeconds, &c.Sessions, &c.OutsideSessions,
			&c.TapX2, &c.TapX3, &c.IRI, &c.CC, &c.Missing, &c.Segments, &c.Stored, &c.StoredIRI, &c.StoredCC, &c.Acknowledged)
		if err != nil {
			return nil, fmt.Errorf("review: compare: %w", interpret(err))
		}
		at[c.Warrant] = len(all)
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("review: compare: %w", interpret(err))
	}
	if err := s.confirmations(ctx, liid, all, at); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Findings = all[i].find(s.now())
	}
	return all, nil
}

func (s *Store) confirmations(ctx context.Context, liid string, all []Comparison, at map[string]int) error {
	for _, action := range []string{"tap.started", "tap.stopped"} {
		f := Filter{From: time.Unix(0, 0), Until: s.now().Add(time.Second), What: action, Warrant: liid}
		err := s.each(ctx, f, func(_ int64, e audit.Entry) {
			i, ok := at[e.Warrant]
			switch {
			case !ok:
			case action == "tap.started":
				all[i].Started++
			default:
				all[i].Stopped++
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// find names what contradicts.
func (c Comparison) find(now time.Time) []string {
	found := []string{}
	say := func(bad bool, texts ...string) {
		if bad {
			found = append(found, strings.Join(texts, " "))
		}
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	purged := c.State == "purged"
	say(c.OutsideSeconds > slack.Seconds(), "tapping was allowed for", seconds(time.Duration(c.OutsideSeconds*float64(time.Second))), "s outside the warrant's dates")
	say(c.OutsideSessions > 0, strconv.Itoa(c.OutsideSessions), "sessions began outside every interval in which tapping was allowed")
	say(c.Sessions > 0 && c.Intervals == 0, "sessions without any interval in which tapping was allowed")
	say(c.Sessions > 0 && c.Started == 0, "sessions, and no gateway ever confirmed a tap")
	say(c.Scope == "iri" && c.CC > 0, number(c.CC), "content records under a warrant of signalling only")
	say(!purged && c.State != "active" && c.Started > c.Stopped && now.After(c.Until), strconv.Itoa(c.Started-c.Stopped), "taps were never confirmed as stopped")
	say(!purged && c.Stored != c.Segments, "segments: sessions count", number(c.Segments)+", the store has", number(c.Stored))
	say(!purged && c.StoredIRI != c.IRI, "signalling: mediation numbered", number(c.IRI)+", segments hold", number(c.StoredIRI))
	say(!purged && c.StoredCC != c.CC, "content: mediation numbered", number(c.CC)+", segments hold", number(c.StoredCC))
	say(c.Missing > 0, number(c.Missing), "PDUs of the tap never came (the agency was told by number)")
	say(c.Acknowledged < c.Sessions, strconv.Itoa(c.Sessions-c.Acknowledged), "sessions without the agency's receipt")
	return found
}

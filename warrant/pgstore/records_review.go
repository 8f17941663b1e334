package pgstore

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
	"github.com/ligate/ligate/warrant/profile"
	"github.com/ligate/ligate/warrant/review"
)

// Review is the quarterly check of a sample of the audit log against the orders.
type Review struct {
	Quarter    string // 2026-Q3
	Population int    // entries of the quarter
	Permille   int
	Size       int64  // of the checkpoint that the seed comes from
	Root       []byte // of it
	Seed       []byte
	StartedBy  warrant.PersonID
	StartedAt  time.Time
	Sample     []Sampled // in the order in which they were drawn
	Report     *form.QuarterlyReview
}

// Sampled is an entry of the sample, by its number on the log.
type Sampled struct {
	Entry   int64
	Result  string // agrees, differs; empty = nobody said yet
	Finding string
	By      warrant.PersonID
	At      *time.Time
}

const defaultShare = 0.2 // of the entries, where there is no profile

// StartReview draws the sample of a quarter that is over. The seed comes from the first
// checkpoint after its end; where none was signed yet, one is now.
func (s *Store) StartReview(ctx context.Context, by warrant.Actor, quarter string) (Review, error) {
	e := entry(by, "review.start", "", quarter)
	q, from, until, err := s.reviewable(by, quarter)
	if err != nil {
		return Review{}, s.refused(ctx, e, err)
	}
	size, root, err := s.log(ctx, until)
	if err != nil {
		return Review{}, err
	}
	population, always, err := s.population(ctx, from, until, size)
	if err != nil {
		return Review{}, err
	}
	share := defaultShare
	if s.profile != nil {
		share = s.profile.Review.Share
	}
	seed := review.Seed(q, size, root)
	r := Review{
		Quarter: quarter, Population: len(population), Permille: review.Permille(share), Size: size, Root: root[:], Seed: seed[:],
		StartedBy: by.ID, StartedAt: s.clock(),
	}
	for _, id := range review.Sample(seed, population, share, always) {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return Review{}, errors.New("start review: the sample names no entry")
		}
		r.Sample = append(r.Sample, Sampled{Entry: n})
	}
	e.Detail = map[string]string{
		"population": strconv.Itoa(r.Population), "sample": strconv.Itoa(len(r.Sample)), "checkpoint": strconv.FormatInt(size, 10), "seed": hex.EncodeToString(seed[:]),
	}
	return r, s.record(ctx, e, nil, func(tx pgx.Tx, _ *audit.Entry) error { return insertReview(ctx, tx, r, by.Source) })
}

// reviewable says whether a quarter can be reviewed now, and what its bounds are.
func (s *Store) reviewable(by warrant.Actor, quarter string) (q review.Quarter, from, until time.Time, err error) {
	if err := auditor(by); err != nil {
		return q, from, until, err
	}
	if q, err = review.ParseQuarter(quarter); err != nil {
		return q, from, until, &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: "quarter: " + err.Error()}
	}
	from, until = q.Bounds(s.zone())
	if s.clock().Before(until) {
		err = &warrant.RuleError{Rule: warrant.RuleDates, Reason: "quarter: it is not over; what may still happen cannot be sampled"}
	}
	return q, from, until, err
}

// log is the first state of the log after a moment that is signed.
func (s *Store) log(ctx context.Context, at time.Time) (size int64, root [32]byte, err error) {
	size, root, err = s.audit.FirstCheckpoint(ctx, s.pool, at)
	if !errors.Is(err, audit.ErrNotFound) {
		return size, root, err
	}
	if _, err := s.audit.Checkpoint(ctx, s.pool); err != nil {
		return 0, root, err
	}
	return s.audit.FirstCheckpoint(ctx, s.pool, at)
}

// population lists a quarter's entries by number, and which of them are always checked.
func (s *Store) population(ctx context.Context, from, until time.Time, size int64) (ids []string, always map[string]bool, err error) {
	tests, err := s.testIntercepts(ctx)
	if err != nil {
		return nil, nil, err
	}
	kinds := []string{"test", "suspicious"}
	if s.profile != nil {
		kinds = s.profile.Review.Always
	}
	always = map[string]bool{}
	f := audit.Filter{From: from, Until: until, Limit: audit.MaxLimit}
	for {
		page, next, err := s.audit.Entries(ctx, s.pool, f)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range page {
			if r.Index >= size {
				return ids, always, nil
			}
			id := strconv.FormatInt(r.Index, 10)
			ids = append(ids, id)
			if r.Entry != nil {
				always[id] = slices.Contains(kinds, "test") && tests[r.Entry.Warrant] || slices.Contains(kinds, "suspicious") && suspicious(*r.Entry)
			}
		}
		if f.After = next; next == "" {
			return ids, always, nil
		}
	}
}

// suspicious reports whether an entry is of an act that was refused or failed, or of an
// alarm.
func suspicious(e audit.Entry) bool {
	return e.Result == "refused" || e.Result == "failed" || e.Action == "alarm.open"
}

// testIntercepts are the LIIDs of test taps.
func (s *Store) testIntercepts(ctx context.Context) (map[string]bool, error) {
	if s.profile == nil {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, "select liid from warrant where legal_basis = any ($1)", s.profile.CodesFor(profile.Test))
	if err != nil {
		return nil, fmt.Errorf("list test taps: %w", interpret(err))
	}
	liids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list test taps: %w", interpret(err))
	}
	tests := map[string]bool{}
	for _, l := range liids {
		tests[l] = true
	}
	return tests, nil
}

func insertReview(ctx context.Context, tx pgx.Tx, r Review, source string) error {
	_, err := tx.Exec(ctx, `insert into review (quarter, population, permille, checkpoint_size, checkpoint_root, seed, started_by, source, started_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, r.Quarter, r.Population, r.Permille, r.Size, r.Root, r.Seed, r.StartedBy, source, r.StartedAt)
	if err != nil {
		return err
	}
	entries := make([]int64, len(r.Sample))
	for i, e := range r.Sample {
		entries[i] = e.Entry
	}
	_, err = tx.Exec(ctx, `insert into review_sample (quarter, entry, place)
		select $1, entry, place from unnest($2::bigint[]) with ordinality as drawn (entry, place)`, r.Quarter, entries)
	return err
}

// auditor admits who reviews.
func auditor(by warrant.Actor) error {
	if by.Confirmed && by.Role == warrant.Auditor {
		return nil
	}
	return warrant.ErrForbidden
}

// AddReviewResult says what the reviewer found of an entry of the sample, once.
func (s *Store) AddReviewResult(ctx context.Context, by warrant.Actor, quarter string, n int64, result, finding string) error {
	e := entry(by, "review.result", "", quarter)
	e.Detail = map[string]string{"entry": strconv.FormatInt(n, 10), "result": result}
	return s.record(ctx, e, auditor(by), func(tx pgx.Tx, _ *audit.Entry) error {
		if result != form.Agrees && result != form.Differs || result == form.Differs && finding == "" {
			return &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: "result: want agrees, or differs with a finding"}
		}
		_, err := tx.Exec(ctx, `insert into review_result (quarter, entry, result, finding, "by", source, at) values ($1, $2, $3, $4, $5, $6, $7)`,
			quarter, n, result, finding, by.ID, by.Source, s.clock())
		return err
	})
}

// CloseReview makes the report of a review. It is refused while an entry of the sample
// has no result.
func (s *Store) CloseReview(ctx context.Context, by warrant.Actor, quarter string) (Review, error) {
	var r Review
	err := s.record(ctx, entry(by, "review.close", "", quarter), auditor(by), func(tx pgx.Tx, _ *audit.Entry) error {
		if err := alone(ctx, tx, quarter); err != nil {
			return err
		}
		var err error
		if r, err = single(reviewsIn(ctx, tx, "where v.quarter = $1", quarter)); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Sample, func(e Sampled) bool { return e.Result == "" }) {
			return &warrant.RuleError{Rule: warrant.RuleState, Reason: "an entry of the sample has no result yet"}
		}
		report := s.report(r, by)
		body, err := encode(report)
		if err != nil {
			return err
		}
		r.Report = &report
		_, err = tx.Exec(ctx, `insert into review_close (quarter, form, "by", source, at) values ($1, $2, $3, $4, $5)`, quarter, body, by.ID, by.Source, report.ReviewedAt)
		return err
	})
	return r, err
}

func (s *Store) report(r Review, by warrant.Actor) form.QuarterlyReview {
	f := form.QuarterlyReview{
		Operator: s.operator, Quarter: r.Quarter, Population: r.Population, Permille: r.Permille, Size: r.Size,
		Root: base64.StdEncoding.EncodeToString(r.Root), Seed: hex.EncodeToString(r.Seed), Reviewer: by.Name, ReviewedAt: s.clock(), Zone: s.zone().String(),
	}
	for _, e := range r.Sample {
		f.Entries = append(f.Entries, form.Reviewed{Entry: strconv.FormatInt(e.Entry, 10), Result: e.Result, Finding: e.Finding})
	}
	return f
}

// reviewsIn reads reviews with their samples; where holds constant text only.
func reviewsIn(ctx context.Context, db querier, where string, args ...any) ([]Review, error) {
	rows, err := db.Query(ctx, `select v.quarter, v.population, v.permille, v.checkpoint_size, v.checkpoint_root, v.seed, v.started_by, v.started_at, c.form
		from review v left join review_close c on c.quarter = v.quarter `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Review, error) {
		var r Review
		var report []byte
		err := row.Scan(&r.Quarter, &r.Population, &r.Permille, &r.Size, &r.Root, &r.Seed, &r.StartedBy, &r.StartedAt, &report)
		r.StartedAt = r.StartedAt.UTC()
		if err == nil && report != nil {
			r.Report = &form.QuarterlyReview{}
			err = json.Unmarshal(report, r.Report)
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", interpret(err))
	}
	for i := range all {
		rows, err := db.Query(ctx, `select s.entry, coalesce(r.result, ''), coalesce(r.finding, ''), coalesce(r."by", ''), r.at
			from review_sample s left join review_result r using (quarter, entry) where s.quarter = $1 order by s.place`, all[i].Quarter)
		if err != nil {
			return nil, fmt.Errorf("read reviews: %w", interpret(err))
		}
		if all[i].Sample, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Sampled]); err != nil {
			return nil, fmt.Errorf("read reviews: %w", interpret(err))
		}
	}
	return all, nil
}

// Reviews lists reviews, newest first. The reading is on the audit log first.
func (s *Store) Reviews(ctx context.Context, by warrant.Actor) ([]Review, error) {
	if err := s.reading(ctx, by, "review.list", ""); err != nil {
		return nil, err
	}
	return reviewsIn(ctx, s.pool, "order by v.quarter desc limit 200")
}

// Review returns one. The reading is on the audit log first.
func (s *Store) Review(ctx context.Context, by warrant.Actor, quarter string) (Review, error) {
	if err := s.reading(ctx, by, "review.read", quarter); err != nil {
		return Review{}, err
	}
	return single(reviewsIn(ctx, s.pool, "where v.quarter = $1", quarter))
}
